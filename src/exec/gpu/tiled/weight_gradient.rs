//! The text of the gradients of a convolution's kernel and bias: an invocation computes all taps of
//! some input and output channels in a loop over patches of pixels.

use std::fmt::Write as _;

use super::super::call::{Call, Vector};
use super::super::tuning::{Fetch, Tuning};
use super::geometry::{Footprint, WeightGradient, WeightTile, cell_width};
use super::text::{Channel, all, broadcast, head, load_pixels, workgroup};

impl WeightGradient {
    /// The kernel. It writes split `s` of the kernel's gradient at `s * stride` floats in the
    /// output, and that of the bias `bias_at` floats further. With a pool it also reads the indices
    /// of the cells that the pool took, and its output (`pooled`).
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
        let invocations = self.ic / tile.rb * cells / tile.q * tile.splits;
        let workgroup = workgroup(tuning, fetch, invocations);
        let mut call = Call::new("conv2d_backward_weight", text, workgroup)
            .cells(width)
            .invocations(invocations)
            .loads(self.units(tile.ph, tile.pw).div_ceil(tile.splits) * tile.ph * tile.pw)
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

    /// The invocation's split, block of input channels and channel cells.
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
                let groups = groups / Fetch::LANES;
                let _ = writeln!(
                    s,
                    "let i = workgroup.y * GRID + workgroup.x;
let task = i / {groups}u;
let cell0 = ((i % {groups}u) * {}u + local) * {q}u;",
                    Fetch::LANES
                );
            }
        }
        let _ = writeln!(
            s,
            "let split = task / {blocks}u;\nlet turn = task % {blocks}u;\nif split >= {}u {{ return; }}",
            tile.splits
        );
    }

    /// The loop over the invocation's share of the patches.
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

    /// The same from the gradient of the max pool's output: the maximum receives all of it, times
    /// the derivative of the activation, whose output there is also the pool's.
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

    /// The address of the gradient of an output pixel, or of the pool's window that starts there.
    fn place(
        &self,
        tile: &WeightTile,
        (py, px): (usize, usize),
        (kh, kw): (usize, usize),
    ) -> Address {
        let w = &self.window;
        let cells = self.oc / cell_width(self.oc);
        let (y, x) = (format!("(oy + {py}u)"), format!("(ox + {px}u)"));
        let overhang = !w.oh.is_multiple_of(tile.ph) || !w.ow.is_multiple_of(tile.pw);
        let exists =
            overhang.then(|| all(&[format!("{y} < {}u", w.oh), format!("{x} < {}u", w.ow)]));
        let (y, x) = if overhang {
            (
                format!("min({y}, {}u)", w.oh - 1),
                format!("min({x}, {}u)", w.ow - 1),
            )
        } else {
            (y, x)
        };
        let (rows, columns) = self.dy;
        Address {
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

/// An address in the text, and the condition that it is valid.
struct Address {
    at: String,
    exists: Option<String>,
}

impl Address {
    fn guarded(&self, value: &str) -> String {
        match &self.exists {
            Some(exists) => format!("select(Cell(0.0), {value}, {exists})"),
            None => value.to_owned(),
        }
    }
}
