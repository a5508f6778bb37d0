//! The arguments of a layer in Keras's configuration.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::error::FormatError;
use crate::shape::{Padding, Pair};

/// What every layer may have and nothing here depends on.
const COMMON: [&str; 8] = [
    "name",
    "trainable",
    "dtype",
    "batch_shape",
    "batch_input_shape",
    "input_shape",
    "build_config",
    "seed",
];

/// What only training has, and only in Keras.
const NOT_TAKEN: [&str; 8] = [
    "activity_regularizer",
    "kernel_constraint",
    "bias_constraint",
    "depthwise_constraint",
    "beta_constraint",
    "gamma_constraint",
    "moving_mean_constraint",
    "moving_variance_constraint",
];

/// A layer's arguments; remembers which were read.
pub(super) struct Arguments<'a> {
    /// The layer's class.
    pub(super) class: &'a str,
    /// The layer's name.
    pub(super) name: &'a str,
    config: &'a Map<String, Value>,
    read: BTreeSet<&'static str>,
    /// What was replaced or not taken, one line each.
    pub(super) notes: Vec<String>,
}

impl<'a> Arguments<'a> {
    /// The arguments in `config`.
    pub(super) fn new(class: &'a str, name: &'a str, config: &'a Map<String, Value>) -> Self {
        Self {
            class,
            name,
            config,
            read: BTreeSet::new(),
            notes: Vec::new(),
        }
    }

    /// An error about the layer.
    pub(super) fn error(&self, problem: impl AsRef<str>) -> FormatError {
        format!(
            "layer `{}` ({}): {}",
            self.name,
            self.class,
            problem.as_ref()
        )
        .into()
    }

    /// Notes something about the layer.
    pub(super) fn note(&mut self, what: impl AsRef<str>) {
        let note = format!("layer `{}`: {}", self.name, what.as_ref());
        self.notes.push(note);
    }

    /// An argument; `None` if it is missing or null.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        self.read.insert(key);
        self.config.get(key).filter(|value| !value.is_null())
    }

    /// An error about an argument.
    pub(super) fn wrong(&self, key: &str, expected: &str) -> FormatError {
        let found = self.config.get(key).unwrap_or(&Value::Null);
        self.error(format!("expected {expected} as {key}, found {found}"))
    }

    /// A number of things.
    pub(super) fn size(
        &mut self,
        key: &'static str,
        default: Option<usize>,
    ) -> Result<usize, FormatError> {
        let given = self.value(key).map(size);
        let found = given.unwrap_or(default);
        found.ok_or_else(|| self.wrong(key, "a number of at least 0"))
    }

    /// A number for each of the two axes, given as one or two.
    pub(super) fn pair(
        &mut self,
        key: &'static str,
        default: Option<usize>,
    ) -> Result<Pair, FormatError> {
        let found = match self.value(key) {
            None => default.map(Pair::from),
            Some(Value::Array(two)) => match &two[..] {
                [h, w] => size(h).zip(size(w)).map(Pair::from),
                _ => None,
            },
            Some(one) => size(one).map(Pair::from),
        };
        found.ok_or_else(|| self.wrong(key, "one or two sizes"))
    }

    /// A number.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        default: Option<f64>,
    ) -> Result<f64, FormatError> {
        let given = self.value(key).map(Value::as_f64);
        let found = given.unwrap_or(default);
        found.ok_or_else(|| self.wrong(key, "a number"))
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> Result<bool, FormatError> {
        let given = self.value(key).map(Value::as_bool);
        let found = given.unwrap_or(Some(default));
        found.ok_or_else(|| self.wrong(key, "true or false"))
    }

    /// `valid` or `same`.
    pub(super) fn padding(&mut self) -> Result<Padding, FormatError> {
        match self.value("padding").map(Value::as_str) {
            None | Some(Some("valid")) => Ok(Padding::Valid),
            Some(Some("same")) => Ok(Padding::Same),
            Some(_) => Err(self.wrong("padding", "`valid` or `same`")),
        }
    }

    /// Checks that the channels come last.
    pub(super) fn channels_last(&mut self) -> Result<(), FormatError> {
        match self.value("data_format").map(Value::as_str) {
            None | Some(Some("channels_last")) => Ok(()),
            Some(_) => Err(self.wrong("data_format", "`channels_last`")),
        }
    }

    /// Checks that the layer computes in f32.
    pub(super) fn float32(&self) -> Result<(), FormatError> {
        let policy = self.config.get("dtype").unwrap_or(&Value::Null);
        let name = policy.pointer("/config/name").unwrap_or(policy);
        match name.as_str() {
            None if policy.is_null() => Ok(()),
            Some("float32") => Ok(()),
            Some(name) => Err(self.error(format!(
                "its dtype policy is `{name}`: only float32 is supported; convert the model in Keras"
            ))),
            None => Err(self.wrong("dtype", "float32")),
        }
    }

    /// Whether the layer is trained.
    pub(super) fn is_trainable(&self) -> bool {
        let trainable = self.config.get("trainable").and_then(Value::as_bool);
        trainable.unwrap_or(true)
    }

    /// Refuses an argument that was not read and is set to something; notes those that only
    /// training has.
    pub(super) fn finish(&mut self) -> Result<(), FormatError> {
        let is_set = |value: &Value| !value.is_null() && *value != Value::Bool(false);
        for (key, value) in self.config {
            let key = key.as_str();
            if self.read.contains(key) || COMMON.contains(&key) || !is_set(value) {
                continue;
            }
            if !NOT_TAKEN.contains(&key) {
                let problem =
                    format!("the argument {key} = {value} is not supported; remove it in Keras");
                return Err(self.error(problem));
            }
            let class = value.get("class_name").and_then(Value::as_str);
            let note = format!("{key} {} was not taken", class.unwrap_or(""));
            self.notes.push(format!(
                "layer `{}`: {}",
                self.name,
                note.replace("  ", " ")
            ));
        }
        Ok(())
    }
}

/// A number of things.
pub(super) fn size(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|n| usize::try_from(n).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with<T>(config: Value, read: impl FnOnce(&mut Arguments<'_>) -> T) -> T {
        let config = config.as_object().unwrap();
        read(&mut Arguments::new("Conv2D", "first", config))
    }

    #[test]
    fn arguments_have_defaults_and_are_named_in_errors() {
        let message = with(json!({"strides": [1, 2, 3]}), |a| {
            assert_eq!(a.pair("kernel_size", Some(3)).unwrap(), 3.into());
            assert!(a.flag("use_bias", true).unwrap());
            a.pair("strides", Some(1)).unwrap_err().to_string()
        });
        assert_eq!(
            message,
            "layer `first` (Conv2D): expected one or two sizes as strides, found [1,2,3]"
        );
    }

    #[test]
    fn an_unknown_argument_is_refused_unless_it_is_off() {
        let finish = |config| with(config, |a| a.finish().map(|()| a.notes.clone()));
        assert!(finish(json!({"name": "a", "lora_rank": null, "renorm": false})).is_ok());
        let message = finish(json!({"lora_rank": 4})).unwrap_err().to_string();
        assert!(message.contains("lora_rank = 4"), "{message}");
        let constrained = json!({"kernel_constraint": {"class_name": "MaxNorm"}});
        assert_eq!(
            finish(constrained).unwrap(),
            ["layer `first`: kernel_constraint MaxNorm was not taken"]
        );
    }

    #[test]
    fn only_float32_is_accepted() {
        let check = |dtype| with(json!({ "dtype": dtype }), |a| a.float32());
        let policy = |name: &str| json!({"class_name": "DTypePolicy", "config": {"name": name}});
        for good in [json!(null), json!("float32"), policy("float32")] {
            assert!(check(good).is_ok());
        }
        for bad in [json!("float16"), policy("mixed_bfloat16"), json!(7)] {
            assert!(check(bad).is_err());
        }
    }
}
