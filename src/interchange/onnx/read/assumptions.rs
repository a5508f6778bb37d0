//! What a file of another program does not say.

use crate::interchange::Import;
use crate::interchange::pixels::feed_fractions;
use crate::model::{Activation, Layer, Loss, Sequential};
use crate::plan::{Plan, Purpose};

/// The model with a loss that suits its last layer, and what was assumed. `is_ours` tells that this
/// crate wrote the file, so that its inputs are pixels divided by 255.
pub(super) fn made(mut model: Sequential, is_ours: bool) -> (Sequential, Vec<String>) {
    let mut notes = Vec::new();
    if !is_ours {
        notes.push(feed_fractions(&mut model).0);
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
        notes.push(Import::WITHOUT_PROBABILITIES.into());
    }
    (model, notes)
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
