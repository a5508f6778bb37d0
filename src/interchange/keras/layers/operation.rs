//! Operations of `keras.ops` in functional models, such as `x / 255`.

use serde_json::Value;

use super::super::arguments::Arguments;
use crate::model::{Activation, ActivationLayer, Layer, Rescaling};

/// The classes of operations with a number. Keras's layers of the same names take several inputs.
pub(super) const ARITHMETIC: [&str; 5] = ["Add", "Divide", "Multiply", "Subtract", "TrueDivide"];

/// The layer that computes what an operation does; `None` if it is not one of these.
pub(in super::super) fn operation(a: &Arguments<'_>, operands: &[Value]) -> Option<Layer> {
    let name = Some(a.name.to_owned());
    if let Some((scale, offset)) = affine(a.class, operands) {
        let (scale, offset) = (scale as f32, offset as f32);
        return Some(
            Rescaling {
                name,
                scale,
                offset,
            }
            .into(),
        );
    }
    let activation = match a.class {
        "Relu" => Activation::Relu,
        "Selu" => Activation::Selu,
        "Sigmoid" => Activation::Sigmoid,
        "Silu" => Activation::Silu,
        "Softplus" => Activation::Softplus,
        "Tanh" => Activation::Tanh,
        _ => return None,
    };
    Some(ActivationLayer { name, activation }.into())
}

/// The factor and the offset of an operation with a number.
fn affine(class: &str, operands: &[Value]) -> Option<(f64, f64)> {
    let [left, right] = operands else { return None };
    let combined = match (class, left.as_f64(), right.as_f64()) {
        ("Add", None, Some(n)) | ("Add", Some(n), None) => (1.0, n),
        ("Multiply", None, Some(n)) | ("Multiply", Some(n), None) => (n, 0.0),
        ("Subtract", None, Some(n)) => (1.0, -n),
        ("Subtract", Some(n), None) => (-1.0, n),
        ("Divide" | "TrueDivide", None, Some(n)) => (n.recip(), 0.0),
        _ => return None,
    };
    let is_finite = (combined.0 as f32).is_finite() && (combined.1 as f32).is_finite();
    is_finite.then_some(combined)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn read(class: &str, operands: Value) -> Option<Layer> {
        let config = Map::new();
        let arguments = Arguments::new(class, "x", &config);
        operation(&arguments, operands.as_array().map_or(&[], Vec::as_slice))
    }

    #[test]
    fn arithmetic_with_a_number_is_a_rescaling() {
        let x = json!({"class_name": "__keras_tensor__", "config": {}});
        for (class, operands, scale, offset) in [
            ("TrueDivide", json!([x, 255.0]), 1.0 / 255.0, 0.0),
            ("Multiply", json!([2, x]), 2.0, 0.0),
            ("Add", json!([x, 0.5]), 1.0, 0.5),
            ("Subtract", json!([x, 0.5]), 1.0, -0.5),
            ("Subtract", json!([1, x]), -1.0, 1.0),
        ] {
            let expected = Rescaling::new(scale).offset(offset).name("x");
            assert_eq!(read(class, operands), Some(expected.into()), "{class}");
        }
        for (class, operands) in [
            ("TrueDivide", json!([1.0, x])),
            ("TrueDivide", json!([x, 0])),
            ("Multiply", json!([x, 1e300])),
            ("Add", json!([[x, x]])),
            ("Power", json!([x, 2])),
        ] {
            assert_eq!(read(class, operands), None, "{class}");
        }
    }

    #[test]
    fn activations_are_operations_too() {
        let expected = ActivationLayer::new(Activation::Relu).name("x");
        assert_eq!(read("Relu", json!([{}])), Some(expected.into()));
        assert_eq!(read("Relu6", json!([{}])), None);
    }
}
