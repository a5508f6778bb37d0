//! What `inspect` computes on the GPU and on the CPU, compared with the reference, which adds up in
//! f64, and with differences of its scores.
//!
//! The networks have what a wrong index, a forgotten factor or a statistic of the batch would show in:
//! strides that leave cells over, padding on one side, groups, several kernels per channel, pools that
//! overlap, normalization without its terms, dropout, and enough channels for the GPU's tiled kernels.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use cnn_gpu::check::steps;
use cnn_gpu::exec::{Backend, DataId, Device, Inspect, Program, Selection, Step, Values, open};
use cnn_gpu::inspect::{ForwardPass, grad_cam, layer_outputs, saliency, with_weights_of};
use cnn_gpu::model::{
    Activation, ActivationLayer, AveragePooling2D, BatchNormalization, Conv2D, Dense,
    DepthwiseConv2D, Dropout, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D, Layer, Loss,
    MaxPooling2D, Rescaling, Sequential, SpatialDropout2D, SumPooling2D, ZeroPadding2D, preset,
};
use cnn_gpu::plan::{Gather, Op, Plan, Purpose};
use cnn_gpu::rng::{Key, Stream};
use cnn_gpu::shape::Padding;
use cnn_gpu::state::{Layout, State};

fn devices() -> [Device; 2] {
    [Backend::Cpu, common::test_backend()].map(|backend| open(&Selection::new(backend)).unwrap())
}

/// Layers that change their sizes in every way.
fn sizes() -> Sequential {
    Sequential::new([13, 11, 3])
        .add(Rescaling::new(1.5).offset(-0.25))
        .add(ZeroPadding2D::new([1, 2]))
        .add(
            Conv2D::new(6, [3, 2])
                .strides([2, 3])
                .padding(Padding::Same)
                .activation(Activation::Tanh),
        )
        .add(
            DepthwiseConv2D::new(2)
                .depth_multiplier(2)
                .name("depthwise"),
        )
        .add(BatchNormalization::new().scale(false))
        .add(ActivationLayer::new(Activation::Silu))
        .add(SpatialDropout2D::new(0.4))
        .add(
            Conv2D::new(8, 2)
                .groups(4)
                .dilation_rate(2)
                .padding(Padding::Same)
                .use_bias(false)
                .activation(Activation::Gelu)
                .name("groups"),
        )
        .add(AveragePooling2D::new(2).strides(1).padding(Padding::Same))
        .add(SumPooling2D::new([2, 1]))
        .add(Flatten::new())
        .add(Dense::new(7).activation(Activation::Elu))
        .add(BatchNormalization::new().center(false))
        .add(Dropout::new(0.5))
        .add(Dense::new(5))
        .add(ActivationLayer::new(Activation::Softmax))
}

/// Pools that overlap, and a single probability.
fn binary() -> Sequential {
    Sequential::new([9, 10, 1])
        .add(Conv2D::new(5, 3).activation(Activation::Relu))
        .add(MaxPooling2D::new(3).strides(2).padding(Padding::Same))
        .add(Conv2D::new(7, 2).activation(Activation::Selu).name("last"))
        .add(GlobalMaxPooling2D::new())
        .add(Dense::new(1).activation(Activation::Sigmoid))
        .loss(Loss::binary_crossentropy())
}

/// Outputs that are no probabilities.
fn squared() -> Sequential {
    Sequential::new([6, 7, 2])
        .add(Conv2D::new(4, 3).activation(Activation::Softplus))
        .add(GlobalAveragePooling2D::new())
        .add(Dense::new(3).activation(Activation::Tanh))
        .loss(Loss::MeanSquaredError)
}

/// Channels and sizes of the GPU's tiled kernels, and pools that a training step fuses.
fn wide() -> Sequential {
    Sequential::new([14, 14, 3])
        .add(Conv2D::new(32, 3).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(Conv2D::new(64, 3).activation(Activation::Relu).name("last"))
        .add(MaxPooling2D::new(2))
        .add(Flatten::new())
        .add(Dense::new(64).activation(Activation::Relu))
        .add(Dense::new(10).activation(Activation::Softmax))
}

/// The network with too many kinks, of ReLU and pools, for differences in 32 bits: GPU and CPU are
/// compared with each other alone.
const KINKED: &str = "wide";

/// The networks whose gradients are compared, each with the layer for Grad-CAM.
fn networks() -> Vec<(&'static str, Sequential, Option<&'static str>)> {
    vec![
        ("sizes", sizes(), None),
        ("sizes, depthwise", sizes(), Some("depthwise")),
        ("sizes, padding", sizes(), Some("zero_padding2d")),
        ("binary", binary(), None),
        ("squared", squared(), None),
        ("wide", wide(), None),
    ]
}

/// Weights, biases and moving statistics that are neither zeros nor ones.
fn drawn(model: &Sequential) -> State {
    let mut state = State::new(Layout::new(model).unwrap(), 5);
    let layout = Arc::clone(&state.layout);
    for (stream, parameter) in layout.parameters.iter().enumerate() {
        let key = Key::new(9).stream(Stream::Check, stream as u32);
        let before = state.parameter(&parameter.name).unwrap().to_vec();
        let values =
            before
                .iter()
                .zip(0..)
                .map(|(&value, i)| match parameter.name.ends_with("variance") {
                    true => 0.5 + key.uniform(i),
                    false => value + 0.2 * key.normal(i),
                });
        let values: Vec<f32> = values.collect();
        state.set_parameter(&parameter.name, &values).unwrap();
    }
    state
}

fn images(model: &Sequential, count: usize) -> Vec<f32> {
    let key = Key::new(3).stream(Stream::Check, 77);
    let size: usize = model.input_shape.iter().product();
    (0..(count * size) as u32).map(|i| key.uniform(i)).collect()
}

/// The forward pass of a network on the reference.
struct Reference {
    executor: Box<dyn Inspect>,
    plan: Plan,
    program: Program,
}

impl Reference {
    fn new(model: &Sequential, state: &State, batch: usize) -> Self {
        let plan = Plan::new(model, Purpose::Outputs, batch).unwrap();
        let mut executor = common::reference(Arc::clone(&plan.layout));
        let program = executor.compile(&plan).unwrap();
        executor.upload(state).unwrap();
        Self {
            executor,
            plan,
            program,
        }
    }

    /// The outputs of all layers.
    fn outputs(&mut self, images: &[f32]) -> Vec<Vec<f32>> {
        let Op::Gather(Gather { x, .. }) = self.plan.ops[0] else {
            panic!("a plan starts with its input")
        };
        let values = Values::F32(images.to_vec());
        self.executor.write(self.program, x, &values).unwrap();
        let rows = 0..self.plan.batch;
        let step = Step::new(
            self.program,
            DataId(0),
            rows,
            0.0.into(),
            Key::of_step(0, 1),
        );
        let ops = 1..self.plan.ops.len();
        self.executor.run(ops, &step).unwrap();
        let read = |&buffer| self.executor.read(self.program, buffer).unwrap().into_f32();
        self.plan.layer_outputs.iter().map(read).collect()
    }

    /// The last layer's output for one image.
    fn scores(&mut self, image: &[f32]) -> Vec<f64> {
        let last = self.outputs(image).pop().unwrap();
        last.into_iter().map(f64::from).collect()
    }
}

/// The network up to its scores: without a softmax or sigmoid at its end.
fn scored(model: &Sequential) -> Sequential {
    let mut model = model.clone();
    if model.loss == Loss::MeanSquaredError {
        return model;
    }
    match model.layers.last_mut().map(|placed| &mut placed.layer) {
        Some(Layer::Dense(dense)) => dense.activation = Activation::Linear,
        Some(Layer::Activation(_)) => drop(model.layers.pop()),
        other => panic!("no scores before {other:?}"),
    }
    model
}

/// The norm of a difference as a share of the norm of what is expected.
fn difference(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let pairs = found.iter().zip(expected);
    let apart = norm(&mut pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)));
    apart / norm(&mut expected.iter().map(|b| f64::from(*b)))
}

/// The gradient of a class's score by central differences, at some places, or `None` next to a kink,
/// where the differences to both sides are not the same.
fn differences(
    (model, state): (&Sequential, &State),
    at: &[f32],
    class: usize,
    places: impl Iterator<Item = usize>,
) -> Vec<Option<f64>> {
    const STEP: f32 = 1.0 / 1024.0;
    let mut reference = Reference::new(model, state, 1);
    let mut score = |values: &[f32]| match reference.scores(values)[..] {
        // The score of class 0 of a single probability is that of class 1, negated.
        [one] if class == 0 => -one,
        [one] => one,
        ref several => several[class],
    };
    let here = score(at);
    let mut moved = at.to_vec();
    let mut difference = |i: usize| {
        let [above, below] = [at[i] + STEP, at[i] - STEP];
        moved[i] = above;
        let up = (score(&moved) - here) / f64::from(above - at[i]);
        moved[i] = below;
        let down = (here - score(&moved)) / f64::from(at[i] - below);
        moved[i] = at[i];
        let is_smooth = (up - down).abs() < 0.05 * up.abs().max(down.abs()).max(0.01);
        is_smooth.then_some((up + down) / 2.0)
    };
    places.map(&mut difference).collect()
}

/// Asserts that a gradient is what the differences say, wherever there is no kink.
fn agrees(found: &[f32], expected: &[Option<f64>], what: &str) {
    let pairs = found.iter().zip(expected);
    let pairs: (Vec<f32>, Vec<f32>) = pairs
        .filter_map(|(&found, expected)| Some((found, (*expected)? as f32)))
        .unzip();
    assert!(
        pairs.1.len() * 10 > expected.len() * 7,
        "{what}: kinks at all but {} of {} places",
        pairs.1.len(),
        expected.len()
    );
    let apart = difference(&pairs.0, &pairs.1);
    assert!(apart < 5e-3, "{what}: {apart:.1e} from the differences");
}

#[test]
fn every_layer_gives_what_the_reference_gives_on_every_device() {
    let mut models: Vec<(String, Sequential)> = networks()
        .into_iter()
        .map(|(name, model, _)| (name.to_owned(), model))
        .collect();
    models.extend(steps::all().into_iter().map(|case| (case.name, case.model)));
    models.push(("mnist-cnn".into(), preset("mnist-cnn").unwrap()));
    for (name, model) in models {
        // The last batch is not full.
        let count = if name == "binary" { 67 } else { 3 };
        let (state, images) = (drawn(&model), images(&model, count));
        let expected = Reference::new(&model, &state, count).outputs(&images);
        for device in devices() {
            let found = layer_outputs(&device, &model, &state, &images).unwrap();
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                let apart = difference(&found.values, expected);
                assert!(apart < 2e-5, "{name}, {}: {apart:.1e}", found.layer);
            }
        }
    }
}

#[test]
fn one_layer_of_many_images_is_the_same_as_of_each_image() {
    let model = sizes();
    let (state, images) = (drawn(&model), images(&model, 65));
    let size: usize = model.input_shape.iter().product();
    for device in devices() {
        let mut forward = ForwardPass::new(&device, &model, &state).unwrap();
        let all = forward.of("groups", &images).unwrap();
        for i in [0, 63, 64] {
            let image = &images[i * size..(i + 1) * size];
            let one = forward.of("groups", image).unwrap();
            assert!(difference(all.image(i), one.image(0)) < 1e-6, "image {i}");
        }
    }
}

#[test]
fn saliency_is_the_slope_of_the_score_on_every_device() {
    for (name, model, layer) in networks() {
        if layer.is_some() {
            continue;
        }
        let (state, image) = (drawn(&model), images(&model, 1));
        let classes: usize = model.output_shape().unwrap().iter().product();
        for class in [0, model.loss.classes(classes) - 1] {
            // The reference is slow, and 100 places will do.
            let places = || (0..image.len()).step_by(image.len() / 100 + 1);
            let (scored, weights) = (scored(&model), state_of(&model, &state));
            let [cpu, gpu] = devices().map(|device| {
                saliency(&device, &model, &state, &image, class)
                    .unwrap()
                    .gradient
            });
            let what = format!("{name}, class {class}");
            if name != KINKED {
                let expected = differences((&scored, &weights), &image, class, places());
                let found: Vec<f32> = places().map(|place| cpu[place]).collect();
                agrees(&found, &expected, &what);
            }
            let apart = difference(&gpu, &cpu);
            assert!(apart < 2e-5, "{what}: {apart:.1e} between GPU and CPU");
        }
    }
}

/// The weights of the network without its end.
fn state_of(model: &Sequential, state: &State) -> State {
    with_weights_of(&scored(model), state).unwrap()
}

/// The layers after one of them, with their names, and the shape and number of its outputs.
fn after(model: &Sequential, layer: &str) -> (usize, Sequential) {
    let names: Vec<String> = model
        .resolve()
        .unwrap()
        .iter()
        .map(|l| l.name.clone())
        .collect();
    let index = names.iter().position(|name| name == layer).unwrap();
    let shape = &model.resolve().unwrap()[index].output;
    let mut rest = Sequential::new([shape[0], shape[1], shape[2]]).loss(model.loss);
    rest.layers = model.layers[index + 1..].to_vec();
    for (layer, name) in rest.layers.iter_mut().zip(&names[index + 1..]) {
        rename(layer, name);
    }
    (index, rest)
}

fn rename(layer: &mut Layer, name: &str) {
    let name = Some(name.to_owned());
    match layer {
        Layer::Conv2D(l) => l.name = name,
        Layer::DepthwiseConv2D(l) => l.name = name,
        Layer::BatchNormalization(l) => l.name = name,
        Layer::Dense(l) => l.name = name,
        // Without weights, any name will do.
        _ => {}
    }
}

#[test]
fn grad_cam_weights_the_channels_by_their_mean_slope_on_every_device() {
    for (name, model, layer) in networks() {
        let (state, image) = (drawn(&model), images(&model, 1));
        let classes: usize = model.output_shape().unwrap().iter().product();
        for class in 0..model.loss.classes(classes).min(3) {
            let [cpu, gpu] =
                devices().map(|device| grad_cam(&device, &model, &state, &image, class, layer));
            let (cpu, gpu) = (cpu.unwrap(), gpu.unwrap());
            let what = format!("{name}, {}, class {class}", cpu.layer);
            let largest = cpu.map.iter().copied().fold(1e-6, f32::max);
            for (a, b) in gpu.map.iter().zip(&cpu.map) {
                assert!((a - b).abs() < 2e-5 * largest, "{what}: GPU {a}, CPU {b}");
            }
            assert_eq!((&gpu.layer, gpu.shape), (&cpu.layer, cpu.shape));
            if name == KINKED {
                continue;
            }
            let (index, rest) = after(&model, &cpu.layer);
            let output = Reference::new(&model, &state, 1).outputs(&image)[index].clone();
            let rest_state = with_weights_of(&scored(&rest), &state).unwrap();
            let (rest_scored, places) = (scored(&rest), 0..output.len());
            let slopes = differences((&rest_scored, &rest_state), &output, class, places);
            let channels = rest.input_shape[2];
            let expected = map_of(&output, &slopes, channels);
            assert_eq!(cpu.shape[..], rest.input_shape[..2], "{what}");
            let largest = expected.iter().copied().fold(1e-6, f32::max);
            for (found, expected) in cpu.map.iter().zip(&expected) {
                let apart = (found - expected).abs() / largest;
                assert!(apart < 0.02, "{what}: {found}, expected {expected}");
            }
        }
    }
}

/// Grad-CAM from its definition.
fn map_of(output: &[f32], slopes: &[Option<f64>], channels: usize) -> Vec<f32> {
    let places = output.len() / channels;
    let weight = |channel: usize| {
        let own = slopes.iter().skip(channel).step_by(channels);
        own.map(|slope| slope.unwrap_or_default()).sum::<f64>() / places as f64
    };
    let weights: Vec<f64> = (0..channels).map(weight).collect();
    let sum = |place: &[f32]| -> f64 {
        let terms = place.iter().zip(&weights);
        terms
            .map(|(&value, weight)| f64::from(value) * weight)
            .sum()
    };
    let places = output.chunks(channels);
    places.map(|place| sum(place).max(0.0) as f32).collect()
}
