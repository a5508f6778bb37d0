//! Running means over steps.

use serde::{Deserialize, Serialize};

use crate::exec::StepMetrics;

/// A running mean of loss and accuracy over the valid rows of the added steps.
///
/// ```
/// use cnn_gpu::exec::StepMetrics;
/// use cnn_gpu::train::Mean;
/// let mut mean = Mean::default();
/// mean.add(&StepMetrics::new(3.0, 1, 3));
/// mean.add(&StepMetrics::new(5.0, 1, 1));
/// assert_eq!((mean.loss(), mean.accuracy()), (2.0, 0.5));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mean {
    /// Sum of the rows' losses.
    pub loss_sum: f64,
    /// Rows classified correctly.
    pub correct: u64,
    /// Rows.
    pub rows: u64,
    /// Steps.
    pub steps: usize,
}

impl Mean {
    /// Adds one step.
    pub fn add(&mut self, step: &StepMetrics) {
        self.loss_sum += f64::from(step.loss_sum);
        self.correct += u64::from(step.correct);
        self.rows += u64::from(step.rows);
        self.steps += 1;
    }

    /// Mean loss per row; 0 without rows.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.rows.max(1) as f64
    }

    /// Fraction of rows classified correctly; 0 without rows.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.rows.max(1) as f64
    }
}
