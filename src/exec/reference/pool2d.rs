//! Pooling, forward and backward.

use super::{Definition, at, put_gradient, rounded};
use crate::exec::host::Memory;
use crate::model::PoolKind;
use crate::plan::{Pool2dBackward, Pool2dForward, PoolShape};
use crate::shape::{Cell, Window};

impl Definition for Pool2dForward {
    fn run(&self, m: &mut Memory<'_>) {
        let Self {
            shape,
            x,
            y,
            argmax,
        } = self;
        let (out, taken) = forward(m.batch, shape, m.floats(*x));
        m.put(*y, out);
        if let Some(argmax) = argmax {
            m.put_words(*argmax, taken);
        }
    }
}

impl Definition for Pool2dBackward {
    fn run(&self, m: &mut Memory<'_>) {
        let Self {
            shape,
            dy,
            argmax,
            dx,
            through,
        } = self;
        let argmax = argmax.map_or(&[][..], |id| m.words(id));
        let out = backward(m.batch, shape, m.floats(*dy), argmax);
        put_gradient(m, *dx, out, through.as_ref());
    }
}

/// `y[n, oy, ox, c] = pool over the window of x[n, iy, ix, c]`, and for a max pool the kernel cell
/// `ky * kw + kx` that each maximum came from.
pub(super) fn forward(batch: usize, shape: &PoolShape, x: &[f32]) -> (Vec<f32>, Vec<u32>) {
    let (mut y, mut argmax) = (Vec::new(), Vec::new());
    for_each_output(batch, shape, |output| {
        let values = (output.cells()).map(|cell| (cell, f64::from(x[output.input(cell)])));
        match shape.kind {
            PoolKind::Max => {
                let (cell, largest) = values.reduce(larger).unwrap_or((FIRST, f64::NAN));
                y.push(largest);
                argmax.push((cell.ky * shape.window.kw + cell.kx) as u32);
            }
            PoolKind::Sum => y.push(values.map(|(_, x)| x).sum()),
            PoolKind::Average => {
                y.push(values.map(|(_, x)| x).sum::<f64>() / output.cells().count() as f64);
            }
        }
    });
    (rounded(y), argmax)
}

/// `dx[n, iy, ix, c] = Σ dy[n, oy, ox, c] * share` over the windows that hold `(iy, ix)`.
pub(super) fn backward(batch: usize, shape: &PoolShape, dy: &[f32], argmax: &[u32]) -> Vec<f64> {
    let mut dx = vec![0.0; batch * shape.window.ih * shape.window.iw * shape.c];
    for_each_output(batch, shape, |output| {
        let cells = output.cells().count() as f64;
        for cell in output.cells() {
            let tap = (cell.ky * shape.window.kw + cell.kx) as u32;
            let share = match shape.kind {
                PoolKind::Max if argmax[output.index] == tap => 1.0,
                PoolKind::Max => continue,
                PoolKind::Sum => 1.0,
                PoolKind::Average => 1.0 / cells,
            };
            dx[output.input(cell)] += f64::from(dy[output.index]) * share;
        }
    });
    dx
}

/// For a window without cells, which does not occur.
const FIRST: Cell = Cell {
    ky: 0,
    kx: 0,
    iy: 0,
    ix: 0,
};

/// The larger of two, the first one if they are equal. The first NaN beats everything, so that it
/// is never hidden.
fn larger(a: (Cell, f64), b: (Cell, f64)) -> (Cell, f64) {
    if b.1 > a.1 || (b.1.is_nan() && !a.1.is_nan()) {
        b
    } else {
        a
    }
}

/// One output cell and what it reads.
struct OutputCell {
    window: Window,
    batch: usize,
    channels: usize,
    n: usize,
    oy: usize,
    ox: usize,
    c: usize,
    /// Its index in `y`.
    index: usize,
}

impl OutputCell {
    fn cells(&self) -> impl Iterator<Item = Cell> {
        self.window.cells(self.oy, self.ox)
    }

    /// The index in `x` of a cell of the window.
    fn input(&self, cell: Cell) -> usize {
        let x_shape = [self.batch, self.window.ih, self.window.iw, self.channels];
        at(x_shape, [self.n, cell.iy, cell.ix, self.c])
    }
}

/// Visits the output cells in memory order.
fn for_each_output(batch: usize, shape: &PoolShape, mut visit: impl FnMut(&OutputCell)) {
    let PoolShape { window, c, .. } = *shape;
    let y_shape = [batch, window.oh, window.ow, c];
    for index in 0..y_shape.iter().product() {
        visit(&OutputCell {
            window,
            batch,
            channels: c,
            n: index / (window.oh * window.ow * c),
            oy: index / (window.ow * c) % window.oh,
            ox: index / c % window.ow,
            c: index % c,
            index,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Padding;

    /// A 2x2 pool over a 3x3 image.
    fn shape(kind: PoolKind, stride: usize, padding: Padding) -> PoolShape {
        let window = Window::new([3, 3], 2.into(), stride.into(), padding).unwrap();
        PoolShape { window, c: 1, kind }
    }

    const X: [f32; 9] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];

    #[test]
    fn forward_by_hand() {
        let max = forward(1, &shape(PoolKind::Max, 2, Padding::Same), &X);
        assert_eq!(max, (vec![5.0, 6.0, 8.0, 9.0], vec![3, 2, 1, 0]));
        let sum = forward(1, &shape(PoolKind::Sum, 2, Padding::Same), &X).0;
        assert_eq!(sum, [12.0, 9.0, 15.0, 9.0]);
        let average = forward(1, &shape(PoolKind::Average, 2, Padding::Same), &X).0;
        assert_eq!(average, [3.0, 4.5, 7.5, 9.0]);
    }

    #[test]
    fn backward_by_hand() {
        let dy = [4.0, 8.0, 12.0, 16.0];
        let max = shape(PoolKind::Max, 1, Padding::Valid);
        // All four windows took the middle cell.
        let dx = backward(1, &max, &dy, &[3, 2, 1, 0]);
        assert_eq!(dx, [0.0, 0.0, 0.0, 0.0, 40.0, 0.0, 0.0, 0.0, 0.0]);
        let average = shape(PoolKind::Average, 1, Padding::Valid);
        let dx = backward(1, &average, &dy, &[]);
        assert_eq!(dx, [1.0, 3.0, 2.0, 4.0, 10.0, 6.0, 3.0, 7.0, 4.0]);
    }

    #[test]
    fn a_tie_goes_to_the_first_cell() {
        let shape = shape(PoolKind::Max, 2, Padding::Valid);
        let x = [1.0, 2.0, 9.0, 2.0, 2.0, 9.0, 9.0, 9.0, 9.0];
        assert_eq!(forward(1, &shape, &x), (vec![2.0], vec![1]));
    }

    #[test]
    fn nan_is_never_hidden() {
        let shape = shape(PoolKind::Max, 2, Padding::Valid);
        for place in [0, 1, 3, 4] {
            let mut x = X;
            x[place] = f32::NAN;
            let (y, argmax) = forward(1, &shape, &x);
            assert!(y[0].is_nan(), "{place}");
            assert_eq!(argmax[0] as usize, place / 3 * 2 + place % 3);
        }
    }
}
