//! A plan as text, one line per operation.

use std::fmt::{self, Display, Formatter};

use super::{BufferId, Op, Plan};
use crate::shape::dims;

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "plan `{}`, batch {}, {} operations",
            self.name,
            self.batch,
            self.ops.len()
        )?;
        writeln!(
            f,
            "{:>3}  {:<23} {:>9} {:>9}  writes <- reads",
            "#", "operation", "MFLOP", "MB"
        )?;
        for (i, op) in self.ops.iter().enumerate() {
            writeln!(
                f,
                "{i:>3}  {:<23} {:>9.2} {:>9.2}  {} <- {}",
                op.name(),
                self.flops(op) as f64 / 1e6,
                self.bytes(op) as f64 / 1e6,
                self.results(op),
                self.operands(op),
            )?;
        }
        let flops: u64 = self.ops.iter().map(|op| self.flops(op)).sum();
        let bytes: u64 = self.ops.iter().map(|op| self.bytes(op)).sum();
        writeln!(
            f,
            "     {:<23} {:>9.2} {:>9.2}",
            "total",
            flops as f64 / 1e6,
            bytes as f64 / 1e6
        )
    }
}

impl Plan {
    fn names(&self, ids: &[BufferId]) -> String {
        let parts: Vec<String> = ids.iter().map(|&id| self.described(id)).collect();
        parts.join(", ")
    }

    fn results(&self, op: &Op) -> String {
        let summary = op.operation().writes_summary();
        summary.unwrap_or_else(|| self.names(&op.writes()))
    }

    fn operands(&self, op: &Op) -> String {
        let summary = op.operation().reads_summary();
        summary.unwrap_or_else(|| self.names(&op.reads()))
    }

    fn described(&self, id: BufferId) -> String {
        let buffer = self.buffer(id);
        format!("{}[{}]", buffer.name, dims(&buffer.shape))
    }
}
