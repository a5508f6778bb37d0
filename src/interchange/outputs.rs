//! Networks that end without the activation that makes probabilities of their outputs.

use super::Import;
use crate::error::{Error, Result};
use crate::model::{Activation, ActivationLayer, Loss};
use crate::plan::{Plan, Purpose};
use crate::state::{Layout, State};

impl Import {
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
        let is_ready = |loss| {
            let model = network.model.clone().loss(loss);
            Plan::new(&model, Purpose::Inference, 1).is_ok()
        };
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
        network.state = State {
            layout: Layout::new(&network.model)?,
            ..network.state.clone()
        };
        self.notes
            .retain(|note| note != Self::WITHOUT_PROBABILITIES);
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
            let made = import(Activation::Linear).output_activation(activation);
            let network = made.unwrap().network;
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
