//! Ends a run normally when its loss becomes NaN.

use super::Callback;
use crate::error::Error;

/// Ends training when the loss or a weight becomes NaN or infinite, with the weights of the last
/// complete epoch and [`Ending::Stopped`](crate::train::Ending::Stopped). Without this callback
/// training fails with [`Error::NonFiniteLoss`] or [`Error::NonFiniteWeights`]. Keras keeps the
/// current weights, NaN included.
///
/// ```
/// use cnn_gpu::train::callbacks::{Callback, TerminateOnNaN};
/// let mut terminate = TerminateOnNaN::default();
/// let error = cnn_gpu::Error::NonFiniteLoss {
///     loss: f32::NAN, step: 8, epoch: 2, learning_rate: 0.1, origin: None,
/// };
/// assert!(terminate.ends_quietly(&error));
/// assert!(terminate.reason().is_some_and(|reason| reason.contains("step 8")));
/// ```
#[derive(Clone, Debug, Default)]
pub struct TerminateOnNaN {
    message: Option<String>,
}

impl Callback for TerminateOnNaN {
    fn name(&self) -> &'static str {
        "TerminateOnNaN"
    }

    fn ends_quietly(&mut self, error: &Error) -> bool {
        let ours = matches!(
            error,
            Error::NonFiniteLoss { .. } | Error::NonFiniteWeights { .. }
        );
        self.message = ours.then(|| error.to_string());
        ours
    }

    fn reason(&self) -> Option<String> {
        self.message.clone()
    }
}
