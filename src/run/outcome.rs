//! `result.json`: how a run ended.

use serde::{Deserialize, Serialize};

/// What a run reached and how it ended, as far as its file says.
///
/// ```
/// use cnn_gpu::run::RunOutcome;
/// let outcome: RunOutcome = serde_json::from_str(r#"{"test_accuracy": 0.99, "epochs": 5}"#)?;
/// assert_eq!((outcome.test_accuracy, outcome.restored_epoch), (Some(0.99), None));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RunOutcome {
    /// Loss on the test images; none if the run was interrupted.
    pub test_loss: Option<f64>,
    /// Accuracy on the test images; none if the run was interrupted.
    pub test_accuracy: Option<f64>,
    /// Whether the run was interrupted.
    pub interrupted: bool,
    /// Why a callback stopped the run, if one did.
    pub stop_reason: Option<String>,
    /// The epoch whose weights were restored at the end, if any were.
    pub restored_epoch: Option<usize>,
    /// Completed epochs.
    pub epochs: usize,
    /// Optimizer steps.
    pub steps: u64,
    /// Training images per second.
    pub images_per_second: f64,
    /// The hash of the weights; see [`State::weights_hash`](crate::state::State::weights_hash).
    pub weights_hash: String,
}
