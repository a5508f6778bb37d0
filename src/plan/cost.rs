//! What an operation costs: arithmetic and memory traffic.

use super::{Element, Op, Plan};

impl Plan {
    /// Floating-point operations of one operation at the full batch; a multiply-add is two.
    /// Windows that hang over the edge are counted whole. Exponentials and roots count as one.
    pub fn flops(&self, op: &Op) -> u64 {
        let len = |id| self.buffer(id).len() as u64;
        match op {
            Op::Gather { x, .. } => len(*x),
            Op::Conv2dForward { shape, y, .. } => {
                2 * len(*y) * (shape.window.taps() * shape.group()[0]) as u64
            }
            Op::Conv2dBackwardInput { shape, dy, .. }
            | Op::Conv2dBackwardWeight { shape, dy, .. } => {
                2 * len(*dy) * (shape.window.taps() * shape.group()[0]) as u64
            }
            Op::Pool2dForward { shape, y, .. } => len(*y) * shape.window.taps() as u64,
            Op::Pool2dBackward { shape, dy, .. } => len(*dy) * shape.window.taps() as u64,
            Op::DenseForward {
                inputs, outputs, ..
            }
            | Op::DenseBackwardInput {
                inputs, outputs, ..
            }
            | Op::DenseBackwardWeight {
                inputs, outputs, ..
            } => 2 * (self.batch * inputs * outputs) as u64,
            Op::ActivationForward { y, .. } => len(*y),
            Op::ActivationBackward { dx, .. } => 2 * len(*dx),
            Op::SoftmaxForward { y, .. } => 4 * len(*y),
            Op::SoftmaxBackward { dx, .. } => 4 * len(*dx),
            Op::Loss { x, .. } => 6 * len(*x),
            Op::Dropout { y, .. } => len(*y),
            Op::Rescale { y, .. } => 2 * len(*y),
            Op::BatchNormStatistics { x, .. } => 4 * len(*x),
            Op::BatchNormForward { y, .. } => 2 * len(*y),
            Op::BatchNormBackwardWeight { x, .. } => 5 * len(*x),
            Op::BatchNormBackwardInput { x, .. } => 6 * len(*x),
            Op::Regularize { penalties } => penalties.iter().map(|p| 6 * len(p.w)).sum(),
            Op::ClipGradients { gradients, .. } => gradients.iter().map(|&g| 3 * len(g)).sum(),
            Op::Update { params, .. } => params.iter().map(|&p| 10 * len(p)).sum(),
        }
    }

    /// Bytes that operations must at least move when they run as one: what passes from one of them
    /// to another need not move.
    pub fn fused_bytes(&self, ops: &[&Op]) -> u64 {
        let mut saved = 0;
        for (i, maker) in ops.iter().enumerate() {
            let others = || (ops.iter().enumerate()).filter(|(j, _)| *j != i);
            for id in maker.writes() {
                let readers = others().filter(|(_, op)| op.reads().contains(&id)).count();
                if readers > 0 {
                    saved += 4 * ((1 + readers) * self.buffer(id).len()) as u64;
                }
            }
        }
        let all: u64 = ops.iter().map(|op| self.bytes(op)).sum();
        all - saved
    }

    /// Bytes that one operation must at least move: each buffer once.
    pub fn bytes(&self, op: &Op) -> u64 {
        let moved = |ids: Vec<super::BufferId>| -> u64 {
            ids.iter()
                .map(|&id| match self.buffer(id).element {
                    Element::F32 | Element::U32 => 4 * self.buffer(id).len() as u64,
                })
                .sum()
        };
        // The gather's own input is bytes; the update also reads and writes both moments, and the average
        // if there is one.
        let beside = match op {
            Op::Gather { x, .. } => self.buffer(*x).len() as u64,
            Op::Update {
                params, optimizer, ..
            } => {
                let arrays = if optimizer.ema_momentum.is_some() {
                    3
                } else {
                    2
                };
                2 * arrays * moved(params.clone())
            }
            _ => 0,
        };
        moved(op.reads()) + moved(op.writes()) + beside
    }
}
