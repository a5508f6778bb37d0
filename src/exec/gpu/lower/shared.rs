//! Code shared by the calls of several kernels.

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use super::update::BLOCK;
use crate::model::Activation;
use crate::plan::{BufferId, Plan, Through};
use crate::shape::Window;

/// WGSL functions that sum over a workgroup.
pub(super) const WORKGROUP_SUM: &str = include_str!("../../../../shaders/workgroup_sum.wgsl");

/// The text of kernels that draw numbers in Cells of this width, with `first_of(words)`, the first word of
/// several equal ones: the others are then not drawn.
pub(super) fn drawing(text: &str, width: usize) -> String {
    let first = if width == 4 { ".x" } else { "" };
    format!("{text}\nfn first_of(words: Words) -> u32 {{ return words{first}; }}\n")
}

/// A sum in parts of equal length, except perhaps the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Split {
    /// Number of parts.
    pub(super) parts: usize,
    /// Terms of a part.
    pub(super) each: usize,
}

impl Split {
    /// Splits `len` terms into the smallest number of parts of at most `most` terms each.
    pub(super) fn new(len: usize, most: usize) -> Self {
        let each = len.div_ceil(len.div_ceil(most.max(1)).max(1)).max(1);
        Self {
            parts: len.div_ceil(each).max(1),
            each,
        }
    }

    /// Whether there is only one part.
    pub(super) fn is_whole(self) -> bool {
        self.parts == 1
    }
}

/// Allocates `floats` partial sums after the first `used`.
pub(super) fn take_partials(used: &mut usize, floats: usize) -> Operand {
    let first = *used;
    *used += floats.next_multiple_of(BLOCK);
    Operand::Partials(first)
}

impl Call<Operand> {
    /// Sets the activation whose derivative the kernel includes.
    pub(super) fn through(self, through: Option<Through>) -> Self {
        let activation = through.map_or(Activation::Linear, |t| t.activation);
        self.activation(activation)
            .sizes(&[("HAS_THROUGH", usize::from(through.is_some()))])
    }
}

/// The buffer of a `through`, or a stand-in if there is none.
pub(super) fn through_operand(through: Option<Through>, stand_in: BufferId) -> Operand {
    Operand::Buffer(through.map_or(stand_in, |t| t.y))
}

/// The constants of a window.
pub(super) fn window_sizes(w: &Window) -> [(&'static str, usize); 12] {
    [
        ("IH", w.ih),
        ("IW", w.iw),
        ("KH", w.kh),
        ("KW", w.kw),
        ("SH", w.sh),
        ("SW", w.sw),
        ("DH", w.dh),
        ("DW", w.dw),
        ("PAD_TOP", w.pad_top),
        ("PAD_LEFT", w.pad_left),
        ("OH", w.oh),
        ("OW", w.ow),
    ]
}

/// Whether every window lies entirely inside the input.
pub(super) fn fits(w: &Window) -> bool {
    (w.oh - 1) * w.sh + w.kh <= w.ih && (w.ow - 1) * w.sw + w.kw <= w.iw
}

/// A call that computes `y` from `x`, cell by cell, including the derivative of an activation.
pub(super) fn cells(
    entry: &'static str,
    text: &str,
    plan: &Plan,
    tuning: &Tuning,
    [x, y]: [BufferId; 2],
    through: Option<Through>,
) -> Call<Operand> {
    let len = plan.buffer(y).len();
    let width = cell_width(len);
    Call::new(entry, text, tuning.untiled)
        .cells(width)
        .sizes(&[("LEN", len / width)])
        .through(through)
        .invocations(len / width)
        .write(Operand::Buffer(y))
        .load(
            "x",
            Operand::Buffer(x),
            Vector::floats(width),
            tuning.image_copies,
        )
        .load(
            "through",
            through_operand(through, x),
            Vector::floats(width),
            tuning.image_copies,
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_split_into_as_few_parts_as_the_bound_allows() {
        let split = |len, most| {
            let Split { parts, each } = Split::new(len, most);
            assert!(each <= most.max(1) && parts * each >= len && (parts - 1) * each < len.max(1));
            (parts, each)
        };
        assert_eq!(split(64, 64), (1, 64));
        assert_eq!(split(65, 64), (2, 33));
        assert_eq!(split(10, 4), (3, 4));
        assert_eq!(split(9, 4), (3, 3));
        assert_eq!(split(5, 0), (5, 1));
        assert_eq!(split(0, 7), (1, 1));
    }
}
