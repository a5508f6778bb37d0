//! The operands of a call: its buffers, before there is a device.

use crate::plan::BufferId;

/// A buffer that a call binds, before there is a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A buffer of the plan; parameters and gradients lie in their arenas.
    Buffer(BufferId),
    /// The whole arena of parameters.
    Params,
    /// The whole arena of gradients.
    Gradients,
    /// First moments.
    Moment1,
    /// Second moments.
    Moment2,
    /// The moving average of the weights.
    Average,
    /// Partial sums, starting at this float.
    Partials(usize),
    /// The list of blocks that `reduce` sums.
    Blocks,
    /// All blocks of the arena, for the optimizer.
    Arena,
    /// Loss and correct count of each step in flight.
    Metrics,
    /// Placeholder for a binding that this call does not use.
    Nothing,
    /// A part of the data set's images.
    Images(usize),
    /// The data set's labels.
    DataLabels,
    /// The data set's order.
    Order,
}
