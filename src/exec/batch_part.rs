//! Steps on parts of a batch.

/// The place of a step's rows in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchPart {
    /// The place of the step's first row among those of the batch. Random draws are keyed by a row's
    /// place in the batch.
    pub first: usize,
    /// Number of valid rows of the batch, over which the loss is a mean.
    pub of: usize,
}

impl BatchPart {
    /// All of a batch of `rows` rows.
    pub fn whole(rows: usize) -> Self {
        Self::new(0, rows)
    }

    /// The rows from `first` on, of `of` rows.
    pub fn new(first: usize, of: usize) -> Self {
        Self { first, of }
    }
}

/// What becomes of the gradients of a micro-batch. Partial sums of gradients wait on a stack: a step
/// adds the topmost ones to its own gradients, `gradients = waiting + gradients`, and may leave the
/// sum there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GradientSum {
    /// Number of partial sums that wait before the step.
    pub waiting: usize,
    /// How many of them it adds, from the top.
    pub adds: usize,
    /// Whether its sum waits too. Otherwise it is left in the gradients.
    pub waits: bool,
}

impl GradientSum {
    /// The places on the stack that are added, in order.
    pub fn added(self) -> impl Iterator<Item = usize> {
        (self.waiting - self.adds..self.waiting).rev()
    }

    /// The place where the sum waits.
    pub fn place(self) -> Option<usize> {
        self.waits.then_some(self.waiting - self.adds)
    }
}
