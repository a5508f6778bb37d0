//! The names of a model's layers.

use std::collections::{HashMap, HashSet};

use super::{Layer, Sequential};

/// Assigns layer names: the user's own, or Keras's (`conv2d`, `conv2d_1`, ...).
#[derive(Default)]
pub(super) struct LayerNames {
    taken: HashSet<String>,
    counts: HashMap<&'static str, usize>,
}

impl LayerNames {
    /// The name of the next layer.
    ///
    /// # Errors
    /// One line: a name that is empty, too long, taken, or has characters that names cannot have.
    pub fn of(&mut self, layer: &Layer) -> Result<String, String> {
        let kind = layer.spec().kind();
        let name = match layer.spec().given_name() {
            Some("") => return Err("a layer's name is empty".into()),
            Some(name) if name.len() > Sequential::MAX_LAYER_NAME => {
                let start: String = name.chars().take(20).collect();
                return Err(format!(
                    "the layer name {start:?}... has {} bytes; expected at most {}",
                    name.len(),
                    Sequential::MAX_LAYER_NAME
                ));
            }
            Some(name) if name.contains('/') || name.contains(char::is_control) => {
                return Err(format!(
                    "layer name {name:?} must not contain `/` or control characters"
                ));
            }
            Some(name) => name.to_owned(),
            None => {
                let count = self.counts.entry(kind).or_insert(0);
                *count += 1;
                match *count - 1 {
                    0 => snake_case(kind),
                    n => format!("{}_{n}", snake_case(kind)),
                }
            }
        };
        if !self.taken.insert(name.clone()) {
            return Err(format!("two layers are named `{name}`; rename one of them"));
        }
        Ok(name)
    }
}

/// `MaxPooling2D` -> `max_pooling2d`, as Keras names layers.
fn snake_case(kind: &str) -> String {
    let mut out = String::new();
    let mut before_was_lower = false;
    for c in kind.chars() {
        if c.is_ascii_uppercase() && before_was_lower {
            out.push('_');
        }
        before_was_lower = c.is_ascii_lowercase();
        out.push(c.to_ascii_lowercase());
    }
    out
}
