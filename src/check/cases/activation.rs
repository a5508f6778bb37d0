//! Pointwise activations as operations of their own.

use super::super::case::{Case, CaseBuilder};
use super::{POINTWISE, through};
use crate::model::Activation;
use crate::plan::{ActivationBackward, ActivationForward, Op};

const SIZES: [usize; 9] = [1, 7, 63, 64, 65, 255, 256, 257, 1021];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for f in POINTWISE {
        cases.extend(SIZES.map(|n| forward(f, n, "random")));
        cases.extend(["large", "nan", "inf"].map(|input| forward(f, 65, input)));
    }
    for f in POINTWISE {
        cases.extend(SIZES.map(|n| backward(f, n)));
    }
    cases
}

fn forward(f: Activation, n: usize, input: &str) -> Case {
    let mut b = CaseBuilder::new(1);
    let mut values = b.uniform(n);
    values.iter_mut().for_each(|x| *x *= 4.0);
    match input {
        // Where a careless tanh or sigmoid overflows.
        "large" => values.iter_mut().for_each(|x| *x *= 250.0),
        "nan" => values[n / 2] = f32::NAN,
        "inf" => (values[1], values[n / 2]) = (f32::INFINITY, f32::NEG_INFINITY),
        _ => {}
    }
    let op = Op::ActivationForward(ActivationForward {
        activation: f,
        x: b.input_of("x", &[1, n], values),
        y: b.output("y", &[1, n]),
    });
    b.finish(
        op,
        &format!("size={n} activation={} input={input}", f.name()),
    )
}

fn backward(f: Activation, n: usize) -> Case {
    let mut b = CaseBuilder::new(1);
    let dy = b.input("dy", &[1, n]);
    let through = through(&mut b, &[1, n], Some(f)).expect("an activation was given");
    let dx = b.output("dx", &[1, n]);
    let op = Op::ActivationBackward(ActivationBackward { through, dy, dx });
    b.finish(op, &format!("size={n} activation={}", f.name()))
}
