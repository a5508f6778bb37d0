//! Convolutions and dense layers, tiled where that is possible, else as plain kernels.

use super::super::call::Call;
use super::super::slot::Slot;
use super::super::tile::{Beside, Correlation, Epilogue, Pool, Unpool};
use super::super::tuning::Tuning;
use super::calls::through_slot;
use super::fuse::FusedPool;
use crate::model::Activation;
use crate::plan::{BufferId, ConvShape, DenseBackwardInput, DenseForward, Plan, Through};
use crate::shape::Window;

/// A dense layer is a 1x1 convolution over a column of `batch` pixels.
pub(super) fn dense(batch: usize, inputs: usize, outputs: usize) -> (usize, ConvShape) {
    let window = Window {
        ih: batch,
        iw: 1,
        kh: 1,
        kw: 1,
        sh: 1,
        sw: 1,
        dh: 1,
        dw: 1,
        pad_top: 0,
        pad_left: 0,
        oh: batch,
        ow: 1,
    };
    let shape = ConvShape {
        window,
        ic: inputs,
        oc: outputs,
        groups: 1,
    };
    (1, shape)
}

pub(super) fn dense_forward(plan: &Plan, tuning: &Tuning, op: &DenseForward) -> Call<Slot> {
    conv2d_forward(
        "dense_forward",
        tuning,
        dense(plan.batch, op.inputs, op.outputs),
        (op.bias, op.activation),
        ([op.x, op.w, op.y], None),
    )
}

pub(super) fn dense_backward_input(
    plan: &Plan,
    tuning: &Tuning,
    op: &DenseBackwardInput,
) -> Call<Slot> {
    conv2d_backward_input(
        "dense_backward_input",
        tuning,
        dense(plan.batch, op.inputs, op.outputs),
        op.through,
        ([op.dy, op.w, op.dx], None),
    )
}

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

pub(super) const CONV2D: &str = include_str!("../../../../shaders/conv2d.wgsl");

pub(super) fn naive_conv2d(entry: &'static str, (batch, shape): (usize, ConvShape)) -> Call<Slot> {
    Call::new(entry, CONV2D)
        .sizes(&window_sizes(&shape.window))
        .sizes(&[("BATCH", batch), ("IC", shape.ic), ("OC", shape.oc)])
        .sizes(&[("GROUPS", shape.groups)])
}

pub(super) fn conv2d_forward(
    entry: &'static str,
    tuning: &Tuning,
    (batch, shape): (usize, ConvShape),
    (bias, activation): (Option<BufferId>, Activation),
    ([x, w, y], fused): ([BufferId; 3], Option<&FusedPool>),
) -> Call<Slot> {
    let out = Slot::Buffer(fused.map_or(y, |pool| pool.y));
    let argmax = fused.and_then(|pool| pool.argmax).map(Slot::Buffer);
    let [x, w] = [x, w].map(Slot::Buffer);
    let bias = bias.map(Slot::Buffer);
    let size = fused.map(|pool| (pool.size, pool.argmax.is_some()));
    let epilogue = Epilogue::Activate { bias };
    let beside = Beside {
        argmax,
        unpool: None,
    };
    let buffers = ([x, w, out], beside);
    let tiled = match tuning.naive || !shape.is_plain() {
        true => None,
        false => forward(batch, &shape, size).call(entry, tuning, epilogue, buffers),
    };
    if let Some(tiled) = tiled {
        return tiled.activation(activation);
    }
    let window = shape.window;
    naive_conv2d("conv2d_forward", (batch, shape))
        .activation(activation)
        .sizes(&[
            ("HAS_BIAS", usize::from(bias.is_some())),
            ("HAS_THROUGH", 0),
        ])
        .invocations(batch * window.oh * window.ow * shape.oc)
        .read(x)
        .read(w)
        .read(bias.unwrap_or(w))
        .write(Slot::Buffer(y))
}

/// The correlation of a forward pass, with the size of the max pool behind and whether that notes
/// the cells it takes.
pub(super) fn forward(
    batch: usize,
    shape: &ConvShape,
    pool: Option<((usize, usize), bool)>,
) -> Correlation {
    let mut window = shape.window;
    if let Some(((kh, kw), _)) = pool {
        // What no window of the pool holds is not computed.
        window.oh = window.oh / kh * kh;
        window.ow = window.ow / kw * kw;
    }
    Correlation {
        batch,
        window,
        rc: shape.ic,
        kc: shape.oc,
        flipped: false,
        live: (window.ih, window.iw),
        pool: pool.map(|(size, argmax)| Pool { size, argmax }),
        unpool: None,
    }
}

/// The correlation that the gradient of a convolution's input is; none at larger strides, where most
/// taps meet nothing, where padding is wider than the kernel, and with groups or gaps.
pub(super) fn backward_input(
    batch: usize,
    shape: &ConvShape,
    live: (usize, usize),
    unpool: Option<Unpool>,
) -> Option<Correlation> {
    let window = shape.window;
    if (window.sh, window.sw) != (1, 1) || !shape.is_plain() {
        return None;
    }
    Some(Correlation {
        batch,
        window: Window {
            ih: window.oh,
            iw: window.ow,
            oh: window.ih,
            ow: window.iw,
            pad_top: (window.kh - 1).checked_sub(window.pad_top)?,
            pad_left: (window.kw - 1).checked_sub(window.pad_left)?,
            ..window
        },
        rc: shape.oc,
        kc: shape.ic,
        flipped: true,
        live,
        pool: None,
        unpool,
    })
}

pub(super) fn conv2d_backward_input(
    entry: &'static str,
    tuning: &Tuning,
    (batch, shape): (usize, ConvShape),
    through: Option<Through>,
    ([dy, w, dx], behind): ([BufferId; 3], Option<&FusedPool>),
) -> Call<Slot> {
    let window = shape.window;
    let live = behind.map_or((window.oh, window.ow), |f| f.live);
    let absorbed = behind.filter(|f| f.absorbed);
    let unpool = absorbed.map(|f| Unpool {
        size: f.size,
        windows: (f.live.0 / f.size.0, f.live.1 / f.size.1),
    });
    let epilogue = match through {
        Some(Through { y, activation }) => Epilogue::Derive(Slot::Buffer(y), activation),
        None => Epilogue::Keep,
    };
    let beside = Beside {
        argmax: None,
        unpool: absorbed.and_then(|f| Some([f.argmax?, f.y].map(Slot::Buffer))),
    };
    let pooled = absorbed.and_then(|f| f.gradients).map(|(pooled, _)| pooled);
    let activation = absorbed.and_then(|f| f.through).unwrap_or_default();
    let [from, w, dx] = [pooled.unwrap_or(dy), w, dx].map(Slot::Buffer);
    let tiled = backward_input(batch, &shape, live, unpool).filter(|_| !tuning.naive);
    let tiled = tiled.and_then(|c| c.call(entry, tuning, epilogue, ([from, w, dx], beside)));
    if let Some(tiled) = tiled {
        return tiled.activation(activation);
    }
    naive_conv2d("conv2d_backward_input", (batch, shape))
        .through(through)
        .sizes(&[("HAS_BIAS", 0)])
        .invocations(batch * window.ih * window.iw * shape.ic)
        .read(Slot::Buffer(dy))
        .read(w)
        .read(through_slot(through, dy))
        .write(dx)
}

pub(super) fn naive_backward_weight(
    (batch, shape): (usize, ConvShape),
    [x, dy, dw]: [BufferId; 3],
    dbias: Option<BufferId>,
) -> Vec<Call<Slot>> {
    let sizes = [("HAS_BIAS", 0), ("HAS_THROUGH", 0)];
    let call = |entry, invocations, out| {
        naive_conv2d(entry, (batch, shape))
            .sizes(&sizes)
            .invocations(invocations)
            .read(Slot::Buffer(x))
            .read(Slot::Buffer(dy))
            .read(Slot::Buffer(dy))
            .write(Slot::Buffer(out))
    };
    let weights = shape.kernel_len();
    let bias = dbias.map(|dbias| call("conv2d_backward_bias", shape.oc, dbias));
    [call("conv2d_backward_weight", weights, dw)]
        .into_iter()
        .chain(bias)
        .collect()
}
