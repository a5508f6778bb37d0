//! What a file of another program does not say.

use crate::interchange::NetworkDescription;
use crate::model::{Activation, Layer, Loss, Sequential};
use crate::plan::{Plan, Purpose};

/// The model with a loss that suits its last layer, and what was assumed.
pub(super) fn made(mut model: Sequential) -> (Sequential, Vec<String>) {
    let mut notes = vec![format!(
        "assumed: inputs are {}",
        NetworkDescription::PREPROCESSING
    )];
    if divides_again(&model) {
        notes.push(
            "its first layer divides by 255 once more; remove it if the network took pixels from 0 to 255"
                .into(),
        );
    }
    let losses = [
        Loss::categorical_crossentropy(),
        Loss::binary_crossentropy(),
        Loss::MeanSquaredError,
    ];
    if let Some(loss) = losses.into_iter().find(|loss| suits(&model, *loss)) {
        model.loss = loss;
        notes.push(format!("assumed: the loss is {}", loss.name()));
    }
    if !gives_probabilities(&model) {
        notes.push(
            "its outputs are not probabilities, because it ends without softmax or sigmoid; add an \
             activation to classify"
                .into(),
        );
    }
    (model, notes)
}

/// Whether the first layer turns pixels from 0 to 255 into numbers from 0 to 1.
fn divides_again(model: &Sequential) -> bool {
    match model.layers.first() {
        Some(Layer::Rescaling(first)) => (first.scale * 255.0 - 1.0).abs() < 0.01,
        _ => false,
    }
}

fn suits(model: &Sequential, loss: Loss) -> bool {
    let model = model.clone().loss(loss);
    Plan::new(&model, Purpose::Inference, 1).is_ok()
}

fn gives_probabilities(model: &Sequential) -> bool {
    let last = match model.layers.last() {
        Some(Layer::Conv2D(l)) => l.activation,
        Some(Layer::DepthwiseConv2D(l)) => l.activation,
        Some(Layer::Dense(l)) => l.activation,
        Some(Layer::Activation(l)) => l.activation,
        _ => Activation::Linear,
    };
    matches!(last, Activation::Softmax | Activation::Sigmoid)
}
