//! What this crate adds to the files of other formats, so that they come back whole.

use serde::{Deserialize, Serialize};

use super::{Network, outputs};
use crate::data::bounded::MAX_TEXT;
use crate::error::FormatError;
use crate::model::Sequential;
use crate::state::State;
use crate::words::counted;

/// The entry `cnn_gpu` in a file's metadata: a JSON object. Other programs ignore it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NetworkDescription {
    /// The version of this crate that wrote the file.
    pub version: String,
    /// The model as TOML, with what only training needs: dropout, initializers, penalties, the loss.
    pub model: String,
    /// The hash of the weights; see [`State::weights_hash`].
    pub weights_hash: String,
    /// Optimizer steps taken.
    pub step: u64,
    /// The names of the classes, in the order of the outputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// How pixels become inputs, in words.
    pub preprocessing: String,
}

impl NetworkDescription {
    /// The name of the entry.
    pub const KEY: &'static str = "cnn_gpu";

    /// The note of a reader that finds other weights than those that were written.
    pub const CHANGED_WEIGHTS: &'static str =
        "the weights were changed since cnn-gpu wrote the file";

    /// How pixels become inputs.
    pub const PREPROCESSING: &'static str = "pixels (0 to 255) divided by 255";

    /// Describes a network.
    pub fn new(network: &Network) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            model: network.model.to_toml(),
            weights_hash: network.state.weights_hash(),
            step: network.state.step,
            class_names: network.class_names.clone(),
            preprocessing: Self::PREPROCESSING.into(),
        }
    }

    /// The entry's text.
    pub fn to_json(&self) -> String {
        // Texts and a number, all of which JSON can represent.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the entry.
    ///
    /// # Errors
    /// A text that is too long, is not such an object, or whose model is invalid.
    pub fn from_json(text: &str) -> Result<Self, FormatError> {
        let wrong = |e: FormatError| e.within("the entry `cnn_gpu` of its metadata is invalid");
        if text.len() as u64 > MAX_TEXT {
            return Err(wrong("longer than 1 MiB".into()));
        }
        serde_json::from_str(text).map_err(|e| match native(text) {
            Some(message) => message.into(),
            None => wrong(FormatError::from_cause(e)),
        })
    }

    /// The recorded model.
    ///
    /// # Errors
    /// It is not a valid model.
    pub fn model(&self) -> Result<Sequential, FormatError> {
        Sequential::from_toml(&self.model).map_err(FormatError::from_cause)
    }

    /// Adds what the format itself does not hold to a network that was read: the steps and the names
    /// of the classes. Returns notes on weights that have changed, and on names that do not fit.
    pub(super) fn complete(&self, network: &mut Network) -> Vec<String> {
        let is_same = self.describes(&network.state);
        if is_same && network.optimizer.is_none() {
            network.state.step = self.step;
        }
        let changed = (!is_same).then(|| Self::CHANGED_WEIGHTS.to_owned());
        changed
            .into_iter()
            .chain(self.name_classes(network))
            .collect()
    }

    /// Gives a network's classes their names, or returns a note that says why not.
    pub(super) fn name_classes(&self, network: &mut Network) -> Option<String> {
        let classes = outputs::classes(&network.model).unwrap_or(0);
        let names = &self.class_names;
        if names.is_empty() || names.len() == classes {
            network.class_names.clone_from(names);
            return None;
        }
        Some(format!(
            "not taken: the names of {}, because its output is for {classes}",
            counted(names.len(), "class")
        ))
    }

    /// Whether these are the weights that were written.
    pub fn describes(&self, state: &State) -> bool {
        self.weights_hash == state.weights_hash()
    }
}

/// What a file of this crate's own format is told, whose entry of the same name is TOML.
fn native(text: &str) -> Option<&'static str> {
    let table: toml::Table = toml::from_str(text).ok()?;
    table.get("version")?;
    Some(match table.contains_key("model") {
        true => {
            "weights of this program, which need no import: evaluate or export them, or train them further"
        }
        false => "a file of this program without a model; give the folder that it is in",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dense, Flatten};
    use crate::state::Layout;

    #[test]
    fn a_description_comes_back() {
        let model = Sequential::new([2, 2, 1])
            .add(Flatten::new())
            .add(Dense::new(3));
        let state = State::new(Layout::new(&model).unwrap(), 1);
        let network = Network::new(model, state).class_names(vec!["a".into(), "b \"c\"".into()]);
        let description = NetworkDescription::new(&network);
        let read = NetworkDescription::from_json(&description.to_json()).unwrap();
        assert_eq!(read, description);
        assert_eq!(read.model().unwrap(), network.model);
        assert!(read.describes(&network.state));
    }

    #[test]
    fn files_of_this_crate_s_own_formats_are_told_apart() {
        let message = |text| NetworkDescription::from_json(text).unwrap_err().to_string();
        let weights = message("version = \"1\"\n[model]\n");
        assert!(weights.starts_with("weights of this program"), "{weights}");
        let moments = message("version = \"1\"\n");
        assert!(moments.starts_with("a file of this program"), "{moments}");
    }

    #[test]
    fn a_broken_description_is_refused_in_one_line() {
        for text in ["", "{", "[]", "{\"version\": 1}"] {
            let message = NetworkDescription::from_json(text).unwrap_err().to_string();
            assert!(
                message.contains("cnn_gpu") && !message.contains('\n'),
                "{message}"
            );
        }
    }
}
