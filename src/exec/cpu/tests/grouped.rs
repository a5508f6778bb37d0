use super::super::conv2d_grouped;
use super::{architectures, assert_close, random};
use crate::model::Activation;
use crate::plan::ConvShape;
use crate::shape::{Padding, Window};

/// A window's sizes: input, kernel, strides, dilation.
type GroupedSizes = [[usize; 2]; 4];

const SIZES: &[GroupedSizes] = &[
    [[5, 7], [3, 3], [1, 1], [1, 1]],
    [[12, 21], [3, 3], [1, 2], [1, 1]],
    [[8, 9], [3, 2], [2, 3], [1, 1]],
    [[13, 9], [5, 4], [1, 1], [1, 1]],
    [[9, 10], [7, 3], [1, 1], [1, 1]],
    [[11, 19], [3, 3], [1, 1], [2, 2]],
    [[9, 12], [3, 3], [2, 2], [2, 1]],
    // The stride and the dilation have a common factor.
    [[10, 14], [2, 3], [2, 4], [3, 6]],
    [[4, 4], [3, 3], [2, 2], [1, 1]],
    [[7, 5], [1, 1], [3, 2], [1, 1]],
    // Windows larger than the image.
    [[3, 2], [5, 5], [1, 1], [1, 1]],
    [[5, 5], [3, 3], [1, 1], [4, 4]],
    [[1, 1], [1, 1], [1, 1], [1, 1]],
];

/// Input channels, output channels and groups.
const CHANNELS: &[[usize; 3]] = &[
    // Dilated only.
    [1, 1, 1],
    [3, 5, 1],
    [17, 24, 1],
    // Depthwise.
    [5, 5, 5],
    [19, 19, 19],
    [32, 32, 32],
    // With a multiplier.
    [3, 6, 3],
    [18, 36, 18],
    // Small groups.
    [4, 8, 2],
    [20, 20, 5],
    [24, 12, 6],
    // Larger groups.
    [20, 24, 4],
    [64, 64, 4],
    [40, 80, 2],
    [72, 36, 2],
];

fn shapes() -> impl Iterator<Item = ConvShape> {
    let window = |&[input, kernel, strides, dilation]: &GroupedSizes, padding| {
        let kernel = (kernel.into(), dilation.into());
        Window::dilated(input, kernel, strides.into(), padding)
    };
    let paddings = [Padding::Valid, Padding::Same];
    let windows = SIZES
        .iter()
        .flat_map(move |sizes| paddings.map(|padding| window(sizes, padding)));
    windows.flatten().flat_map(|window| {
        CHANNELS.iter().map(move |&[ic, oc, groups]| ConvShape {
            groups,
            ..ConvShape::new(window, ic, oc)
        })
    })
}

/// Calls `f` with the offsets in `x`, `w` and `y` of each product.
fn products(s: &ConvShape, samples: usize, mut f: impl FnMut(usize, usize, usize)) {
    let (w, [inputs, outputs]) = (&s.window, s.group());
    for (n, oy, ox) in super::cells(w, samples) {
        for cell in w.cells(oy, ox) {
            for (i, o) in (0..inputs).flat_map(|i| (0..s.oc).map(move |o| (i, o))) {
                f(
                    ((n * w.ih + cell.iy) * w.iw + cell.ix) * s.ic + o / outputs * inputs + i,
                    ((cell.ky * w.kw + cell.kx) * inputs + i) * s.oc + o,
                    ((n * w.oh + oy) * w.ow + ox) * s.oc + o,
                );
            }
        }
    }
}

/// All three passes, on `arch`.
fn passes(arch: pulp::Arch, s: &ConvShape, [x, w, dy, bias]: [&[f32]; 4]) -> [Vec<f32>; 3] {
    let mut packed = Vec::new();
    let mut y = vec![f32::NAN; dy.len()];
    conv2d_grouped::pack_forward(arch, s, w, Some(bias), &mut packed);
    conv2d_grouped::forward(arch, s, x, &packed, Activation::Linear, &mut y);
    let mut dx = vec![f32::NAN; x.len()];
    conv2d_grouped::pack_backward(arch, s, w, &mut packed);
    conv2d_grouped::backward_input(arch, s, dy, &packed, &mut dx);
    let mut dw = vec![0.0; w.len()];
    conv2d_grouped::backward_weight(arch, s, x, dy, &mut dw);
    [y, dx, dw]
}

#[test]
fn grouped_and_dilated_convolutions_agree_with_plain_loops() {
    let samples = 2;
    for shape in shapes() {
        let window = &shape.window;
        let x = &random(samples * window.ih * window.iw * shape.ic, 1);
        let w = &random(shape.kernel_len(), 2);
        let dy = &random(samples * window.oh * window.ow * shape.oc, 3);
        let bias = &random(shape.oc, 4);
        let cells = dy.len() / shape.oc;
        let mut y: Vec<f64> = bias.repeat(cells).iter().map(|&b| b.into()).collect();
        let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; w.len()]);
        products(&shape, samples, |i, k, o| {
            y[o] += f64::from(x[i]) * f64::from(w[k]);
            dx[i] += f64::from(dy[o]) * f64::from(w[k]);
            dw[k] += f64::from(dy[o]) * f64::from(x[i]);
        });
        let mut fused: Option<[Vec<f32>; 3]> = None;
        for arch in architectures() {
            let found = passes(arch, &shape, [x, w, dy, bias]);
            let [inputs, outputs] = shape.group();
            let terms = [inputs, outputs].map(|channels| window.taps() * channels);
            assert_close(&found[0], &y, terms[0], &("y", shape));
            assert_close(&found[1], &dx, terms[1], &("dx", shape));
            assert_close(&found[2], &dw, cells, &("dw", shape));
            // Plain scalars lack fused multiply-add.
            if !matches!(arch, pulp::Arch::Scalar) {
                let fused = fused.get_or_insert_with(|| found.clone());
                assert!(
                    found == *fused,
                    "{shape:?}: bytes depend on the vectors' length"
                );
            }
        }
    }
}

#[test]
fn a_grouped_convolution_keeps_nan_through_relu() {
    let arch = pulp::Arch::new();
    let window = Window::new([1, 3], [1, 1].into(), 1.into(), Padding::Valid).unwrap();
    for (channels, groups) in [(2, 2), (40, 40), (40, 2)] {
        let shape = ConvShape {
            groups,
            ..ConvShape::new(window, channels, channels)
        };
        let x: Vec<f32> = [f32::NAN, -1.0, 2.0].map(|x| vec![x; channels]).concat();
        let w = vec![1.0; shape.kernel_len()];
        let mut packed = Vec::new();
        conv2d_grouped::pack_forward(arch, &shape, &w, None, &mut packed);
        let mut y = vec![0.0; x.len()];
        conv2d_grouped::forward(arch, &shape, &x, &packed, Activation::Relu, &mut y);
        let (nan, rest) = y.split_at(channels);
        assert!(nan.iter().all(|y| y.is_nan()), "{y:?}");
        let inputs = shape.group()[0] as f32;
        let (zero, positive) = rest.split_at(channels);
        assert!(zero.iter().all(|&y| y == 0.0), "{y:?}");
        assert!(positive.iter().all(|&y| y == 2.0 * inputs), "{y:?}");
    }
}
