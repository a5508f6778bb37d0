//! Fully connected layers, forward and backward.

use super::super::case::{Case, CaseBuilder};
use super::{POINTWISE, each_through, through, through_name};
use crate::model::Activation;
use crate::plan::{DenseBackwardInput, DenseBackwardWeight, DenseForward, Op};

/// Batch, inputs, outputs.
type DenseSizes = [usize; 3];

const TABLE: &[DenseSizes] = &[
    // The two of mnist-cnn, and the first of mnist-mlp.
    [3, 576, 64],
    [3, 64, 10],
    [2, 784, 128],
    [1, 1, 1],
    [5, 7, 11],
    [13, 11, 7],
    [2, 63, 65],
    [2, 64, 64],
    [1, 65, 63],
    [64, 5, 3],
    [63, 4, 4],
    [65, 13, 4],
    [1, 257, 13],
    [13, 255, 2],
    [7, 256, 1],
    [1, 1, 257],
    [2, 128, 32],
    [16, 16, 16],
    // Enough rows and outputs for the lanes of a subgroup to share rows.
    [64, 32, 64],
];

const SMALL: DenseSizes = [5, 13, 7];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend((TABLE.iter()).map(|&sizes| forward(sizes, true, Activation::Relu, false)));
    for activation in [&[Activation::Linear], &POINTWISE[..]].concat() {
        cases.extend([false, true].map(|bias| forward(SMALL, bias, activation, false)));
    }
    cases.push(forward(SMALL, true, Activation::Relu, true));
    for (i, &sizes) in TABLE.iter().enumerate() {
        let f = (i % 2 == 0).then_some(Activation::Relu);
        cases.push(backward_input(sizes, f));
    }
    cases.extend(each_through().map(|f| backward_input(SMALL, f)));
    for (i, &sizes) in TABLE.iter().enumerate() {
        cases.push(backward_weight(sizes, i % 3 != 2));
    }
    cases.extend([false, true].map(|bias| backward_weight(SMALL, bias)));
    cases
}

fn vars([n, inputs, outputs]: DenseSizes) -> String {
    format!("n={n} in={inputs} out={outputs}")
}

/// With `nan` the second row contains a NaN, which must not affect the others.
fn forward(sizes: DenseSizes, with_bias: bool, activation: Activation, nan: bool) -> Case {
    let [n, inputs, outputs] = sizes;
    let mut b = CaseBuilder::new(n);
    let w = b.parameter("kernel", &[inputs, outputs]);
    let bias = with_bias.then(|| b.parameter("bias", &[outputs]));
    let mut x = b.uniform(n * inputs);
    if nan {
        x[inputs + 1] = f32::NAN;
    }
    let op = Op::DenseForward(DenseForward {
        inputs,
        outputs,
        x: b.input_of("x", &[n, inputs], x),
        w,
        bias,
        y: b.output("y", &[n, outputs]),
        activation,
    });
    let input = if nan { " input=nan" } else { "" };
    let (vars, activation) = (vars(sizes), activation.name());
    b.finish(
        op,
        &format!("{vars} bias={with_bias} activation={activation}{input}"),
    )
}

fn backward_input(sizes: DenseSizes, f: Option<Activation>) -> Case {
    let [n, inputs, outputs] = sizes;
    let mut b = CaseBuilder::new(n);
    let op = Op::DenseBackwardInput(DenseBackwardInput {
        inputs,
        outputs,
        w: b.parameter("kernel", &[inputs, outputs]),
        dy: b.input("dy", &[n, outputs]),
        through: through(&mut b, &[n, inputs], f),
        dx: b.output("dx", &[n, inputs]),
    });
    b.finish(op, &format!("{} through={}", vars(sizes), through_name(f)))
}

fn backward_weight(sizes: DenseSizes, with_bias: bool) -> Case {
    let [n, inputs, outputs] = sizes;
    let mut b = CaseBuilder::new(n);
    let w = b.parameter("kernel", &[inputs, outputs]);
    let bias = with_bias.then(|| b.parameter("bias", &[outputs]));
    let op = Op::DenseBackwardWeight(DenseBackwardWeight {
        inputs,
        outputs,
        x: b.input("x", &[n, inputs]),
        dy: b.input("dy", &[n, outputs]),
        dw: b.gradient(w),
        dbias: bias.map(|bias| b.gradient(bias)),
    });
    b.finish(op, &format!("{} bias={with_bias}", vars(sizes)))
}
