//! What the calls of several kernels share.

use super::super::call::{Call, Vector};
use super::super::slot::Slot;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use crate::model::Activation;
use crate::plan::{BufferId, Plan, Through};
use crate::shape::Window;

/// The functions of kernels whose invocations sum together.
pub(super) const WORKGROUP_SUM: &str = include_str!("../../../../shaders/workgroup_sum.wgsl");

impl Call<Slot> {
    /// Sets what a kernel has to know of the activation that it goes back through.
    pub(super) fn through(self, through: Option<Through>) -> Self {
        let activation = through.map_or(Activation::Linear, |t| t.activation);
        self.activation(activation)
            .sizes(&[("HAS_THROUGH", usize::from(through.is_some()))])
    }
}

/// The buffer of a `through`, with a stand-in where there is none.
pub(super) fn through_slot(through: Option<Through>, stand_in: BufferId) -> Slot {
    Slot::Buffer(through.map_or(stand_in, |t| t.y))
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

/// Whether every window lies wholly inside the input.
pub(super) fn fits(w: &Window) -> bool {
    (w.oh - 1) * w.sh + w.kh <= w.ih && (w.ow - 1) * w.sw + w.kw <= w.iw
}

/// A call that makes `y` out of `x`, cell by cell, and goes on through an activation.
pub(super) fn cells(
    entry: &'static str,
    text: &str,
    plan: &Plan,
    tuning: &Tuning,
    [x, y]: [BufferId; 2],
    through: Option<Through>,
) -> Call<Slot> {
    let len = plan.buffer(y).len();
    let width = cell_width(len);
    Call::new(entry, text)
        .cells(width)
        .sizes(&[("LEN", len / width)])
        .through(through)
        .invocations(len / width)
        .write(Slot::Buffer(y))
        .load(
            "x",
            Slot::Buffer(x),
            Vector::floats(width),
            tuning.image_copies,
        )
        .load(
            "through",
            through_slot(through, x),
            Vector::floats(width),
            tuning.image_copies,
        )
}
