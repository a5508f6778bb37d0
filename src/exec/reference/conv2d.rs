//! Two-dimensional convolution, forward and backward.

use super::{Definition, at, optional, put_gradient, put_gradients, rounded};
use crate::exec::host::Memory;
use crate::model::Activation;
use crate::plan::{Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward, ConvShape};

impl Definition for Conv2dForward {
    fn run(&self, m: &mut Memory<'_>) {
        let Self {
            shape,
            x,
            w,
            bias,
            y,
            activation,
        } = self;
        let (x, w, bias) = (m.floats(*x), m.floats(*w), optional(m, bias));
        let out = forward(m.batch, shape, x, w, bias, *activation);
        m.put(*y, out);
    }
}

impl Definition for Conv2dBackwardInput {
    fn run(&self, m: &mut Memory<'_>) {
        let Self {
            shape,
            dy,
            w,
            dx,
            through,
        } = self;
        let out = backward_input(m.batch, shape, m.floats(*dy), m.floats(*w));
        put_gradient(m, *dx, out, through.as_ref());
    }
}

impl Definition for Conv2dBackwardWeight {
    fn run(&self, m: &mut Memory<'_>) {
        let Self {
            shape,
            x,
            dy,
            dw,
            dbias,
        } = self;
        let (x, dy) = (m.floats(*x), m.floats(*dy));
        let kernel = backward_weight(m.batch, shape, x, dy);
        let bias = super::dense::backward_bias(dy, shape.oc);
        put_gradients(m, (*dw, kernel), (*dbias, bias));
    }
}

/// `y[n, oy, ox, oc] = f(bias[oc] + Σ_{ky, kx, ic} x[n, iy, ix, ic] * w[ky, kx, ic, oc])`.
pub(super) fn forward(
    batch: usize,
    shape: &ConvShape,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    f: Activation,
) -> Vec<f32> {
    let mut y = vec![0.0; batch * shape.window.oh * shape.window.ow * shape.oc];
    if let Some(bias) = bias {
        for (i, y) in y.iter_mut().enumerate() {
            *y = f64::from(bias[i % shape.oc]);
        }
    }
    for_each_product(batch, shape, |x_at, w_at, y_at| {
        y[y_at] += f64::from(x[x_at]) * f64::from(w[w_at]);
    });
    rounded(y.into_iter().map(|sum| f.apply(sum)).collect())
}

/// `dx[n, iy, ix, ic] = Σ_{ky, kx, oc} dy[n, oy, ox, oc] * w[ky, kx, ic, oc]`.
pub(super) fn backward_input(batch: usize, shape: &ConvShape, dy: &[f32], w: &[f32]) -> Vec<f64> {
    let mut dx = vec![0.0; batch * shape.window.ih * shape.window.iw * shape.ic];
    for_each_product(batch, shape, |x_at, w_at, y_at| {
        dx[x_at] += f64::from(dy[y_at]) * f64::from(w[w_at]);
    });
    dx
}

/// `dw[ky, kx, ic, oc] = Σ_{n, oy, ox} x[n, iy, ix, ic] * dy[n, oy, ox, oc]`.
pub(super) fn backward_weight(batch: usize, shape: &ConvShape, x: &[f32], dy: &[f32]) -> Vec<f64> {
    let mut dw = vec![0.0; shape.kernel_len()];
    for_each_product(batch, shape, |x_at, w_at, y_at| {
        dw[w_at] += f64::from(x[x_at]) * f64::from(dy[y_at]);
    });
    dw
}

/// Visits every product `x * w` of a convolution with the indices of `x`, `w` and the `y` that it
/// contributes to. The forward and both backward passes are sums over the same triples: each tensor
/// accumulates the products of the other two.
fn for_each_product(batch: usize, shape: &ConvShape, mut product: impl FnMut(usize, usize, usize)) {
    let ConvShape { window, ic, oc, .. } = *shape;
    let [group_ic, group_oc] = shape.group();
    let x_shape = [batch, window.ih, window.iw, ic];
    let w_shape = [window.kh, window.kw, group_ic, oc];
    let y_shape = [batch, window.oh, window.ow, oc];
    for n in 0..batch {
        for oy in 0..window.oh {
            for ox in 0..window.ow {
                for cell in window.cells(oy, ox) {
                    for i in 0..ic {
                        let x_at = at(x_shape, [n, cell.iy, cell.ix, i]);
                        // The outputs of the group that input `i` belongs to.
                        for o in (0..group_oc).map(|o| i / group_ic * group_oc + o) {
                            let w_at = at(w_shape, [cell.ky, cell.kx, i % group_ic, o]);
                            product(x_at, w_at, at(y_shape, [n, oy, ox, o]));
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::{Padding, Window};

    fn shape(input: [usize; 2], padding: Padding, ic: usize, oc: usize) -> ConvShape {
        let window = Window::new(input, 2.into(), 1.into(), padding).unwrap();
        ConvShape::new(window, ic, oc)
    }

    const X: [f32; 9] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    const W: [f32; 4] = [1.0, 10.0, 100.0, 1000.0];

    #[test]
    fn forward_by_hand() {
        let shape = shape([3, 3], Padding::Valid, 1, 1);
        let y = forward(1, &shape, &X, &W, Some(&[0.5]), Activation::Linear);
        assert_eq!(y, [5421.5, 6532.5, 8754.5, 9865.5]);
    }

    #[test]
    fn same_padding_stands_at_the_end() {
        let shape = shape([3, 3], Padding::Same, 1, 1);
        let y = forward(1, &shape, &X, &W, None, Activation::Linear);
        let expected = [
            5421.0, 6532.0, 603.0, 8754.0, 9865.0, 906.0, 87.0, 98.0, 9.0,
        ];
        assert_eq!(y, expected);
    }

    #[test]
    fn channels_are_summed_and_kept_apart() {
        // Only the last pixel, and only the kernel under it, are not zero.
        let shape = shape([2, 2], Padding::Valid, 2, 2);
        let mut x = [0.0; 8];
        (x[6], x[7]) = (2.0, 3.0);
        let mut w = [0.0; 16];
        w[12..].copy_from_slice(&[1.0, 10.0, 100.0, 1000.0]);
        let y = forward(1, &shape, &x, &w, None, Activation::Linear);
        assert_eq!(y, [302.0, 3020.0]);
    }

    #[test]
    fn groups_see_only_their_own_channels() {
        let window = Window::new([1, 1], 1.into(), 1.into(), Padding::Valid).unwrap();
        let shape = ConvShape {
            groups: 2,
            ..ConvShape::new(window, 4, 2)
        };
        // The kernel is [1, 1, 2, 2]: input in the group, output.
        let (x, w) = ([1.0, 2.0, 3.0, 4.0], [1.0, 10.0, 100.0, 1000.0]);
        let y = forward(1, &shape, &x, &w, None, Activation::Linear);
        assert_eq!(y, [201.0, 4030.0]);
        let dx = backward_input(1, &shape, &[1.0, 2.0], &w);
        assert_eq!(dx, [1.0, 100.0, 20.0, 2000.0]);
        let dw = backward_weight(1, &shape, &x, &[1.0, 2.0]);
        assert_eq!(dw, [1.0, 6.0, 2.0, 8.0]);
    }

    #[test]
    fn backward_by_hand() {
        let shape = shape([3, 3], Padding::Valid, 1, 1);
        let dy = [1.0, 0.0, 0.0, 2.0];
        let dx = backward_input(1, &shape, &dy, &W);
        assert_eq!(
            dx,
            [1.0, 10.0, 0.0, 100.0, 1002.0, 20.0, 0.0, 200.0, 2000.0]
        );
        let dw = backward_weight(1, &shape, &X, &dy);
        assert_eq!(dw, [11.0, 14.0, 20.0, 23.0]);
    }
}
