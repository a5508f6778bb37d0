//! The calls of sums and concatenations.

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use super::shared::through_operand;
use crate::plan::{AddOp, BufferId, ConcatenateBackward, ConcatenateForward, Plan, Through};

pub(super) fn add(plan: &Plan, tuning: &Tuning, op: &AddOp) -> Call<Operand> {
    let merge = Merge {
        entry: "add",
        out: op.y,
        operands: [Operand::Buffer(op.a), Operand::Buffer(op.b)],
        rows: [plan.buffer(op.y).len(); 2],
        first: 0,
        through: None,
    };
    merge.call(plan, tuning)
}

pub(super) fn concatenate_forward(
    plan: &Plan,
    tuning: &Tuning,
    op: &ConcatenateForward,
) -> Call<Operand> {
    let merge = Merge {
        entry: "concatenate_forward",
        out: op.y,
        operands: [Operand::Buffer(op.a), Operand::Buffer(op.b)],
        rows: op.widths,
        first: 0,
        through: None,
    };
    merge.call(plan, tuning)
}

pub(super) fn concatenate_backward(
    plan: &Plan,
    tuning: &Tuning,
    op: &ConcatenateBackward,
) -> Call<Operand> {
    let merge = Merge {
        entry: "concatenate_backward",
        out: op.dx,
        operands: [Operand::Buffer(op.dy), through_operand(op.through, op.dy)],
        rows: op.widths,
        first: op.first,
        through: op.through,
    };
    merge.call(plan, tuning)
}

/// A call of `shaders/merge.wgsl`, whose header tells what the fields mean; sizes are in floats.
struct Merge {
    entry: &'static str,
    out: BufferId,
    operands: [Operand; 2],
    rows: [usize; 2],
    first: usize,
    through: Option<Through>,
}

impl Merge {
    fn call(self, plan: &Plan, tuning: &Tuning) -> Call<Operand> {
        let len = plan.buffer(self.out).len();
        let [a, b] = self.rows;
        // Rows start at a Cell only if all rows before them end with one.
        let sizes = [len, a, b, self.first].map(cell_width);
        let width = sizes.into_iter().min().unwrap_or(1);
        let [x, y] = self.operands;
        let (vector, image) = (Vector::floats(width), tuning.image_copies);
        let text = include_str!("../../../../shaders/merge.wgsl");
        Call::new(self.entry, text, tuning.untiled)
            .cells(width)
            .sizes(&[
                ("LEN", len / width),
                ("A", a / width),
                ("B", b / width),
                ("FIRST", self.first / width),
            ])
            .through(self.through)
            .invocations(len / width)
            .write(Operand::Buffer(self.out))
            .load("a", x, vector, image)
            .load("b", y, vector, image)
    }
}
