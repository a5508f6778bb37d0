//! Convolutions without sums over channels: channel `c` of the result depends on channel `c` of the
//! source alone.
//!
//! Vectors run along the channels. The passes take at most 3x3 cells of the kernel at a time, which
//! stay in registers for a whole row. Where the kernel's columns are adjacent, four columns of the
//! result are computed together, so that each cell of the source is read once for all of them.
//!
//! A source may have several planes per cell, `[n, h, w, planes, c]`, which are summed too; see
//! [`expand`].

#![expect(
    unsafe_code,
    reason = "the innermost loops, where a check of each place would cost half the speed"
)]
#![expect(
    clippy::needless_range_loop,
    reason = "these loops over constants unroll for certain, and index several arrays"
)]

use pulp::{MemMask, Simd, WithSimd};

use super::positions::Positions;

/// Columns of a tile.
const COLUMNS: usize = 4;

/// Rows and columns of the kernel that are processed together: with 4 sums (or, for the kernel's
/// gradient, 4 gradients) and a cell of the source, 9 cells fill 14 of 16 registers.
const SIDE: usize = 3;

/// Floats of the output gradient that are read for all channels before the next: with as many of
/// the input they fit the smallest caches.
const BAND: usize = 4096;

/// Some channels: a whole vector, or all of them if they are fewer.
#[derive(Clone, Copy)]
struct ChannelVector<S: Simd, const WHOLE: bool> {
    simd: S,
    first: usize,
    count: usize,
    mask: MemMask<S::m32s>,
}

impl<S: Simd, const WHOLE: bool> ChannelVector<S, WHOLE> {
    #[inline(always)]
    fn new(simd: S, first: usize, count: usize) -> Self {
        Self {
            simd,
            first,
            count,
            mask: simd.mask_between_m32s(0, count as u32),
        }
    }

    /// # Safety
    /// The channels can be read from `from` on.
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> S::f32s {
        if WHOLE {
            // SAFETY: as the caller says; a vector has the alignment of a float.
            unsafe { from.cast::<S::f32s>().read_unaligned() }
        } else {
            // SAFETY: as the caller says.
            unsafe { self.simd.mask_load_ptr_f32s(self.mask, from) }
        }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32], value: S::f32s) {
        // Full vectors use plain stores: masked stores are slow on some processors.
        if WHOLE {
            S::as_mut_simd_f32s(to).0[0] = value;
        } else {
            self.simd.partial_store_f32s(to, value);
        }
    }
}

/// Sizes of a pass over some samples.
#[derive(Clone, Copy, Debug)]
pub struct ChannelwiseLayout<'a> {
    pub rows: &'a Positions,
    pub columns: &'a Positions,
    /// Rows and columns of the result's image.
    pub result: [usize; 2],
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// [`Positions::whole`] of the columns.
    pub whole: (usize, usize),
    pub planes: usize,
    pub channels: usize,
}

impl ChannelwiseLayout<'_> {
    /// Floats of a cell of the source, and of one of the kernel.
    #[inline(always)]
    fn cell(&self) -> usize {
        self.planes * self.channels
    }

    /// Floats of a result image.
    #[inline(always)]
    fn result_image(&self) -> usize {
        self.result[0] * self.result[1] * self.channels
    }

    /// Panics unless all places within these sizes lie within the memory.
    fn check(&self, source: usize, kernel: usize, result: usize) {
        let samples = result / self.result_image();
        assert!(source >= samples * self.rows.size * self.columns.size * self.cell());
        let whole = self.columns.whole();
        assert_eq!(self.whole, (whole.start, whole.end));
        assert!(kernel >= self.kernel[0] * self.kernel[1] * self.cell());
        for (positions, size) in [self.rows, self.columns].into_iter().zip(self.kernel) {
            if positions.taps > 0 {
                assert!(positions.kernel < size && positions.kernel_of(positions.taps - 1) < size);
            }
        }
    }
}

/// `result[q, c] = f(bias[c] + Σ_{tap, plane} source[q + tap, plane, c] * kernel[tap, plane, c])`
/// for the result positions `rows` and `columns` of some samples.
pub struct ChannelwiseProduct<'a> {
    pub layout: ChannelwiseLayout<'a>,
    pub source: &'a [f32],
    pub kernel: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub relu: bool,
    pub result: &'a mut [f32],
}

/// One row of the result.
#[derive(Clone, Copy)]
struct Row {
    /// The first of the kernel's rows that lie within the source, and their number.
    ky: usize,
    taps: usize,
    /// Where the source's row starts that it reads.
    source: usize,
    /// The place of the result's first column.
    result: usize,
}

/// A pass over one row of the result, for some channels, that adds the terms of at most 3x3
/// kernel cells of one plane.
#[derive(Clone, Copy)]
struct ChannelwisePass {
    /// Where the first source row that it reads starts.
    source: usize,
    /// The place of the first kernel cell, and its number among the kernel's columns.
    kernel: usize,
    kx: usize,
    /// The place of the result's first column.
    result: usize,
    /// Whether the sums start here, and whether they are complete.
    first: bool,
    last: bool,
}

impl WithSimd for ChannelwiseProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let layout = self.layout;
        layout.check(self.source.len(), self.kernel.len(), self.result.len());
        for sample in 0..self.result.len() / layout.result_image() {
            for row in 0..layout.rows.count {
                let row = self.place(sample, row);
                if layout.channels < S::F32_LANES {
                    let all = ChannelVector::<S, false>::new(simd, 0, layout.channels);
                    self.row(all, row);
                    continue;
                }
                for first in (0..layout.channels).step_by(S::F32_LANES) {
                    // The last vector may overlap the one before.
                    let first = first.min(layout.channels - S::F32_LANES);
                    let vector = ChannelVector::<S, true>::new(simd, first, S::F32_LANES);
                    self.row(vector, row);
                }
            }
        }
    }
}

impl ChannelwiseProduct<'_> {
    /// Row number `row` of a sample's result.
    #[inline(always)]
    fn place(&self, sample: usize, row: usize) -> Row {
        let layout = self.layout;
        let ChannelwiseLayout { rows, columns, .. } = layout;
        let result = sample * layout.result[0] + rows.first + row * rows.step;
        let result = (result * layout.result[1] + columns.first) * layout.channels;
        let ky = rows.taps_within(row);
        if ky.is_empty() || columns.taps == 0 {
            return Row {
                ky: 0,
                taps: 0,
                source: 0,
                result,
            };
        }
        let y = (rows.source_of(row) + (ky.start * rows.gap) as isize) as usize;
        Row {
            ky: ky.start,
            taps: ky.len(),
            source: (sample * rows.size + y) * columns.size * layout.cell(),
            result,
        }
    }

    /// One row of the result.
    #[inline(always)]
    fn row<S: Simd, const WHOLE: bool>(&mut self, channels: ChannelVector<S, WHOLE>, row: Row) {
        let layout = self.layout;
        let ChannelwiseLayout { rows, columns, .. } = layout;
        let mut pass = ChannelwisePass {
            source: 0,
            kernel: 0,
            kx: 0,
            result: row.result + channels.first,
            first: true,
            last: false,
        };
        if row.taps == 0 {
            pass.last = true;
            return self.pass::<S, 0, 0, WHOLE>(channels, pass);
        }
        let mut ky = 0;
        while ky < row.taps {
            let height = (row.taps - ky).min(SIDE);
            let source = row.source + ky * rows.gap * columns.size * layout.cell();
            let mut kx = 0;
            while kx < columns.taps {
                let width = (columns.taps - kx).min(SIDE);
                let kernel = rows.kernel_of(row.ky + ky) * layout.kernel[1] + columns.kernel_of(kx);
                for plane in 0..layout.planes {
                    let within = plane * layout.channels + channels.first;
                    pass.source = source + within;
                    pass.kernel = kernel * layout.cell() + within;
                    pass.kx = kx;
                    pass.last = ky + height == row.taps
                        && kx + width == columns.taps
                        && plane + 1 == layout.planes;
                    macro_rules! pass_of {
                        ($($height:literal $width:literal,)*) => {
                            match (height, width) {
                                $(($height, $width) => {
                                    self.pass::<S, $height, $width, WHOLE>(channels, pass);
                                })*
                                _ => unreachable!("{height}x{width}"),
                            }
                        };
                    }
                    pass_of!(1 1, 1 2, 1 3, 2 1, 2 2, 2 3, 3 1, 3 2, 3 3,);
                    pass.first = false;
                }
                kx += width;
            }
            ky += height;
        }
    }

    /// The terms of `R`x`C` kernel cells.
    #[inline(always)]
    fn pass<S: Simd, const R: usize, const C: usize, const WHOLE: bool>(
        &mut self,
        channels: ChannelVector<S, WHOLE>,
        pass: ChannelwisePass,
    ) {
        let ChannelVector {
            simd, first, count, ..
        } = channels;
        let layout = self.layout;
        let ChannelwiseLayout { rows, columns, .. } = layout;
        let cell = layout.cell();
        let (advance, gap) = (columns.advance * cell, columns.gap * cell);
        let line = rows.gap * columns.size * cell;
        let start = match self.bias {
            // SAFETY: the slice has as many channels.
            Some(bias) => unsafe { channels.load(bias[first..first + count].as_ptr()) },
            None => simd.splat_f32s(0.0),
        };
        let mut weights = [[start; C]; R];
        let mut kernel = self.kernel.as_ptr().wrapping_add(pass.kernel);
        for r in 0..R {
            let mut place = kernel;
            for c in 0..C {
                // SAFETY: a cell of the kernel, which `check` has compared with the memory.
                weights[r][c] = unsafe { channels.load(place) };
                place = place.wrapping_offset(columns.kernel_step * cell as isize);
            }
            let kernel_line = layout.kernel[1] * cell;
            kernel = kernel.wrapping_offset(rows.kernel_step * kernel_line as isize);
        }
        let source = self.source.as_ptr().wrapping_add(pass.source);
        let source = source
            .wrapping_offset((columns.source + (pass.kx * columns.gap) as isize) * cell as isize);
        let step = columns.step * layout.channels;
        let result = &mut self.result[pass.result..];
        let result = &mut result[..(columns.count - 1) * step + count];
        let relu = self.relu && pass.last;
        macro_rules! start {
            ($column:expr) => {
                if pass.first {
                    start
                } else {
                    // SAFETY: the slice has as many channels.
                    unsafe { channels.load(result[$column * step..][..count].as_ptr()) }
                }
            };
        }
        macro_rules! finish {
            ($column:expr, $sum:expr) => {
                let mut sum = $sum;
                if relu {
                    let zero = simd.splat_f32s(0.0);
                    // Not a maximum: NaN is not less than zero, and stays.
                    sum = simd.select_f32s(simd.less_than_f32s(sum, zero), zero, sum);
                }
                channels.store(&mut result[$column * step..][..count], sum);
            };
        }
        let whole = layout.whole.0..layout.whole.1;
        for column in (0..whole.start).chain(whole.end..columns.count) {
            let x = columns.source_of(column) + (pass.kx * columns.gap) as isize;
            let mut sum = start!(column);
            let mut place = source.wrapping_add(column * advance);
            for r in 0..R {
                for c in 0..C {
                    if ((x + (c * columns.gap) as isize) as usize) < columns.size {
                        // SAFETY: a cell of the source.
                        let value = unsafe { channels.load(place.wrapping_add(c * gap)) };
                        sum = simd.mul_add_e_f32s(value, weights[r][c], sum);
                    }
                }
                place = place.wrapping_add(line);
            }
            finish!(column, sum);
        }
        let mut column = whole.start;
        let mut corner = source.wrapping_add(column * advance);
        if WHOLE && C > 1 && columns.gap == 1 && columns.advance == 1 {
            while column + COLUMNS <= whole.end {
                let mut sums = [start; COLUMNS];
                if !pass.first {
                    for t in 0..COLUMNS {
                        sums[t] = start!(column + t);
                    }
                }
                let mut row = corner;
                for r in 0..R {
                    let mut place = row;
                    for j in 0..COLUMNS + C - 1 {
                        // SAFETY: a cell of the source, as all columns' windows lie within.
                        let value = unsafe { channels.load(place) };
                        for c in 0..C {
                            if j >= c && j - c < COLUMNS {
                                sums[j - c] =
                                    simd.mul_add_e_f32s(value, weights[r][c], sums[j - c]);
                            }
                        }
                        place = place.wrapping_add(cell);
                    }
                    row = row.wrapping_add(line);
                }
                for t in 0..COLUMNS {
                    finish!(column + t, sums[t]);
                }
                column += COLUMNS;
                corner = corner.wrapping_add(COLUMNS * cell);
            }
        }
        for column in column..whole.end {
            let mut sum = start!(column);
            let mut row = corner;
            for r in 0..R {
                let mut place = row;
                for c in 0..C {
                    // SAFETY: a cell of the source, as all columns' windows lie within.
                    let value = unsafe { channels.load(place) };
                    sum = simd.mul_add_e_f32s(value, weights[r][c], sum);
                    place = place.wrapping_add(gap);
                }
                row = row.wrapping_add(line);
            }
            finish!(column, sum);
            corner = corner.wrapping_add(advance);
        }
    }
}

/// Adds `Σ_q source[q + tap, plane, c] * dy[q, c]` over some samples to
/// `gradient[tap, plane, c]`.
pub struct ChannelwiseGradient<'a> {
    /// That of the forward pass, whose result positions are all cells.
    pub layout: ChannelwiseLayout<'a>,
    pub source: &'a [f32],
    pub dy: &'a [f32],
    pub gradient: &'a mut [f32],
}

/// The output rows of a sample to sum over, and the kernel's cells and the plane to do it for.
#[derive(Clone, Copy)]
struct GradientPart {
    sample: usize,
    rows: (usize, usize),
    plane: usize,
    ky: usize,
    kx: usize,
}

impl WithSimd for ChannelwiseGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let layout = self.layout;
        layout.check(self.source.len(), self.gradient.len(), self.dy.len());
        let [h, w] = layout.result;
        let band = (BAND / (w * layout.channels)).max(1);
        for sample in 0..self.dy.len() / layout.result_image() {
            for row in (0..h).step_by(band) {
                for plane in 0..layout.planes {
                    let part = GradientPart {
                        sample,
                        rows: (row, h.min(row + band)),
                        plane,
                        ky: 0,
                        kx: 0,
                    };
                    for first in (0..layout.channels).step_by(S::F32_LANES) {
                        let count = layout.channels - first;
                        if count < S::F32_LANES {
                            self.parts(ChannelVector::<S, false>::new(simd, first, count), part);
                        } else {
                            let whole = ChannelVector::<S, true>::new(simd, first, S::F32_LANES);
                            self.parts(whole, part);
                        }
                    }
                }
            }
        }
    }
}

impl ChannelwiseGradient<'_> {
    /// The whole kernel.
    #[inline(always)]
    fn parts<S: Simd, const WHOLE: bool>(
        &mut self,
        channels: ChannelVector<S, WHOLE>,
        part: GradientPart,
    ) {
        let [kh, kw] = self.layout.kernel;
        let mut ky = 0;
        while ky < kh {
            let rows = if kh - ky < SIDE { 1 } else { SIDE };
            let mut kx = 0;
            while kx < kw {
                let columns = if kw - kx < SIDE { 1 } else { SIDE };
                let part = GradientPart { ky, kx, ..part };
                match (rows, columns) {
                    (1, 1) => self.part::<S, 1, 1, WHOLE>(channels, part),
                    (1, _) => self.part::<S, 1, SIDE, WHOLE>(channels, part),
                    (_, 1) => self.part::<S, SIDE, 1, WHOLE>(channels, part),
                    _ => self.part::<S, SIDE, SIDE, WHOLE>(channels, part),
                }
                kx += columns;
            }
            ky += rows;
        }
    }

    /// `R`x`C` cells of the kernel.
    #[inline(always)]
    fn part<S: Simd, const R: usize, const C: usize, const WHOLE: bool>(
        &mut self,
        channels: ChannelVector<S, WHOLE>,
        part: GradientPart,
    ) {
        let ChannelVector {
            simd, first, count, ..
        } = channels;
        let layout = self.layout;
        let ChannelwiseLayout { rows, columns, .. } = layout;
        let cell = layout.cell();
        let within = part.plane * layout.channels + first;
        let gradient = (part.ky * layout.kernel[1] + part.kx) * cell + within;
        let mut sums = [[simd.splat_f32s(0.0); C]; R];
        for r in 0..R {
            for c in 0..C {
                let at = gradient + (r * layout.kernel[1] + c) * cell;
                // SAFETY: the slice has as many channels.
                sums[r][c] = unsafe { channels.load(self.gradient[at..at + count].as_ptr()) };
            }
        }
        let adjacent = C > 1 && columns.gap == 1 && columns.advance == 1;
        for row in part.rows.0..part.rows.1 {
            let valid = rows.taps_within(row);
            let mut inside = [false; R];
            for r in 0..R {
                inside[r] = valid.contains(&(part.ky + r));
            }
            let y = rows.source_of(row) + (part.ky * rows.gap) as isize;
            let y = (part.sample * rows.size) as isize + y;
            let source = y * columns.size as isize * cell as isize + within as isize;
            let source = self.source.as_ptr().wrapping_offset(source);
            let line = rows.gap * columns.size * cell;
            let dy = (part.sample * layout.result[0] + row) * layout.result[1];
            let dy = &self.dy[dy * layout.channels + first..];
            let dy = dy[..(columns.count - 1) * layout.channels + count].as_ptr();
            let mut column = 0;
            if adjacent {
                while column + COLUMNS <= columns.count {
                    let mut values = [simd.splat_f32s(0.0); COLUMNS];
                    for (t, value) in values.iter_mut().enumerate() {
                        // SAFETY: the column is less than the number of columns.
                        *value = unsafe { channels.load(dy.add((column + t) * layout.channels)) };
                    }
                    let x = columns.source_of(column) + part.kx as isize;
                    let mut start = source.wrapping_offset(x * cell as isize);
                    for r in 0..R {
                        let mut place = start;
                        for j in 0..COLUMNS + C - 1 {
                            if inside[r] && ((x + j as isize) as usize) < columns.size {
                                // SAFETY: a cell within the source.
                                let value = unsafe { channels.load(place) };
                                for c in 0..C {
                                    if j >= c && j - c < COLUMNS {
                                        let dy = values[j - c];
                                        sums[r][c] = simd.mul_add_e_f32s(value, dy, sums[r][c]);
                                    }
                                }
                            }
                            place = place.wrapping_add(cell);
                        }
                        start = start.wrapping_add(line);
                    }
                    column += COLUMNS;
                }
            }
            for column in column..columns.count {
                // SAFETY: the column is less than the number of columns.
                let dy = unsafe { channels.load(dy.add(column * layout.channels)) };
                let x = columns.source_of(column) + (part.kx * columns.gap) as isize;
                let mut start = source.wrapping_offset(x * cell as isize);
                for c in 0..C {
                    if ((x + (c * columns.gap) as isize) as usize) < columns.size {
                        let mut place = start;
                        for r in 0..R {
                            if inside[r] {
                                // SAFETY: a cell within the source.
                                let value = unsafe { channels.load(place) };
                                sums[r][c] = simd.mul_add_e_f32s(value, dy, sums[r][c]);
                            }
                            place = place.wrapping_add(line);
                        }
                    }
                    start = start.wrapping_add(columns.gap * cell);
                }
            }
        }
        for r in 0..R {
            for c in 0..C {
                let at = gradient + (r * layout.kernel[1] + c) * cell;
                channels.store(&mut self.gradient[at..at + count], sums[r][c]);
            }
        }
    }
}

/// Copies `image`, whose cells have groups of `from` channels, so that a convolution between those
/// and groups of `to` channels needs no sums over channels: plane `i` of a cell has, for each
/// channel of the result, channel `i` of the channel's group.
pub fn expand(image: &[f32], [from, to]: [usize; 2], groups: usize, expanded: &mut [f32]) {
    let cells = image.chunks_exact(groups * from);
    for (cell, planes) in cells.zip(expanded.chunks_exact_mut(groups * from * to)) {
        for (i, plane) in planes.chunks_exact_mut(groups * to).enumerate() {
            let values = cell.iter().skip(i).step_by(from);
            for (value, group) in values.zip(plane.chunks_exact_mut(to)) {
                group.fill(*value);
            }
        }
    }
}
