//! The search for the tile with the least estimated work.

use std::iter::successors;

use super::super::tuning::{Costs, Fetch, Tuning};
use super::geometry::{Correlation, Tile, WeightGradient, WeightTile, block, cell_width, covered};

impl Costs {
    /// The cost of loading `vectors` vectors of each pixel and sharing `channels` channels.
    fn fetching(&self, fetch: Fetch, pixels: usize, vectors: usize, channels: usize) -> usize {
        match fetch {
            Fetch::Direct => pixels * vectors * self.load,
            Fetch::Subgroup => {
                pixels.div_ceil(Fetch::LANES) * vectors * self.load
                    + pixels * channels * self.broadcast
            }
        }
    }

    /// The cost of one Cell's arithmetic in a loop with this many products.
    fn arithmetic(&self, products: usize) -> usize {
        if products > self.cached_products {
            self.multiply_add + self.fetched
        } else {
            self.multiply_add
        }
    }

    /// A factor that weighs the compile time of a long text.
    fn compile_penalty(&self, products: usize) -> f64 {
        1.0 + products as f64 / self.penalty_products as f64
    }
}

/// 1, 2, 4 and so on up to `most`.
fn powers_of_two(most: usize) -> impl Iterator<Item = usize> {
    successors(Some(1), |n| Some(2 * n)).take_while(move |n| *n <= most)
}

/// `most`, half of it and so on down to 1.
fn halves(most: usize) -> impl Iterator<Item = usize> {
    successors(Some(most), |n| Some(n / 2)).take_while(|n| *n > 0)
}

impl Correlation {
    /// Whether the kernel can be unrolled.
    pub fn is_possible(&self, tuning: &Tuning) -> bool {
        self.tile(tuning).is_some()
    }

    /// The tile with the least estimated work, including that of idle parts of the adapter; `None`
    /// if the kernel or the pool is too large to unroll.
    pub(super) fn tile(&self, tuning: &Tuning) -> Option<Tile> {
        let cells = self.kc / cell_width(self.kc);
        let fetch = self.fetch(tuning);
        let mut best: Option<(f64, Tile)> = None;
        let search = &tuning.search;
        for q in powers_of_two(search.cells) {
            for ns in powers_of_two(search.samples) {
                for ph in 1..=self.window.oh.min(search.patch[0]) {
                    for (pw, looped) in self.widths(search.patch[1]) {
                        let tile = Tile {
                            ns,
                            ph,
                            pw,
                            q,
                            looped,
                        };
                        let fits = tile.pixels() * q <= tuning.accumulators
                            && self.terms(&tile) <= tuning.max_products
                            && ns * self.footprint(&tile).len() <= tuning.max_pixels
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

    /// The widths of patches to try, up to `most`, with and without a loop over the channels of a block. With few
    /// taps, sums are short and are better extended over all channels in one expression.
    fn widths(&self, most: usize) -> impl Iterator<Item = (usize, bool)> {
        let can_loop = self.window.taps() >= 4 && block(self.rc) == 4;
        let loops = [false, true].into_iter().filter(move |l| !l || can_loop);
        (1..=self.window.ow.min(most)).flat_map(move |pw| loops.clone().map(move |l| (pw, l)))
    }

    fn cost(&self, tile: &Tile, fetch: Fetch, tuning: &Tuning) -> f64 {
        let costs = &tuning.costs;
        let rb = block(self.rc);
        let loads = if self.unpool.is_some() { 3 } else { 1 };
        let vectors = if rb == 4 { loads } else { rb * loads };
        let pixels = tile.ns * self.footprint(tile).len();
        let fetching = costs.fetching(fetch, pixels, vectors, rb);
        let weights = self.window.taps() * rb * tile.q * costs.load;
        let arithmetic = self.products(tile) * rb * costs.arithmetic(self.terms(tile));
        let cells = tile.pixels() * tile.q;
        let turns = self.rc / rb;
        let passes = if tile.looped {
            rb
        } else {
            usize::from(turns > 1)
        };
        let keeping = cells * passes * costs.keep;
        let turn = fetching + weights + arithmetic + keeping;
        // Patches over zeros cost nothing.
        let (down, _) = self.patches(tile);
        let nonzero = self.reach().0.div_ceil(tile.ph) as f64 / down as f64;
        let invocations = self.invocations(tile);
        // Too few invocations leave part of the adapter idle.
        let idle = (tuning.min_invocations as f64 / invocations as f64).max(1.0);
        let work = (turn * turns + cells * costs.store + costs.start) as f64;
        work * invocations as f64 * nonzero * idle * costs.compile_penalty(self.terms(tile))
    }
}

impl WeightGradient {
    /// The tile, or `None` if the kernel has too many cells for registers. It has the largest
    /// number of accumulators, so that each load serves many products, and among the patches the
    /// one with the least estimated work.
    pub fn tile(&self, tuning: &Tuning) -> Option<WeightTile> {
        let cells = self.oc / cell_width(self.oc);
        let lanes = match self.fetch(tuning) {
            Fetch::Direct => 1,
            Fetch::Subgroup => Fetch::LANES,
        };
        let fits = |&(rb, q): &(usize, usize)| {
            self.ic.is_multiple_of(rb)
                && cells.is_multiple_of(lanes * q)
                && self.window.taps() * rb * q <= tuning.weight_accumulators
        };
        let search = &tuning.search;
        let large = halves(search.weight_channels).take_while(|&rb| rb > block(self.ic));
        let blocks = large.chain([block(self.ic), 1]);
        let (rb, q) = blocks
            .flat_map(|rb| halves(search.cells).map(move |q| (rb, q)))
            .find(fits)?;
        let partials = self.window.taps() * self.ic * self.oc * tuning.max_small_splits;
        let max_splits = if partials <= tuning.few_partials {
            tuning.max_small_splits
        } else {
            tuning.max_splits
        };
        let patches = self.sizes(tuning, self.window.taps() * rb * q).into_iter();
        let tiles = patches.map(|(ph, pw)| {
            let invocations = self.ic / rb * cells / q;
            let splits = tuning.min_invocations.div_ceil(invocations);
            let units = self.units(ph, pw);
            let within_bound = (units * ph * pw).div_ceil(tuning.max_loads);
            WeightTile {
                ph,
                pw,
                rb,
                q,
                splits: splits.min(max_splits).max(within_bound).min(units),
            }
        });
        let costs = tiles.map(|tile| (self.cost(&tile, tuning), tile));
        let best = costs.min_by(|(a, _), (b, _)| a.total_cmp(b));
        best.map(|(_, tile)| tile)
    }

    /// The patches to choose from: whole windows of the pool, with a text that is not too long,
    /// except for the smallest.
    fn sizes(&self, tuning: &Tuning, accumulators: usize) -> Vec<(usize, usize)> {
        let w = &self.window;
        let (kh, kw) = self.pool.unwrap_or((1, 1));
        let search = &tuning.search;
        let [max_rows, max_columns] = search.weight_patch;
        let heights = (kh..=w.oh.min(kh.max(max_rows))).step_by(kh);
        let sizes = heights.flat_map(|ph| {
            let widths = (kw..=w.ow.min(kw.max(max_columns))).step_by(kw);
            widths.map(move |pw| (ph, pw))
        });
        let fits = |&(ph, pw): &(usize, usize)| {
            let (th, tw) = covered(w, ph, pw);
            let pixels = ph * pw;
            let short =
                pixels <= search.weight_pixels && pixels * accumulators <= search.weight_products;
            th * tw <= tuning.max_pixels && (short || (ph, pw) == (kh, kw))
        };
        sizes.filter(fits).collect()
    }

    /// Estimated work in tenths of a cycle.
    fn cost(&self, tile: &WeightTile, tuning: &Tuning) -> f64 {
        let costs = &tuning.costs;
        let &WeightTile { ph, pw, rb, q, .. } = tile;
        let (as_correlation, patch) = (self.as_correlation(), tile.patch());
        let pixels = as_correlation.footprint(&patch).len();
        let accumulators = self.window.taps() * rb * q;
        let vectors = if rb.is_multiple_of(4) { rb / 4 } else { rb };
        let fetching = costs.fetching(self.fetch(tuning), pixels, vectors, rb);
        let gradients = match self.pool {
            Some((kh, kw)) => ph * pw / (kh * kw) * q * 3 * costs.load,
            None => ph * pw * q * costs.load,
        };
        let products = as_correlation.products(&patch) * rb;
        let arithmetic = products * costs.arithmetic(products);
        let keeping = accumulators * costs.keep_weights;
        let unit = fetching + gradients + arithmetic + keeping;
        let invocations = self.ic / rb * (self.oc / cell_width(self.oc)) / q;
        let idle = (tuning.min_invocations as f64 / (invocations * tile.splits) as f64).max(1.0);
        let units = self.units(ph, pw) as f64;
        unit as f64 * units * invocations as f64 * idle * costs.compile_penalty(products)
    }
}
