//! Sums and concatenations.

use super::super::case::{Case, CaseBuilder};
use super::{each_through, through, through_name};
use crate::model::Activation;
use crate::plan::{AddOp, ConcatenateBackward, ConcatenateForward, Op};

/// Cells of a row in front and behind: both, one or none a multiple of 4.
const WIDTHS: [[usize; 2]; 7] = [
    [1, 1],
    [3, 5],
    [4, 8],
    [4, 7],
    [13, 4],
    [64, 32],
    [1, 257],
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for [n, size] in [[1, 1], [2, 7], [5, 64], [3, 65], [2, 1021], [7, 8 * 49]] {
        cases.push(add([n, size], false, ""));
    }
    cases.push(add([3, 20], true, ""));
    cases.push(add([3, 20], false, " input=nan"));
    cases.push(add([3, 20], false, " input=infinite"));
    for widths in WIDTHS {
        cases.push(forward([3, 2], widths, false));
    }
    cases.push(forward([1, 31], [6, 10], false));
    cases.push(forward([2, 3], [5, 5], true));
    for [front, behind] in WIDTHS {
        cases.push(backward([3, 2], [front, front + behind, 0], None));
        cases.push(backward([3, 2], [behind, front + behind, front], None));
    }
    let activations = || each_through().flatten();
    cases.extend(activations().map(|f| backward([2, 3], [5, 12, 3], Some(f))));
    cases.extend(activations().map(|f| backward([2, 3], [8, 16, 4], Some(f))));
    cases
}

fn add(shape: [usize; 2], twice: bool, special: &str) -> Case {
    let mut b = CaseBuilder::new(shape[0]);
    let len = shape.iter().product();
    let mut values = b.uniform(len);
    let odd = if special.ends_with("nan") { f32::NAN } else { f32::INFINITY };
    if !special.is_empty() {
        values.iter_mut().step_by(3).for_each(|x| *x = odd);
        values.iter_mut().skip(1).step_by(3).for_each(|x| *x = -odd);
    }
    let first = b.input_of("a", &shape, values);
    let second = match twice {
        true => first,
        false => b.input("b", &shape),
    };
    let op = Op::Add(AddOp {
        a: first,
        b: second,
        y: b.output("y", &shape),
    });
    let twice = if twice { " twice" } else { "" };
    b.finish(op, &format!("n={} size={}{twice}{special}", shape[0], shape[1]))
}

fn forward([n, rows]: [usize; 2], widths: [usize; 2], twice: bool) -> Case {
    let mut b = CaseBuilder::new(n);
    let [front, behind] = widths;
    let first = b.input("a", &[n, rows, front]);
    let second = match twice {
        true => first,
        false => b.input("b", &[n, rows, behind]),
    };
    let op = Op::ConcatenateForward(ConcatenateForward {
        widths,
        a: first,
        b: second,
        y: b.output("y", &[n, rows, front + behind]),
    });
    let twice = if twice { " twice" } else { "" };
    b.finish(op, &format!("n={n} rows={rows} widths={front},{behind}{twice}"))
}

fn backward(
    [n, rows]: [usize; 2],
    [width, whole, first]: [usize; 3],
    f: Option<Activation>,
) -> Case {
    let mut b = CaseBuilder::new(n);
    let shape = [n, rows, width];
    let op = Op::ConcatenateBackward(ConcatenateBackward {
        widths: [width, whole],
        first,
        dy: b.input("dy", &[n, rows, whole]),
        through: through(&mut b, &shape, f),
        dx: b.output("dx", &shape),
    });
    let through = through_name(f);
    b.finish(
        op,
        &format!("n={n} rows={rows} width={width} of={whole} first={first} through={through}"),
    )
}
