mod grouped;

use std::sync::Arc;

use super::pool_gradient::PoolGradient;
use super::pooled_forward::PooledForward;
use super::{Cpu, CpuExecutor, conv2d, loss, pool2d, tile, winograd};
use crate::data::Dataset;
use crate::exec::{Executor, Inspect, Step};
use crate::model::{
    Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten, Loss, MaxPooling2D, PoolKind,
    Sequential,
};
use crate::optimizer::Optimizer;
use crate::plan::{ConvShape, Plan, PoolShape, Purpose, RowLabels};
use crate::rng::{Key, Stream};
use crate::shape::{Padding, Window};
use crate::state::{Layout, State};

fn random(len: usize, coordinate: u32) -> Vec<f32> {
    let key = Key::new(11).stream(Stream::Check, coordinate);
    (0..len as u32).map(|i| key.normal(i)).collect()
}

/// A window's sizes: input, kernel, strides, padding.
type WindowSizes = ([usize; 2], [usize; 2], [usize; 2], Padding);

const SIZES: &[WindowSizes] = &[
    ([5, 7], [3, 3], [1, 1], Padding::Valid),
    ([5, 7], [3, 3], [1, 1], Padding::Same),
    ([7, 11], [2, 5], [1, 1], Padding::Same),
    ([8, 9], [3, 2], [2, 3], Padding::Valid),
    ([8, 9], [3, 2], [2, 3], Padding::Same),
    ([7, 5], [1, 1], [3, 2], Padding::Same),
    ([4, 4], [4, 4], [1, 1], Padding::Valid),
    ([3, 2], [5, 5], [1, 1], Padding::Same),
    ([1, 1], [1, 1], [1, 1], Padding::Valid),
    ([6, 8], [2, 2], [2, 2], Padding::Valid),
    ([7, 9], [2, 3], [2, 3], Padding::Valid),
    ([7, 9], [2, 2], [2, 2], Padding::Same),
    ([5, 6], [2, 3], [(1 << 31) - 1, 1], Padding::Valid),
    ([9, 12], [2, 3], [5, 4], Padding::Valid),
];

/// With enough channels, these are processed in bands by the forward pass and the kernel gradient.
const LARGE: &[(WindowSizes, [usize; 2])] = &[
    (([31, 30], [3, 3], [1, 1], Padding::Valid), [24, 61]),
    (([33, 31], [3, 2], [2, 1], Padding::Same), [48, 40]),
];

fn window(&(i, k, s, p): &WindowSizes) -> Window {
    Window::new(i, k.into(), s.into(), p).unwrap()
}

fn windows() -> impl Iterator<Item = Window> {
    SIZES.iter().map(window)
}

fn conv_shapes() -> Vec<ConvShape> {
    let channels = [
        (1, 1),
        (3, 5),
        (1, 32),
        (8, 16),
        (5, 17),
        (16, 24),
        (33, 7),
        (12, 65),
    ];
    let large = LARGE.iter().map(|(sizes, [ic, oc])| {
        let shape = ConvShape::new(window(sizes), *ic, *oc);
        // With room for a packed kernel, whose channels are padded to whole vectors.
        let kernel = 2 * shape.kernel_len();
        assert!(conv2d::bands(&shape, 2, kernel).count() > 2, "{shape:?}");
        shape
    });
    windows()
        .flat_map(|window| channels.map(|(ic, oc)| ConvShape::new(window, ic, oc)))
        .chain(large)
        .collect()
}

/// Calls `f` with the offsets in `x`, `w` and `y` of each product of a convolution.
fn products(s: &ConvShape, samples: usize, mut f: impl FnMut(usize, usize, usize)) {
    let w = &s.window;
    for (n, oy, ox) in cells(w, samples) {
        for (ky, kx) in (0..w.kh).flat_map(|ky| (0..w.kw).map(move |kx| (ky, kx))) {
            let (Some(iy), Some(ix)) = (w.row(oy, ky), w.column(ox, kx)) else {
                continue;
            };
            for (i, o) in (0..s.ic).flat_map(|i| (0..s.oc).map(move |o| (i, o))) {
                f(
                    ((n * w.ih + iy) * w.iw + ix) * s.ic + i,
                    ((ky * w.kw + kx) * s.ic + i) * s.oc + o,
                    ((n * w.oh + oy) * w.ow + ox) * s.oc + o,
                );
            }
        }
    }
}

fn cells(w: &Window, samples: usize) -> Vec<(usize, usize, usize)> {
    let mut cells = Vec::new();
    for n in 0..samples {
        for oy in 0..w.oh {
            cells.extend((0..w.ow).map(|ox| (n, oy, ox)));
        }
    }
    cells
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f64], terms: usize, what: &dyn std::fmt::Debug) {
    assert_eq!(found.len(), expected.len());
    // Rounding errors add up like a random walk.
    let allowed = 2e-6 * (terms.max(100) as f64).sqrt();
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let close = (f64::from(*f) - e).abs() <= allowed * (1.0 + e.abs());
        assert!(close, "{what:?}: [{i}] is {f}, expected {e}");
    }
}

/// The instruction sets that both the processor and the program support, plainest first.
fn architectures() -> Vec<pulp::Arch> {
    let mut all = vec![pulp::Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    {
        use pulp::x86::{V3, V4};
        all.extend(V3::try_new().map(pulp::Arch::V3));
        all.extend(V4::try_new().map(pulp::Arch::V4));
    }
    #[cfg(not(target_arch = "x86_64"))]
    all.push(pulp::Arch::new());
    all
}

#[test]
fn convolutions_agree_with_plain_loops() {
    for shape in conv_shapes() {
        for (arch, samples) in architectures().into_iter().zip([1, 3, 2]) {
            let window = &shape.window;
            let x = &random(samples * window.ih * window.iw * shape.ic, 1);
            let w = &random(window.taps() * shape.ic * shape.oc, 2);
            let dy = &random(samples * window.oh * window.ow * shape.oc, 3);
            let bias = random(shape.oc, 4);
            let (taps, cells) = (window.taps(), dy.len() / shape.oc);
            let mut y = bias
                .repeat(cells)
                .iter()
                .map(|&b| b.into())
                .collect::<Vec<f64>>();
            let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; w.len()]);
            products(&shape, samples, |i, k, o| {
                y[o] += f64::from(x[i]) * f64::from(w[k]);
                dx[i] += f64::from(dy[o]) * f64::from(w[k]);
                dw[k] += f64::from(dy[o]) * f64::from(x[i]);
            });
            let mut packed = Vec::new();
            let mut found = vec![f32::NAN; dy.len()];
            conv2d::pack_forward(arch, &shape, w, Some(&bias), &mut packed);
            conv2d::forward(arch, &shape, x, &packed, Activation::Linear, &mut found);
            assert_close(&found, &y, taps * shape.ic, &("y", shape));
            let mut found = vec![f32::NAN; x.len()];
            conv2d::pack_backward(arch, &shape, w, &mut packed);
            conv2d::backward_input(arch, &shape, dy, &packed, &mut found);
            assert_close(&found, &dx, taps * shape.oc, &("dx", shape));
            if (window.kh, window.kw, window.sh, window.sw) == (3, 3, 1, 1) {
                let (terms, what) = (taps * shape.ic, &("winograd", shape));
                let mut found = vec![f32::NAN; dy.len()];
                winograd::pack_forward(arch, &shape, w, Some(&bias), &mut packed);
                winograd::forward(arch, &shape, x, &packed, false, &mut found);
                assert_close(&found, &y, terms, what);
                let mut found = vec![f32::NAN; x.len()];
                winograd::pack_backward(arch, &shape, w, &mut packed);
                winograd::backward_input(arch, &shape, dy[..].into(), &packed, &mut found);
                assert_close(&found, &dx, taps * shape.oc, what);
                let mut found = vec![1.0; w.len()];
                winograd::backward_weight(arch, &shape, x, dy[..].into(), &mut found);
                let dw: Vec<f64> = dw.iter().map(|dw| dw + 1.0).collect();
                assert_close(&found, &dw, cells, what);
            }
            let mut frames = vec![0.0; conv2d::framed_len(&shape, samples)];
            let mut vectors = vec![0.0; conv2d::whole_vectors_len(arch, &shape, dy.len())];
            let x = conv2d::framed(&shape, x, &mut frames);
            let dy = conv2d::whole_vectors(arch, &shape, dy, &mut vectors);
            let mut found = vec![0.0; w.len()];
            let rows = w.len() / shape.oc;
            let (first, second) = found.split_at_mut(rows / 2 * shape.oc);
            conv2d::backward_weight(arch, &shape, x, dy, 0..rows / 2, first);
            conv2d::backward_weight(arch, &shape, x, dy, rows / 2..rows, second);
            assert_close(&found, &dw, cells, &("dw", shape));
        }
    }
}

/// Against the convolution and the pool by themselves.
#[test]
fn pooled_convolutions_agree_with_their_parts() {
    for shape in conv_shapes() {
        let Ok(pool) = Window::new(
            [shape.window.oh, shape.window.ow],
            2.into(),
            2.into(),
            Padding::Valid,
        ) else {
            continue;
        };
        let cases = architectures()
            .into_iter()
            .zip([(1, true), (3, false), (2, true)]);
        for (arch, (samples, relu)) in cases {
            let activation = if relu {
                Activation::Relu
            } else {
                Activation::Linear
            };
            let (window, windows) = (&shape.window, [pool.oh, pool.ow]);
            let pool = PoolShape {
                window: pool,
                c: shape.oc,
                kind: PoolKind::Max,
            };
            let outputs = samples * window.oh * window.ow * shape.oc;
            let x = &random(samples * window.ih * window.iw * shape.ic, 1);
            let w = &random(window.taps() * shape.ic * shape.oc, 2);
            let dy = &random(samples * windows[0] * windows[1] * shape.oc, 3);
            let bias = random(shape.oc, 4);
            let mut packed = Vec::new();

            conv2d::pack_forward(arch, &shape, w, Some(&bias), &mut packed);
            let mut between = vec![f32::NAN; outputs];
            conv2d::forward(arch, &shape, x, &packed, activation, &mut between);
            let (mut y, mut argmax) = (vec![f32::NAN; dy.len()], vec![9; dy.len()]);
            arch.dispatch(pool2d::PoolSamples {
                shape: &pool,
                x: &between,
                y: &mut y,
                argmax: Some(&mut argmax),
            });
            let mut unpooled = vec![f32::NAN; outputs];
            arch.dispatch(pool2d::UnpoolSamples {
                shape: &pool,
                dy,
                argmax: Some(&argmax),
                dx: &mut unpooled,
            });
            super::activation::backward(arch, activation, &between, &mut unpooled);

            let gradient = PoolGradient {
                windows,
                dy,
                argmax: &argmax,
                relu: relu.then_some(&y[..]),
            };
            let mut found = vec![f32::NAN; outputs];
            assert_eq!(gradient.unpooled_len(&shape), outputs);
            gradient.unpool(arch, &shape, &mut found);
            assert_eq!(found, unpooled, "{shape:?}");
            let (mut dbias, mut expected) = (vec![1.0; shape.oc], vec![1.0; shape.oc]);
            gradient.add_bias(arch, &mut dbias);
            conv2d::backward_bias(arch, &unpooled, &mut expected);
            assert_close(&dbias, &to_f64(&expected), outputs, &("dbias", shape));

            let (terms, what) = (window.taps() * shape.ic, ("pooled y", shape));
            let (mut found, mut taken) = (vec![f32::NAN; dy.len()], vec![9; dy.len()]);
            let pooled = PooledForward {
                shape: &shape,
                windows,
                relu,
                x,
                packed: &packed,
                y: &mut found,
                argmax: Some(&mut taken),
            };
            pooled.run(arch);
            assert_eq!((&found, &taken), (&y, &argmax), "{shape:?}");
            if (window.kh, window.kw, window.sh, window.sw) != (3, 3, 1, 1) {
                continue;
            }
            winograd::pack_forward(arch, &shape, w, Some(&bias), &mut packed);
            for argmax in [None, Some(&mut taken[..])] {
                found.fill(f32::NAN);
                let pooled = PooledForward {
                    shape: &shape,
                    windows,
                    relu,
                    x,
                    packed: &packed,
                    y: &mut found,
                    argmax,
                };
                winograd::forward_pooled(arch, pooled);
                assert_close(&found, &to_f64(&y), terms, &what);
            }
            // Of two values alike but for rounding, either may be the maximum; of two negative ones,
            // it does not matter.
            let differ = taken.iter().zip(&argmax).zip(&y);
            let differ = differ
                .filter(|((a, b), y)| a != b && (!relu || **y > 0.0))
                .count();
            assert!(
                differ <= y.len() / 1000,
                "{differ} of {}: {what:?}",
                y.len()
            );

            winograd::pack_backward(arch, &shape, w, &mut packed);
            let (mut dx, mut expected) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
            winograd::backward_input(arch, &shape, gradient.into(), &packed, &mut dx);
            winograd::backward_input(arch, &shape, unpooled[..].into(), &packed, &mut expected);
            assert_close(&dx, &to_f64(&expected), terms, &("dx", shape));
            let (mut dw, mut expected) = (vec![1.0; w.len()], vec![1.0; w.len()]);
            winograd::backward_weight(arch, &shape, x, gradient.into(), &mut dw);
            winograd::backward_weight(arch, &shape, x, unpooled[..].into(), &mut expected);
            assert_close(&dw, &to_f64(&expected), outputs, &("dw", shape));
        }
    }
}

fn to_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| x.into()).collect()
}

#[test]
fn pools_agree_with_plain_loops() {
    for (window, c) in windows().flat_map(|w| [1, 8, 19].map(|c| (w, c))) {
        for kind in [PoolKind::Max, PoolKind::Average, PoolKind::Sum] {
            let shape = PoolShape { window, c, kind };
            let x = random(2 * window.ih * window.iw * c, 5);
            let dy = random(2 * window.oh * window.ow * c, 6);
            let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
            for (n, oy, ox) in cells(&window, 2) {
                let taps: Vec<usize> = (0..window.kh)
                    .flat_map(|ky| (0..window.kw).map(move |kx| (ky, kx)))
                    .filter_map(|(ky, kx)| window.row(oy, ky).zip(window.column(ox, kx)))
                    .map(|(iy, ix)| ((n * window.ih + iy) * window.iw + ix) * c)
                    .collect();
                for i in 0..c {
                    let o = ((n * window.oh + oy) * window.ow + ox) * c + i;
                    let values = taps.iter().map(|t| f64::from(x[t + i]));
                    let sum: f64 = values.clone().sum();
                    let largest = values.fold(f64::NEG_INFINITY, f64::max);
                    let taken = taps
                        .iter()
                        .find(|&t| f64::from(x[t + i]) == largest)
                        .unwrap();
                    let (result, share) = match kind {
                        PoolKind::Max => (largest, 0.0),
                        PoolKind::Average => (sum / taps.len() as f64, 1.0 / taps.len() as f64),
                        PoolKind::Sum => (sum, 1.0),
                    };
                    y[o] = result;
                    for t in &taps {
                        let share = if kind == PoolKind::Max && t == taken {
                            1.0
                        } else {
                            share
                        };
                        dx[t + i] += share * f64::from(dy[o]);
                    }
                }
            }
            for arch in architectures() {
                let mut taken = (kind == PoolKind::Max).then(|| vec![0; dy.len()]);
                let mut found = vec![f32::NAN; dy.len()];
                arch.dispatch(pool2d::PoolSamples {
                    shape: &shape,
                    x: &x,
                    y: &mut found,
                    argmax: taken.as_deref_mut(),
                });
                assert_close(&found, &y, window.taps(), &("y", shape));
                let mut found = vec![f32::NAN; x.len()];
                arch.dispatch(pool2d::UnpoolSamples {
                    shape: &shape,
                    dy: &dy,
                    argmax: taken.as_deref(),
                    dx: &mut found,
                });
                assert_close(&found, &dx, window.taps(), &("dx", shape));
            }
        }
    }
}

#[test]
fn nan_survives_relu_and_wins_a_max_pool() {
    let arch = pulp::Arch::new();
    let window = Window::new([1, 3], [1, 3].into(), 1.into(), Padding::Valid).unwrap();
    let shape = PoolShape {
        window,
        c: 1,
        kind: PoolKind::Max,
    };
    let pool = |x: [f32; 3]| {
        let (mut y, mut argmax) = ([0.0], [9]);
        arch.dispatch(pool2d::PoolSamples {
            shape: &shape,
            x: &x,
            y: &mut y,
            argmax: Some(&mut argmax),
        });
        (y[0], argmax[0])
    };
    let (y, argmax) = pool([1.0, f32::NAN, 2.0]);
    assert!(y.is_nan() && argmax == 1, "{y} {argmax}");
    assert_eq!(pool([f32::NEG_INFINITY; 3]), (f32::NEG_INFINITY, 0));

    let shape = super::dense::shape(1, 1);
    let mut packed = Vec::new();
    conv2d::pack_forward(arch, &shape, &[1.0], None, &mut packed);
    let mut y = [0.0; 3];
    let x = [f32::NAN, -1.0, 2.0];
    conv2d::forward(arch, &shape, &x, &packed, Activation::Relu, &mut y);
    assert!(y[0].is_nan() && y[1..] == [0.0, 2.0], "{y:?}");
}

#[test]
fn loss_counts_valid_rows_and_is_exact_for_large_logits() {
    let (logits, labels) = (
        [0.0, 100.0, 3.0, 3.0, 7.0, 7.0],
        RowLabels::Single(&[0, 0, 1]),
    );
    let function = loss::LossFunction::new(Loss::categorical_crossentropy(), 2, None);
    let mut p = [0.0; 6];
    function.predict(&logits, &mut p);
    let sum = function.sum(&logits, &p, labels, 2);
    assert!((sum.loss - 100.0 - 2f64.ln()).abs() < 1e-12, "{sum:?}");
    assert_eq!(sum.correct, 1);
    let mut d = [9.0; 6];
    function.gradient((&p, labels), (2, 2), &mut d);
    assert_eq!(d[2..], [-0.25, 0.25, 0.0, 0.0]);
}

/// A network with every kind of split: kernels small and large, channels that fill no vector,
/// padding, strides, convolutions with and without Winograd's filtering and with and without a pool,
/// a batch that no group size divides, and a short last batch.
fn network() -> Sequential {
    Sequential::new([12, 12, 3])
        .add(
            Conv2D::new(20, 3)
                .padding(Padding::Same)
                .activation(Activation::Relu),
        )
        .add(MaxPooling2D::new(2))
        .add(BatchNormalization::new())
        .add(Dropout::new(0.25))
        .add(Conv2D::new(21, 3).padding(Padding::Same))
        .add(
            Conv2D::new(24, 3)
                .padding(Padding::Same)
                .activation(Activation::Relu),
        )
        .add(MaxPooling2D::new(2))
        .add(Conv2D::new(20, 3).padding(Padding::Same).groups(4))
        .add(Conv2D::new(140, 3).strides(2).activation(Activation::Tanh))
        .add(Flatten::new())
        .add(Dense::new(70).activation(Activation::Relu))
        .add(Dense::new(10).activation(Activation::Softmax))
}

fn random_images() -> Dataset {
    let size = 12 * 12 * 3;
    let key = Key::new(3).stream(Stream::Check, 9);
    let images = (0..60 * size as u32).map(|i| key.bits(i) as u8).collect();
    let labels = (0..60).map(|i| i % 10).collect();
    Dataset::new("random", "built in", [12, 12, 3], 10, images, labels).unwrap()
}

fn trained_hash(cpu: Cpu) -> String {
    let (model, optimizer) = (network(), Optimizer::adam());
    let layout = Layout::new(&model).unwrap();
    let plan = Plan::new(&model, Purpose::Training(optimizer), 37).unwrap();
    let mut executor = CpuExecutor::new(cpu, Arc::clone(&layout));
    let program = executor.compile(&plan).unwrap();
    let data = executor.load(&random_images()).unwrap();
    let mut state = State::new(layout, 1);
    executor.upload(&state).unwrap();
    for t in 0..4 {
        let rows = [0..37, 37..60][t % 2].clone();
        let number = t as u64 + 1;
        let (rates, key) = (optimizer.rates(number), Key::of_step(3, number));
        let step = Step::new(program, data, rows, rates, key);
        executor.enqueue(&step).unwrap();
    }
    executor.download(&mut state).unwrap();
    assert!(state.params.iter().all(|p| p.is_finite()));
    state.weights_hash()
}

/// A whole step runs pools together with their convolutions; a single operation runs by itself.
#[test]
fn a_step_agrees_with_its_operations_one_by_one() {
    // Both pools, forward and backward.
    agrees_one_by_one(&network(), 4);
    // Without an activation, the pool's backward pass does not need the convolution's output, but
    // the gradient of this large kernel needs the pool's.
    let linear = Sequential::new([12, 12, 3])
        .add(Conv2D::new(32, 3).padding(Padding::Same))
        .add(MaxPooling2D::new(2))
        .add(Conv2D::new(40, 5).padding(Padding::Same))
        .add(MaxPooling2D::new(2))
        .add(Flatten::new())
        .add(Dense::new(10).activation(Activation::Softmax));
    agrees_one_by_one(&linear, 3);
}

#[track_caller]
fn agrees_one_by_one(model: &Sequential, fused: usize) {
    let optimizer = Optimizer::sgd();
    let layout = Layout::new(model).unwrap();
    let plan = Plan::new(model, Purpose::Training(optimizer), 37).unwrap();
    assert_eq!(super::step(&plan).len(), plan.ops.len() - fused);
    let into = super::fused_into(&plan);
    let alone = into
        .iter()
        .enumerate()
        .filter(|(i, into)| **into == Some(*i));
    assert_eq!(alone.count(), plan.ops.len() - fused);
    let after = |one_by_one: bool| {
        let mut executor = CpuExecutor::new(Cpu::new(), Arc::clone(&layout));
        let program = executor.compile(&plan).unwrap();
        let data = executor.load(&random_images()).unwrap();
        let mut state = State::new(Arc::clone(&layout), 1);
        executor.upload(&state).unwrap();
        let (rates, key) = (optimizer.rates(1), Key::of_step(3, 1));
        let step = Step::new(program, data, 0..37, rates, key);
        if one_by_one {
            for i in 0..plan.ops.len() {
                executor.run(i..i + 1, &step).unwrap();
            }
        } else {
            executor.enqueue(&step).unwrap();
        }
        executor.download(&mut state).unwrap();
        state.params
    };
    assert_close(&after(false), &to_f64(&after(true)), 1000, &"parameters");
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let on = |threads| trained_hash(Cpu::with_threads(threads).unwrap());
    let expected = on(1);
    for threads in [2, 3, 5] {
        assert_eq!(on(threads), expected, "{threads} threads");
    }
}

/// All with fused multiply-add, which only plain scalars lack. With AVX-512 there are two vector
/// lengths to compare.
#[test]
fn vectors_of_any_length_give_the_same_bytes() {
    let expected = trained_hash(Cpu::new());
    for arch in architectures() {
        if !matches!(arch, pulp::Arch::Scalar) {
            let hash = trained_hash(Cpu { arch, ..Cpu::new() });
            assert_eq!(hash, expected, "vectors of {}", tile::lanes(arch));
        }
    }
}

#[test]
fn vectors_are_powers_of_two_long() {
    for arch in architectures() {
        assert!(tile::lanes(arch).is_power_of_two());
    }
}
