//! What outputs are: the loss that suits them, and whether they are probabilities.

use super::Import;
use crate::error::{Error, Result};
use crate::model::{Activation, ActivationLayer, Layer, Loss, Sequential};
use crate::plan::{Plan, Purpose};
use crate::state::Layout;

/// Whether the last layer suits the loss.
pub(super) fn suits(model: &Sequential, loss: Loss) -> bool {
    let model = model.clone().loss(loss);
    Plan::new(&model, Purpose::Inference, 1).is_ok()
}

/// The number of classes that a model tells apart: a single output tells two.
///
/// # Errors
/// As [`Sequential::resolve`].
pub(super) fn classes(model: &Sequential) -> Result<usize> {
    let outputs: usize = model.output_shape()?.iter().product();
    Ok(model.loss.classes(outputs).max(2))
}

/// The loss for a model whose file has none.
pub(super) fn suitable_loss(model: &Sequential) -> Option<Loss> {
    let losses = [
        Loss::categorical_crossentropy(),
        Loss::binary_crossentropy(),
        Loss::MeanSquaredError,
    ];
    losses.into_iter().find(|loss| suits(model, *loss))
}

/// A note if the model's outputs are not probabilities.
pub(super) fn note(model: &Sequential) -> Option<String> {
    let last = match model.layers.last().map(|placed| &placed.layer) {
        Some(Layer::Conv2D(l)) => l.activation,
        Some(Layer::DepthwiseConv2D(l)) => l.activation,
        Some(Layer::Dense(l)) => l.activation,
        Some(Layer::Activation(l)) => l.activation,
        _ => Activation::Linear,
    };
    let are_probabilities = matches!(last, Activation::Softmax | Activation::Sigmoid);
    (!are_probabilities).then(|| Import::WITHOUT_PROBABILITIES.into())
}

impl Import {
    /// How the note of a reader begins whose file has no loss that can be taken.
    pub const ASSUMED_LOSS: &str = "assumed: the loss is ";

    /// The note of a reader whose network returns other numbers than probabilities.
    pub const WITHOUT_PROBABILITIES: &str =
        "outputs are not probabilities, because the network ends without softmax or sigmoid";

    /// The network with an activation behind its last layer, for one that returns logits: softmax,
    /// or sigmoid for independent outputs. The loss becomes the cross-entropy of the activation.
    ///
    /// # Errors
    /// Another activation, or a network that ends with one.
    pub fn output_activation(mut self, activation: Activation) -> Result<Self> {
        let loss = match activation {
            Activation::Softmax => Loss::categorical_crossentropy(),
            Activation::Sigmoid => Loss::binary_crossentropy(),
            other => {
                return Err(Error::Argument(format!(
                    "expected softmax or sigmoid as the activation of the outputs, received {}",
                    other.name()
                )));
            }
        };
        let network = &mut self.network;
        let is_ready = |loss| suits(&network.model, loss);
        let losses = [
            Loss::categorical_crossentropy(),
            Loss::binary_crossentropy(),
        ];
        if losses.into_iter().any(is_ready) {
            return Err(Error::Argument(format!(
                "the network ends with softmax or sigmoid already; it needs no {}",
                activation.name()
            )));
        }
        let last = ActivationLayer::new(activation);
        network.model = network.model.clone().loss(loss).add(last);
        network.state.layout = Layout::new(&network.model)?;
        self.notes.retain(|note| {
            note != Self::WITHOUT_PROBABILITIES && !note.starts_with(Self::ASSUMED_LOSS)
        });
        let name = activation.name();
        self.notes.push(format!(
            "{name} was added behind the last layer, and the loss is {}",
            loss.name()
        ));
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interchange::Network;
    use crate::model::{Dense, Flatten, Sequential};
    use crate::state::State;

    fn import(activation: Activation) -> Import {
        let model = Sequential::new([4, 4, 1])
            .add(Flatten::new())
            .add(Dense::new(3).activation(activation))
            .loss(Loss::MeanSquaredError);
        let state = State::new(Layout::new(&model).unwrap(), 1);
        Import {
            network: Network::new(model, state),
            matches: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn logits_become_probabilities() {
        for activation in [Activation::Softmax, Activation::Sigmoid] {
            let mut import = import(Activation::Linear);
            let assumed = format!("{}mean_squared_error", Import::ASSUMED_LOSS);
            import.notes = vec![assumed, note(&import.network.model).unwrap()];
            let made = import.output_activation(activation).unwrap();
            assert_eq!(made.notes.len(), 1, "{:?}", made.notes);
            let network = made.network;
            assert_eq!(note(&network.model), None);
            assert!(Plan::new(&network.model, Purpose::Inference, 1).is_ok());
            assert_ne!(network.model.loss, Loss::MeanSquaredError);
        }
    }

    #[test]
    fn probabilities_are_left_alone() {
        let message = |own: Activation, added: Activation| {
            let made = import(own).output_activation(added);
            made.unwrap_err().to_string()
        };
        let twice = message(Activation::Softmax, Activation::Softmax);
        assert!(twice.contains("already"), "{twice}");
        let other = message(Activation::Linear, Activation::Relu);
        assert!(other.contains("received relu"), "{other}");
    }
}
