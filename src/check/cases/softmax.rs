//! Softmax, forward and backward.

use super::super::case::{Case, CaseBuilder};
use super::{each_through, through, through_name};
use crate::model::Activation;
use crate::plan::{Op, SoftmaxBackward, SoftmaxForward};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for &(rows, width) in TABLE {
        cases.push(forward(rows, width, "random"));
    }
    cases.extend(["large", "equal", "nan"].map(|input| forward(5, 11, input)));
    for (i, &(rows, width)) in TABLE.iter().enumerate() {
        let f = (i % 2 == 1).then_some(Activation::Relu);
        cases.push(backward(rows, width, f));
    }
    cases.extend(each_through().map(|f| backward(5, 13, f)));
    cases
}

/// Rows and width.
const TABLE: &[(usize, usize)] = &[
    (1, 1),
    (1, 2),
    (3, 10),
    (64, 10),
    (65, 7),
    (5, 63),
    (5, 64),
    (5, 65),
    (2, 255),
    (2, 256),
    (2, 257),
    (257, 3),
];

/// Logits for a named difficulty.
pub(super) fn logits(mut random: Vec<f32>, width: usize, input: &str) -> Vec<f32> {
    for (i, x) in random.iter_mut().enumerate() {
        *x = match (input, i % 3) {
            // Overflows unless the maximum is subtracted first.
            ("large", 0) => 1e4,
            ("large", 1) => -1e4,
            // The loss is the logarithm of a small number, which f32 loses if it is added to 1e4
            // too early.
            ("large-ties", 0) => 1e4,
            ("large-ties", _) => -1e4,
            ("ties", _) => (*x * 2.0).round(),
            ("equal", _) => 0.25,
            ("nan", _) if i == width + 1 => f32::NAN,
            ("nan-first", _) if i == 0 => f32::NAN,
            // A sigmoid rounds to 1 here.
            ("saturated", _) => 33.0 + 3.0 * *x,
            _ => *x * 3.0,
        };
    }
    random
}

fn forward(rows: usize, width: usize, input: &str) -> Case {
    let mut b = CaseBuilder::new(rows);
    let x = logits(b.uniform(rows * width), width, input);
    let op = Op::SoftmaxForward(SoftmaxForward {
        width,
        x: b.input_of("x", &[rows, width], x),
        y: b.output("y", &[rows, width]),
    });
    b.finish(op, &format!("n={rows} width={width} input={input}"))
}

fn backward(rows: usize, width: usize, f: Option<Activation>) -> Case {
    let mut b = CaseBuilder::new(rows);
    let shape = [rows, width];
    let probabilities = softmax(&b.uniform(rows * width), width);
    let op = Op::SoftmaxBackward(SoftmaxBackward {
        width,
        y: b.input_of("y", &shape, probabilities),
        dy: b.input("dy", &shape),
        through: through(&mut b, &shape, f),
        dx: b.output("dx", &shape),
    });
    let through = through_name(f);
    b.finish(op, &format!("n={rows} width={width} through={through}"))
}

/// Rows that sum to one.
fn softmax(x: &[f32], width: usize) -> Vec<f32> {
    let rows = x.chunks_exact(width).flat_map(|row| {
        let sum: f32 = row.iter().map(|x| x.exp()).sum();
        row.iter().map(move |x| x.exp() / sum)
    });
    rows.collect()
}
