//! Grouped and dilated convolutions.
//!
//! Groups of several channels are matrix products, as in [`conv2d`](super::conv2d), but one for
//! each group. Depthwise convolutions and those with very small groups would leave most of a
//! vector empty, which then runs along the channels of all groups instead.

mod channelwise;
mod positions;
mod tiled;

use std::ops::Range;

use pulp::Arch;

use self::channelwise::{ChannelwiseGradient, ChannelwiseLayout, ChannelwiseProduct, expand};
use self::positions::{Axis, Positions};
use super::{activation, scratch};
use crate::model::Activation;
use crate::plan::ConvShape;

/// Channel pairs of the largest group that [`channelwise`] computes.
const FEW_PAIRS: usize = 16;

/// Whether vectors run along the channels of all groups.
fn is_narrow(shape: &ConvShape) -> bool {
    let [inputs, outputs] = shape.group();
    shape.groups > 1 && inputs * outputs <= FEW_PAIRS
}

/// Packs the kernel for [`forward`], then the bias.
pub(super) fn pack_forward(
    arch: Arch,
    shape: &ConvShape,
    w: &[f32],
    bias: Option<&[f32]>,
    packed: &mut Vec<f32>,
) {
    if !is_narrow(shape) {
        return tiled::pack_forward(arch, shape, w, bias, packed);
    }
    packed.clear();
    packed.extend_from_slice(w);
    match bias {
        Some(bias) => packed.extend_from_slice(bias),
        None => packed.resize(w.len() + shape.oc, 0.0),
    }
}

/// `y = f(x ⋆ w + bias)` for some samples.
pub(super) fn forward(
    arch: Arch,
    shape: &ConvShape,
    x: &[f32],
    packed: &[f32],
    activation: Activation,
    y: &mut [f32],
) {
    let relu = activation == Activation::Relu;
    if is_narrow(shape) {
        let (kernel, bias) = packed.split_at(shape.kernel_len());
        let [rows, columns] = Axis::both(&shape.window).map(|axis| axis.forward());
        let layout = forward_layout(shape, [&rows, &columns]);
        let outputs = outputs_len(shape);
        by_planes(
            shape.groups,
            shape.group(),
            inputs_len(shape),
            x,
            |samples, source| {
                arch.dispatch(ChannelwiseProduct {
                    layout,
                    source,
                    kernel,
                    bias: Some(bias),
                    relu,
                    result: &mut y[samples.start * outputs..samples.end * outputs],
                });
            },
        );
    } else {
        tiled::forward(arch, shape, x, packed, relu, y);
    }
    if !relu {
        activation::apply(activation, y);
    }
}

/// Packs the kernel for [`backward_input`].
pub(super) fn pack_backward(arch: Arch, shape: &ConvShape, w: &[f32], packed: &mut Vec<f32>) {
    if !is_narrow(shape) {
        return tiled::pack_backward(arch, shape, w, packed);
    }
    let [inputs, outputs] = shape.group();
    let cells = w.chunks_exact(inputs * shape.oc);
    packed.clear();
    for cell in cells {
        for o in 0..outputs {
            let group = |i: usize| i / inputs * outputs;
            packed.extend((0..shape.ic).map(|i| cell[i % inputs * shape.oc + group(i) + o]));
        }
    }
}

/// `dx` for some samples, before any activation.
pub(super) fn backward_input(
    arch: Arch,
    shape: &ConvShape,
    dy: &[f32],
    packed: &[f32],
    dx: &mut [f32],
) {
    if !is_narrow(shape) {
        return tiled::backward_input(arch, shape, dy, packed, dx);
    }
    let w = &shape.window;
    let [inputs, outputs] = shape.group();
    let [rows, columns] = Axis::both(w).map(|axis| axis.backward());
    let image = inputs_len(shape);
    by_planes(
        shape.groups,
        [outputs, inputs],
        outputs_len(shape),
        dy,
        |samples, source| {
            let dx = &mut dx[samples.start * image..samples.end * image];
            for (rows, columns) in rows
                .iter()
                .flat_map(|y| columns.iter().map(move |x| (y, x)))
            {
                arch.dispatch(ChannelwiseProduct {
                    layout: ChannelwiseLayout {
                        rows,
                        columns,
                        result: [w.ih, w.iw],
                        kernel: [w.kh, w.kw],
                        whole: (columns.whole().start, columns.whole().end),
                        planes: outputs,
                        channels: shape.ic,
                    },
                    source,
                    kernel: packed,
                    bias: None,
                    relu: false,
                    result: &mut *dx,
                });
            }
        },
    );
}

/// Adds some samples' contribution to `dw`.
pub(super) fn backward_weight(
    arch: Arch,
    shape: &ConvShape,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
) {
    if !is_narrow(shape) {
        return tiled::backward_weight(arch, shape, x, dy, dw);
    }
    let [rows, columns] = Axis::both(&shape.window).map(|axis| axis.forward());
    let layout = forward_layout(shape, [&rows, &columns]);
    let outputs = outputs_len(shape);
    by_planes(
        shape.groups,
        shape.group(),
        inputs_len(shape),
        x,
        |samples, source| {
            arch.dispatch(ChannelwiseGradient {
                layout,
                source,
                dy: &dy[samples.start * outputs..samples.end * outputs],
                gradient: &mut *dw,
            });
        },
    );
}

fn forward_layout<'a>(
    shape: &ConvShape,
    [rows, columns]: [&'a Positions; 2],
) -> ChannelwiseLayout<'a> {
    let w = &shape.window;
    ChannelwiseLayout {
        rows,
        columns,
        result: [w.oh, w.ow],
        kernel: [w.kh, w.kw],
        whole: (columns.whole().start, columns.whole().end),
        planes: shape.group()[0],
        channels: shape.oc,
    }
}

/// Floats of a sample's input.
fn inputs_len(shape: &ConvShape) -> usize {
    shape.window.ih * shape.window.iw * shape.ic
}

/// Floats of a sample's output.
fn outputs_len(shape: &ConvShape) -> usize {
    shape.window.oh * shape.window.ow * shape.oc
}

/// Calls `f` with ranges of samples and their [`expand`]ed images, of `image` floats each: with all
/// at once if there is nothing to expand.
fn by_planes(
    groups: usize,
    group: [usize; 2],
    image: usize,
    source: &[f32],
    mut f: impl FnMut(Range<usize>, &[f32]),
) {
    if group == [1, 1] {
        return f(0..source.len() / image, source);
    }
    scratch::with(image * group[1], |planes| {
        for (sample, image) in source.chunks_exact(image).enumerate() {
            expand(image, group, groups, planes);
            f(sample..sample + 1, planes);
        }
    });
}
