//! The text of correlations: an invocation computes some output channels of a patch of pixels in a
//! loop over input channels.

use std::fmt::Write as _;

use super::super::call::{Call, Vector};
use super::super::tuning::{Fetch, Tuning};
use super::epilogue::Epilogue;
use super::geometry::{Correlation, Tile, Unpool, block, cell_width};
use super::text::{Channel, Loop, all, broadcast, count_of, head, load_pixels, workgroup};

/// What a correlation may bind in addition to its operands.
#[derive(Clone, Copy, Debug)]
pub struct ExtraBindings<B> {
    /// The indices of the cells that a pool takes.
    pub argmax: Option<B>,
    /// For a pool's backward pass, the indices of the cells that it took, and its output.
    pub unpool: Option<[B; 2]>,
}

impl Correlation {
    /// The kernel, named `entry`.
    pub fn call<B: Clone>(
        &self,
        entry: &'static str,
        tuning: &Tuning,
        epilogue: Epilogue<B>,
        ([x, w, out], extra): ([B; 3], ExtraBindings<B>),
    ) -> Option<Call<B>> {
        let tile = self.tile(tuning)?;
        let fetch = self.fetch(tuning);
        let pixel = cell_width(self.rc);
        let weight = if self.flipped {
            pixel
        } else {
            cell_width(self.kc)
        };
        let text = self.text(entry, (&tile, fetch, tuning.asks_twice_below), &epilogue);
        let invocations = self.invocations(&tile);
        let mut call = Call::new(entry, text, workgroup(tuning, fetch, invocations))
            .cells(cell_width(self.kc))
            .invocations(invocations)
            .loads(self.rc / pixel * tile.ns * self.footprint(&tile).len())
            .write(out);
        if self.pool.is_some_and(|pool| pool.argmax) {
            call = call.write(extra.argmax?);
        }
        let mut load = |name, buffer, vector| {
            call = call.clone().load(name, buffer, vector, tuning.image_copies);
        };
        load("x", x, Vector::floats(pixel));
        load("w", w, Vector::floats(weight));
        let cell = Vector::floats(cell_width(self.kc));
        match epilogue {
            Epilogue::Activate { bias: Some(bias) } => load("bias", bias, cell),
            Epilogue::Derive(through, _) => load("through", through, cell),
            Epilogue::Activate { bias: None } | Epilogue::Keep => {}
        }
        if self.unpool.is_some() {
            let [taken, made] = extra.unpool?;
            load("taken", taken, Vector::words(pixel));
            load("made", made, Vector::floats(pixel));
        }
        Some(call)
    }

    fn text<B>(
        &self,
        entry: &str,
        (tile, fetch, few): (&Tile, Fetch, usize),
        epilogue: &Epilogue<B>,
    ) -> String {
        let rb = block(self.rc);
        let mut s = "@group(1) @binding(0) var<storage, read_write> y: array<Cell>;\n".to_owned();
        if self.pool.is_some_and(|pool| pool.argmax) {
            s += "@group(1) @binding(1) var<storage, read_write> argmax: array<Words>;\n";
        }
        s += &head(entry);
        self.coordinates(&mut s, tile, fetch);
        self.pixels(&mut s, tile, fetch, rb);
        self.accumulate(&mut s, tile, fetch, few);
        epilogue.prepare(&mut s, tile.q);
        match self.pool {
            None => self.store(&mut s, tile, epilogue),
            Some(pool) => self.store_pooled(&mut s, tile, epilogue, pool),
        }
        s += "}\n";
        s
    }

    /// The invocation's samples from `n0`, patch corner `oy`, `ox` and channel cells from `cell0`.
    fn coordinates(&self, s: &mut String, tile: &Tile, fetch: Fetch) {
        let groups = self.kc / cell_width(self.kc) / tile.q;
        let (down, across) = self.patches(tile);
        let patches = down * across;
        let tasks = patches * self.batch / tile.ns;
        let Tile { ns, ph, pw, q, .. } = *tile;
        match fetch {
            Fetch::Direct => {
                let _ = writeln!(
                    s,
                    "let i = flat_index(workgroup, local);
let task = i / {groups}u;
if task >= {tasks}u {{ return; }}
let cell0 = (i % {groups}u) * {q}u;"
                );
            }
            Fetch::Subgroup => {
                let groups = groups / Fetch::LANES;
                let _ = writeln!(
                    s,
                    "let i = workgroup.y * GRID + workgroup.x;
let task = i / {groups}u;
if task >= {tasks}u {{ return; }}
let cell0 = ((i % {groups}u) * {}u + local) * {q}u;",
                    Fetch::LANES
                );
            }
        }
        let _ = writeln!(
            s,
            "let n0 = task / {patches}u * {ns}u;
let place = task % {patches}u;
let oy = place / {across}u * {ph}u;
let ox = place % {across}u * {pw}u;"
        );
    }

    /// The address `a` of each pixel under the patch, and whether it lies inside the tensor (`k`).
    pub(super) fn pixels(&self, s: &mut String, tile: &Tile, fetch: Fetch, rb: usize) {
        let w = &self.window;
        let foot = self.footprint(tile);
        let (th, tw) = (foot.rows, foot.columns);
        let count = tile.ns * foot.len();
        let per_pixel = self.rc / if rb.is_multiple_of(4) { 4 } else { 1 };
        let guarded = self.guarded(tile);
        let _ = writeln!(
            s,
            "let iy = oy * {}u + {}u - {}u;\nlet ix = ox * {}u + {}u - {}u;",
            w.sh, foot.row, w.pad_top, w.sw, foot.column, w.pad_left
        );
        for i in 0..count_of(count, fetch) {
            let (sample, row, column) = match fetch {
                Fetch::Direct => (
                    format!("{}u", i / (th * tw)),
                    format!("{}u", i / tw % th),
                    format!("{}u", i % tw),
                ),
                Fetch::Subgroup => {
                    let _ = writeln!(
                        s,
                        "let p{i} = min({}u + local, {}u);",
                        i * Fetch::LANES,
                        count - 1
                    );
                    (
                        format!("p{i} / {}u", th * tw),
                        format!("p{i} / {tw}u % {th}u"),
                        format!("p{i} % {tw}u"),
                    )
                }
            };
            let _ = writeln!(s, "let y{i} = iy + {row};\nlet x{i} = ix + {column};");
            let axes = [
                ('y', guarded.0, self.nonzero.0),
                ('x', guarded.1, self.nonzero.1),
            ];
            let inside: Vec<String> = (axes.iter().filter(|(_, guarded, _)| *guarded))
                .map(|(name, _, nonzero)| format!("{name}{i} < {nonzero}u"))
                .collect();
            if !inside.is_empty() {
                let _ = writeln!(s, "let k{i} = {};", all(&inside));
            }
            // A pixel outside is loaded from the nearest valid address, and discarded.
            let [y, x] = axes.map(|(name, guarded, nonzero)| {
                if guarded {
                    format!("min({name}{i}, {}u)", nonzero - 1)
                } else {
                    format!("{name}{i}")
                }
            });
            let (y, x, rows, columns) = match self.unpool {
                None => (y, x, w.ih, w.iw),
                Some(Unpool {
                    size: (kh, kw),
                    windows: (rows, columns),
                }) => {
                    let _ = writeln!(s, "let u{i} = {y} % {kh}u * {kw}u + {x} % {kw}u;");
                    (
                        format!("{y} / {kh}u"),
                        format!("{x} / {kw}u"),
                        rows,
                        columns,
                    )
                }
            };
            let _ = writeln!(
                s,
                "let a{i} = (((n0 + {sample}) * {rows}u + {y}) * {columns}u + {x}) * {per_pixel}u;"
            );
        }
    }

    fn accumulate(&self, s: &mut String, tile: &Tile, fetch: Fetch, few: usize) {
        let rb = block(self.rc);
        for p in 0..tile.pixels() {
            for r in 0..tile.q {
                let _ = writeln!(s, "var c{p}_{r} = Cell(0.0);");
            }
        }
        let blocks = self.blocks(tile, few);
        blocks.begin(s);
        let guarded = self.guarded(tile);
        let guarded = guarded.0 || guarded.1;
        let pixels = tile.ns * self.footprint(tile).len();
        load_pixels(s, pixels, rb, fetch, guarded, self.unpool.is_some());
        if self.flipped && rb == 4 {
            self.load_flipped_rows(s, tile);
        }
        if tile.looped {
            let channels = Loop::new("j", 4, few);
            channels.begin(s);
            self.load_weights(s, tile, Channel::Loop, "");
            broadcast(s, pixels, rb, Channel::Loop, "", fetch);
            self.sum(s, tile, &["".into()]);
            channels.end(s);
        } else if self.window.taps() >= 4 {
            for j in (0..rb).map(Channel::Literal) {
                s.push_str("{\n");
                self.load_weights(s, tile, j, "");
                broadcast(s, pixels, rb, j, "", fetch);
                self.sum(s, tile, &["".into()]);
                s.push_str("}\n");
            }
        } else {
            let suffixes: Vec<String> = (0..rb).map(|j| format!("_{j}")).collect();
            for (j, suffix) in suffixes.iter().enumerate() {
                self.load_weights(s, tile, Channel::Literal(j), suffix);
                broadcast(s, pixels, rb, Channel::Literal(j), suffix, fetch);
            }
            self.sum(s, tile, &suffixes);
        }
        blocks.end(s);
    }

    /// The loop over blocks of channels; no iterations for a patch whose pixels are all known to be
    /// zero.
    fn blocks(&self, tile: &Tile, few: usize) -> Loop {
        let blocks = Loop::new("turn", self.rc / block(self.rc), few);
        let (reach, _) = self.reach();
        if self.patches(tile).0 * tile.ph - reach >= tile.ph {
            blocks.only_if(&format!("oy < {reach}u"))
        } else {
            blocks
        }
    }

    /// `w{tap}_{r}{suffix}`: the weights from channel `j` of the block to the invocation's channel
    /// cells.
    fn load_weights(&self, s: &mut String, tile: &Tile, j: Channel, suffix: &str) {
        for tap in 0..self.window.taps() {
            for r in 0..tile.q {
                let value = self.weight(tap, r, j);
                let _ = writeln!(s, "let w{tap}_{r}{suffix} = {value};");
            }
        }
    }

    fn weight(&self, tap: usize, r: usize, j: Channel) -> String {
        let rb = block(self.rc);
        let width = cell_width(self.kc);
        if !self.flipped {
            let first = tap * self.rc;
            let cells = self.kc / width;
            return format!("load_w(({first}u + turn * {rb}u + {j}) * {cells}u + cell0 + {r}u)");
        }
        let first = self.flip(tap) * self.kc;
        let rows = (0..width).map(|row| match rb {
            4 => format!("t{tap}_{r}_{row}[{j}]"),
            _ => format!(
                "load_w(({first}u + (cell0 + {r}u) * {width}u + {row}u) * {}u + turn * {rb}u + {j})",
                self.rc
            ),
        });
        format!("Cell({})", rows.collect::<Vec<_>>().join(", "))
    }

    fn flip(&self, tap: usize) -> usize {
        self.window.taps() - 1 - tap
    }

    /// Rows of the transposed weights: four summed channels at a time.
    fn load_flipped_rows(&self, s: &mut String, tile: &Tile) {
        let width = cell_width(self.kc);
        for tap in 0..self.window.taps() {
            for r in 0..tile.q {
                for row in 0..width {
                    let _ = writeln!(
                        s,
                        "let t{tap}_{r}_{row} = load_w(({}u + (cell0 + {r}u) * {width}u + {row}u) * {}u + turn);",
                        self.flip(tap) * self.kc,
                        self.rc / 4
                    );
                }
            }
        }
    }

    /// One expression per accumulator, over all taps.
    fn sum(&self, s: &mut String, tile: &Tile, suffixes: &[String]) {
        let w = &self.window;
        let foot = self.footprint(tile);
        for p in 0..tile.pixels() {
            let (sample, py, px) = tile.split(p);
            for r in 0..tile.q {
                let _ = write!(s, "c{p}_{r} = c{p}_{r}");
                for suffix in suffixes {
                    for tap in 0..w.taps() {
                        let (row, column) = (py * w.sh + tap / w.kw, px * w.sw + tap % w.kw);
                        if let Some(pixel) = foot.number(sample, row, column) {
                            let _ = write!(s, " + s{pixel}{suffix} * w{tap}_{r}{suffix}");
                        }
                    }
                }
                s.push_str(";\n");
            }
        }
    }
}
