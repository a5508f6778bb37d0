//! Compares the gradients of every kind of layer with central finite differences, on the reference.
//!
//! `(loss(x + h) - loss(x - h)) / 2h` is computed from the logits in f64. Logits are stored as f32,
//! with an error of at most 6e-8, which a step of 2^-8 turns into 8e-6; the step's own error is
//! h²/6 of the third derivative, about 3e-6. Gradients here are 0.01 to 1, so 2e-3 of a tensor's
//! norm allows for both and detects every wrong index or factor. The seed of the inputs is chosen
//! so that no kink of a ReLU or max pool lies within a step.

mod common;

use std::sync::Arc;

use cnn_gpu::exec::{DataId, Inspect, Program, Step, Values};
use cnn_gpu::model::{
    Activation, ActivationLayer, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D,
    Dense, DepthwiseConv2D, Dropout, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D,
    MaxPooling2D, Regularizer, Rescaling, Sequential, SpatialDropout2D, SumPooling2D,
    ZeroPadding2D,
};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::plan::{BufferId, Gather, Op, Plan, Purpose, Regularize, Role};
use cnn_gpu::rng::{Key, Stream};
use cnn_gpu::shape::Padding;
use cnn_gpu::state::State;

const BATCH: usize = 2;
const SEED: u64 = 2;
const STEP: f32 = 1.0 / 256.0;
const TOLERANCE: f64 = 2e-3;
const POINTWISE: [Activation; 9] = Activation::POINTWISE;

/// A plan with a batch and weights, on the reference.
struct Net {
    executor: Box<dyn Inspect>,
    plan: Plan,
    program: Program,
    labels: Vec<u32>,
}

impl Net {
    fn new(model: &Sequential, seed: u64) -> Self {
        let purpose = Purpose::Gradients(Optimizer::sgd());
        let plan = Plan::new(model, purpose, BATCH).expect("the model can be planned");
        let mut executor = common::reference(Arc::clone(&plan.layout));
        let program = executor.compile(&plan).expect("the plan compiles");
        let mut state = State::new(Arc::clone(&plan.layout), seed);
        let key = Key::new(seed).stream(Stream::Check, 0);
        // Including biases, which are initialised to zero.
        for (i, w) in state.params.iter_mut().enumerate() {
            *w += 0.2 * key.normal(i as u32);
        }
        executor.upload(&state).expect("the state fits");
        let labels: Vec<u32> = (0..BATCH).map(|r| (r % plan.classes) as u32).collect();
        let mut net = Self {
            executor,
            plan,
            program,
            labels: labels.clone(),
        };
        let key = Key::new(seed).stream(Stream::Check, 1);
        let (input, place) = net.inputs();
        let n = net.plan.buffer(input).len() as u32;
        net.write(input, Values::F32((0..n).map(|i| key.normal(i)).collect()));
        net.write(place, Values::U32(labels));
        net
    }

    fn inputs(&self) -> (BufferId, BufferId) {
        match self.plan.ops[0] {
            Op::Gather(Gather { x, labels }) => (x, labels),
            _ => panic!("a plan starts with its input"),
        }
    }

    fn write(&mut self, id: BufferId, values: Values) {
        let written = self.executor.write(self.program, id, &values);
        written.expect("the values fit");
    }

    fn read(&mut self, id: BufferId) -> Vec<f32> {
        let values = self.executor.read(self.program, id);
        values.expect("the buffer can be read").into_f32()
    }

    /// Forward and backward, without the update.
    fn run(&mut self) {
        let key = Key::of_step(0, 1);
        let step = Step::new(self.program, DataId(0), 0..BATCH, 0.0.into(), key);
        let end = self.plan.ops.len() - 1;
        assert!(matches!(self.plan.ops[end], Op::Update(_)));
        self.executor.run(1..end, &step).expect("the plan runs");
    }

    /// The mean loss in f64, from the logits.
    fn loss(&mut self) -> f64 {
        self.run();
        let x = self.plan.loss().expect("the plan has a loss").x;
        let logits = self.read(x);
        let rows = logits.chunks_exact(self.plan.classes).zip(&self.labels);
        let losses = rows.map(|(row, &label)| {
            let exponentials = row.iter().map(|&x| f64::from(x).exp());
            exponentials.sum::<f64>().ln() - f64::from(row[label as usize])
        });
        losses.sum::<f64>() / BATCH as f64 + self.penalties()
    }

    fn penalties(&mut self) -> f64 {
        let ops = self.plan.ops.clone();
        let penalties = ops.iter().flat_map(|op| match op {
            Op::Regularize(Regularize { penalties }) => penalties.as_slice(),
            _ => &[],
        });
        let costs = penalties.map(|p| {
            let values = self.read(p.w).into_iter().map(f64::from);
            p.regularizer.penalty(values)
        });
        costs.sum()
    }

    /// The derivatives of the loss with respect to every element of a buffer.
    fn differences(&mut self, id: BufferId) -> Vec<f64> {
        let values = self.read(id);
        let mut differences = Vec::new();
        for i in 0..values.len() {
            let mut at = |x: f32| {
                let mut moved = values.clone();
                moved[i] = x;
                self.write(id, Values::F32(moved));
                self.loss()
            };
            let (above, below) = (values[i] + STEP, values[i] - STEP);
            // The steps as rounded to f32.
            let distance = f64::from(above) - f64::from(below);
            differences.push((at(above) - at(below)) / distance);
        }
        self.write(id, Values::F32(values));
        differences
    }

    /// The tensors with a gradient, and the gradients.
    fn gradients(&self) -> Vec<(BufferId, BufferId)> {
        let buffers = &self.plan.buffers;
        let of = |i| buffers.iter().position(|b| b.role == Role::Gradient(i));
        let layout = &self.plan.layout;
        let parameters = (0..layout.parameters.len()).filter(|&i| layout.parameters[i].trainable);
        let parameters = parameters.map(|i| (BufferId(i), BufferId(of(i).expect("a gradient"))));
        let input = buffers.iter().rposition(|b| b.name == "d input");
        let input = (
            self.inputs().0,
            BufferId(input.expect("the input's gradient")),
        );
        parameters.chain([input]).collect()
    }
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

#[track_caller]
fn assert_gradients(what: &str, model: &Sequential) {
    let mut net = Net::new(model, SEED);
    for (tensor, gradient) in net.gradients() {
        net.run();
        let exact = net.read(gradient);
        let differences = net.differences(tensor);
        let pairs = exact.iter().zip(&differences);
        let distance = norm(pairs.map(|(&g, d)| f64::from(g) - d));
        let error = distance / norm(differences.iter().copied());
        let name = &net.plan.buffer(tensor).name;
        assert!(error < TOLERANCE, "{what}: d {name} is off by {error:.1e}");
    }
}

/// `layers` with a small classifier after them.
fn with_head(model: Sequential) -> Sequential {
    model
        .add(Flatten::new())
        .add(Dense::new(3).activation(Activation::Softmax))
}

fn conv(layer: Conv2D) -> Sequential {
    // A second convolution, so that the input gradient passes through the first one's activation.
    with_head(
        Sequential::new([6, 5, 2])
            .add(layer)
            .add(Conv2D::new(2, (2, 1)).padding(Padding::Same)),
    )
}

#[test]
fn of_convolutions_with_every_activation() {
    for activation in POINTWISE {
        let layer = Conv2D::new(3, 3).activation(activation);
        assert_gradients(&format!("{activation:?}"), &conv(layer));
    }
}

#[test]
fn of_convolutions_with_every_stride_and_padding() {
    for padding in [Padding::Valid, Padding::Same] {
        for strides in [(1, 1), (2, 1), (2, 2), (3, 3)] {
            for kernel in [(3, 3), (2, 3), (1, 1), (2, 2)] {
                let layer = Conv2D::new(2, kernel)
                    .strides(strides)
                    .padding(padding)
                    .activation(Activation::Tanh);
                let what = format!("{padding:?} strides {strides:?} kernel {kernel:?}");
                assert_gradients(&what, &conv(layer));
            }
        }
    }
}

#[test]
fn of_convolutions_without_bias() {
    assert_gradients("no bias", &conv(Conv2D::new(2, 2).use_bias(false)));
}

#[test]
fn of_pools_of_every_kind() {
    for padding in [Padding::Valid, Padding::Same] {
        for (size, strides) in [
            ((2, 2), (2, 2)),
            ((3, 3), (1, 1)),
            ((3, 2), (2, 3)),
            ((1, 2), (2, 3)),
        ] {
            let what = format!("{padding:?} pool {size:?} strides {strides:?}");
            for activation in [Activation::Linear, Activation::Tanh] {
                let before = || {
                    let layer = Conv2D::new(2, 1).activation(activation);
                    Sequential::new([5, 6, 1]).add(layer)
                };
                let max = MaxPooling2D::new(size).strides(strides).padding(padding);
                assert_gradients(&format!("max {what}"), &with_head(before().add(max)));
                let average = AveragePooling2D::new(size)
                    .strides(strides)
                    .padding(padding);
                assert_gradients(
                    &format!("average {what}"),
                    &with_head(before().add(average)),
                );
                let sum = SumPooling2D::new(size).strides(strides).padding(padding);
                assert_gradients(&format!("sum {what}"), &with_head(before().add(sum)));
            }
        }
    }
}

#[test]
fn of_pools_over_relu() {
    let model = Sequential::new([6, 6, 1])
        .add(Conv2D::new(3, 3).activation(Activation::Relu))
        .add(MaxPooling2D::new(2));
    assert_gradients("max pool over relu", &with_head(model));
}

#[test]
fn of_dense_layers_with_every_activation() {
    for activation in POINTWISE {
        for use_bias in [false, true] {
            let layer = Dense::new(5).activation(activation).use_bias(use_bias);
            let model = Sequential::new([2, 3, 1]).add(Flatten::new()).add(layer);
            assert_gradients(
                &format!("{activation:?} bias {use_bias}"),
                &with_head(model),
            );
        }
    }
}

#[test]
fn of_activation_layers() {
    for activation in [POINTWISE.as_slice(), &[Activation::Softmax]].concat() {
        let layer = ActivationLayer::new(activation);
        let what = format!("{activation:?}");
        let after_conv = Sequential::new([3, 3, 2])
            .add(Conv2D::new(3, 2).activation(Activation::Tanh))
            .add(layer.clone());
        assert_gradients(&what, &with_head(after_conv));
        let first = Sequential::new([3, 3, 2]).add(layer);
        assert_gradients(&format!("{what} first"), &with_head(first));
    }
}

#[test]
fn of_softmax_inside_a_network() {
    let model = Sequential::new([2, 3, 1])
        .add(Flatten::new())
        .add(Dense::new(4).activation(Activation::Softmax))
        .add(Dense::new(5).activation(Activation::Sigmoid));
    assert_gradients("softmax inside", &with_head(model));
}

#[test]
fn of_an_activation_before_the_last_softmax() {
    let model = Sequential::new([2, 3, 1])
        .add(Flatten::new())
        .add(Dense::new(4).activation(Activation::Tanh))
        .add(ActivationLayer::new(Activation::Softmax));
    assert_gradients("tanh, then softmax", &model);
}

fn image(activation: Activation) -> Sequential {
    let layer = Conv2D::new(3, 2).activation(activation);
    Sequential::new([4, 5, 2]).add(layer)
}

#[test]
fn of_batch_normalization_with_and_without_its_parameters() {
    for (scale, center) in [(true, true), (true, false), (false, true), (false, false)] {
        for activation in [Activation::Linear, Activation::Tanh] {
            let layer = BatchNormalization::new().scale(scale).center(center);
            let what = format!("scale {scale} center {center} {activation:?}");
            // Normalization cancels a bias before it, whose gradient is zero.
            let before = Conv2D::new(3, 2).use_bias(false).activation(activation);
            let image = Sequential::new([4, 5, 2]).add(before);
            assert_gradients(&what, &with_head(image.add(layer.clone())));
            let first = Sequential::new([2, 3, 2]).add(layer);
            assert_gradients(&format!("{what} first"), &with_head(first));
        }
    }
    let dense = Sequential::new([2, 3, 1])
        .add(Flatten::new())
        .add(Dense::new(4).use_bias(false))
        // With two rows and a small epsilon, hardly more than the signs are left.
        .add(BatchNormalization::new().epsilon(1.0));
    assert_gradients("after a dense layer", &with_head(dense));
}

#[test]
fn of_layers_below_and_above_frozen_ones() {
    let mut model = Sequential::new([6, 5, 2])
        .add(Conv2D::new(3, 2).activation(Activation::Tanh))
        // Normalizes by its moving statistics, so that the bias before it counts.
        .add(BatchNormalization::new().epsilon(0.5))
        .add(Conv2D::new(2, (2, 1)).activation(Activation::Tanh))
        .add(Conv2D::new(2, 2))
        .add(Flatten::new())
        .add(Dense::new(4).kernel_regularizer(Regularizer::l2(0.1)))
        .add(Dense::new(3).activation(Activation::Softmax));
    for index in [1, 2, 5] {
        model.layers[index].trainable = false;
    }
    assert_gradients("frozen layers", &model);
}

#[test]
fn of_dropout() {
    for activation in [Activation::Linear, Activation::Tanh] {
        let cells = image(activation).add(Dropout::new(0.3));
        assert_gradients("dropout", &with_head(cells));
        let maps = image(activation).add(SpatialDropout2D::new(0.1));
        assert_gradients("spatial dropout", &with_head(maps));
    }
}

#[test]
fn of_rescaling_padding_and_global_pools() {
    for activation in [Activation::Linear, Activation::Tanh] {
        let model = image(activation).add(Rescaling::new(-1.5).offset(0.5));
        assert_gradients("rescaling", &with_head(model));
        let model = image(activation).add(ZeroPadding2D::new([[1, 0], [2, 3]]));
        assert_gradients("padding", &with_head(model));
        let model = image(activation).add(GlobalAveragePooling2D::new());
        assert_gradients("global average", &with_head(model));
        let model = image(activation).add(GlobalMaxPooling2D::new().keepdims(true));
        assert_gradients("global max", &with_head(model));
    }
}

#[test]
fn of_dilated_grouped_and_depthwise_convolutions() {
    for padding in [Padding::Valid, Padding::Same] {
        let layer = Conv2D::new(4, 2)
            .padding(padding)
            .activation(Activation::Tanh);
        let dilated = layer.clone().dilation_rate((2, 1));
        assert_gradients("dilated", &conv(dilated));
        assert_gradients("groups", &conv(layer.groups(2)));
        let depthwise = DepthwiseConv2D::new((2, 3))
            .depth_multiplier(2)
            .padding(padding)
            .activation(Activation::Gelu);
        let model = Sequential::new([4, 5, 2])
            .add(Conv2D::new(2, 1).activation(Activation::Tanh))
            .add(depthwise);
        assert_gradients("depthwise", &with_head(model));
    }
}

#[test]
fn of_penalties() {
    let layer = Conv2D::new(3, 2)
        .kernel_regularizer(Regularizer::l1_l2(0.01, 0.05))
        .bias_regularizer(Regularizer::l2(0.1));
    assert_gradients(
        "penalties",
        &with_head(Sequential::new([4, 5, 2]).add(layer)),
    );
}

fn same(filters: usize, activation: Activation) -> Conv2D {
    Conv2D::new(filters, 2)
        .padding(Padding::Same)
        .activation(activation)
}

#[test]
fn of_values_that_several_layers_take() {
    for activation in [Activation::Linear, Activation::Tanh, Activation::Gelu] {
        let first = || Sequential::new([4, 5, 2]).add(same(2, activation).name("a"));
        let what = |what: &str| format!("{what} {activation:?}");
        let residual =
            (first().add(same(2, Activation::Tanh).name("b"))).add_from(["b", "a"], Add::new());
        assert_gradients(&what("residual"), &with_head(residual));
        let twice = first().add_from(["a", "a"], Add::new());
        assert_gradients(&what("twice"), &with_head(twice));
        let thrice = (first().add(same(2, Activation::Linear).name("b")))
            .add_from("a", ActivationLayer::new(Activation::Sigmoid).name("c"))
            .add_from(["b", "a", "c", "input"], Add::new())
            .add(ActivationLayer::new(Activation::Tanh));
        assert_gradients(&what("thrice"), &with_head(thrice));
        let side = (first().add(same(3, activation).name("b")))
            .add_from(["a", "b", "a", "input"], Concatenate::new())
            .add(same(2, Activation::Tanh));
        assert_gradients(&what("concatenation"), &with_head(side));
    }
}

#[test]
fn of_residual_blocks() {
    let norm = || BatchNormalization::new().epsilon(0.1);
    let conv = |filters| same(filters, Activation::Linear).use_bias(false);
    let model = Sequential::new([4, 6, 2])
        .add(conv(3).name("stem"))
        .add(conv(4).strides(2))
        .add(norm())
        .add(ActivationLayer::new(Activation::Tanh))
        .add(conv(4))
        .add(norm().name("residual"))
        .add_from("stem", Conv2D::new(4, 1).strides(2).name("shortcut"))
        .add_from(["residual", "shortcut"], Add::new())
        .add(ActivationLayer::new(Activation::Tanh));
    assert_gradients("shortcut by a convolution", &with_head(model));
    let pools = Sequential::new([4, 4, 2])
        .add(same(3, Activation::Tanh).name("a"))
        .add(MaxPooling2D::new(2).name("pooled"))
        .add_from("a", AveragePooling2D::new(2).name("mean"))
        .add(Dropout::new(0.3).name("dropped"))
        .add_from(["pooled", "dropped"], Add::new());
    assert_gradients("pools of one convolution, and dropout", &with_head(pools));
    let dense = Sequential::new([2, 3, 1])
        .add(Flatten::new().name("flat"))
        .add(Dense::new(6).activation(Activation::Tanh).name("hidden"))
        .add_from(["flat", "hidden"], Add::new())
        .add(Dense::new(2).name("end"))
        .add_from(["end", "flat"], Concatenate::new())
        .add(Dense::new(3).activation(Activation::Softmax));
    assert_gradients("vectors", &dense);
}
