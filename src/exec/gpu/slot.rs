//! What a call binds, before there is a device.

use crate::plan::BufferId;

/// A buffer of a call, before there is a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
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
    /// The weights' average.
    Average,
    /// Partial gradients, from this float on.
    Partials(usize),
    /// The list of blocks that `reduce` sums.
    Blocks,
    /// All blocks of the arena, for the optimizer.
    Arena,
    /// Loss and correct count of each step under way.
    Metrics,
    /// Stands where a kernel may write a buffer and here does not.
    Nothing,
    /// A part of the data set's images.
    Images(usize),
    /// The data set's labels.
    DataLabels,
    /// The data set's order.
    Order,
}
