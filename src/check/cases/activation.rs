//! Pointwise activations as separate operations.

use super::super::case::{Case, CaseBuilder};
use super::{POINTWISE, sweep, through};
use crate::model::Activation;
use crate::plan::{ActivationBackward, ActivationForward, Op, Through};

const SIZES: [usize; 9] = [1, 7, 63, 64, 65, 255, 256, 257, 1021];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for f in POINTWISE {
        cases.extend(SIZES.map(|n| forward(f, n, "random")));
        cases.extend(["large", "nan", "inf"].map(|input| forward(f, 65, input)));
        cases.push(forward_sweep(f));
    }
    for f in POINTWISE {
        cases.extend(SIZES.map(|n| backward(f, n)));
        cases.push(backward_sweep(f));
    }
    cases
}

fn forward(f: Activation, n: usize, input: &str) -> Case {
    let mut b = CaseBuilder::new(1);
    let mut values = b.uniform(n);
    values.iter_mut().for_each(|x| *x *= 4.0);
    match input {
        // A naive tanh or sigmoid overflows here.
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

/// A driver may flush smaller numbers to zero.
const TINY: f64 = 1e-30;

/// Tails and small numbers, each with its own relative error.
fn forward_sweep(f: Activation) -> Case {
    let mut b = CaseBuilder::new(1).smallest(TINY);
    let values = sweep(|_| true);
    let n = values.len();
    let op = Op::ActivationForward(ActivationForward {
        activation: f,
        x: b.input_of("x", &[1, n], values),
        y: b.output("y", &[1, n]),
    });
    b.finish(op, &format!("size={n} activation={} input=sweep", f.name()))
}

/// The same for the derivative. If that is a function of `y`, it inherits the rounding error of
/// `y`.
fn backward_sweep(f: Activation) -> Case {
    let kept = |x: f64| if f.keeps_input() { x } else { f.apply(x) };
    // Near a zero of the derivative only the rounding errors of its terms are left.
    let is_clear = |x: f64| !(-2.0..0.0).contains(&x) || f.derivative(kept(x)).abs() > 0.02;
    let values = sweep(is_clear);
    let values: Vec<f32> = values.iter().map(|x| kept((*x).into()) as f32).collect();
    let n = values.len();
    let smallest = if f.keeps_input() { TINY } else { 1.0 / 16.0 };
    let mut b = CaseBuilder::new(1).smallest(smallest);
    let op = Op::ActivationBackward(ActivationBackward {
        dy: b.input_of("dy", &[1, n], vec![1.0; n]),
        through: Through {
            y: b.input_of("through", &[1, n], values),
            activation: f,
        },
        dx: b.output("dx", &[1, n]),
    });
    b.finish(op, &format!("size={n} activation={} input=sweep", f.name()))
}
