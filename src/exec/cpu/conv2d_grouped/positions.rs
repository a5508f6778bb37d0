//! One axis of a pass over images: which result positions read which source positions.

use std::ops::Range;

use crate::shape::Window;

/// One axis of a [`Window`].
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    input: usize,
    output: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    pad: usize,
}

/// Result positions, evenly spaced, that read the same kernel cells, and the source positions that
/// they read: the result's position number `p` reads `source + p * advance + t * gap` for its
/// `t`-th kernel cell, unless that lies outside the source.
#[derive(Clone, Copy, Debug)]
pub struct Positions {
    /// The first result position, the distance from one to the next, and their number.
    pub first: usize,
    pub step: usize,
    pub count: usize,
    pub source: isize,
    pub advance: usize,
    pub gap: usize,
    /// Length of the source's axis.
    pub size: usize,
    /// The first kernel cell, the distance from one to the next, and their number.
    pub kernel: usize,
    pub kernel_step: isize,
    pub taps: usize,
}

impl Axis {
    /// Rows and columns.
    pub fn both(w: &Window) -> [Self; 2] {
        [
            Self {
                input: w.ih,
                output: w.oh,
                kernel: w.kh,
                stride: w.sh,
                dilation: w.dh,
                pad: w.pad_top,
            },
            Self {
                input: w.iw,
                output: w.ow,
                kernel: w.kw,
                stride: w.sw,
                dilation: w.dw,
                pad: w.pad_left,
            },
        ]
    }

    /// The result is the output and the source the input.
    pub fn forward(&self) -> Positions {
        Positions {
            first: 0,
            step: 1,
            count: self.output,
            source: -(self.pad as isize),
            advance: self.stride,
            gap: self.dilation,
            size: self.input,
            kernel: 0,
            kernel_step: 1,
            taps: self.kernel,
        }
    }

    /// The result is the input and the source the output. Each input position is in one of the
    /// groups, those that no window covers too.
    pub fn backward(&self) -> Vec<Positions> {
        (0..self.stride.min(self.input))
            .map(|first| self.backward_from(first))
            .collect()
    }

    /// Input positions one stride apart.
    fn backward_from(&self, first: usize) -> Positions {
        // Kernel cell `k` of output `o` reads padded position `o * stride + k * dilation`.
        let place = (first + self.pad) as isize;
        let (stride, dilation) = (self.stride as isize, self.dilation as isize);
        let cells: Vec<usize> = (0..self.kernel)
            .filter(|&k| (place - k as isize * dilation) % stride == 0)
            .collect();
        // From the last to the first, so that the source position rises.
        let last = cells.last().copied().unwrap_or(0);
        let step = if let [first, second, ..] = cells[..] {
            second - first
        } else {
            1
        };
        Positions {
            first,
            step: self.stride,
            count: (self.input - first).div_ceil(self.stride),
            source: (place - last as isize * dilation).div_euclid(stride),
            advance: 1,
            gap: step * self.dilation / self.stride,
            size: self.output,
            kernel: last,
            kernel_step: -(step as isize),
            taps: cells.len(),
        }
    }
}

impl Positions {
    /// The source position that position number `p` reads for its first kernel cell.
    #[inline(always)]
    pub fn source_of(&self, p: usize) -> isize {
        self.source + (p * self.advance) as isize
    }

    /// The kernel cells of position number `p` that lie within the source.
    #[inline(always)]
    pub fn taps_within(&self, p: usize) -> Range<usize> {
        let start = self.source_of(p);
        let gap = self.gap.max(1);
        let before = (-start).max(0) as usize;
        let left = (self.size as isize - start).max(0) as usize;
        let end = self.taps.min(left.div_ceil(gap));
        before.div_ceil(gap).min(end)..end
    }

    /// The positions all of whose kernel cells lie within the source.
    pub fn whole(&self) -> Range<usize> {
        let advance = self.advance.max(1);
        let start = ((-self.source).max(0) as usize).div_ceil(advance);
        let reach = (self.taps.max(1) - 1) * self.gap;
        let left = self.size as isize - reach as isize - self.source;
        let end = (left.max(0) as usize).div_ceil(advance).min(self.count);
        start.min(end)..end
    }

    /// The index of kernel cell number `t`.
    #[inline(always)]
    pub fn kernel_of(&self, t: usize) -> usize {
        (self.kernel as isize + t as isize * self.kernel_step) as usize
    }

    /// Source positions before its start and after its end that are read.
    pub fn overhang(&self) -> [usize; 2] {
        let reach =
            self.count.saturating_sub(1) * self.advance + self.taps.saturating_sub(1) * self.gap;
        let end = self.source + reach as isize + 1;
        [
            (-self.source).max(0) as usize,
            (end - self.size as isize).max(0) as usize,
        ]
    }
}
