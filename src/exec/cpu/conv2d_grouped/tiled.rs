//! Convolutions with sums over several channels: a product for each group, computed by
//! [`tile`](super::super::tile), which reads a padded copy of the source in place.

use pulp::Arch;

use super::super::conv2d::GridOffsets;
use super::super::scratch;
use super::super::tile::{AddTo, Bias, Columns, Finish, Product, RowOffsets, Set, Walk, lanes};
use super::positions::{Axis, Positions};
use crate::plan::ConvShape;

/// Samples with more bytes are processed one by one, so that one is in cache for all groups.
const BAND: usize = 256 * 1024;

/// A source with as much padding as the windows need.
#[derive(Clone, Copy)]
struct PlaneFrame {
    /// Rows and columns of the image, and of the frame.
    image: [usize; 2],
    size: [usize; 2],
    /// Padding above and to the left.
    before: [usize; 2],
    channels: usize,
}

impl PlaneFrame {
    fn new(axes: [&[Positions]; 2], channels: usize) -> Self {
        let image = axes.map(|all| all.first().map_or(0, |positions| positions.size));
        let most =
            |i: usize| axes.map(|all| all.iter().map(|p| p.overhang()[i]).max().unwrap_or(0));
        let (before, after) = (most(0), most(1));
        Self {
            image,
            size: [0, 1].map(|i| before[i] + image[i] + after[i]),
            before,
            channels,
        }
    }

    /// Floats of a framed image.
    fn len(&self) -> usize {
        self.size[0] * self.size[1] * self.channels
    }

    /// Floats that [`PlaneFrame::fill`] needs: 0 without padding.
    fn copy_len(&self, samples: usize) -> usize {
        if self.size == self.image {
            0
        } else {
            samples * self.len()
        }
    }

    /// The zero-padded images, in `copy`, or the images themselves if there is no padding.
    fn fill<'a>(&self, images: &'a [f32], copy: &'a mut [f32]) -> &'a [f32] {
        if self.size == self.image {
            return images;
        }
        copy.fill(0.0);
        let width = self.image[1] * self.channels;
        let [top, left] = self.before;
        let samples = images.chunks_exact(self.image[0] * width);
        for (image, copy) in samples.zip(copy.chunks_exact_mut(self.len())) {
            for (y, row) in image.chunks_exact(width).enumerate() {
                let to = ((y + top) * self.size[1] + left) * self.channels;
                copy[to..][..width].copy_from_slice(row);
            }
        }
        copy
    }

    /// Strides from one cell, row and image to the next.
    fn strides(&self) -> [usize; 3] {
        [self.channels, self.size[1] * self.channels, self.len()]
    }
}

/// Columns of a panel of a packed kernel.
fn panel_width(arch: Arch, columns: usize) -> usize {
    let lanes = lanes(arch);
    if columns <= lanes { lanes } else { 2 * lanes }
}

/// Floats of a group's packed kernel.
fn packed_group(arch: Arch, shape: &ConvShape, [terms, columns]: [usize; 2]) -> usize {
    shape.window.taps() * terms * columns.next_multiple_of(panel_width(arch, columns))
}

/// Packs a kernel: for each group and panel of columns, the kernel's cells, each with its terms in
/// sequence, padded with zeros. `at` gives the place of a group's, cell's, term's and column's
/// weight.
fn pack(
    arch: Arch,
    shape: &ConvShape,
    [terms, columns]: [usize; 2],
    w: &[f32],
    packed: &mut [f32],
    at: impl Fn(usize, usize, usize, usize) -> usize,
) {
    let (width, taps) = (panel_width(arch, columns), shape.window.taps());
    let lines = packed.chunks_exact_mut(width).enumerate();
    for (i, line) in lines {
        let (term, tap) = (i % terms, i / terms % taps);
        let (panel, group) = (i / terms / taps, columns.div_ceil(width));
        let (group, first) = (panel / group, panel % group * width);
        for (j, packed) in line.iter_mut().enumerate() {
            *packed = if first + j < columns {
                w[at(group, tap, term, first + j)]
            } else {
                0.0
            };
        }
    }
}

/// Packs the kernel for [`forward`], then the bias.
pub fn pack_forward(
    arch: Arch,
    shape: &ConvShape,
    w: &[f32],
    bias: Option<&[f32]>,
    packed: &mut Vec<f32>,
) {
    let group @ [inputs, outputs] = shape.group();
    let kernel = shape.groups * packed_group(arch, shape, group);
    let padded = outputs.next_multiple_of(panel_width(arch, outputs));
    let packed = scratch::resize(packed, kernel + shape.groups * padded);
    let (kernel, padded_bias) = packed.split_at_mut(kernel);
    pack(arch, shape, group, w, kernel, |group, tap, i, o| {
        (tap * inputs + i) * shape.oc + group * outputs + o
    });
    padded_bias.fill(0.0);
    if let Some(bias) = bias {
        let groups = padded_bias.chunks_exact_mut(padded);
        for (padded, bias) in groups.zip(bias.chunks_exact(outputs)) {
            padded[..outputs].copy_from_slice(bias);
        }
    }
}

/// Packs the kernel for [`backward_input`], with its cells from last to first.
pub fn pack_backward(arch: Arch, shape: &ConvShape, w: &[f32], packed: &mut Vec<f32>) {
    let [inputs, outputs] = shape.group();
    let group = [outputs, inputs];
    let packed = scratch::resize(packed, shape.groups * packed_group(arch, shape, group));
    let last = shape.window.taps() - 1;
    pack(arch, shape, group, w, packed, |group, tap, o, i| {
        ((last - tap) * inputs + i) * shape.oc + group * outputs + o
    });
}

/// One direction of the convolution.
struct GroupedProduct<'a> {
    arch: Arch,
    shape: &'a ConvShape,
    /// A group's channels in the source and in the result.
    group: [usize; 2],
    rows: &'a [Positions],
    columns: &'a [Positions],
    /// Rows and columns of the result.
    result: [usize; 2],
}

impl GroupedProduct<'_> {
    /// The products of every group of rows with every group of columns and every group of
    /// channels.
    fn run<F: Finish>(
        &self,
        source: &[f32],
        kernel: &[f32],
        finish: impl Fn(usize) -> F,
        result: &mut [f32],
    ) {
        let (arch, groups) = (self.arch, self.shape.groups);
        let frame = PlaneFrame::new([self.rows, self.columns], groups * self.group[0]);
        let image = frame.image[0] * frame.image[1] * frame.channels;
        let result_image = self.result[0] * self.result[1] * groups * self.group[1];
        let samples = result.len() / result_image;
        let step = if 4 * (image + result_image) <= BAND {
            samples
        } else {
            1
        };
        let sources = source.chunks(step * image);
        for (source, result) in sources.zip(result.chunks_mut(step * result_image)) {
            let samples = result.len() / result_image;
            scratch::with(frame.copy_len(samples), |copy| {
                let source = frame.fill(source, copy);
                let packed = packed_group(arch, self.shape, self.group);
                for (i, kernel) in kernel.chunks_exact(packed).take(groups).enumerate() {
                    let source = &source[i * self.group[0]..];
                    let result = &mut result[i * self.group[1]..];
                    self.group(&frame, samples, (source, kernel), finish(i), result);
                }
            });
        }
    }

    /// The products of one group of channels.
    fn group(
        &self,
        frame: &PlaneFrame,
        samples: usize,
        (source, kernel): (&[f32], &[f32]),
        finish: impl Finish,
        result: &mut [f32],
    ) {
        let [terms, columns] = self.group;
        let (kw, width) = (self.shape.window.kw, panel_width(self.arch, columns));
        let channels = self.shape.groups * columns;
        let [cell, line, image] = frame.strides();
        let by_columns = |y| self.columns.iter().map(move |x| (y, x));
        for (y, x) in self.rows.iter().flat_map(by_columns) {
            let before = |p: &Positions, before: usize| (before as isize + p.source) as usize;
            let corner = RowOffsets {
                a: before(y, frame.before[0]) * line + before(x, frame.before[1]) * cell,
                c: (y.first * self.result[1] + x.first) * channels,
            };
            // A kernel packed from last to first is read in its order.
            let place = |p: &Positions, size: usize| match p.kernel_step {
                ..0 => (size - 1 - p.kernel, p.kernel_step.unsigned_abs()),
                step => (p.kernel, step as usize),
            };
            let (ky, step_y) = place(y, self.shape.window.kh);
            let (kx, step_x) = place(x, kw);
            self.arch.dispatch(Product {
                a: source,
                b: Columns {
                    data: &kernel[(ky * kw + kx) * terms * width..],
                    panel: self.shape.window.taps() * terms * width,
                    count: columns,
                },
                c: &mut *result,
                walk: Walk {
                    counts: [y.taps, x.taps, terms],
                    a: [y.gap * line, x.gap * cell, 1],
                    b: [step_y * kw * terms, step_x * terms, 1].map(|s| s * width),
                },
                rows: GridOffsets::new(
                    corner,
                    [x.count, y.count],
                    [x.advance * cell, y.advance * line, image],
                    [
                        x.step * channels,
                        y.step * self.result[1] * channels,
                        self.result[0] * self.result[1] * channels,
                    ],
                ),
                count: samples * y.count * x.count,
                finish,
            });
        }
    }
}

/// `y = f(x ⋆ w + bias)` for some samples, with `f` ReLU or nothing.
pub fn forward(
    arch: Arch,
    shape: &ConvShape,
    x: &[f32],
    packed: &[f32],
    relu: bool,
    y: &mut [f32],
) {
    let group @ [_, outputs] = shape.group();
    let [rows, columns] = Axis::both(&shape.window).map(|axis| [axis.forward()]);
    let (kernel, bias) = packed.split_at(shape.groups * packed_group(arch, shape, group));
    let padded = outputs.next_multiple_of(panel_width(arch, outputs));
    let pass = GroupedProduct {
        arch,
        shape,
        group,
        rows: &rows,
        columns: &columns,
        result: [shape.window.oh, shape.window.ow],
    };
    let finish = |i: usize| Bias {
        bias: &bias[i * padded..(i + 1) * padded],
        relu,
    };
    pass.run(x, kernel, finish, y);
}

/// `dx` for some samples, before any activation.
pub fn backward_input(arch: Arch, shape: &ConvShape, dy: &[f32], packed: &[f32], dx: &mut [f32]) {
    let [inputs, outputs] = shape.group();
    let [rows, columns] = Axis::both(&shape.window).map(|axis| axis.backward());
    if rows.iter().chain(&columns).any(|p| p.taps == 0) {
        dx.fill(0.0);
    }
    let pass = GroupedProduct {
        arch,
        shape,
        group: [outputs, inputs],
        rows: &rows,
        columns: &columns,
        result: [shape.window.ih, shape.window.iw],
    };
    pass.run(dy, packed, |_| Set, dx);
}

/// Adds some samples' contribution to `dw`.
pub fn backward_weight(arch: Arch, shape: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let [inputs, outputs] = shape.group();
    let window = &shape.window;
    let [rows, columns] = Axis::both(window).map(|axis| axis.forward());
    let frame = PlaneFrame::new([&[rows], &[columns]], shape.ic);
    let [cell, line, image] = frame.strides();
    let source_image = window.ih * window.iw * shape.ic;
    let cells = window.oh * window.ow;
    let samples = dy.len() / (cells * shape.oc);
    let step = if 4 * (source_image + cells * shape.oc) <= BAND {
        samples
    } else {
        1
    };
    // The last vector of the last cell may reach over the end.
    let over = outputs.next_multiple_of(lanes(arch)) - outputs;
    let sources = x.chunks(step * source_image);
    for (x, dy) in sources.zip(dy.chunks(step * cells * shape.oc)) {
        let samples = dy.len() / (cells * shape.oc);
        let framed = frame.copy_len(samples);
        let padded = if over > 0 { dy.len() + over } else { 0 };
        scratch::with(framed + padded, |copy| {
            let (framed, padded) = copy.split_at_mut(framed);
            let x = frame.fill(x, framed);
            let dy = if over > 0 {
                padded[..dy.len()].copy_from_slice(dy);
                padded[dy.len()..].fill(0.0);
                padded
            } else {
                dy
            };
            for group in 0..shape.groups {
                arch.dispatch(Product {
                    a: &x[group * inputs..],
                    b: Columns {
                        data: &dy[group * outputs..],
                        panel: 2 * lanes(arch),
                        count: outputs,
                    },
                    c: &mut dw[group * outputs..],
                    walk: Walk {
                        counts: [samples, window.oh, window.ow],
                        a: [image, rows.advance * line, columns.advance * cell],
                        b: [cells, window.ow, 1].map(|s| s * shape.oc),
                    },
                    // The kernel's cells.
                    rows: GridOffsets::new(
                        RowOffsets::default(),
                        [inputs, window.kw],
                        [1, columns.gap * cell, rows.gap * line],
                        [1, inputs, window.kw * inputs].map(|s| s * shape.oc),
                    ),
                    count: window.taps() * inputs,
                    finish: AddTo,
                });
            }
        });
    }
}
