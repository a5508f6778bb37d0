//! Grouped and dilated convolutions: plain loops over output cells and the window's cells under
//! each. The innermost loop runs over a group's output channels, which are contiguous.

use super::activation;
use crate::model::Activation;
use crate::plan::ConvShape;

/// Calls `f` with the offsets in `x`, in the kernel and in `y` of each pair of an output cell and a
/// cell of its window.
#[inline(always)]
fn for_each_tap(shape: &ConvShape, samples: usize, mut f: impl FnMut(usize, usize, usize)) {
    let w = &shape.window;
    for cell in 0..samples * w.oh * w.ow {
        let (n, oy, ox) = (cell / (w.oh * w.ow), cell / w.ow % w.oh, cell % w.ow);
        for tap in w.cells(oy, ox) {
            let x = ((n * w.ih + tap.iy) * w.iw + tap.ix) * shape.ic;
            let kernel = (tap.ky * w.kw + tap.kx) * shape.group()[0] * shape.oc;
            f(x, kernel, cell * shape.oc);
        }
    }
}

/// Calls `f` with the offset of each input channel, and those of its group's first output in the
/// kernel and in a cell of `y`.
#[inline(always)]
fn for_each_row(shape: &ConvShape, mut f: impl FnMut(usize, usize, usize)) {
    let [inputs, outputs] = shape.group();
    for i in 0..shape.ic {
        let first = i / inputs * outputs;
        f(i, i % inputs * shape.oc + first, first);
    }
}

fn samples(shape: &ConvShape, y: &[f32]) -> usize {
    y.len() / (shape.window.oh * shape.window.ow * shape.oc)
}

/// `y = f(x ⋆ w + bias)` for some samples.
pub(super) fn forward(
    shape: &ConvShape,
    x: &[f32],
    (w, bias): (&[f32], Option<&[f32]>),
    activation: Activation,
    y: &mut [f32],
) {
    match bias {
        Some(bias) => (y.chunks_exact_mut(shape.oc)).for_each(|y| y.copy_from_slice(bias)),
        None => y.fill(0.0),
    }
    let [_, outputs] = shape.group();
    for_each_tap(shape, samples(shape, y), |at, kernel, cell| {
        if is_depthwise(shape) {
            let terms = x[at..].iter().zip(&w[kernel..][..shape.oc]);
            let y = y[cell..][..shape.oc].iter_mut();
            return y.zip(terms).for_each(|(y, (x, w))| *y += x * w);
        }
        for_each_row(shape, |i, row, first| {
            let x = x[at + i];
            let row = &w[kernel + row..][..outputs];
            let y = y[cell + first..][..outputs].iter_mut();
            y.zip(row).for_each(|(y, w)| *y += x * w);
        });
    });
    activation::apply(activation, y);
}

/// `dx` for some samples, before any activation.
pub(super) fn backward_input(shape: &ConvShape, dy: &[f32], w: &[f32], dx: &mut [f32]) {
    dx.fill(0.0);
    let [_, outputs] = shape.group();
    for_each_tap(shape, samples(shape, dy), |at, kernel, cell| {
        if is_depthwise(shape) {
            let terms = dy[cell..].iter().zip(&w[kernel..][..shape.oc]);
            let dx = dx[at..][..shape.ic].iter_mut();
            return dx.zip(terms).for_each(|(dx, (dy, w))| *dx += dy * w);
        }
        for_each_row(shape, |i, row, first| {
            let row = w[kernel + row..][..outputs].iter();
            let terms = row.zip(&dy[cell + first..][..outputs]);
            dx[at + i] += terms.map(|(w, dy)| w * dy).sum::<f32>();
        });
    });
}

/// Adds some samples' contribution to `dw`.
pub(super) fn backward_weight(shape: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let [_, outputs] = shape.group();
    for_each_tap(shape, samples(shape, dy), |at, kernel, cell| {
        if is_depthwise(shape) {
            let terms = x[at..].iter().zip(&dy[cell..][..shape.oc]);
            let dw = dw[kernel..][..shape.oc].iter_mut();
            return dw.zip(terms).for_each(|(dw, (x, dy))| *dw += x * dy);
        }
        for_each_row(shape, |i, row, first| {
            let x = x[at + i];
            let dy = &dy[cell + first..][..outputs];
            let dw = dw[kernel + row..][..outputs].iter_mut();
            dw.zip(dy).for_each(|(dw, dy)| *dw += x * dy);
        });
    });
}

/// Whether every channel is a separate group, in which case all three passes run along the
/// channels.
fn is_depthwise(shape: &ConvShape) -> bool {
    shape.group() == [1, 1]
}
