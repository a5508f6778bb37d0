//! What a tiled kernel computes, and the tile of one invocation.

use super::super::tuning::{Fetch, Tuning};
use crate::shape::Window;

/// A correlation: the forward pass of a convolution and, with the kernel flipped and transposed,
/// its input gradient at stride 1.
#[derive(Clone, Copy, Debug)]
pub struct Correlation {
    /// Samples.
    pub batch: usize,
    /// Sizes and strides; `ih`, `iw` are those of the tensor read.
    pub window: Window,
    /// Channels read and summed over.
    pub rc: usize,
    /// Channels written.
    pub kc: usize,
    /// True if the weights of the forward pass have to be flipped and transposed.
    pub flipped: bool,
    /// Rows and columns of the tensor read that can be nonzero; the rest is skipped.
    pub nonzero: (usize, usize),
    /// A max pool applied to the result before it is stored; the window then ends where the last
    /// pool does.
    pub pool: Option<Pool>,
    /// Set if the tensor read is the gradient of a max pool's input, computed on the fly from the
    /// gradient of its output.
    pub unpool: Option<Unpool>,
}

/// A max pool of windows that do not overlap.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Height and width.
    pub size: (usize, usize),
    /// Whether to store the indices of the cells taken.
    pub argmax: bool,
}

/// The backward pass of a max pool whose windows do not overlap: a cell that the pool took has the
/// gradient of its window, times the derivative of the activation that produced it.
#[derive(Clone, Copy, Debug)]
pub struct Unpool {
    /// Height and width of a window.
    pub size: (usize, usize),
    /// Rows and columns of windows.
    pub windows: (usize, usize),
}

/// Channels per Cell: 4 if the number of channels is a multiple of 4, otherwise 1.
pub fn cell_width(channels: usize) -> usize {
    if channels.is_multiple_of(4) { 4 } else { 1 }
}

/// Input channels per iteration: a vec4, or as many single floats.
pub(super) fn block(channels: usize) -> usize {
    match channels {
        c if c.is_multiple_of(4) => 4,
        c if c.is_multiple_of(3) => 3,
        c if c.is_multiple_of(2) => 2,
        _ => 1,
    }
}

impl Correlation {
    /// The pixels that a patch reads. Along an axis where the patch covers the whole output, pixels
    /// outside the input are known here and left out; elsewhere the kernel tests for them.
    pub(super) fn footprint(&self, tile: &Tile) -> Footprint {
        let w = &self.window;
        let (down, across) = self.patches(tile);
        let (rows, columns) = covered(w, tile.ph, tile.pw);
        let known = |patches, pad, nonzero: usize, all| match patches {
            1 => (pad, nonzero.min(all - pad)),
            _ => (0, all),
        };
        let (row, rows) = known(down, w.pad_top, self.nonzero.0, rows);
        let (column, columns) = known(across, w.pad_left, self.nonzero.1, columns);
        Footprint {
            row,
            column,
            rows,
            columns,
        }
    }

    /// For rows and for columns, whether the kernel must test for pixels outside the input.
    pub(super) fn guarded(&self, tile: &Tile) -> (bool, bool) {
        let w = &self.window;
        let (down, across) = self.patches(tile);
        let (th, tw) = covered(w, tile.ph, tile.pw);
        let guarded = |patches: usize, pad, step: usize, covered, nonzero| {
            patches > 1 && (pad > 0 || (patches - 1) * step + covered > nonzero)
        };
        (
            guarded(down, w.pad_top, tile.ph * w.sh, th, self.nonzero.0),
            guarded(across, w.pad_left, tile.pw * w.sw, tw, self.nonzero.1),
        )
    }

    /// Rows and columns of output that can be nonzero.
    pub(super) fn reach(&self) -> (usize, usize) {
        let w = &self.window;
        (
            (self.nonzero.0 + w.pad_top).div_ceil(w.sh).min(w.oh),
            (self.nonzero.1 + w.pad_left).div_ceil(w.sw).min(w.ow),
        )
    }

    pub(super) fn lanes(&self, fetch: Fetch, q: usize) -> usize {
        match fetch {
            Fetch::Direct => 1,
            Fetch::Subgroup => Fetch::LANES * q,
        }
    }

    /// How pixels are obtained: lanes can share them only if eight of them share a patch.
    pub(super) fn fetch(&self, tuning: &Tuning) -> Fetch {
        let cells = self.kc / cell_width(self.kc);
        match tuning.fetch {
            Fetch::Subgroup if cells.is_multiple_of(Fetch::LANES) => Fetch::Subgroup,
            Fetch::Subgroup | Fetch::Direct => Fetch::Direct,
        }
    }

    /// Whether a patch consists of whole windows of the pool.
    pub(super) fn pools_whole(&self, tile: &Tile) -> bool {
        let (kh, kw) = self.pool.map_or((1, 1), |pool| pool.size);
        tile.ph.is_multiple_of(kh) && tile.pw.is_multiple_of(kw)
    }

    /// Number of products in the text.
    pub(super) fn terms(&self, tile: &Tile) -> usize {
        let written_out = if tile.looped { 1 } else { block(self.rc) };
        self.products(tile) * written_out
    }

    /// Products per channel: of each pixel with each tap that meets a loaded pixel.
    pub(super) fn products(&self, tile: &Tile) -> usize {
        let w = &self.window;
        let foot = self.footprint(tile);
        let meet = |patch: usize, stride: usize, taps: usize, first: usize, count: usize| {
            let places = (0..patch).flat_map(|p| (0..taps).map(move |tap| p * stride + tap));
            places
                .filter(|at| (first..first + count).contains(at))
                .count()
        };
        let down = meet(tile.ph, w.sh, w.kh, foot.row, foot.rows);
        let across = meet(tile.pw, w.sw, w.kw, foot.column, foot.columns);
        tile.ns * tile.q * down * across
    }

    pub(super) fn patches(&self, tile: &Tile) -> (usize, usize) {
        let w = &self.window;
        (w.oh.div_ceil(tile.ph), w.ow.div_ceil(tile.pw))
    }

    pub(super) fn invocations(&self, tile: &Tile) -> usize {
        let (down, across) = self.patches(tile);
        let cells = self.kc / cell_width(self.kc);
        cells / tile.q * down * across * (self.batch / tile.ns)
    }
}

/// The tile of one invocation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tile {
    /// Number of samples, rows and columns of the patch.
    pub(super) ns: usize,
    pub(super) ph: usize,
    pub(super) pw: usize,
    /// Number of Cells of output channels.
    pub(super) q: usize,
    /// Whether the text loops over the four channels of a block, which shortens it but costs a pass
    /// over the accumulators per channel.
    pub(super) looped: bool,
}

impl Tile {
    pub(super) fn pixels(&self) -> usize {
        self.ns * self.ph * self.pw
    }

    /// Sample, row and column of output pixel `p`.
    pub(super) fn split(&self, p: usize) -> (usize, usize, usize) {
        let (row, column) = (p / self.pw % self.ph, p % self.pw);
        (p / (self.ph * self.pw), row, column)
    }
}

/// The rectangle of pixels loaded for a patch, starting at this row and column under it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Footprint {
    pub(super) row: usize,
    pub(super) column: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Footprint {
    pub(super) fn len(&self) -> usize {
        self.rows * self.columns
    }

    /// The number of a pixel under the patch, if it is loaded.
    pub(super) fn number(&self, sample: usize, row: usize, column: usize) -> Option<usize> {
        let r = row.checked_sub(self.row).filter(|&r| r < self.rows)?;
        let c = column
            .checked_sub(self.column)
            .filter(|&c| c < self.columns)?;
        Some(sample * self.len() + r * self.columns + c)
    }
}

/// Rows and columns of input under a patch.
pub(super) fn covered(window: &Window, ph: usize, pw: usize) -> (usize, usize) {
    (
        (ph - 1) * window.sh + window.kh,
        (pw - 1) * window.sw + window.kw,
    )
}

/// The gradient of a convolution's kernel and bias.
#[derive(Clone, Copy, Debug)]
pub struct WeightGradient {
    /// Samples.
    pub batch: usize,
    /// The forward pass's sizes.
    pub window: Window,
    /// Input channels.
    pub ic: usize,
    /// Output channels.
    pub oc: usize,
    /// Whether there is a bias.
    pub bias: bool,
    /// Rows and columns of the tensor `dy`; the window's output size may be smaller if the rest of
    /// `dy` is known to be zero.
    pub dy: (usize, usize),
    /// Height and width of the max pool after the convolution, if `dy` is the gradient of the
    /// pool's output and the pool's backward pass happens here.
    pub pool: Option<(usize, usize)>,
}

/// How a kernel gradient is divided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightTile {
    /// Rows and columns of output pixels per iteration.
    pub(super) ph: usize,
    pub(super) pw: usize,
    /// Input channels and cells of output channels per invocation.
    pub(super) rb: usize,
    pub(super) q: usize,
    /// Number of parts of the batch, each summed separately.
    pub splits: usize,
}

impl WeightTile {
    /// The patch loaded per iteration.
    pub(super) fn patch(&self) -> Tile {
        Tile {
            ns: 1,
            ph: self.ph,
            pw: self.pw,
            q: self.q,
            looped: false,
        }
    }
}

impl WeightGradient {
    pub(super) fn fetch(&self, tuning: &Tuning) -> Fetch {
        let cells = self.oc / cell_width(self.oc);
        match tuning.fetch {
            Fetch::Subgroup if cells.is_multiple_of(Fetch::LANES) => Fetch::Subgroup,
            Fetch::Subgroup | Fetch::Direct => Fetch::Direct,
        }
    }

    /// Number of patches in all samples.
    pub(super) fn units(&self, ph: usize, pw: usize) -> usize {
        self.batch * self.window.oh.div_ceil(ph) * self.window.ow.div_ceil(pw)
    }

    /// The forward pass, which loads the same pixels.
    pub(super) fn as_correlation(&self) -> Correlation {
        let w = self.window;
        Correlation {
            batch: self.batch,
            window: w,
            rc: self.ic,
            kc: self.oc,
            flipped: false,
            nonzero: (w.ih, w.iw),
            pool: None,
            unpool: None,
        }
    }
}
