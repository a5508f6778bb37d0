//! Keras's notation for objects: an initializer, a loss, an optimizer, ...

use serde_json::{Map, Value, json};

/// An object: its class and its arguments. Keras writes `{"class_name": .., "config": {..}}`, or a
/// name alone if all arguments have their defaults.
#[derive(Clone, Copy)]
pub(super) struct KerasObject<'a> {
    /// The class, or a function's name.
    pub(super) class: &'a str,
    config: Option<&'a Map<String, Value>>,
}

impl<'a> KerasObject<'a> {
    /// The object that a value denotes, if any.
    pub(super) fn new(value: &'a Value) -> Option<Self> {
        let named = |class| Self {
            class,
            config: None,
        };
        if let Some(name) = value.as_str() {
            return Some(named(name));
        }
        let class = value.get("class_name")?.as_str()?;
        match value.get("config") {
            // A function, by its name.
            Some(Value::String(name)) => Some(named(name)),
            config => Some(Self {
                class,
                config: config.and_then(Value::as_object),
            }),
        }
    }

    /// The class in lower case, without underscores and without a package: Keras writes
    /// `HeNormal`, `he_normal` and `Custom>HeNormal`.
    pub(super) fn plain(&self) -> String {
        let class = self.class.rsplit('>').next().unwrap_or_default();
        class.replace('_', "").to_ascii_lowercase()
    }

    /// An argument; `None` if it is missing or null.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.config?.get(key).filter(|value| !value.is_null())
    }

    /// A number, `default` if it is missing; NaN if it is no number.
    pub(super) fn number(&self, key: &str, default: f64) -> f64 {
        let given = self.get(key);
        given.map_or(default, |value| value.as_f64().unwrap_or(f64::NAN))
    }

    /// Whether a number is this one, as far as f32 can tell; `default` if it is missing.
    pub(super) fn is(&self, key: &str, number: f64, default: f64) -> bool {
        self.number(key, default) as f32 == number as f32
    }

    /// Whether a flag is set.
    pub(super) fn is_on(&self, key: &str) -> bool {
        self.get(key)
            .is_some_and(|value| *value != Value::Bool(false))
    }

    /// The arguments as their layer or function may have them.
    pub(super) fn config(&self) -> Option<&'a Map<String, Value>> {
        self.config
    }
}

/// The object of a class of Keras, in one of its modules.
pub(super) fn object(module: &str, class: &str, config: Value) -> Value {
    json!({
        "module": format!("keras{module}"),
        "class_name": class,
        "config": config,
        "registered_name": null,
    })
}

/// Keras's policy for layers that compute in f32.
pub(super) fn float32() -> Value {
    object("", "DTypePolicy", json!({"name": "float32"}))
}
