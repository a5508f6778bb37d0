//! Losses in Keras's notation, and the loss that suits a model's last layer.

use serde_json::{Value, json};

use super::names::free_name;
use super::objects::{KerasObject, object};
use crate::interchange::Import;
use crate::interchange::outputs::{self, suits};
use crate::model::{Activation, ActivationLayer, Loss, Sequential};

/// A loss as Keras describes it.
struct Described {
    loss: Loss,
    /// Whether the model ends with logits instead of probabilities.
    from_logits: bool,
}

/// Sets the loss that `compiled` describes, or one that suits the last layer, and says what was
/// changed. A loss of logits becomes one of probabilities behind a layer that turns logits into
/// probabilities: losses here are computed from logits anyway.
pub(super) fn set(model: &mut Sequential, compiled: Option<&Value>, notes: &mut Vec<String>) {
    let described = compiled.map(|value| read(value, notes));
    let reason = match described {
        None => "the file describes no loss",
        Some(None) => "that of the file is not available",
        Some(Some(described)) => match apply(model, &described, notes) {
            true => return,
            false => "that of the file does not suit the last layer",
        },
    };
    if let Some(loss) = outputs::suitable_loss(model) {
        model.loss = loss;
    }
    let (assumed, name) = (Import::ASSUMED_LOSS, model.loss.name());
    notes.push(format!("{assumed}{name}, as {reason}"));
}

/// Sets a loss if the last layer suits it.
fn apply(model: &mut Sequential, described: &Described, notes: &mut Vec<String>) -> bool {
    let loss = described.loss;
    if suits(model, loss) {
        model.loss = loss;
        if described.from_logits {
            notes.push(format!(
                "the loss {} expects logits, but the last layer gives probabilities: taken as a loss of \
                 probabilities",
                loss.name()
            ));
        }
        return true;
    }
    let activation = match loss {
        Loss::CategoricalCrossentropy { .. } => Activation::Softmax,
        Loss::BinaryCrossentropy { .. } => Activation::Sigmoid,
        Loss::MeanSquaredError => return false,
    };
    let mut ending = model.clone();
    ending.layers.push(final_layer(model, activation).into());
    if !described.from_logits || !suits(&ending, loss) {
        return false;
    }
    *model = ending;
    model.loss = loss;
    notes.push(format!(
        "the loss {} expects logits: a {} was added, so that the outputs are probabilities",
        loss.name(),
        activation.name()
    ));
    true
}

/// A layer that ends a model.
fn final_layer(model: &Sequential, activation: Activation) -> ActivationLayer {
    let names: Vec<_> = model
        .layers
        .iter()
        .map(|layer| layer.spec().given_name())
        .collect();
    let name = free_name(activation.name(), |name| names.contains(&Some(name)));
    ActivationLayer::new(activation).name(name)
}

/// Whether a loss takes labels as one-hot rows instead of class indices.
pub(super) fn takes_one_hot_labels(value: &Value) -> bool {
    single(value).is_some_and(|loss| loss.plain() == "categoricalcrossentropy")
}

/// The single loss that a value denotes.
fn single(value: &Value) -> Option<KerasObject<'_>> {
    // A model with one output may have a list of one loss, or one by the output's name.
    let value = match value {
        Value::Array(one) if one.len() == 1 => one.first()?,
        Value::Object(one) if one.len() == 1 => one.values().next()?,
        value => value,
    };
    KerasObject::new(value)
}

/// The loss that a value denotes; `None` if there is no such loss here.
fn read(value: &Value, notes: &mut Vec<String>) -> Option<Described> {
    let object = single(value)?;
    let loss = match object.plain().as_str() {
        "categoricalcrossentropy" => Loss::categorical_crossentropy(),
        "sparsecategoricalcrossentropy" if object.get("ignore_class").is_none() => {
            Loss::categorical_crossentropy()
        }
        "binarycrossentropy" | "bce" => Loss::binary_crossentropy(),
        "meansquarederror" | "mse" => Loss::MeanSquaredError,
        _ => return None,
    };
    let smoothed = match object.number("label_smoothing", 0.0) {
        0.0 => loss,
        share => loss.with_label_smoothing(share).ok()?,
    };
    let reduction = object.get("reduction").and_then(Value::as_str);
    if let Some(other @ ("sum" | "none")) = reduction {
        notes.push(format!(
            "the loss's reduction `{other}` was not taken: here it is the mean"
        ));
    }
    Some(Described {
        loss: smoothed,
        from_logits: object.is_on("from_logits"),
    })
}

/// The loss in Keras's notation. Without smoothing, a categorical cross-entropy takes labels as
/// class indices, as everywhere in this crate, unless they are to be one-hot rows; with it, Keras only
/// knows these.
pub(super) fn write(loss: Loss, one_hot_labels: bool) -> Value {
    let smoothing = loss.label_smoothing();
    let (class, name) = match loss {
        Loss::CategoricalCrossentropy { .. } if smoothing == 0.0 && !one_hot_labels => (
            "SparseCategoricalCrossentropy",
            "sparse_categorical_crossentropy",
        ),
        Loss::CategoricalCrossentropy { .. } => ("CategoricalCrossentropy", loss.name()),
        Loss::BinaryCrossentropy { .. } => ("BinaryCrossentropy", loss.name()),
        Loss::MeanSquaredError => ("MeanSquaredError", loss.name()),
    };
    let mut config = json!({"name": name, "reduction": "sum_over_batch_size"});
    if !matches!(loss, Loss::MeanSquaredError) {
        config["from_logits"] = false.into();
    }
    if class == "SparseCategoricalCrossentropy" {
        config["ignore_class"] = Value::Null;
    } else if config.get("from_logits").is_some() {
        config["label_smoothing"] = smoothing.into();
        config["axis"] = json!(-1);
    }
    object(".losses", class, config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dense, Flatten};

    fn model(units: usize, activation: Activation) -> Sequential {
        Sequential::new([2, 2, 1])
            .add(Flatten::new())
            .add(Dense::new(units).activation(activation).name("softmax"))
    }

    /// What the model and the notes become.
    fn set_in(mut model: Sequential, compiled: Option<Value>) -> (Sequential, String) {
        let mut notes = Vec::new();
        set(&mut model, compiled.as_ref(), &mut notes);
        (model, notes.join("\n"))
    }

    #[test]
    fn every_loss_comes_back() {
        let smoothed = |loss: Loss| loss.with_label_smoothing(0.1).unwrap();
        let (categorical, binary) = (
            Loss::categorical_crossentropy(),
            Loss::binary_crossentropy(),
        );
        for (activation, loss) in [
            (Activation::Softmax, categorical),
            (Activation::Softmax, smoothed(categorical)),
            (Activation::Sigmoid, binary),
            (Activation::Sigmoid, smoothed(binary)),
            (Activation::Softmax, Loss::MeanSquaredError),
        ] {
            let (read, notes) = set_in(model(3, activation), Some(write(loss, false)));
            assert_eq!((read.loss, notes.as_str()), (loss, ""));
        }
    }

    #[test]
    fn logits_become_probabilities() {
        let logits = |class| json!({"class_name": class, "config": {"from_logits": true}});
        for (units, class, added) in [
            (3, "SparseCategoricalCrossentropy", Activation::Softmax),
            (1, "BinaryCrossentropy", Activation::Sigmoid),
        ] {
            let (read, notes) = set_in(model(units, Activation::Linear), Some(logits(class)));
            assert!(notes.contains("was added"), "{notes}");
            let last = read.layers.last().map(|placed| &placed.layer);
            let Some(crate::model::Layer::Activation(last)) = last else {
                panic!("no activation was added");
            };
            assert_eq!(last.activation, added);
            assert!(read.resolve().is_ok());
        }
        let (read, notes) = set_in(
            model(3, Activation::Softmax),
            Some(logits("CategoricalCrossentropy")),
        );
        assert_eq!(read.layers.len(), 2);
        assert!(notes.contains("gives probabilities"), "{notes}");
    }

    #[test]
    fn a_loss_that_does_not_fit_is_replaced_with_a_note() {
        for (activation, compiled, expected, part) in [
            (
                Activation::Softmax,
                None,
                Loss::categorical_crossentropy(),
                "no loss",
            ),
            (
                Activation::Sigmoid,
                None,
                Loss::binary_crossentropy(),
                "no loss",
            ),
            (Activation::Linear, None, Loss::MeanSquaredError, "no loss"),
            (
                Activation::Linear,
                Some(json!("huber")),
                Loss::MeanSquaredError,
                "not available",
            ),
            (
                Activation::Linear,
                Some(json!("sparse_categorical_crossentropy")),
                Loss::MeanSquaredError,
                "does not suit",
            ),
        ] {
            let (read, notes) = set_in(model(3, activation), compiled);
            assert_eq!(read.loss, expected);
            assert!(notes.contains(part) && !notes.contains('\n'), "{notes}");
        }
    }

    #[test]
    fn every_notation_of_a_loss_is_read() {
        let function = json!({"class_name": "function", "config": "mse", "module": "builtins"});
        for value in [
            json!("mse"),
            json!("MeanSquaredError"),
            json!(["mean_squared_error"]),
            json!({"dense": "mse"}),
            function,
        ] {
            assert!(read(&value, &mut Vec::new()).is_some(), "{value}");
        }
        let mut notes = Vec::new();
        read(
            &json!({"class_name": "MeanSquaredError", "config": {"reduction": "sum"}}),
            &mut notes,
        );
        assert!(notes[0].contains("`sum`"), "{notes:?}");
    }
}
