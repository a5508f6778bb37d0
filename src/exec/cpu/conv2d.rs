//! Convolutions, including dense layers (see [`dense`](super::dense)).
//!
//! All three products are computed by [`tile`](super::tile), which reads the images in place:
//! - forward: rows are output cells, columns output channels, terms the window's cells;
//! - input gradient: rows are input cells, columns input channels, terms all channels of the output
//!   cells whose windows cover the input cell. Cells covered by the same kernel cells form one
//!   product: the interior, each edge and each corner. Where these have few cells, each kernel cell
//!   is a separate product, accumulated into the input cells that it covers;
//! - kernel gradient: rows are `(ky, kx, ic)`, columns output channels, terms output cells.

use std::ops::Range;

use pulp::Arch;

use super::activation;
use super::scratch;
use super::tile::{AddTo, Bias, Columns, Finish, Product, RowOffsets, Set, Walk, lanes};
use crate::model::Activation;
use crate::plan::ConvShape;
use crate::shape::Window;

/// The padded image: the union of all windows.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    h: usize,
    w: usize,
    padded: bool,
}

impl Frame {
    fn new(window: &Window) -> Self {
        let h = (window.oh - 1) * window.sh + window.kh;
        let w = (window.ow - 1) * window.sw + window.kw;
        if window.pad_top + window.pad_left > 0 || h > window.ih || w > window.iw {
            return Self { h, w, padded: true };
        }
        Self {
            h: window.ih,
            w: window.iw,
            padded: false,
        }
    }
}

/// Images whose input and output cells together take at most this many bytes, which fit a core's
/// cache, are processed whole by the forward pass and the kernel gradient; larger ones in bands of
/// output rows.
const BAND: usize = 256 * 1024;

/// Some output rows of some samples, processed together.
pub(super) struct Band {
    /// The samples, and the output rows of each.
    samples: Range<usize>,
    rows: Range<usize>,
}

/// Divides the output rows of some samples into bands, in order: a single band for small samples
/// and dense layers, otherwise bands of one sample each. Every band reads the kernel (`kernel`
/// floats) again, which for a large kernel costs more than banding saves.
pub(super) fn bands(
    shape: &ConvShape,
    samples: usize,
    kernel: usize,
) -> impl Iterator<Item = Band> {
    let (window, frame) = (shape.window, Frame::new(&shape.window));
    let read = window.sh.saturating_mul(frame.w * shape.ic);
    let row = read.saturating_add(window.ow * shape.oc).saturating_mul(4);
    let sample = row.saturating_mul(window.oh);
    let rows = if sample <= BAND || sample / 4 < kernel {
        window.oh
    } else {
        // Half of it, since the kernel needs room too.
        (BAND / 2 / row).clamp(1, window.oh)
    };
    let step = if rows == window.oh { samples } else { 1 };
    (0..samples).step_by(step.max(1)).flat_map(move |first| {
        let samples = first..samples.min(first + step);
        (0..window.oh).step_by(rows).map(move |y| Band {
            samples: samples.clone(),
            rows: y..window.oh.min(y + rows),
        })
    })
}

impl Band {
    /// The band's range among the output cells of all samples.
    pub fn cells(&self, window: &Window) -> Range<usize> {
        let row = |n: usize, y: usize| (n * window.oh + y) * window.ow;
        row(self.samples.start, self.rows.start)..row(self.samples.end - 1, self.rows.end)
    }

    /// Where the band's windows start in the padded images of all samples.
    pub fn corner(&self, shape: &ConvShape) -> usize {
        let frame = Frame::new(&shape.window);
        let row = self.samples.start * frame.h + self.rows.start * shape.window.sh;
        row * frame.w * shape.ic
    }
}

/// Floats of a row of the padded image.
pub(super) fn frame_row(shape: &ConvShape) -> usize {
    Frame::new(&shape.window).w * shape.ic
}

/// Floats that [`framed`] needs for `samples` images: 0 without padding.
pub(super) fn framed_len(shape: &ConvShape, samples: usize) -> usize {
    let frame = Frame::new(&shape.window);
    if frame.padded {
        samples * frame.h * frame.w * shape.ic
    } else {
        0
    }
}

/// The zero-padded images, in `copy`, or the images themselves if there is no padding.
pub(super) fn framed<'a>(shape: &ConvShape, x: &'a [f32], copy: &'a mut [f32]) -> &'a [f32] {
    let (window, frame) = (&shape.window, Frame::new(&shape.window));
    if !frame.padded {
        return x;
    }
    let rows = window.ih.min(frame.h - window.pad_top);
    let width = window.iw.min(frame.w - window.pad_left) * shape.ic;
    copy.fill(0.0);
    let images = x.chunks_exact(window.ih * window.iw * shape.ic);
    for (x, copy) in images.zip(copy.chunks_exact_mut(frame.h * frame.w * shape.ic)) {
        for iy in 0..rows {
            let to = ((iy + window.pad_top) * frame.w + window.pad_left) * shape.ic;
            copy[to..][..width].copy_from_slice(&x[iy * window.iw * shape.ic..][..width]);
        }
    }
    copy
}

/// The offsets of a grid's cells in each sample, one after the other, with the given strides in the
/// operands.
#[derive(Clone)]
pub(super) struct GridOffsets {
    /// Columns and rows.
    size: [usize; 2],
    /// Strides from one column, row and sample to the next in `a`.
    a: [usize; 3],
    /// The same strides in `c`.
    c: [usize; 3],
    x: usize,
    y: usize,
    /// The offset of the cell, of its grid row and of its sample.
    now: RowOffsets,
    row: RowOffsets,
    sample: RowOffsets,
}

impl GridOffsets {
    pub fn new(start: RowOffsets, size: [usize; 2], a: [usize; 3], c: [usize; 3]) -> Self {
        Self {
            size,
            a,
            c,
            x: 0,
            y: 0,
            now: start,
            row: start,
            sample: start,
        }
    }
}

impl Iterator for GridOffsets {
    type Item = RowOffsets;

    #[inline(always)]
    fn next(&mut self) -> Option<RowOffsets> {
        let row = self.now;
        self.now.step(self.a[0], self.c[0]);
        self.x += 1;
        if self.x == self.size[0] {
            self.x = 0;
            self.row.step(self.a[1], self.c[1]);
            self.y += 1;
            if self.y == self.size[1] {
                self.y = 0;
                self.sample.step(self.a[2], self.c[2]);
                self.row = self.sample;
            }
            self.now = self.row;
        }
        Some(row)
    }
}

/// The windows' corners in a padded image, with their output cells.
pub(super) fn corners(shape: &ConvShape) -> GridOffsets {
    let (window, frame) = (&shape.window, Frame::new(&shape.window));
    GridOffsets::new(
        RowOffsets::default(),
        [window.ow, window.oh],
        [window.sw, window.sh * frame.w, frame.h * frame.w].map(|s| s * shape.ic),
        [1, window.ow, window.oh * window.ow].map(|s| s * shape.oc),
    )
}

/// Packs the kernel for [`forward`]: for each pair of vectors of output channels, the terms in
/// sequence, then the bias, all padded with zeros.
pub(super) fn pack_forward(
    arch: Arch,
    shape: &ConvShape,
    w: &[f32],
    bias: Option<&[f32]>,
    packed: &mut Vec<f32>,
) {
    let width = 2 * lanes(arch);
    let terms = shape.window.taps() * shape.ic;
    let columns = shape.oc.next_multiple_of(width);
    let packed = scratch::resize(packed, (terms + 1) * columns);
    let (kernel, padded_bias) = packed.split_at_mut(terms * columns);
    for (panel, kernel) in kernel.chunks_exact_mut(terms * width).enumerate() {
        let first = panel * width;
        let count = width.min(shape.oc - first);
        for (packed, w) in kernel.chunks_exact_mut(width).zip(w.chunks_exact(shape.oc)) {
            packed[..count].copy_from_slice(&w[first..][..count]);
            packed[count..].fill(0.0);
        }
    }
    padded_bias.fill(0.0);
    if let Some(bias) = bias {
        padded_bias[..shape.oc].copy_from_slice(bias);
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
    let window = &shape.window;
    let samples = y.len() / shape.oc / (window.oh * window.ow);
    let width = 2 * lanes(arch);
    let terms = window.taps() * shape.ic;
    let (kernel, bias) = packed.split_at(terms * shape.oc.next_multiple_of(width));
    let line = window.kw * shape.ic;
    scratch::with(framed_len(shape, samples), |copy| {
        let a = framed(shape, x, copy);
        for band in bands(shape, samples, kernel.len()) {
            let cells = band.cells(window);
            arch.dispatch(Product {
                a: &a[band.corner(shape)..],
                b: Columns {
                    data: kernel,
                    panel: terms * width,
                    count: shape.oc,
                },
                count: cells.len(),
                c: &mut y[cells.start * shape.oc..cells.end * shape.oc],
                walk: Walk {
                    counts: [1, window.kh, line],
                    a: [0, Frame::new(window).w * shape.ic, 1],
                    b: [0, line * width, width],
                },
                rows: corners(shape),
                finish: Bias {
                    bias,
                    relu: activation == Activation::Relu,
                },
            });
        }
    });
    if activation != Activation::Relu {
        activation::apply(activation, y);
    }
}

/// Packs the kernel for [`backward_input`]: for each pair of vectors of input channels, the kernel
/// cells from last to first, each with its output channels in sequence, padded with zeros.
pub(super) fn pack_backward(arch: Arch, shape: &ConvShape, w: &[f32], packed: &mut Vec<f32>) {
    let width = 2 * lanes(arch);
    let (ic, oc, taps) = (shape.ic, shape.oc, shape.window.taps());
    let packed = scratch::resize(packed, taps * ic.div_ceil(width) * oc * width);
    for (i, packed) in packed.chunks_exact_mut(oc * width).enumerate() {
        let (first, tap) = (i / taps * width, taps - 1 - i % taps);
        let count = width.min(ic - first);
        let w = &w[(tap * ic + first) * oc..][..count * oc];
        for (o, packed) in packed.chunks_exact_mut(width).enumerate() {
            for (i, packed) in packed.iter_mut().enumerate() {
                *packed = if i < count { w[i * oc + o] } else { 0.0 };
            }
        }
    }
}

/// Input rows (or columns), one stride apart, that are covered by the same kernel rows.
struct Reached {
    /// The first one, and their number.
    first: usize,
    count: usize,
    /// The first output row whose window covers the first of them; it advances by one from each row
    /// to the next.
    output: usize,
    /// The kernel row that covers it, counted from the last one.
    tap: usize,
    /// Number of kernel rows, and thus output rows, one stride apart.
    taps: usize,
}

impl Reached {
    /// The rows of an input of `size` rows, each exactly once, except those that no window covers.
    fn by_all([size, pad, outputs, kernel, stride]: [usize; 5]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        let in_turn = (0..stride.min(size)).flat_map(|phase| (phase..size).step_by(stride));
        for row in in_turn {
            let place = row + pad;
            // Window `o` covers `kernel` rows from `o * stride`.
            let output = (place + 1).saturating_sub(kernel).div_ceil(stride);
            let end = outputs.min(place / stride + 1);
            if output >= end {
                continue;
            }
            let tap = kernel - 1 - (place - output * stride);
            let taps = end - output;
            match all.last_mut() {
                Some(last)
                    if (last.tap, last.taps) == (tap, taps)
                        && last.first + last.count * stride == row =>
                {
                    last.count += 1;
                }
                _ => all.push(Self {
                    first: row,
                    count: 1,
                    output,
                    tap,
                    taps,
                }),
            }
        }
        all
    }

    /// The input rows that each kernel row covers.
    fn by_each([size, pad, outputs, kernel, stride]: [usize; 5]) -> Vec<Self> {
        let by = |tap| {
            let row = kernel - 1 - tap;
            let output = pad.saturating_sub(row).div_ceil(stride);
            let end = outputs.min((size + pad).saturating_sub(row).div_ceil(stride));
            (output < end).then(|| Self {
                first: output * stride + row - pad,
                count: end - output,
                output,
                tap,
                taps: 1,
            })
        };
        (0..kernel).filter_map(by).collect()
    }
}

/// Minimum average number of input cells per kernel cell and sample: with fewer, summing in
/// registers saves less than the repeated reads of the kernel cost.
const CELLS_PER_READ: usize = 8;

/// `dx` for some samples, before any activation.
pub(super) fn backward_input(
    arch: Arch,
    shape: &ConvShape,
    dy: &[f32],
    packed: &[f32],
    dx: &mut [f32],
) {
    let w = &shape.window;
    let axes = [
        [w.ih, w.pad_top, w.oh, w.kh, w.sh],
        [w.iw, w.pad_left, w.ow, w.kw, w.sw],
    ];
    let classes = axes.map(Reached::by_all);
    let of_both = |f: fn(&Reached) -> usize| {
        let [y, x] = classes
            .each_ref()
            .map(|reached| reached.iter().map(f).sum());
        usize::saturating_mul(y, x)
    };
    let reads = of_both(|r| r.taps);
    // Independent of the number of samples: a sample's bytes must not depend on how a batch is
    // divided.
    if of_both(|r| r.count * r.taps) < reads.saturating_mul(CELLS_PER_READ) {
        dx.fill(0.0);
        let by_tap = axes.map(Reached::by_each);
        return input_products(arch, shape, (dy, packed), &by_tap, dx, AddTo);
    }
    if of_both(|r| r.count) < w.ih * w.iw {
        dx.fill(0.0);
    }
    input_products(arch, shape, (dy, packed), &classes, dx, Set);
}

/// The product of every row group with every column group; `finish` stores the sums.
fn input_products(
    arch: Arch,
    shape: &ConvShape,
    (dy, packed): (&[f32], &[f32]),
    [rows, columns]: &[Vec<Reached>; 2],
    dx: &mut [f32],
    finish: impl Finish,
) {
    let w = &shape.window;
    let (ic, oc) = (shape.ic, shape.oc);
    let samples = dy.len() / oc / (w.oh * w.ow);
    let width = 2 * lanes(arch);
    for (y, x) in rows
        .iter()
        .flat_map(|y| columns.iter().map(move |x| (y, x)))
    {
        let start = RowOffsets {
            a: (y.output * w.ow + x.output) * oc,
            c: (y.first * w.iw + x.first) * ic,
        };
        arch.dispatch(Product {
            a: dy,
            b: Columns {
                data: &packed[(y.tap * w.kw + x.tap) * oc * width..],
                panel: w.taps() * oc * width,
                count: ic,
            },
            c: &mut *dx,
            walk: Walk {
                counts: [y.taps, x.taps, oc],
                a: [w.ow * oc, oc, 1],
                b: [w.sh * w.kw * oc, w.sw * oc, 1].map(|s| s * width),
            },
            rows: GridOffsets::new(
                start,
                [x.count, y.count],
                [1, w.ow, w.oh * w.ow].map(|s| s * oc),
                [w.sw, w.sh * w.iw, w.ih * w.iw].map(|s| s * ic),
            ),
            count: samples * y.count * x.count,
            finish,
        });
    }
}

/// Floats that [`whole_vectors`] needs: 0 if the channels fill whole vectors.
pub(super) fn whole_vectors_len(arch: Arch, shape: &ConvShape, dy: usize) -> usize {
    let padded = shape.oc.next_multiple_of(lanes(arch));
    if padded == shape.oc {
        0
    } else {
        dy / shape.oc * padded
    }
}

/// `dy` with its channels padded to whole vectors, in `copy`, or `dy` itself if no padding is
/// needed.
pub(super) fn whole_vectors<'a>(
    arch: Arch,
    shape: &ConvShape,
    dy: &'a [f32],
    copy: &'a mut [f32],
) -> &'a [f32] {
    let padded = shape.oc.next_multiple_of(lanes(arch));
    if padded == shape.oc {
        return dy;
    }
    for (dy, copy) in dy.chunks_exact(shape.oc).zip(copy.chunks_exact_mut(padded)) {
        copy[..shape.oc].copy_from_slice(dy);
        copy[shape.oc..].fill(0.0);
    }
    copy
}

/// Iterates over some of the kernel's rows `(ky, kx, ic)`.
#[derive(Clone)]
struct KernelRows {
    line: usize,
    /// From the end of one window row to the start of the next.
    skip: usize,
    oc: usize,
    place: usize,
    row: RowOffsets,
}

impl KernelRows {
    fn new(shape: &ConvShape, first: usize) -> Self {
        let line = shape.window.kw * shape.ic;
        let frame_line = Frame::new(&shape.window).w * shape.ic;
        Self {
            line,
            skip: frame_line - line,
            oc: shape.oc,
            place: first % line,
            row: RowOffsets {
                a: first / line * frame_line + first % line,
                c: 0,
            },
        }
    }
}

impl Iterator for KernelRows {
    type Item = RowOffsets;

    #[inline(always)]
    fn next(&mut self) -> Option<RowOffsets> {
        let row = self.row;
        self.row.a += 1;
        self.row.c += self.oc;
        self.place += 1;
        if self.place == self.line {
            self.place = 0;
            self.row.a += self.skip;
        }
        Some(row)
    }
}

/// Adds some samples' contribution to `dw`, which holds the kernel rows `rows`. `x` must be
/// [`framed`] and the channels of `dy` padded by [`whole_vectors`].
pub(super) fn backward_weight(
    arch: Arch,
    shape: &ConvShape,
    x: &[f32],
    dy: &[f32],
    rows: Range<usize>,
    dw: &mut [f32],
) {
    let (window, frame) = (&shape.window, Frame::new(&shape.window));
    let width = lanes(arch);
    let oc = shape.oc.next_multiple_of(width);
    let cells = window.oh * window.ow;
    // The kernel's rows stay in registers.
    for band in bands(shape, dy.len() / (cells * oc), 0) {
        arch.dispatch(Product {
            a: &x[band.corner(shape)..],
            b: Columns {
                data: &dy[band.cells(window).start * oc..],
                panel: 2 * width,
                count: shape.oc,
            },
            c: &mut *dw,
            walk: Walk {
                counts: [band.samples.len(), band.rows.len(), window.ow],
                a: [frame.h * frame.w, window.sh * frame.w, window.sw].map(|s| s * shape.ic),
                b: [cells, window.ow, 1].map(|s| s * oc),
            },
            rows: KernelRows::new(shape, rows.start),
            count: rows.len(),
            finish: AddTo,
        });
    }
}

/// Adds the sum of `dy` over all cells to `dbias`.
pub(super) fn backward_bias(arch: Arch, dy: &[f32], dbias: &mut [f32]) {
    arch.dispatch(|| {
        for dy in dy.chunks_exact(dbias.len()) {
            for (dbias, dy) in dbias.iter_mut().zip(dy) {
                *dbias += dy;
            }
        }
    });
}
