//! The end of a correlation: bias and activation or a derivative, the max pool after it, and the
//! stores.

use std::fmt::Write as _;

use super::super::call::pointwise;
use super::geometry::{Correlation, Pool, Tile, cell_width};
use super::text::all;
use crate::model::Activation;

/// What is applied to a sum before it is stored.
#[derive(Clone, Copy, Debug)]
pub enum Epilogue<B> {
    /// The bias is added, then the call's activation applied.
    Activate { bias: Option<B> },
    /// It is multiplied by this activation's derivative, given the activation's output at the same
    /// place.
    Derive(B, Activation),
    /// Nothing.
    Keep,
}

impl<B> Epilogue<B> {
    /// Values shared by all pixels, for `q` cells of channels.
    pub(super) fn prepare(&self, s: &mut String, q: usize) {
        if let Self::Activate { bias: Some(_) } = self {
            for r in 0..q {
                let _ = writeln!(s, "let bias{r} = load_bias(cell0 + {r}u);");
            }
        }
    }

    /// The value stored at `at` for the sum `sum` of the `r`th cell of channels.
    fn of(&self, sum: &str, r: usize) -> String {
        match self {
            Self::Activate { bias: Some(_) } => format!("activate({sum} + bias{r})"),
            Self::Activate { bias: None } => format!("activate({sum})"),
            Self::Derive(_, activation) => {
                let activation = pointwise(*activation);
                format!("{sum} * derivative_{activation}(load_through(at))")
            }
            Self::Keep => sum.to_owned(),
        }
    }
}

impl Correlation {
    /// Stores each sum.
    pub(super) fn store<B>(&self, s: &mut String, tile: &Tile, epilogue: &Epilogue<B>) {
        let w = &self.window;
        let cells = self.kc / cell_width(self.kc);
        let overhang = !w.oh.is_multiple_of(tile.ph) || !w.ow.is_multiple_of(tile.pw);
        for p in 0..tile.pixels() {
            let (sample, py, px) = (p / (tile.ph * tile.pw), p / tile.pw % tile.ph, p % tile.pw);
            if overhang {
                let _ = write!(s, "if {} ", self.exists(py, px));
            }
            s.push_str("{\n");
            for r in 0..tile.q {
                let v = epilogue.of(&format!("c{p}_{r}"), r);
                let _ = writeln!(
                    s,
                    "{{ let at = (((n0 + {sample}u) * {}u + oy + {py}u) * {}u + ox + {px}u) * {cells}u + cell0 + {r}u;
y[at] = {v}; }}",
                    w.oh, w.ow
                );
            }
            s.push_str("}\n");
        }
    }

    /// The condition that a pixel of the patch lies within the output.
    fn exists(&self, py: usize, px: usize) -> String {
        let w = &self.window;
        all(&[
            format!("oy + {py}u < {}u", w.oh),
            format!("ox + {px}u < {}u", w.ow),
        ])
    }

    /// The first largest of each window of the pool, as `pool2d_forward` takes it.
    pub(super) fn store_pooled<B>(
        &self,
        s: &mut String,
        tile: &Tile,
        epilogue: &Epilogue<B>,
        pool: Pool,
    ) {
        let w = &self.window;
        let (kh, kw) = pool.size;
        let cells = self.kc / cell_width(self.kc);
        let overhang = !w.oh.is_multiple_of(tile.ph) || !w.ow.is_multiple_of(tile.pw);
        let corners = (0..tile.pixels()).filter(|&p| {
            let (_, py, px) = tile.split(p);
            py % kh == 0 && px % kw == 0
        });
        for corner in corners {
            let (sample, py, px) = tile.split(corner);
            if overhang {
                let _ = write!(s, "if {} ", self.exists(py, px));
            }
            s.push_str("{\n");
            for r in 0..tile.q {
                let _ = writeln!(
                    s,
                    "{{ let at = (((n0 + {sample}u) * {}u + (oy + {py}u) / {kh}u) * {}u + (ox + {px}u) / {kw}u) * {cells}u + cell0 + {r}u;
var best = Cell(0.0); var taken = Words(0u);",
                    w.oh / kh,
                    w.ow / kw
                );
                for tap in 0..kh * kw {
                    let p = corner + tap / kw * tile.pw + tap % kw;
                    let better = match tap {
                        0 => "Bools(true)",
                        _ => "(v > best) | is_nan(v)",
                    };
                    let v = epilogue.of(&format!("c{p}_{r}"), r);
                    let _ = writeln!(
                        s,
                        "{{ let v = {v}; let better = {better}; best = select(best, v, better); taken = select(taken, Words({tap}u), better); }}"
                    );
                }
                s.push_str("y[at] = best;");
                if pool.argmax {
                    s.push_str(" argmax[at] = taken;");
                }
                s.push_str(" }\n");
            }
            s.push_str("}\n");
        }
    }
}
