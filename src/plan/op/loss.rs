//! The loss and its gradient.

use super::{Operation, Rounding};
use crate::model::Loss;
use crate::plan::{BufferId, Plan};

/// The loss of each row for the targets `t` of its label (see [`Loss`]), times `weight`, which is
/// `class_weights[label[r]]`, or 1 without class weights.
///
/// Two sums over the valid rows are added to the step's metrics: the losses, and the number of rows
/// whose largest prediction is the label's (the first of equal ones; never in a row with a NaN). A
/// softmax is judged by its logits, because probabilities may round to the same number. The
/// cross-entropies start from the logits `x` and include the last activation:
///
/// | loss | `predictions` | `dx[r, i]` of a valid row, in training |
/// |---|---|---|
/// | categorical cross-entropy | `p = softmax(x)` | `weight * (p[r, i] - t[i]) / rows` |
/// | binary cross-entropy | `p = sigmoid(x)` | `weight * (p[r, i] - t[i]) / (width * rows)` |
/// | mean squared error | `x` | `2 * weight * (x[r, i] - t[i]) / (width * rows)` |
///
/// Where training mixes images, a row has two labels, and its target is `share * t(label) + (1 - share) *
/// t(other)`, smoothed as any other. The row counts as one of the class with the larger share: this
/// class is compared with the largest prediction, and weights the loss. This is what Keras makes of
/// mixed labels, whose first maximum its accuracy and its class weights take.
///
/// For a micro-batch, `rows` is the number of valid rows of the whole batch.
///
/// The predictions have one column per class: `1 - p` and `p` for a single sigmoid.
#[derive(Clone, Debug, PartialEq)]
pub struct LossOp {
    /// The formula.
    pub loss: Loss,
    /// Outputs per row.
    pub width: usize,
    /// Logits, or outputs for the mean squared error, `[n, width]`.
    pub x: BufferId,
    /// The labels, `[n]`.
    pub labels: BufferId,
    /// The labels and shares of mixed rows, `[n, 4]`, which are read instead of `labels`; see
    /// [`DrawMixes`](super::DrawMixes).
    pub targets: Option<BufferId>,
    /// The network's predictions, `[n, classes]`.
    pub predictions: BufferId,
    /// The gradient of `x`, in training, `[n, width]`.
    pub dx: Option<BufferId>,
    /// A weight for each class.
    pub class_weights: Option<Vec<f32>>,
}

impl Operation for LossOp {
    fn name(&self) -> &'static str {
        match self.loss {
            Loss::CategoricalCrossentropy { .. } => "softmax_cross_entropy",
            Loss::BinaryCrossentropy { .. } => "sigmoid_cross_entropy",
            Loss::MeanSquaredError => "mean_squared_error",
        }
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.x, self.targets.unwrap_or(self.labels)]
    }

    fn writes(&self) -> Vec<BufferId> {
        [self.predictions].into_iter().chain(self.dx).collect()
    }

    fn flops(&self, plan: &Plan) -> u64 {
        6 * plan.elements(self.x)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Exponential
    }

    fn adds_to_metrics(&self) -> bool {
        true
    }
}
