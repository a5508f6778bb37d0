//! Normal noise.

use super::super::case::{Case, CaseBuilder};
use crate::plan::{AddNoise, Op, RowDraws};

pub(super) fn cases() -> Vec<Case> {
    let sizes = [[1, 1], [3, 7], [5, 64], [2, 65], [7, 1021]];
    let mut cases: Vec<Case> = sizes.map(|size| noise(size, 0.5, false)).into();
    cases.push(noise([3, 13], 1.0, false));
    cases.push(noise([3, 13], 0.5, true));
    cases
}

fn noise([n, size]: [usize; 2], stddev: f64, nan: bool) -> Case {
    let mut b = CaseBuilder::new(n);
    let mut x = b.uniform(n * size);
    if nan {
        x.iter_mut().step_by(3).for_each(|x| *x = f32::NAN);
    }
    let op = Op::AddNoise(AddNoise {
        stddev,
        draws: RowDraws { number: 9 },
        x: b.input_of("x", &[n, size], x),
        y: b.output("y", &[n, size]),
    });
    let input = if nan { " input=nan" } else { "" };
    b.finish(op, &format!("n={n} size={size} stddev={stddev}{input}"))
}
