//! Penalties in Keras's notation.

use serde_json::{Value, json};

use super::objects::{KerasObject, object};
use crate::model::Regularizer;

/// The penalty that a value denotes; `None` if there is no such penalty here.
pub(super) fn read(value: &Value) -> Option<Regularizer> {
    let object = KerasObject::new(value)?;
    // Keras's defaults for a penalty by its name alone.
    let penalty = match object.plain().as_str() {
        "l1" => Regularizer::l1(object.number("l1", 0.01)),
        "l2" => Regularizer::l2(object.number("l2", 0.01)),
        "l1l2" => Regularizer::l1_l2(object.number("l1", 0.0), object.number("l2", 0.0)),
        _ => return None,
    };
    penalty.check().is_ok().then_some(penalty)
}

/// The penalty in Keras's notation.
pub(super) fn write(penalty: Regularizer) -> Value {
    let Regularizer { l1, l2 } = penalty;
    match (l1, l2) {
        (0.0, 0.0) => Value::Null,
        (_, 0.0) => object(".regularizers", "L1", json!({ "l1": l1 })),
        (0.0, _) => object(".regularizers", "L2", json!({ "l2": l2 })),
        _ => object(".regularizers", "L1L2", json!({"l1": l1, "l2": l2})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_penalty_comes_back() {
        assert!(write(Regularizer::default()).is_null());
        for penalty in [
            Regularizer::l1(0.1),
            Regularizer::l2(1e-4),
            Regularizer::l1_l2(0.1, 0.2),
        ] {
            assert_eq!(read(&write(penalty)), Some(penalty));
        }
        assert_eq!(read(&json!("l2")), Some(Regularizer::l2(0.01)));
    }

    #[test]
    fn other_penalties_are_not_read() {
        let negative = json!({"class_name": "L2", "config": {"l2": -1.0}});
        let text = json!({"class_name": "L2", "config": {"l2": "much"}});
        for value in [negative, text, json!("orthogonal_regularizer"), json!(1)] {
            assert_eq!(read(&value), None, "{value}");
        }
    }
}
