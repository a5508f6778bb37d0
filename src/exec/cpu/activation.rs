//! Pointwise activations.

use pulp::Arch;

use crate::model::Activation;

/// The slope of a leaky ReLU below zero.
const LEAK: f32 = 0.2;
const SELU_SCALE: f32 = 1.050_701;
/// `SELU_SCALE` times selu's alpha.
const SELU_FLOOR: f32 = 1.758_099_3;

/// `y = f(y)` for a pointwise activation.
pub(super) fn apply(activation: Activation, y: &mut [f32]) {
    match activation {
        // Softmax needs whole rows and is a separate operation in the plan.
        Activation::Linear | Activation::Softmax => {}
        // Not a maximum: NaN is not less than zero, and stays.
        Activation::Relu => map(y, |x| if x < 0.0 { 0.0 } else { x }),
        Activation::LeakyRelu => map(y, |x| if x < 0.0 { LEAK * x } else { x }),
        Activation::Elu => map(y, |x| if x < 0.0 { x.exp_m1() } else { x }),
        Activation::Selu => map(y, |x| {
            if x < 0.0 {
                SELU_FLOOR * x.exp_m1()
            } else {
                SELU_SCALE * x
            }
        }),
        Activation::Gelu => map(y, gelu),
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

/// The cumulative distribution function of the standard normal distribution.
fn normal_share(x: f32) -> f64 {
    // In f64, as the rounding of its argument shows in the tail.
    0.5 * libm::erfc(f64::from(-x) * std::f64::consts::FRAC_1_SQRT_2)
}

fn gelu(x: f32) -> f32 {
    (f64::from(x) * normal_share(x)) as f32
}

fn gelu_derivative(x: f32) -> f32 {
    let share = normal_share(x);
    let x = f64::from(x);
    let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    (share + x * density) as f32
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
        Activation::Selu => scale(
            dx,
            kept,
            |y| if y < 0.0 { y + SELU_FLOOR } else { SELU_SCALE },
        ),
        Activation::Gelu => scale(dx, kept, gelu_derivative),
        Activation::Silu => scale(dx, kept, |x| {
            let s = sigmoid(x);
            s * (1.0 + x * (1.0 - s))
        }),
        Activation::Softplus => scale(dx, kept, sigmoid),
        Activation::Sigmoid => scale(dx, kept, |y| y * (1.0 - y)),
        Activation::Tanh => scale(dx, kept, |y| (1.0 - y) * (1.0 + y)),
    });
}

#[inline(always)]
fn scale(dx: &mut [f32], kept: &[f32], derivative: impl Fn(f32) -> f32) {
    for (dx, &kept) in dx.iter_mut().zip(kept) {
        *dx *= derivative(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::cases::sweep;

    /// Smaller results may round in any way.
    const SMALLEST: f64 = 1e-36;

    #[test]
    fn activations_and_their_derivatives_are_exact_far_out_and_near_zero() {
        for f in Activation::POINTWISE {
            let x = sweep(|_| true);
            let mut y = x.clone();
            apply(f, &mut y);
            let kept = if f.keeps_input() { &x } else { &y };
            let mut slopes = vec![1.0; x.len()];
            backward(Arch::new(), f, kept, &mut slopes);
            for (((&x, &y), &kept), &slope) in x.iter().zip(&y).zip(kept).zip(&slopes) {
                let (exact, x) = (f.apply(x.into()), f64::from(x));
                let error = (f64::from(y) - exact).abs() / exact.abs().max(SMALLEST);
                assert!(error < 1e-6, "{f:?}({x}) = {y}, not {exact}");
                let exact = f.derivative(kept.into());
                // Sums in f32: near a zero, and near SELU's lower limit, they have the error of a
                // term.
                let smallest = match f {
                    Activation::Silu | Activation::Selu => 0.5,
                    _ => SMALLEST,
                };
                let error = (f64::from(slope) - exact).abs() / exact.abs().max(smallest);
                assert!(error < 2e-6, "{f:?}'({x}) = {slope}, not {exact}");
            }
        }
    }
}
