//! The operands of a call: its buffers, before there is a device.

use crate::plan::{BufferId, Plan, Role};

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

/// The buffer that an operand lies in, and the part of it that is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperandRange {
    /// The operand that binds the buffer from its start: one for each buffer.
    pub whole: Operand,
    /// Where the operand starts, in bytes.
    pub start: u64,
    /// Size in bytes of the bound part; `None` up to the end of the buffer.
    pub bytes: Option<u64>,
}

impl Operand {
    /// Where the operand lies.
    pub fn range(self, plan: &Plan) -> OperandRange {
        let (whole, start) = match self {
            Self::Buffer(id) => match plan.buffer(id).role {
                Role::Parameter(i) => (Self::Params, plan.layout.parameters[i].offset),
                Role::Gradient(i) => (Self::Gradients, plan.layout.parameters[i].offset),
                Role::Input | Role::Intermediate => (self, 0),
            },
            Self::Partials(first) => (Self::Partials(0), first),
            _ => (self, 0),
        };
        let bytes = match self {
            // Kernels bind whole vec4s.
            Self::Buffer(id) => Some((4 * plan.buffer(id).len() as u64).next_multiple_of(16)),
            _ => None,
        };
        OperandRange {
            whole,
            start: 4 * start as u64,
            bytes,
        }
    }
}
