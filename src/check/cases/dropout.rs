//! Dropout and rescaling.

use super::super::case::{Case, CaseBuilder};
use super::{each_through, through, through_name};
use crate::model::Activation;
use crate::plan::{Dropout, DropoutMask, Op, Rescale};

/// Batch, cells per sample, random draws per sample.
const TABLE: [[usize; 3]; 9] = [
    [1, 1, 1],
    [3, 7, 7],
    [5, 64, 64],
    [2, 65, 65],
    [7, 256, 256],
    [17, 12, 3],
    [5, 60, 4],
    [3, 49 * 32, 32],
    [2, 1021, 1],
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (i, row) in TABLE.into_iter().enumerate() {
        for rate in [0.25, 0.5, 0.9] {
            cases.push(dropout(row, rate, i as u32, None, false));
        }
    }
    cases.push(dropout([2, 64, 64], 0.5, 1, None, true));
    let activations = each_through().flatten();
    cases.extend(activations.map(|f| dropout([5, 13, 13], 0.5, 2, Some(f), false)));
    for size in [1, 7, 64, 257] {
        cases.push(rescale(size, [2.0, -1.0], None));
    }
    let activations = each_through().flatten();
    cases.extend(activations.map(|f| rescale(65, [-0.5, 0.0], Some(f))));
    cases
}

/// With `nan` some inputs are NaN, and only those that are kept may reach the output.
fn dropout(
    [n, size, width]: [usize; 3],
    rate: f64,
    number: u32,
    f: Option<Activation>,
    nan: bool,
) -> Case {
    let mut b = CaseBuilder::new(n);
    let mut x = b.uniform(n * size);
    if nan {
        x.iter_mut().step_by(3).for_each(|x| *x = f32::NAN);
    }
    let mask = DropoutMask {
        rate,
        number,
        size,
        width,
    };
    let op = Op::Dropout(Dropout {
        mask,
        x: b.input_of("x", &[n, size], x),
        through: through(&mut b, &[n, size], f),
        y: b.output("y", &[n, size]),
    });
    let through = through_name(f);
    let vars = format!("n={n} size={size} draws={width} rate={rate} number={number}");
    let input = if nan { " input=nan" } else { "" };
    b.finish(op, &format!("{vars} through={through}{input}"))
}

fn rescale(size: usize, [scale, offset]: [f32; 2], f: Option<Activation>) -> Case {
    let mut b = CaseBuilder::new(2);
    let shape = [2, size];
    let op = Op::Rescale(Rescale {
        scale,
        offset,
        x: b.input("x", &shape),
        through: through(&mut b, &shape, f),
        y: b.output("y", &shape),
    });
    let through = through_name(f);
    let vars = format!("size={size} scale={scale} offset={offset} through={through}");
    b.finish(op, &vars)
}
