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
        vec![self.x, self.labels]
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
