//! Which tile an invocation has: the one with the least estimated work.

use super::super::tuning::{Fetch, Tuning};
use super::{Correlation, block, cell_width};
use crate::shape::Window;

/// The tile of one invocation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tile {
    /// Samples, rows and columns of the patch.
    pub(super) ns: usize,
    pub(super) ph: usize,
    pub(super) pw: usize,
    /// Cells of output channels.
    pub(super) q: usize,
    /// Whether the four channels of a block are looped over. That keeps the text short, and costs
    /// a pass over the accumulators per channel.
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

/// The rectangle of pixels that is loaded for a patch, from this row and column under it on.
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

/// Tenths of cycles that a software adapter spends, for eight lanes, on a load from an image, on handing a
/// value round, on the arithmetic of one Cell, on keeping a Cell from one turn of a loop to the next, on
/// starting an invocation and on storing a Cell: fitted to lavapipe's times for 78 tiles of five kernels
/// (`benches/RESULTS.md`, 2026-11-25). Handing values round is lost in the rest; it has the one
/// instruction that it takes. On hardware the same ratios are a guess.
pub(super) const LOAD: usize = 320;
const BROADCAST: usize = 10;
const MULTIPLY_ADD: usize = 35;
pub(super) const KEEP: usize = 85;
const START: usize = 2800;
const STORE: usize = 980;
/// What is added to the arithmetic of one Cell where the loop's text has more products than the
/// instruction cache holds: 32 KiB, of some 72 bytes each.
const FETCHED: usize = 26;
const CACHED_PRODUCTS: usize = 450;

/// Most products in one kernel's text. Longer ones take seconds to compile.
pub(super) const LONGEST: usize = 1600;
/// Most pixels loaded for one patch, for the same reason.
pub(super) const MOST_PIXELS: usize = 300;
/// So many products have to save half the work of few.
const PATIENCE: f64 = 20000.0;

/// Loading so many vectors of each pixel, and handing round so many channels.
pub(super) fn fetching(fetch: Fetch, pixels: usize, vectors: usize, channels: usize) -> usize {
    match fetch {
        Fetch::Direct => pixels * vectors * LOAD,
        Fetch::Subgroup => pixels.div_ceil(8) * vectors * LOAD + pixels * channels * BROADCAST,
    }
}

/// The arithmetic of one Cell in a loop with so many products.
pub(super) fn multiply_add(products: usize) -> usize {
    match products > CACHED_PRODUCTS {
        true => MULTIPLY_ADD + FETCHED,
        false => MULTIPLY_ADD,
    }
}

/// A long text is slow to compile, and has to be worth it.
pub(super) fn patience(products: usize) -> f64 {
    1.0 + products as f64 / PATIENCE
}

impl Correlation {
    pub(super) fn lanes(&self, fetch: Fetch, q: usize) -> usize {
        match fetch {
            Fetch::Direct => 1,
            Fetch::Subgroup => 8 * q,
        }
    }

    /// The way to fetch: lanes can only hand pixels round if eight of them share a patch.
    pub(super) fn fetch(&self, tuning: &Tuning) -> Fetch {
        let cells = self.kc / cell_width(self.kc);
        match tuning.fetch {
            Fetch::Subgroup if cells.is_multiple_of(8) => Fetch::Subgroup,
            Fetch::Subgroup | Fetch::Direct => Fetch::Direct,
        }
    }

    /// The tile with the least estimated work that still keeps the adapter busy; none where the
    /// kernel or the pool is too large to be written out.
    pub(super) fn tile(&self, tuning: &Tuning) -> Option<Tile> {
        let cells = self.kc / cell_width(self.kc);
        let fetch = self.fetch(tuning);
        let mut best: Option<(f64, Tile)> = None;
        for q in [1, 2] {
            for ns in [1, 2, 4] {
                for ph in 1..=self.window.oh.min(16) {
                    for (pw, looped) in self.widths() {
                        let tile = Tile {
                            ns,
                            ph,
                            pw,
                            q,
                            looped,
                        };
                        let fits = tile.pixels() * q <= tuning.accumulators
                            && self.terms(&tile) <= LONGEST
                            && ns * self.footprint(&tile).len() <= MOST_PIXELS
                            && cells.is_multiple_of(self.lanes(fetch, q))
                            && cells.is_multiple_of(q)
                            && self.pools_whole(&tile)
                            && self.batch.is_multiple_of(ns);
                        if !fits {
                            continue;
                        }
                        let cost = self.cost(&tile, fetch, tuning);
                        if best.is_none_or(|(least, _)| cost < least) {
                            best = Some((cost, tile));
                        }
                    }
                }
            }
        }
        best.map(|(_, tile)| tile)
    }

    /// Whether a patch holds whole windows of the pool behind.
    pub(super) fn pools_whole(&self, tile: &Tile) -> bool {
        let (kh, kw) = self.pool.map_or((1, 1), |pool| pool.size);
        tile.ph.is_multiple_of(kh) && tile.pw.is_multiple_of(kw)
    }

    /// Products in the text.
    pub(super) fn terms(&self, tile: &Tile) -> usize {
        let written_out = if tile.looped { 1 } else { block(self.rc) };
        self.products(tile) * written_out
    }

    /// Products of one channel: those of each pixel with each tap that meets a loaded pixel.
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

    /// The widths of patches to try, with and without a loop over the channels of a block. Few taps
    /// make short sums, which are better made long by all channels in one expression.
    pub(super) fn widths(&self) -> impl Iterator<Item = (usize, bool)> {
        let can_loop = self.window.taps() >= 4 && block(self.rc) == 4;
        let loops = [false, true].into_iter().filter(move |l| !l || can_loop);
        (1..=self.window.ow.min(16)).flat_map(move |pw| loops.clone().map(move |l| (pw, l)))
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

    pub(super) fn cost(&self, tile: &Tile, fetch: Fetch, tuning: &Tuning) -> f64 {
        let rb = block(self.rc);
        let loads = if self.unpool.is_some() { 3 } else { 1 };
        let vectors = if rb == 4 { loads } else { rb * loads };
        let pixels = tile.ns * self.footprint(tile).len();
        let fetching = fetching(fetch, pixels, vectors, rb);
        let weights = self.window.taps() * rb * tile.q * LOAD;
        let arithmetic = self.products(tile) * rb * multiply_add(self.terms(tile));
        let cells = tile.pixels() * tile.q;
        let turns = self.rc / rb;
        let passes = match tile.looped {
            true => rb,
            false => usize::from(turns > 1),
        };
        let keeping = cells * passes * KEEP;
        let turn = fetching + weights + arithmetic + keeping;
        // Patches that only meet zeros cost nothing.
        let (down, _) = self.patches(tile);
        let live = self.reach().0.div_ceil(tile.ph) as f64 / down as f64;
        let invocations = self.invocations(tile);
        // Too few invocations leave a part of the adapter idle.
        let idle = (tuning.busy as f64 / invocations as f64).max(1.0);
        let work = (turn * turns + cells * STORE + START) as f64;
        work * invocations as f64 * live * idle * patience(self.terms(tile))
    }
}
