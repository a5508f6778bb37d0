//! The call that gathers a batch from the data set.

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use crate::plan::{Gather, Plan};

/// How the images of a data set lie in buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageParts {
    /// Number of buffers.
    pub count: usize,
    /// Number of images in each but the last.
    pub images: usize,
    /// Whether they are floats, not bytes.
    pub floats: bool,
}

impl ImageParts {
    /// Bytes in one buffer.
    pub(super) const ONE: Self = Self {
        count: 1,
        images: usize::MAX,
        floats: false,
    };
}

/// The gather from a number of parts.
pub(super) fn call(plan: &Plan, tuning: &Tuning, op: &Gather, parts: ImageParts) -> Call<Operand> {
    let size: usize = plan.input_shape.iter().product();
    let width = cell_width(size);
    let rows: String = (0..parts.count)
        .map(|part| format!("if part == {part}u {{ return load_images_{part}(i); }} "))
        .collect();
    let (entry, shader, function, zero, vector) = match parts.floats {
        false => (
            "gather",
            include_str!("../../../../shaders/gather.wgsl"),
            "image_word(part: u32, i: u32) -> u32",
            "0u",
            Vector::words(1),
        ),
        true => (
            "gather_floats",
            include_str!("../../../../shaders/gather_floats.wgsl"),
            "image_cell(part: u32, i: u32) -> Cell",
            "Cell(0.0)",
            Vector::floats(width),
        ),
    };
    let text = format!("{shader}\nfn {function} {{ {rows}return {zero}; }}\n");
    let call = Call::new(entry, text, tuning.untiled)
        .cells(width)
        .sizes(&[("BATCH", plan.batch), ("SIZE", size), ("WIDTH", width)])
        .sizes(&[("PART", parts.images.min(u32::MAX as usize))])
        .invocations(plan.batch * size / width)
        .read(Operand::DataLabels)
        .read(Operand::Order)
        .write(Operand::Buffer(op.x))
        .write(Operand::Buffer(op.labels));
    (0..parts.count).fold(call, |call, part| {
        let name = format!("images_{part}");
        call.load(&name, Operand::Images(part), vector, false)
    })
}
