//! Penalties on parameters.

use super::super::case::{Case, CaseBuilder};
use super::{all_dims, parameters};
use crate::exec::Values;
use crate::model::Regularizer;
use crate::plan::{Op, Penalty, Regularize};

const RULES: [(f64, f64); 3] = [(0.01, 0.0), (0.0, 0.02), (0.01, 0.005)];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for shapes in [
        &[&[1][..]][..],
        &[&[3, 3, 1, 4], &[65]],
        &[&[576, 64], &[64]],
    ] {
        for (l1, l2) in RULES {
            let training = [true, false];
            cases.extend(training.map(|training| regularize(shapes, (l1, l2), training)));
        }
    }
    cases
}

fn regularize(shapes: &[&[usize]], (l1, l2): (f64, f64), training: bool) -> Case {
    let mut b = CaseBuilder::new(7).rows(5);
    let params = parameters(&mut b, shapes);
    let mut penalties = Vec::new();
    for (&w, shape) in params.iter().zip(shapes) {
        let gradient = training.then(|| {
            let (values, id) = (b.uniform(shape.iter().product()), b.gradient(w));
            b.fill(id, Values::F32(values));
            id
        });
        penalties.push(Penalty {
            w,
            gradient,
            regularizer: Regularizer { l1, l2 },
        });
    }
    let shapes = all_dims(shapes);
    let vars = format!("params={shapes} l1={l1} l2={l2} training={training}");
    let mut case = b.finish(Op::Regularize(Regularize { penalties }), &vars);
    // Zero, where the absolute value is not differentiable.
    if let Some(w) = case.state.params.get_mut(1) {
        *w = 0.0;
    }
    case
}
