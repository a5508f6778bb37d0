//! A plan is checked before a device sees it.

use std::collections::HashSet;

use super::{Op, Plan, Role};
use crate::error::{Error, Result};

impl Plan {
    /// Every buffer is written before it is read, each intermediate one once, and no operation
    /// writes what it reads (but updates and penalties, whose purpose that is).
    ///
    /// # Errors
    /// The operation and the buffer at fault: a mistake in a layer's lowering, not in its use.
    pub fn check(&self) -> Result<()> {
        let mut written = HashSet::new();
        let fault = |op: usize, buffer: usize, what: &str| {
            Err(Error::Device(format!(
                "plan `{}` is wrong: operation {op} ({}) {what} buffer `{}`; please report this model",
                self.name,
                self.ops[op].name(),
                self.buffers[buffer].name
            )))
        };
        for (i, op) in self.ops.iter().enumerate() {
            let reads = op.reads();
            for read in &reads {
                let is_parameter = matches!(self.buffer(*read).role, Role::Parameter(_));
                if !is_parameter && !written.contains(read) {
                    return fault(i, read.0, "reads the unwritten");
                }
            }
            for write in op.writes() {
                let is_revised = matches!(self.buffer(write).role, Role::Parameter(_))
                    || (reads.contains(&write)
                        && matches!(op, Op::Regularize { .. } | Op::ClipGradients { .. }));
                if !is_revised && reads.contains(&write) {
                    return fault(i, write.0, "reads and writes");
                }
                if !is_revised && !written.insert(write) {
                    return fault(i, write.0, "writes twice the");
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::model::preset;
    use crate::optimizer::Optimizer;
    use crate::plan::{Op, Plan, Purpose};

    fn plan() -> Plan {
        let model = preset("mnist-cnn").unwrap();
        Plan::new(&model, Purpose::Training(Optimizer::adam()), 4).unwrap()
    }

    #[test]
    fn finds_a_read_of_an_unwritten_buffer() {
        let mut plan = plan();
        plan.ops.remove(1);
        let message = plan.check().unwrap_err().to_string();
        assert!(
            message.contains("reads the unwritten buffer `conv2d`"),
            "{message}"
        );
    }

    #[test]
    fn finds_an_operation_that_writes_what_it_reads() {
        let mut plan = plan();
        let Op::Conv2dForward { x, y, .. } = &mut plan.ops[1] else {
            panic!("the second operation is a convolution")
        };
        *y = *x;
        let message = plan.check().unwrap_err().to_string();
        assert!(
            message.contains("reads and writes buffer `input`"),
            "{message}"
        );
    }
}
