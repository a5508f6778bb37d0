//! The call that gathers a batch from the data set.

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use crate::plan::{Gather, Plan};

/// The gather from a number of parts, with a number of images in each.
pub(super) fn call(
    plan: &Plan,
    tuning: &Tuning,
    op: &Gather,
    (parts, images): (usize, usize),
) -> Call<Operand> {
    let size: usize = plan.input_shape.iter().product();
    let width = cell_width(size);
    let rows: String = (0..parts)
        .map(|part| format!("if part == {part}u {{ return load_images_{part}(i); }} "))
        .collect();
    let text = format!(
        "{}\nfn image_word(part: u32, i: u32) -> u32 {{ {rows}return 0u; }}\n",
        include_str!("../../../../shaders/gather.wgsl")
    );
    let call = Call::new("gather", text, tuning.untiled)
        .cells(width)
        .sizes(&[("BATCH", plan.batch), ("SIZE", size), ("WIDTH", width)])
        .sizes(&[("PART", images.min(u32::MAX as usize))])
        .invocations(plan.batch * size / width)
        .read(Operand::DataLabels)
        .read(Operand::Order)
        .write(Operand::Buffer(op.x))
        .write(Operand::Buffer(op.labels));
    (0..parts).fold(call, |call, part| {
        let name = format!("images_{part}");
        call.load(&name, Operand::Images(part), Vector::words(1), false)
    })
}
