//! Sums of losses and correct rows.

/// The contribution of some rows to the step's metrics.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LossSum {
    pub loss: f64,
    pub correct: u32,
}

impl LossSum {
    /// Adds the contribution of other rows.
    pub fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.correct += other.correct;
    }
}
