//! How to train.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::optimizer::Optimizer;

/// How to train: Keras's defaults where it has them.
///
/// ```
/// use cnn_gpu::optimizer::Optimizer;
/// use cnn_gpu::train::Options;
/// let options = Options::default().epochs(3).batch_size(128).optimizer(Optimizer::sgd());
/// assert!(options.check().is_ok());
/// assert!(options.batch_size(0).check().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// How often to go through the training set. Default 5.
    pub epochs: usize,
    /// Rows in a step; the last step of an epoch takes what is left. Default 64.
    pub batch_size: usize,
    /// Where weights and shuffles come from. Default 42.
    pub seed: u64,
    /// Whether each epoch has an order of its own. Default true.
    pub shuffle: bool,
    /// Default Adam.
    pub optimizer: Optimizer,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            epochs: 5,
            batch_size: 64,
            seed: 42,
            shuffle: true,
            optimizer: Optimizer::default(),
        }
    }
}

impl Options {
    /// Sets the number of epochs.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// Sets the number of rows in a step.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Sets the seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Shuffles, or keeps the data set's own order.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// Sets the optimizer.
    pub fn optimizer(mut self, optimizer: Optimizer) -> Self {
        self.optimizer = optimizer;
        self
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// No epochs, no rows in a step, or an optimizer that cannot train.
    pub fn check(&self) -> Result<()> {
        for (what, value) in [("epochs", self.epochs), ("batch size", self.batch_size)] {
            if value == 0 {
                return Err(Error::Argument(format!(
                    "{what} must be at least 1, received 0"
                )));
            }
        }
        self.optimizer.check()
    }
}
