//! Pools, forward and backward.

use super::super::case::{Case, CaseBuilder};
use super::{each_through, through, through_name};
use crate::model::{Activation, PoolKind};
use crate::plan::{Op, Pool2dBackward, Pool2dForward, PoolShape};
use crate::shape::{Padding, Window};

#[derive(Clone, Copy)]
struct PoolCase {
    n: usize,
    input: [usize; 3],
    size: [usize; 2],
    strides: [usize; 2],
    padding: Padding,
    kind: PoolKind,
}

const VALID: Padding = Padding::Valid;
const SAME: Padding = Padding::Same;
const KINDS: [PoolKind; 3] = [PoolKind::Max, PoolKind::Average, PoolKind::Sum];

/// Batch, image, pool size, strides, padding.
type PoolSizes = (usize, [usize; 3], [usize; 2], [usize; 2], Padding);

const TABLE: &[PoolSizes] = &[
    // The two of mnist-cnn; the second ignores a row and a column.
    (2, [26, 26, 32], [2, 2], [2, 2], VALID),
    (3, [11, 11, 64], [2, 2], [2, 2], VALID),
    (1, [1, 1, 1], [1, 1], [1, 1], VALID),
    // Overlapping.
    (2, [7, 5, 3], [3, 3], [1, 1], VALID),
    (2, [7, 5, 3], [3, 3], [1, 1], SAME),
    (1, [13, 11, 5], [3, 3], [2, 2], VALID),
    (1, [13, 11, 5], [3, 3], [2, 2], SAME),
    (2, [11, 7, 4], [2, 3], [1, 2], SAME),
    // Gaps between windows.
    (1, [13, 13, 3], [2, 2], [3, 3], VALID),
    (1, [13, 13, 3], [2, 2], [3, 3], SAME),
    (2, [7, 11, 6], [1, 1], [2, 2], VALID),
    // Reaching over the edge.
    (1, [7, 7, 6], [2, 2], [2, 2], SAME),
    (1, [2, 3, 3], [5, 5], [1, 1], SAME),
    (1, [5, 5, 1], [5, 5], [5, 5], VALID),
    // Just below and above a workgroup.
    (1, [9, 7, 1], [1, 1], [1, 1], VALID),
    (1, [16, 16, 1], [2, 2], [2, 2], VALID),
    (1, [2, 10, 13], [2, 2], [2, 2], VALID),
    (65, [2, 2, 1], [2, 2], [2, 2], VALID),
    (1, [2, 2, 257], [2, 2], [2, 2], VALID),
];

impl PoolCase {
    fn new((n, input, size, strides, padding): PoolSizes, kind: PoolKind) -> Self {
        Self {
            n,
            input,
            size,
            strides,
            padding,
            kind,
        }
    }

    fn shape(&self) -> PoolShape {
        let [ih, iw, c] = self.input;
        let window = Window::new(
            [ih, iw],
            self.size.into(),
            self.strides.into(),
            self.padding,
        );
        PoolShape {
            window: window.expect("every window of the table fits"),
            c,
            kind: self.kind,
        }
    }

    fn vars(&self) -> String {
        let ([ih, iw, c], [kh, kw], [sh, sw]) = (self.input, self.size, self.strides);
        let words = format!("padding={:?} kind={:?}", self.padding, self.kind).to_lowercase();
        format!(
            "n={} in={ih}x{iw}x{c} pool={kh}x{kw} strides={sh}x{sw} {words}",
            self.n
        )
    }

    fn x_shape(&self) -> [usize; 4] {
        let [ih, iw, c] = self.input;
        [self.n, ih, iw, c]
    }

    fn y_shape(&self) -> [usize; 4] {
        let PoolShape { window, c, .. } = self.shape();
        [self.n, window.oh, window.ow, c]
    }
}

/// The pool that is tried with named inputs and every activation.
const SMALL: PoolSizes = (2, [7, 5, 3], [3, 2], [2, 2], SAME);

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for &sizes in TABLE {
        cases.extend(KINDS.map(|kind| forward(PoolCase::new(sizes, kind), Input::Random)));
    }
    cases.extend([Input::Inference, Input::Ties, Input::Equal].map(|input| {
        let pool = PoolCase::new(SMALL, PoolKind::Max);
        forward(pool, input)
    }));
    for kind in KINDS {
        let special = [Input::Nan, Input::Infinity, Input::MinusInfinity];
        cases.extend(special.map(|input| forward(PoolCase::new(SMALL, kind), input)));
    }
    for (i, &sizes) in TABLE.iter().enumerate() {
        let f = (i % 2 == 0).then_some(Activation::Relu);
        cases.extend(KINDS.map(|kind| backward(PoolCase::new(sizes, kind), f)));
    }
    for f in each_through() {
        cases.extend(KINDS.map(|kind| backward(PoolCase::new(SMALL, kind), f)));
    }
    cases
}

/// The input of a pool.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Input {
    Random,
    /// Random, without an argmax.
    Inference,
    /// Few different values, so that most windows contain their maximum twice.
    Ties,
    /// One value everywhere.
    Equal,
    /// One NaN in each image.
    Nan,
    /// One infinity in each image.
    Infinity,
    /// Minus infinity everywhere.
    MinusInfinity,
}

impl Input {
    fn values(self, mut random: Vec<f32>) -> Vec<f32> {
        let middle = random.len() / 3;
        match self {
            Self::Random | Self::Inference => {}
            Self::Ties => random.iter_mut().for_each(|x| *x = (*x * 2.0).round()),
            Self::Equal => random.fill(-0.5),
            Self::Nan => random[middle] = f32::NAN,
            Self::Infinity => random[middle] = f32::INFINITY,
            Self::MinusInfinity => random.fill(f32::NEG_INFINITY),
        }
        random
    }
}

fn forward(pool: PoolCase, input: Input) -> Case {
    let mut b = CaseBuilder::new(pool.n);
    let x = input.values(b.uniform(pool.x_shape().iter().product()));
    let wants_argmax = pool.kind == PoolKind::Max && input != Input::Inference;
    let op = Op::Pool2dForward(Pool2dForward {
        shape: pool.shape(),
        x: b.input_of("x", &pool.x_shape(), x),
        y: b.output("y", &pool.y_shape()),
        argmax: wants_argmax.then(|| b.output_words("argmax", &pool.y_shape())),
    });
    let input = format!("{input:?}").to_lowercase();
    b.finish(op, &format!("{} input={input}", pool.vars()))
}

fn backward(pool: PoolCase, f: Option<Activation>) -> Case {
    let mut b = CaseBuilder::new(pool.n);
    let argmax = (pool.kind == PoolKind::Max).then(|| {
        let taken = random_cells(&b, &pool);
        b.words("argmax", &pool.y_shape(), taken)
    });
    let op = Op::Pool2dBackward(Pool2dBackward {
        shape: pool.shape(),
        dy: b.input("dy", &pool.y_shape()),
        argmax,
        through: through(&mut b, &pool.x_shape(), f),
        dx: b.output("dx", &pool.x_shape()),
    });
    b.finish(op, &format!("{} through={}", pool.vars(), through_name(f)))
}

/// For each output cell one of the cells in its window that are not padding.
fn random_cells(b: &CaseBuilder, pool: &PoolCase) -> Vec<u32> {
    let PoolShape { window, c, .. } = pool.shape();
    let outputs = pool.y_shape().iter().product();
    let taken = (0..outputs).map(|i| {
        let (oy, ox) = (i / (window.ow * c) % window.oh, i / c % window.ow);
        let cells: Vec<_> = window.cells(oy, ox).collect();
        let cell = cells[b.key().bits(i as u32) as usize % cells.len()];
        (cell.ky * window.kw + cell.kx) as u32
    });
    taken.collect()
}
