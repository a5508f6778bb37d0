//! The gradient of a convolution's kernel and bias, tiled: an invocation owns all taps of some input
//! and output channels, and walks over patches of pixels.

use std::fmt::Write as _;

use super::super::call::Call;
use super::super::call::Vector;
use super::super::tuning::{Fetch, Tuning};
use super::choice::{KEEP, LOAD, LONGEST, MOST_PIXELS, fetching, multiply_add, patience};
use super::{
    Channel, Correlation, Footprint, Tile, all, block, broadcast, cell_width, covered, head,
    load_pixels, workgroup,
};
use crate::shape::Window;

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
    /// Rows and columns of the tensor `dy`; the window's output size may be smaller, where the
    /// rest of `dy` is known to be zero.
    pub dy: (usize, usize),
    /// Height and width of a max pool behind the convolution, where `dy` is the gradient of the
    /// pool's output and the pool's backward pass happens here.
    pub pool: Option<(usize, usize)>,
}

/// How a weight gradient is cut up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightTile {
    /// Rows and columns of output pixels per turn.
    ph: usize,
    pw: usize,
    /// Input channels and cells of output channels per invocation.
    rb: usize,
    q: usize,
    /// Parts of the batch, each summed on its own.
    pub splits: usize,
}

impl WeightTile {
    /// What is loaded and handed round in a turn.
    fn patch(&self) -> Tile {
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
    /// The tile, or `None` where the kernel has too many cells for registers. It has as many accumulators
    /// as there may be, so that each load serves many products, and of the patches the one with the
    /// least estimated work.
    pub fn tile(&self, tuning: &Tuning) -> Option<WeightTile> {
        let cells = self.oc / cell_width(self.oc);
        let lanes = match self.fetch(tuning) {
            Fetch::Direct => 1,
            Fetch::Subgroup => 8,
        };
        let fits = |&(rb, q): &(usize, usize)| {
            self.ic.is_multiple_of(rb)
                && cells.is_multiple_of(lanes * q)
                && self.window.taps() * rb * q <= tuning.weight_accumulators
        };
        let blocks = [16, 8, block(self.ic), 1].into_iter();
        let (rb, q) = blocks.flat_map(|rb| [(rb, 2), (rb, 1)]).find(fits)?;
        let patches = self.patches(self.window.taps() * rb * q).into_iter();
        let tiles = patches.map(|(ph, pw)| {
            let invocations = self.ic / rb * cells / q;
            let splits = tuning.busy.div_ceil(invocations);
            WeightTile {
                ph,
                pw,
                rb,
                q,
                splits: splits.min(self.units(ph, pw)).min(64),
            }
        });
        let costs = tiles.map(|tile| (self.cost(&tile, tuning), tile));
        let best = costs.min_by(|(a, _), (b, _)| a.total_cmp(b));
        best.map(|(_, tile)| tile)
    }

    fn fetch(&self, tuning: &Tuning) -> Fetch {
        let cells = self.oc / cell_width(self.oc);
        match tuning.fetch {
            Fetch::Subgroup if cells.is_multiple_of(8) => Fetch::Subgroup,
            Fetch::Subgroup | Fetch::Direct => Fetch::Direct,
        }
    }

    /// The patches to choose from: of whole windows of the pool, and not too long a text but for the
    /// smallest.
    fn patches(&self, accumulators: usize) -> Vec<(usize, usize)> {
        let w = &self.window;
        let (kh, kw) = self.pool.unwrap_or((1, 1));
        let heights = (kh..=w.oh.min(kh.max(8))).step_by(kh);
        let sizes = heights.flat_map(|ph| {
            let widths = (kw..=w.ow.min(kw.max(16))).step_by(kw);
            widths.map(move |pw| (ph, pw))
        });
        let fits = |&(ph, pw): &(usize, usize)| {
            let (th, tw) = covered(w, ph, pw);
            let short = ph * pw <= 32 && ph * pw * accumulators <= LONGEST * 5 / 9;
            th * tw <= MOST_PIXELS && (short || (ph, pw) == (kh, kw))
        };
        sizes.filter(fits).collect()
    }

    /// Work in tenths of cycles.
    fn cost(&self, tile: &WeightTile, tuning: &Tuning) -> f64 {
        let &WeightTile { ph, pw, rb, q, .. } = tile;
        let (as_correlation, patch) = (self.as_correlation(), tile.patch());
        let pixels = as_correlation.footprint(&patch).len();
        let accumulators = self.window.taps() * rb * q;
        let vectors = if rb.is_multiple_of(4) { rb / 4 } else { rb };
        let fetching = fetching(self.fetch(tuning), pixels, vectors, rb);
        let gradients = match self.pool {
            Some((kh, kw)) => ph * pw / (kh * kw) * q * 3 * LOAD,
            None => ph * pw * q * LOAD,
        };
        let products = as_correlation.products(&patch) * rb;
        let arithmetic = products * multiply_add(products);
        // Hardware keeps them in registers.
        let keeping = if tuning.masks { accumulators * KEEP } else { 0 };
        let unit = fetching + gradients + arithmetic + keeping;
        let invocations = self.ic / rb * (self.oc / cell_width(self.oc)) / q;
        let idle = (tuning.busy as f64 / (invocations * tile.splits) as f64).max(1.0);
        let units = self.units(ph, pw) as f64;
        unit as f64 * units * invocations as f64 * idle * patience(products)
    }

    /// Patches of all samples.
    fn units(&self, ph: usize, pw: usize) -> usize {
        self.batch * self.window.oh.div_ceil(ph) * self.window.ow.div_ceil(pw)
    }

    /// The kernel. It writes split `s` of the kernel's gradient at `s * stride` floats into the
    /// output and the bias's behind it, at `bias_at`. Behind a pool it also reads the cells that the
    /// pool took and what it made (`pooled`).
    pub fn call<B>(
        &self,
        tile: &WeightTile,
        tuning: &Tuning,
        (stride, bias_at): (usize, usize),
        [x, dy, out]: [B; 3],
        pooled: Option<[B; 2]>,
    ) -> Call<B> {
        let fetch = self.fetch(tuning);
        let text = self.text(tile, fetch, stride, bias_at);
        let width = cell_width(self.oc);
        let cells = self.oc / width;
        let (pixel, cell) = (Vector::floats(cell_width(tile.rb)), Vector::floats(width));
        let mut call = Call::new("conv2d_backward_weight", text)
            .cells(width)
            .workgroup(workgroup(fetch))
            .invocations(self.ic / tile.rb * cells / tile.q * tile.splits)
            .write(out)
            .load("x", x, pixel, tuning.image_copies)
            .load("dy", dy, cell, tuning.image_copies);
        if let Some([argmax, through]) = pooled {
            call = call
                .load("argmax", argmax, Vector::words(width), tuning.image_copies)
                .load("through", through, cell, tuning.image_copies);
        }
        call
    }

    fn text(&self, tile: &WeightTile, fetch: Fetch, stride: usize, bias_at: usize) -> String {
        let mut s = "@group(1) @binding(0) var<storage, read_write> dw: array<Cell>;\n".to_owned();
        s += &head("conv2d_backward_weight");
        self.coordinates(&mut s, tile, fetch);
        for c in 0..self.window.taps() * tile.rb {
            for r in 0..tile.q {
                let _ = writeln!(s, "var c{c}_{r} = Cell(0.0);");
            }
        }
        for r in 0..tile.q {
            let _ = writeln!(s, "var b_{r} = Cell(0.0);");
        }
        self.walk(&mut s, tile, fetch);
        self.store(&mut s, tile, stride, bias_at);
        s += "}\n";
        s
    }

    /// Which split, block of input channels and channel cells are ours.
    fn coordinates(&self, s: &mut String, tile: &WeightTile, fetch: Fetch) {
        let groups = self.oc / cell_width(self.oc) / tile.q;
        let blocks = self.ic / tile.rb;
        let q = tile.q;
        match fetch {
            Fetch::Direct => {
                let _ = writeln!(
                    s,
                    "let i = flat_index(workgroup, local);
let task = i / {groups}u;
let cell0 = (i % {groups}u) * {q}u;"
                );
            }
            Fetch::Subgroup => {
                let groups = groups / 8;
                let _ = writeln!(
                    s,
                    "let i = workgroup.y * GRID + workgroup.x;
let task = i / {groups}u;
let cell0 = ((i % {groups}u) * 8u + local) * {q}u;"
                );
            }
        }
        let _ = writeln!(
            s,
            "let split = task / {blocks}u;\nlet turn = task % {blocks}u;\nif split >= {}u {{ return; }}",
            tile.splits
        );
    }

    /// The forward pass, which loads the same pixels.
    fn as_correlation(&self) -> Correlation {
        let w = self.window;
        Correlation {
            batch: self.batch,
            window: w,
            rc: self.ic,
            kc: self.oc,
            flipped: false,
            live: (w.ih, w.iw),
            pool: None,
            unpool: None,
        }
    }

    /// The loop over our share of the patches.
    fn walk(&self, s: &mut String, tile: &WeightTile, fetch: Fetch) {
        let w = &self.window;
        let (down, across) = (w.oh.div_ceil(tile.ph), w.ow.div_ceil(tile.pw));
        let units = self.units(tile.ph, tile.pw);
        let share = units.div_ceil(tile.splits);
        let _ = writeln!(
            s,
            "for (var u = split * {share}u; u < min((split + 1u) * {share}u, {units}u); u++) {{
let n0 = u / {}u;
let place = u % {}u;
let oy = place / {across}u * {}u;
let ox = place % {across}u * {}u;",
            down * across,
            down * across,
            tile.ph,
            tile.pw
        );
        let (as_correlation, patch) = (self.as_correlation(), tile.patch());
        as_correlation.pixels(s, &patch, fetch, tile.rb);
        let foot = as_correlation.footprint(&patch);
        let (rows, columns) = as_correlation.guarded(&patch);
        let guarded = rows || columns;
        load_pixels(s, foot.len(), tile.rb, fetch, guarded, false);
        match self.pool {
            None => self.load_dy(s, tile),
            Some(size) => self.load_pooled_dy(s, tile, size),
        }
        for j in 0..tile.rb {
            s.push_str("{\n");
            broadcast(s, foot.len(), tile.rb, Channel::Literal(j), "", fetch);
            self.sum(s, tile, &foot, j);
            s.push_str("}\n");
        }
        for r in 0..tile.q {
            let terms: Vec<String> = (0..tile.ph * tile.pw)
                .map(|p| format!("d{p}_{r}"))
                .collect();
            let _ = writeln!(s, "b_{r} = b_{r} + {};", terms.join(" + "));
        }
        s.push_str("}\n");
    }

    /// `d{p}_{r}`: the gradient of each output pixel of the patch.
    fn load_dy(&self, s: &mut String, tile: &WeightTile) {
        for p in 0..tile.ph * tile.pw {
            let place = self.place(tile, (p / tile.pw, p % tile.pw), (1, 1));
            for r in 0..tile.q {
                let value = place.guarded(&format!("load_dy({} + {r}u)", place.at));
                let _ = writeln!(s, "let d{p}_{r} = {value};");
            }
        }
    }

    /// The same from the gradient of the max pool's output: the cell taken has all of it, times the
    /// derivative of the activation, which made the pool's output too.
    fn load_pooled_dy(&self, s: &mut String, tile: &WeightTile, (kh, kw): (usize, usize)) {
        for corner in 0..tile.ph * tile.pw {
            let (py, px) = (corner / tile.pw, corner % tile.pw);
            if py % kh != 0 || px % kw != 0 {
                continue;
            }
            let place = self.place(tile, (py, px), (kh, kw));
            for r in 0..tile.q {
                let at = format!("{} + {r}u", place.at);
                let share = format!("load_dy({at}) * derivative(load_through({at}))");
                let _ = writeln!(
                    s,
                    "let g{corner}_{r} = {};\nlet t{corner}_{r} = load_argmax({at});",
                    place.guarded(&share)
                );
                for tap in 0..kh * kw {
                    let p = (py + tap / kw) * tile.pw + px + tap % kw;
                    let _ = writeln!(
                        s,
                        "let d{p}_{r} = select(Cell(0.0), g{corner}_{r}, t{corner}_{r} == Words({tap}u));"
                    );
                }
            }
        }
    }

    /// Where the gradient of an output pixel lies, or of the window of a pool that starts there.
    fn place(
        &self,
        tile: &WeightTile,
        (py, px): (usize, usize),
        (kh, kw): (usize, usize),
    ) -> Place {
        let w = &self.window;
        let cells = self.oc / cell_width(self.oc);
        let (y, x) = (format!("(oy + {py}u)"), format!("(ox + {px}u)"));
        let overhang = !w.oh.is_multiple_of(tile.ph) || !w.ow.is_multiple_of(tile.pw);
        let exists =
            overhang.then(|| all(&[format!("{y} < {}u", w.oh), format!("{x} < {}u", w.ow)]));
        let (y, x) = match overhang {
            true => (
                format!("min({y}, {}u)", w.oh - 1),
                format!("min({x}, {}u)", w.ow - 1),
            ),
            false => (y, x),
        };
        let (rows, columns) = self.dy;
        Place {
            at: format!(
                "((n0 * {rows}u + {y} / {kh}u) * {columns}u + {x} / {kw}u) * {cells}u + cell0"
            ),
            exists,
        }
    }

    fn sum(&self, s: &mut String, tile: &WeightTile, foot: &Footprint, j: usize) {
        let w = &self.window;
        for tap in 0..w.taps() {
            for r in 0..tile.q {
                let c = tap * tile.rb + j;
                let _ = write!(s, "c{c}_{r} = c{c}_{r}");
                for p in 0..tile.ph * tile.pw {
                    let row = p / tile.pw * w.sh + tap / w.kw;
                    let column = p % tile.pw * w.sw + tap % w.kw;
                    if let Some(pixel) = foot.number(0, row, column) {
                        let _ = write!(s, " + s{pixel} * d{p}_{r}");
                    }
                }
                s.push_str(";\n");
            }
        }
    }

    fn store(&self, s: &mut String, tile: &WeightTile, stride: usize, bias_at: usize) {
        let width = cell_width(self.oc);
        let cells = self.oc / width;
        let _ = writeln!(s, "let base = split * {}u + cell0;", stride / width);
        for tap in 0..self.window.taps() {
            for j in 0..tile.rb {
                for r in 0..tile.q {
                    let _ = writeln!(
                        s,
                        "dw[base + ({}u + turn * {}u + {j}u) * {cells}u + {r}u] = c{}_{r};",
                        tap * self.ic,
                        tile.rb,
                        tap * tile.rb + j
                    );
                }
            }
        }
        if self.bias {
            for r in 0..tile.q {
                let _ = writeln!(
                    s,
                    "if turn == 0u {{ dw[base + {}u + {r}u] = b_{r}; }}",
                    bias_at / width
                );
            }
        }
    }
}

/// An address in the text, and when there is something at it.
struct Place {
    at: String,
    exists: Option<String>,
}

impl Place {
    fn guarded(&self, value: &str) -> String {
        match &self.exists {
            Some(exists) => format!("select(Cell(0.0), {value}, {exists})"),
            None => value.to_owned(),
        }
    }
}
