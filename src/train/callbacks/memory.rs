//! What callbacks remember, so that a run that was interrupted goes on as if it had not been.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Callback;
use crate::error::{Error, Result};
use crate::words::one_line;

/// What a callback has to remember to go on identically in another process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Numbers and words.
    pub values: serde_json::Value,
    /// Large arrays, apart because they are better kept as tensors than as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arrays: BTreeMap<String, Vec<f32>>,
}

impl Memory {
    /// A memory of numbers and words.
    pub fn new(values: &impl Serialize) -> Self {
        Self {
            // Plain structures of numbers, which JSON can hold.
            values: serde_json::to_value(values).unwrap_or_default(),
            arrays: BTreeMap::new(),
        }
    }

    /// The numbers and words.
    ///
    /// # Errors
    /// They are not those of the callback `name`.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        T::deserialize(&self.values).map_err(|e| {
            let reason = one_line(&e.to_string());
            Error::Argument(format!("not the state of a callback `{name}`: {reason}"))
        })
    }
}

/// The memories of callbacks, each with its callback's name; none of those that remember nothing.
pub fn memories(callbacks: &[&mut dyn Callback]) -> Vec<(String, Memory)> {
    let memories = callbacks.iter().map(|c| (c.name().to_owned(), c.state()));
    memories
        .filter(|(_, memory)| *memory != Memory::default())
        .collect()
}

/// Gives callbacks their memories back, before `fit`. Others may stand between them.
///
/// # Errors
/// The callbacks are not those that the memories were taken from, in the same order.
pub fn restore(callbacks: &mut [&mut dyn Callback], memories: &[(String, Memory)]) -> Result<()> {
    let mut rest = callbacks.iter_mut();
    for (name, memory) in memories {
        let callback = rest.find(|c| c.name() == name).ok_or_else(|| {
            Error::Argument(format!(
                "the run had the callback {}, which is missing or in another place now",
                one_line(name)
            ))
        })?;
        callback.restore(memory)?;
    }
    Ok(())
}

/// A number that may be infinite, for which JSON has no number.
pub(super) mod infinite {
    use serde::de::{Deserializer, Error};
    use serde::{Deserialize, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Word(String),
    }

    pub(in super::super) fn serialize<S: Serializer>(
        number: &Option<f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let written = |number: f64| match number.is_finite() {
            true => Written::Number(number),
            false => Written::Word(number.to_string()),
        };
        number.map(written).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<f64>, D::Error> {
        match Option::<Written>::deserialize(deserializer)? {
            None => Ok(None),
            Some(Written::Number(number)) => Ok(Some(number)),
            Some(Written::Word(word)) => word.parse().map(Some).map_err(D::Error::custom),
        }
    }
}

/// Values that begin anew with every run, unless they were restored for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Kept<T> {
    pub(super) now: T,
    restored: bool,
}

impl<T: Default> Kept<T> {
    /// A run begins; says whether the values began anew.
    pub(super) fn begin(&mut self) -> bool {
        let anew = !std::mem::take(&mut self.restored);
        if anew {
            self.now = T::default();
        }
        anew
    }

    pub(super) fn restore(&mut self, values: T) {
        self.now = values;
        self.restored = true;
    }
}
