//! Pointwise activations.

use pulp::Arch;

use super::rows::{Block, RowWise};
use crate::model::Activation;
use crate::plan::{ActivationBackward, ActivationForward};

/// The slope of a leaky ReLU below zero.
const LEAK: f32 = 0.2;
const SELU_SCALE: f32 = 1.050_701;
/// `SELU_SCALE` times selu's alpha.
const SELU_FLOOR: f32 = 1.758_099_3;

/// `y = f(y)` for a pointwise activation.
pub(super) fn apply(activation: Activation, y: &mut [f32]) {
    match activation {
        // Softmax needs rows: the plan has an operation of its own for it.
        Activation::Linear | Activation::Softmax => {}
        // Not a maximum: NaN is not less than zero, and stays.
        Activation::Relu => map(y, |x| if x < 0.0 { 0.0 } else { x }),
        Activation::LeakyRelu => map(y, |x| if x < 0.0 { LEAK * x } else { x }),
        Activation::Elu => map(y, |x| if x < 0.0 { x.exp_m1() } else { x }),
        Activation::Selu => map(y, |x| match x < 0.0 {
            true => SELU_FLOOR * x.exp_m1(),
            false => SELU_SCALE * x,
        }),
        Activation::Gelu => map(y, |x| x * normal_share(x)),
        Activation::Silu => map(y, |x| x * sigmoid(x)),
        Activation::Softplus => map(y, |x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
        Activation::Sigmoid => map(y, sigmoid),
        Activation::Tanh => map(y, f32::tanh),
    }
}

#[inline(always)]
fn map(y: &mut [f32], f: impl Fn(f32) -> f32) {
    y.iter_mut().for_each(|y| *y = f(*y));
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The share of a standard normal distribution that lies below `x`.
fn normal_share(x: f32) -> f32 {
    0.5 * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// `y = f(x)`.
pub(super) fn forward(arch: Arch, activation: Activation, x: &[f32], y: &mut [f32]) {
    y.copy_from_slice(x);
    arch.dispatch(|| apply(activation, y));
}

/// `dx = f'(x) * dx`, the derivative as a function of what is `kept`; see
/// [`Activation::derivative`].
pub(super) fn backward(arch: Arch, activation: Activation, kept: &[f32], dx: &mut [f32]) {
    arch.dispatch(|| match activation {
        Activation::Linear | Activation::Softmax => {}
        // As the formula says: what a gradient is where `y` is not positive does not matter.
        Activation::Relu => {
            for (dx, y) in dx.iter_mut().zip(kept) {
                *dx = if *y > 0.0 { *dx } else { 0.0 };
            }
        }
        Activation::LeakyRelu => scale(dx, kept, |y| if y > 0.0 { 1.0 } else { LEAK }),
        Activation::Elu => scale(dx, kept, |y| if y < 0.0 { y + 1.0 } else { 1.0 }),
        Activation::Selu => scale(dx, kept, |y| match y < 0.0 {
            true => y + SELU_FLOOR,
            false => SELU_SCALE,
        }),
        Activation::Gelu => scale(dx, kept, |x| {
            let density = (-0.5 * x * x).exp() / std::f32::consts::TAU.sqrt();
            normal_share(x) + x * density
        }),
        Activation::Silu => scale(dx, kept, |x| {
            let s = sigmoid(x);
            s * (1.0 + x * (1.0 - s))
        }),
        Activation::Softplus => scale(dx, kept, |y| -(-y).exp_m1()),
        Activation::Sigmoid => scale(dx, kept, |y| y * (1.0 - y)),
        Activation::Tanh => scale(dx, kept, |y| 1.0 - y * y),
    });
}

#[inline(always)]
fn scale(dx: &mut [f32], kept: &[f32], derivative: impl Fn(f32) -> f32) {
    for (dx, &kept) in dx.iter_mut().zip(kept) {
        *dx *= derivative(kept);
    }
}

impl RowWise for ActivationForward {
    fn run(&self, block: &mut Block<'_, '_, '_>) {
        let arch = block.arch();
        block.write(self.y, |block, y| {
            forward(arch, self.activation, block.floats(self.x), y);
        });
    }
}

impl RowWise for ActivationBackward {
    fn run(&self, block: &mut Block<'_, '_, '_>) {
        block.write(self.dx, |block, dx| {
            dx.copy_from_slice(block.floats(self.dy));
            block.through(Some(self.through), dx);
        });
    }
}
