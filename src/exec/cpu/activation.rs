//! Pointwise activations.

use pulp::Arch;

use crate::model::Activation;

/// `y = f(y)` for a pointwise activation.
pub(super) fn apply(activation: Activation, y: &mut [f32]) {
    match activation {
        // Softmax needs rows: the plan has an operation of its own for it.
        Activation::Linear | Activation::Softmax => {}
        // Not a maximum: NaN is not less than zero, and stays.
        Activation::Relu => y
            .iter_mut()
            .for_each(|y| *y = if *y < 0.0 { 0.0 } else { *y }),
        Activation::Sigmoid => y.iter_mut().for_each(|y| *y = 1.0 / (1.0 + (-*y).exp())),
        Activation::Tanh => y.iter_mut().for_each(|y| *y = y.tanh()),
    }
}

/// `y = f(x)`.
pub(super) fn forward(arch: Arch, activation: Activation, x: &[f32], y: &mut [f32]) {
    y.copy_from_slice(x);
    arch.dispatch(|| apply(activation, y));
}

/// `dx = f'(y) * dx`.
pub(super) fn backward(arch: Arch, activation: Activation, y: &[f32], dx: &mut [f32]) {
    arch.dispatch(|| match activation {
        Activation::Linear | Activation::Softmax => {}
        // As the formula says: what a gradient is where `y` is not positive does not matter.
        Activation::Relu => {
            for (dx, y) in dx.iter_mut().zip(y) {
                *dx = if *y > 0.0 { *dx } else { 0.0 };
            }
        }
        Activation::Sigmoid => scale(dx, y, |y| y * (1.0 - y)),
        Activation::Tanh => scale(dx, y, |y| 1.0 - y * y),
    });
}

#[inline(always)]
fn scale(dx: &mut [f32], y: &[f32], derivative: impl Fn(f32) -> f32) {
    for (dx, &y) in dx.iter_mut().zip(y) {
        *dx *= derivative(y);
    }
}
