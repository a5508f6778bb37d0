//! Max, average and sum pooling: the innermost loop runs over channels, which lie side by side.

use std::ops::Range;

use pulp::Arch;

use crate::model::PoolKind;
use crate::plan::PoolShape;

/// One output cell of one sample: which window cells are real, and where the first one lies.
struct Cell {
    ky: Range<usize>,
    kx: Range<usize>,
    /// Input row and column that the window's cell (0, 0) would lie on, padding included.
    top: usize,
    left: usize,
}

impl Cell {
    fn new(shape: &PoolShape, oy: usize, ox: usize) -> Self {
        let w = &shape.window;
        let (top, left) = (oy * w.sh, ox * w.sw);
        let real = |start: usize, pad: usize, size: usize, kernel: usize| {
            pad.saturating_sub(start)..(size + pad).saturating_sub(start).min(kernel)
        };
        Self {
            ky: real(top, w.pad_top, w.ih, w.kh),
            kx: real(left, w.pad_left, w.iw, w.kw),
            top,
            left,
        }
    }

    fn count(&self) -> usize {
        self.ky.len() * self.kx.len()
    }

    /// The number and the input's place of each real window cell, in row-major order.
    #[inline(always)]
    fn taps(&self, shape: &PoolShape) -> impl Iterator<Item = (u32, usize)> {
        let (w, c) = (shape.window, shape.c);
        let (top, left) = (self.top, self.left);
        let kx = self.kx.clone();
        self.ky.clone().flat_map(move |ky| {
            kx.clone().map(move |kx| {
                let (iy, ix) = (top + ky - w.pad_top, left + kx - w.pad_left);
                ((ky * w.kw + kx) as u32, (iy * w.iw + ix) * c)
            })
        })
    }
}

/// Calls `f` with each output cell and its place in `y`.
#[inline(always)]
fn cells(shape: &PoolShape, mut f: impl FnMut(Cell, usize)) {
    let w = &shape.window;
    for oy in 0..w.oh {
        for ox in 0..w.ow {
            f(Cell::new(shape, oy, ox), (oy * w.ow + ox) * shape.c);
        }
    }
}

/// `y = pool(x)` for some samples; a max pool also notes which cell it took.
pub(super) fn forward(
    arch: Arch,
    shape: &PoolShape,
    x: &[f32],
    y: &mut [f32],
    argmax: Option<&mut [u32]>,
) {
    let (w, c) = (&shape.window, shape.c);
    let (inputs, outputs) = (w.ih * w.iw * c, w.oh * w.ow * c);
    arch.dispatch(|| {
        let mut argmax = argmax.map(|a| a.chunks_exact_mut(outputs));
        for (x, y) in x.chunks_exact(inputs).zip(y.chunks_exact_mut(outputs)) {
            let mut argmax = argmax.as_mut().and_then(Iterator::next);
            cells(shape, |cell, at| {
                let y = &mut y[at..][..c];
                match shape.kind {
                    PoolKind::Max => {
                        let argmax = argmax.as_deref_mut().map(|a| &mut a[at..][..c]);
                        max(shape, &cell, x, y, argmax);
                    }
                    PoolKind::Average => sum(shape, &cell, x, y, cell.count() as f32),
                    PoolKind::Sum => sum(shape, &cell, x, y, 1.0),
                }
            });
        }
    });
}

#[inline(always)]
fn sum(shape: &PoolShape, cell: &Cell, x: &[f32], y: &mut [f32], divisor: f32) {
    y.fill(0.0);
    for (_, from) in cell.taps(shape) {
        for (y, x) in y.iter_mut().zip(&x[from..]) {
            *y += x;
        }
    }
    y.iter_mut().for_each(|y| *y /= divisor);
}

/// Channels that a max pool compares at a time.
const CHUNK: usize = 8;

#[inline(always)]
fn max(shape: &PoolShape, cell: &Cell, x: &[f32], y: &mut [f32], argmax: Option<&mut [u32]>) {
    let mut argmax = argmax;
    let whole = shape.c / CHUNK * CHUNK;
    for c in (0..whole).step_by(CHUNK) {
        max_chunk::<CHUNK>(
            shape,
            cell,
            &x[c..],
            &mut y[c..],
            argmax.as_deref_mut().map(|a| &mut a[c..]),
        );
    }
    for c in whole..shape.c {
        max_chunk::<1>(
            shape,
            cell,
            &x[c..],
            &mut y[c..],
            argmax.as_deref_mut().map(|a| &mut a[c..]),
        );
    }
}

#[inline(always)]
fn max_chunk<const N: usize>(
    shape: &PoolShape,
    cell: &Cell,
    x: &[f32],
    y: &mut [f32],
    argmax: Option<&mut [u32]>,
) {
    let mut best = [f32::NEG_INFINITY; N];
    let mut taken = [u32::MAX; N];
    for (tap, from) in cell.taps(shape) {
        let x = &x[from..][..N];
        for i in 0..N {
            // A larger one, or the first NaN; the first real cell whatever it holds.
            let takes =
                (x[i] > best[i]) | ((x[i] != x[i]) & (best[i] == best[i])) | (taken[i] == u32::MAX);
            best[i] = if takes { x[i] } else { best[i] };
            taken[i] = if takes { tap } else { taken[i] };
        }
    }
    y[..N].copy_from_slice(&best);
    if let Some(argmax) = argmax {
        argmax[..N].copy_from_slice(&taken);
    }
}

/// `dx` for some samples, before any activation.
pub(super) fn backward(
    arch: Arch,
    shape: &PoolShape,
    dy: &[f32],
    argmax: Option<&[u32]>,
    dx: &mut [f32],
) {
    let (w, c) = (&shape.window, shape.c);
    let (inputs, outputs) = (w.ih * w.iw * c, w.oh * w.ow * c);
    dx.fill(0.0);
    arch.dispatch(|| {
        for (n, dx) in dx.chunks_exact_mut(inputs).enumerate() {
            let dy = &dy[n * outputs..][..outputs];
            let argmax = argmax.map(|a| &a[n * outputs..][..outputs]);
            cells(shape, |cell, at| {
                let dy = &dy[at..][..c];
                match (shape.kind, argmax) {
                    (PoolKind::Max, Some(argmax)) => {
                        give_to_largest(shape, &cell, dy, &argmax[at..][..c], dx);
                    }
                    // A max pool in training always has an argmax.
                    (PoolKind::Max, None) => {}
                    (PoolKind::Average, _) => {
                        give_to_all(shape, &cell, dy, 1.0 / cell.count() as f32, dx);
                    }
                    (PoolKind::Sum, _) => give_to_all(shape, &cell, dy, 1.0, dx),
                }
            });
        }
    });
}

#[inline(always)]
fn give_to_all(shape: &PoolShape, cell: &Cell, dy: &[f32], share: f32, dx: &mut [f32]) {
    for (_, to) in cell.taps(shape) {
        for (dx, dy) in dx[to..].iter_mut().zip(dy) {
            *dx += dy * share;
        }
    }
}

#[inline(always)]
fn give_to_largest(shape: &PoolShape, cell: &Cell, dy: &[f32], argmax: &[u32], dx: &mut [f32]) {
    for (tap, to) in cell.taps(shape) {
        for ((dx, dy), taken) in dx[to..].iter_mut().zip(dy).zip(argmax) {
            *dx += if *taken == tap { *dy } else { 0.0 };
        }
    }
}
