//! The state of callbacks that a checkpoint keeps, so that a resumed run continues as if it had
//! never been interrupted.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Callback;
use crate::error::{Error, Result};
use crate::words::one_line;

/// What a callback needs to continue identically in another process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallbackState {
    /// Numbers and strings.
    pub values: serde_json::Value,
    /// Large arrays, which a checkpoint stores as tensors rather than as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arrays: BTreeMap<String, Vec<f32>>,
}

impl CallbackState {
    /// A state of numbers and strings.
    pub fn new(values: &impl Serialize) -> Self {
        Self {
            // Plain structures of numbers, which JSON can hold.
            values: serde_json::to_value(values).unwrap_or_default(),
            arrays: BTreeMap::new(),
        }
    }

    /// The numbers and strings.
    ///
    /// # Errors
    /// They are not the state of the callback `name`.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        T::deserialize(&self.values).map_err(|e| {
            let reason = one_line(&e.to_string());
            Error::Argument(format!("not the state of a callback `{name}`: {reason}"))
        })
    }
}

/// The states of the callbacks that have one, each with its callback's name.
pub fn callback_states(callbacks: &[&mut dyn Callback]) -> Vec<(String, CallbackState)> {
    let states = callbacks.iter().map(|c| (c.name().to_owned(), c.state()));
    states
        .filter(|(_, state)| *state != CallbackState::default())
        .collect()
}

/// Restores the states of callbacks before `fit`. Stateless callbacks may stand between them.
///
/// # Errors
/// The callbacks with a state are not the same ones in the same order.
pub fn restore(
    callbacks: &mut [&mut dyn Callback],
    states: &[(String, CallbackState)],
) -> Result<()> {
    let mut rest = callbacks.iter_mut();
    for (name, state) in states {
        let callback = rest.find(|c| c.name() == name).ok_or_else(|| {
            Error::Argument(format!(
                "the run had the callback {}, which is now missing or in another position",
                one_line(name)
            ))
        })?;
        callback.restore(state)?;
    }
    Ok(())
}

/// Serializes a number that may be infinite, which JSON numbers cannot be.
pub(super) mod infinite {
    use serde::de::{Deserializer, Error};
    use serde::{Deserialize, Serialize, Serializer};

    /// A number as it is written in JSON.
    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum WrittenNumber {
        Number(f64),
        Word(String),
    }

    pub(in super::super) fn serialize<S: Serializer>(
        number: &Option<f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let written = |number: f64| {
            if number.is_finite() {
                WrittenNumber::Number(number)
            } else {
                WrittenNumber::Word(number.to_string())
            }
        };
        number.map(written).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<f64>, D::Error> {
        match Option::<WrittenNumber>::deserialize(deserializer)? {
            None => Ok(None),
            Some(WrittenNumber::Number(number)) => Ok(Some(number)),
            Some(WrittenNumber::Word(word)) => word.parse().map(Some).map_err(D::Error::custom),
        }
    }
}

/// Values that every run resets, unless they were restored for that run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Kept<T> {
    pub(super) now: T,
    restored: bool,
}

impl<T: Default> Kept<T> {
    /// Begins a run. Returns whether the values were reset.
    pub(super) fn begin(&mut self) -> bool {
        let reset = !std::mem::take(&mut self.restored);
        if reset {
            self.now = T::default();
        }
        reset
    }

    pub(super) fn restore(&mut self, values: T) {
        self.now = values;
        self.restored = true;
    }
}
