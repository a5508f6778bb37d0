//! The loss with its gradient.

use super::{Operation, Rounding};
use crate::model::Loss;
use crate::plan::{BufferId, Plan};

/// The loss of each row against the targets `t` of its label (see [`Loss`]), times the weight
/// `class_weights[label[r]]`, or 1 without them.
///
/// Over the valid rows, two sums go into the step's slot: the losses, and the rows whose largest
/// prediction is the label's (the first of equal ones; never in a row with a NaN). For a softmax
/// the largest logit decides, as probabilities may round to the same number. The cross-entropies
/// start from the logits `x` and contain the last activation:
///
/// | loss | `predictions` | `dx[r, i]` of a valid row, in training |
/// |---|---|---|
/// | categorical cross-entropy | `p = softmax(x)` | `weight * (p[r, i] - t[i]) / rows` |
/// | binary cross-entropy | `p = sigmoid(x)` | `weight * (p[r, i] - t[i]) / (width * rows)` |
/// | mean squared error | `x` | `2 * weight * (x[r, i] - t[i]) / (width * rows)` |
///
/// The predictions have a column for each class: `1 - p` and `p` for a single sigmoid.
#[derive(Clone, Debug, PartialEq)]
pub struct LossOp {
    /// The formula.
    pub loss: Loss,
    /// Outputs of a row.
    pub width: usize,
    /// Logits, or outputs for the mean squared error, `[n, width]`.
    pub x: BufferId,
    /// The labels, `[n]`.
    pub labels: BufferId,
    /// What the network predicts, `[n, classes]`.
    pub predictions: BufferId,
    /// The gradient by `x`, in training, `[n, width]`.
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
