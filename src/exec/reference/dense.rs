//! Fully connected layers, forward and backward.

use super::{Definition, optional, put_gradient, put_gradients, rounded};
use crate::exec::host::Memory;
use crate::model::Activation;
use crate::plan::{DenseBackwardInput, DenseBackwardWeight, DenseForward};

impl Definition for DenseForward {
    fn run(&self, m: &mut Memory<'_>) {
        let Self {
            inputs,
            outputs,
            x,
            w,
            bias,
            y,
            activation,
        } = self;
        let (x, w, bias) = (m.floats(*x), m.floats(*w), optional(m, bias));
        let out = forward(*inputs, *outputs, x, w, bias, *activation);
        m.put(*y, out);
    }
}

impl Definition for DenseBackwardInput {
    fn run(&self, m: &mut Memory<'_>) {
        let Self {
            inputs,
            outputs,
            dy,
            w,
            dx,
            through,
        } = self;
        let out = backward_input(*inputs, *outputs, m.floats(*dy), m.floats(*w));
        put_gradient(m, *dx, out, through.as_ref());
    }
}

impl Definition for DenseBackwardWeight {
    fn run(&self, m: &mut Memory<'_>) {
        let Self {
            inputs,
            outputs,
            x,
            dy,
            dw,
            dbias,
        } = self;
        let (x, dy) = (m.floats(*x), m.floats(*dy));
        let kernel = backward_weight(*inputs, *outputs, x, dy);
        let bias = backward_bias(dy, *outputs);
        put_gradients(m, (*dw, kernel), (*dbias, bias));
    }
}

/// `y[n, o] = f(bias[o] + Σ_i x[n, i] * w[i, o])`.
pub(super) fn forward(
    inputs: usize,
    outputs: usize,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    f: Activation,
) -> Vec<f32> {
    let mut y = Vec::with_capacity(x.len() / inputs * outputs);
    for x in x.chunks_exact(inputs) {
        for o in 0..outputs {
            let bias = bias.map_or(0.0, |bias| f64::from(bias[o]));
            let terms = (0..inputs).map(|i| f64::from(x[i]) * f64::from(w[i * outputs + o]));
            y.push(f.apply(bias + terms.sum::<f64>()));
        }
    }
    rounded(y)
}

/// `dx[n, i] = Σ_o dy[n, o] * w[i, o]`.
pub(super) fn backward_input(inputs: usize, outputs: usize, dy: &[f32], w: &[f32]) -> Vec<f64> {
    let mut dx = Vec::with_capacity(dy.len() / outputs * inputs);
    for dy in dy.chunks_exact(outputs) {
        for w in w.chunks_exact(outputs) {
            let terms = dy.iter().zip(w);
            dx.push(terms.map(|(&dy, &w)| f64::from(dy) * f64::from(w)).sum());
        }
    }
    dx
}

/// `dw[i, o] = Σ_n x[n, i] * dy[n, o]`.
pub(super) fn backward_weight(inputs: usize, outputs: usize, x: &[f32], dy: &[f32]) -> Vec<f64> {
    let mut dw = vec![0.0; inputs * outputs];
    for (x, dy) in x.chunks_exact(inputs).zip(dy.chunks_exact(outputs)) {
        for i in 0..inputs {
            for o in 0..outputs {
                dw[i * outputs + o] += f64::from(x[i]) * f64::from(dy[o]);
            }
        }
    }
    dw
}

/// `dbias[o] = Σ_n dy[n, o]`; the pixels of a convolution also count as rows.
pub(super) fn backward_bias(dy: &[f32], outputs: usize) -> Vec<f64> {
    let mut dbias = vec![0.0; outputs];
    for (i, &dy) in dy.iter().enumerate() {
        dbias[i % outputs] += f64::from(dy);
    }
    dbias
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: [f32; 4] = [1.0, 2.0, 3.0, 4.0];
    const W: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

    #[test]
    fn forward_by_hand() {
        let y = forward(2, 3, &X, &W, Some(&[0.0, -100.0, 1.0]), Activation::Relu);
        assert_eq!(y, [9.0, 0.0, 16.0, 19.0, 0.0, 34.0]);
    }

    #[test]
    fn backward_by_hand() {
        let dy = [1.0, 0.0, -1.0, 0.0, 2.0, 0.0];
        assert_eq!(backward_input(2, 3, &dy, &W), [-2.0, -2.0, 4.0, 10.0]);
        let dw = backward_weight(2, 3, &X, &dy);
        assert_eq!(dw, [1.0, 6.0, -1.0, 2.0, 8.0, -2.0]);
        assert_eq!(backward_bias(&dy, 3), [1.0, 2.0, -1.0]);
    }
}
