//! Contrast and brightness.

use super::super::case::{Case, CaseBuilder};
use crate::plan::{AdjustBrightness, AdjustContrast, Op, RowDraws};
use crate::shape::dims;

/// Batch, height, width and channels.
const TABLE: [[usize; 4]; 10] = [
    [1, 1, 1, 1],
    [3, 1, 7, 1],
    [2, 5, 1, 3],
    [5, 7, 6, 1],
    [3, 9, 11, 3],
    [2, 5, 7, 4],
    [3, 4, 3, 8],
    [65, 3, 3, 1],
    [2, 28, 28, 1],
    [1, 33, 31, 2],
];

/// The random inputs lie in [-1, 1).
const RANGE: [f64; 2] = [-0.75, 0.5];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in TABLE {
        cases.push(contrast(shape, [0.5, 1.5], false));
    }
    cases.push(contrast([3, 5, 5, 1], [0.0, 4.0], false));
    cases.push(contrast([3, 5, 5, 1], [1.0, 1.5], true));
    for shape in TABLE {
        cases.push(brightness(shape, [-0.5, 0.5], false));
    }
    cases.push(brightness([3, 5, 5, 1], [0.25, 0.25], false));
    cases.push(brightness([3, 5, 5, 1], [-0.5, 0.5], true));
    cases
}

/// The input; with `nan`, a pixel of the first image is NaN.
fn input(b: &CaseBuilder, shape: [usize; 4], nan: bool) -> Vec<f32> {
    let mut x = b.uniform(shape.iter().product());
    if nan {
        x[3] = f32::NAN;
    }
    x
}

fn contrast(shape: [usize; 4], scales: [f64; 2], nan: bool) -> Case {
    let [n, h, w, c] = shape;
    let mut b = CaseBuilder::new(n);
    let x = input(&b, shape, nan);
    let op = Op::AdjustContrast(AdjustContrast {
        shape: [h, w, c],
        scales,
        range: RANGE,
        draws: RowDraws { number: 5 },
        x: b.input_of("x", &shape, x),
        y: b.output("y", &shape),
    });
    b.finish(op, &vars(shape, scales, nan))
}

fn brightness(shape: [usize; 4], shares: [f64; 2], nan: bool) -> Case {
    let [n, ..] = shape;
    let mut b = CaseBuilder::new(n);
    let x = input(&b, shape, nan);
    let op = Op::AdjustBrightness(AdjustBrightness {
        shares,
        range: RANGE,
        draws: RowDraws { number: 6 },
        x: b.input_of("x", &shape, x),
        y: b.output("y", &shape),
    });
    b.finish(op, &vars(shape, shares, nan))
}

fn vars(shape: [usize; 4], [lower, upper]: [f64; 2], nan: bool) -> String {
    let input = if nan { " input=nan" } else { "" };
    let image = dims(&shape[1..]);
    format!("n={} image={image} draws={lower}..{upper}{input}", shape[0])
}
