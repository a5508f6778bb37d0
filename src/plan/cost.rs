//! What an operation costs: arithmetic and memory traffic.

use super::{BufferId, Element, Op, Plan};

impl Plan {
    /// Floating-point operations of one operation at the full batch size; a multiply-add counts as
    /// two, an exponential or a root as one. Windows that extend past the edge are counted in full.
    pub fn flops(&self, op: &Op) -> u64 {
        op.operation().flops(self)
    }

    /// The minimum number of bytes that operations move when they are fused into one: results
    /// passed from one to another stay in registers.
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

    /// The minimum number of bytes that an operation moves: each buffer once.
    pub fn bytes(&self, op: &Op) -> u64 {
        let mut reads = op.reads();
        // A sum may read one buffer as both terms.
        reads.sort_unstable_by_key(|id| id.0);
        reads.dedup();
        let buffers = self.bytes_of(&reads) + self.bytes_of(&op.writes());
        buffers + op.operation().extra_bytes(self)
    }

    /// Number of elements of a buffer.
    pub(super) fn elements(&self, id: BufferId) -> u64 {
        self.buffer(id).len() as u64
    }

    /// Total size of these buffers in bytes.
    pub(super) fn bytes_of(&self, ids: &[BufferId]) -> u64 {
        let bytes = |&id: &BufferId| match self.buffer(id).element {
            Element::F32 | Element::U32 => 4 * self.elements(id),
        };
        ids.iter().map(bytes).sum()
    }
}
