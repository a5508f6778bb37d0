//! `config.toml`: the settings, data sets and device of a run; resuming a run reads it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::CallbackRecord;
use crate::data::{DatasetSpec, Interpolation, ReadOptions, Splits};
use crate::error::{Error, FormatError, Result};
use crate::exec::{Description, KernelChoice};
use crate::model::Sequential;
use crate::read_toml::read_toml;
use crate::train::Options;

/// A run's settings and surroundings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Config {
    /// The version of `cnn-gpu`.
    pub version: String,
    /// When the run started, with time zone.
    pub started: String,
    /// The command line that started the run; empty for a run that a library's user started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The training options.
    pub training: Options,
    /// The callbacks.
    #[serde(default)]
    pub callbacks: CallbackRecord,
    /// The data sets.
    pub dataset: DataRecord,
    /// The device on which the run started.
    pub device: DeviceRecord,
    /// The other devices on which it was continued, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub continued_on: Vec<DeviceRecord>,
    /// The initial weights, if they were loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<InitialWeights>,
    /// The model.
    pub model: Sequential,
}

/// Initial weights from another run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InitialWeights {
    /// The folder of the run, or the file.
    pub path: PathBuf,
    /// Their hash; see [`State::weights_hash`](crate::state::State::weights_hash).
    pub hash: String,
    /// The hash of the optimizer's moments, if the run continues with them; see
    /// [`moments::hash`](super::moments::hash).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moments: Option<String>,
    /// Whether parameters that the model lacks, or has in another shape, were left out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub skip_mismatch: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

impl InitialWeights {
    /// The weights at `path`, with this hash.
    pub fn new(path: impl Into<PathBuf>, hash: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            hash: hash.into(),
            moments: None,
            skip_mismatch: false,
        }
    }
}

impl Config {
    /// The settings of a run of this version that started at `started`, without callbacks and
    /// initial weights.
    pub fn new(
        started: impl Into<String>,
        training: Options,
        dataset: DataRecord,
        device: DeviceRecord,
        model: Sequential,
    ) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            started: started.into(),
            command: Vec::new(),
            training,
            callbacks: CallbackRecord::default(),
            dataset,
            device,
            continued_on: Vec::new(),
            weights: None,
            model,
        }
    }

    /// Reads the settings from the text of `config.toml`.
    ///
    /// # Errors
    /// The text is not a run's settings; the message is one line.
    pub fn from_toml(text: &str) -> Result<Self, FormatError> {
        read_toml(text).map_err(|e: FormatError| e.within("not the settings of a run"))
    }

    /// The device on which the run was last trained.
    pub fn last_device(&self) -> &DeviceRecord {
        self.continued_on.last().unwrap_or(&self.device)
    }

    /// Every device on which the run was trained, in order.
    pub fn devices(&self) -> impl Iterator<Item = &DeviceRecord> {
        std::iter::once(&self.device).chain(&self.continued_on)
    }

    /// Records that the run continues on `device`, if it differs from the last one.
    pub fn continue_on(&mut self, device: DeviceRecord) {
        if !self.last_device().ran_as(&device) {
            self.continued_on.push(device);
        }
    }
}

/// The data sets of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DataRecord {
    /// The requested data set: `auto`, `mnist`, `folder:/home/me/pets` or another.
    pub choice: String,
    /// The data set used: `mnist`, `digits`, `folder` or another.
    pub name: String,
    /// Where it came from.
    pub source: String,
    /// True if the built-in digits stood in for MNIST.
    pub fell_back: bool,
    /// Number of training images.
    pub train_images: usize,
    /// Number of test images.
    pub test_images: usize,
    /// `test` if the run validated on the test images, `val` if on the data set's own validation
    /// images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<String>,
    /// Whether the seed determined the order and the selection of the training images; see
    /// [`ReadOptions::seed`]. It did not in runs of earlier versions.
    #[serde(default)]
    pub mixed: bool,
    /// The limit on training images, if one was given. For a run that is not `mixed`,
    /// `train_images` takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Whether unreadable pictures were skipped.
    #[serde(default)]
    pub skip_unreadable: bool,
    /// How pictures were resized to the model's input; omitted if it is `bilinear`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub interpolation: Interpolation,
    /// The class names, if the data set has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// SHA-256 of the training images and labels.
    pub train_fingerprint: String,
    /// SHA-256 of the test images and labels.
    pub test_fingerprint: String,
    /// SHA-256 of the data set's own validation images and labels, if the run used them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_fingerprint: Option<String>,
}

impl DataRecord {
    /// The data set to load to get the same data again: the built-in digits if they stood in for
    /// MNIST.
    ///
    /// # Errors
    /// An unknown data set name.
    pub fn spec(&self) -> Result<DatasetSpec> {
        let name = if self.fell_back {
            &self.name
        } else {
            &self.choice
        };
        (name.parse()).map_err(|e| Error::Argument(format!("the run's data set: {e}")))
    }

    /// The options to read the same data again; `seed` is the run's seed.
    pub fn read_options(&self, seed: u64) -> ReadOptions {
        let limit = if self.mixed {
            self.limit
        } else {
            Some(self.train_images)
        };
        ReadOptions {
            shape: None,
            seed: self.mixed.then_some(seed),
            limit,
            skip_unreadable: self.skip_unreadable,
            interpolation: self.interpolation,
            ..ReadOptions::default()
        }
    }

    /// The folder from which a data set with a name was read, if it still exists.
    pub fn folder(&self) -> Option<PathBuf> {
        let named = !self.fell_back && !self.choice.contains(':');
        let folder = PathBuf::from(&self.source);
        (named && folder.is_dir()).then_some(folder)
    }

    /// The first difference from `found`, the data of a run to be resumed. Runs of earlier versions
    /// recorded no class names.
    pub fn difference(&self, found: &Self) -> Option<String> {
        if !self.class_names.is_empty() && self.class_names != found.class_names {
            let (theirs, ours) = (found.class_names.join(", "), self.class_names.join(", "));
            return Some(format!(
                "the names of the classes ({theirs} instead of {ours})"
            ));
        }
        let fingerprints = |record: &Self| {
            [
                ("training", Some(record.train_fingerprint.clone())),
                ("validation", record.validation_fingerprint.clone()),
                ("test", Some(record.test_fingerprint.clone())),
            ]
        };
        let mut pairs = fingerprints(self).into_iter().zip(fingerprints(found));
        let ((part, _), _) = pairs.find(|(ours, theirs)| ours != theirs)?;
        Some(format!("the {part} images"))
    }

    /// Records the data sets to which `choice` resolved.
    pub fn new(choice: &str, fell_back: bool, splits: &Splits) -> Self {
        Self {
            choice: choice.into(),
            name: splits.train.name.clone(),
            source: splits.train.source.clone(),
            fell_back,
            train_images: splits.train.len(),
            test_images: splits.test.len(),
            validation: None,
            mixed: true,
            limit: None,
            skip_unreadable: false,
            interpolation: Interpolation::default(),
            class_names: splits.train.class_names.clone(),
            train_fingerprint: splits.train.fingerprint().to_owned(),
            test_fingerprint: splits.test.fingerprint().to_owned(),
            validation_fingerprint: None,
        }
    }
}

fn is_default(interpolation: &Interpolation) -> bool {
    *interpolation == Interpolation::default()
}

/// The device of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeviceRecord {
    /// The requested backend.
    pub requested_backend: String,
    /// The requested adapter, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_adapter: Option<String>,
    /// The backend used.
    pub backend: String,
    /// The adapter used.
    pub adapter: String,
    /// Its driver.
    pub driver: String,
    /// True for a software adapter.
    pub software: bool,
    /// Why it was chosen.
    pub reason: String,
    /// The settings in which its kernels differed from those of its class of adapters.
    #[serde(default, skip_serializing_if = "KernelChoice::is_empty")]
    pub kernels: KernelChoice,
}

impl DeviceRecord {
    /// Whether this is the same adapter, backend and driver.
    #[must_use]
    pub fn is_of(&self, device: &Description) -> bool {
        [&self.backend, &self.adapter, &self.driver]
            == [&device.backend, &device.adapter, &device.driver]
    }

    /// Whether both are the same adapter, backend and driver, with the same kernels.
    fn ran_as(&self, other: &Self) -> bool {
        let ran = |record: &Self| {
            let Self {
                backend,
                adapter,
                driver,
                kernels,
                ..
            } = record.clone();
            ([backend, adapter, driver], kernels)
        };
        ran(self) == ran(other)
    }

    /// Records the device to which `selection` resolved.
    pub fn new(selection: &crate::exec::Selection, reason: &str, ran: &Description) -> Self {
        Self {
            requested_backend: selection.backend.to_string(),
            requested_adapter: selection.adapter.clone(),
            backend: ran.backend.clone(),
            adapter: ran.adapter.clone(),
            driver: ran.driver.clone(),
            software: ran.software,
            reason: reason.into(),
            kernels: KernelChoice::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::digits;

    #[test]
    fn only_a_data_set_with_a_name_is_read_from_its_former_folder() {
        let temporary = tempfile::tempdir().unwrap();
        let mut record = DataRecord::new("mnist", false, &digits::splits());
        assert_eq!(record.folder(), None);
        record.source = temporary.path().display().to_string();
        assert_eq!(record.folder().as_deref(), Some(temporary.path()));
        let others: [(&str, bool); 2] = [("idx:here", false), ("auto", true)];
        for (choice, fell_back) in others {
            let other = DataRecord {
                choice: choice.into(),
                fell_back,
                ..record.clone()
            };
            assert_eq!(other.folder(), None, "{choice}");
        }
        drop(temporary);
        assert_eq!(record.folder(), None);
    }
}
