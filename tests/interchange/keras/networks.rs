//! Networks with every layer, argument, optimizer and loss, in the midst of training.

use std::sync::Arc;

use cnn_gpu::interchange::Network;
use cnn_gpu::model::{
    Activation, ActivationLayer, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D,
    Dense, DepthwiseConv2D, Dropout, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D,
    Initializer, Loss, MaxPooling2D, Regularizer, Rescaling, Sequential, SpatialDropout2D,
    SumPooling2D, ZeroPadding2D,
};
use cnn_gpu::optimizer::{Clip, Optimizer, UpdateRule};
use cnn_gpu::rng::{Key, Stream};
use cnn_gpu::shape::Padding;
use cnn_gpu::state::{Layout, State};

/// Networks with names.
pub fn all() -> Vec<(&'static str, Network)> {
    let sgd = |momentum, nesterov| {
        Optimizer::from(UpdateRule::Sgd {
            learning_rate: 0.05,
            momentum,
            nesterov,
        })
    };
    let rmsprop = Optimizer::from(UpdateRule::RmsProp {
        learning_rate: 0.002,
        rho: 0.8,
        momentum: 0.5,
        epsilon: 1e-6,
    });
    let averaged = Optimizer::adamw().clip(Clip::Norm(0.5)).ema_momentum(0.9);
    let decayed = rmsprop.clip(Clip::GlobalNorm(0.5)).weight_decay(0.01);
    let clipped = sgd(0.9, false).clip(Clip::Value(0.01)).ema_momentum(0.8);
    [
        ("adam", images(), Some(Optimizer::adam())),
        ("adamw", images(), Some(averaged)),
        ("sgd", images(), Some(sgd(0.0, false))),
        ("nesterov", trained_differently(), Some(sgd(0.9, true))),
        ("rmsprop", pools(), Some(Optimizer::rmsprop())),
        ("momentum", pools(), Some(decayed)),
        ("clipped", decisions(), Some(clipped)),
        ("dropout", dropout(), Some(Optimizer::adam())),
        ("skips", skips(), Some(Optimizer::adam().ema_momentum(0.9))),
        ("names", names(), Some(Optimizer::adam())),
        ("untrained", decisions(), None),
    ]
    .map(|(name, model, optimizer)| (name, network(model, optimizer)))
    .into()
}

/// A network with random weights and moments.
pub fn network(model: Sequential, optimizer: Option<Optimizer>) -> Network {
    let layout = Layout::new(&model).unwrap();
    let mut state = State::new(Arc::clone(&layout), 7);
    for (i, parameter) in layout.parameters.iter().enumerate() {
        let key = Key::new(1).stream(Stream::Check, i as u32);
        let inputs: usize = parameter.shape.iter().rev().skip(1).product();
        // Keras on JAX and PyTorch cuts probabilities off at 1e-7, so none should be so small.
        let scale = 1.0 / (inputs as f32).sqrt();
        let value = |n: u32| match parameter.name.rsplit('/').next() {
            Some("moving_variance") => 0.5 + key.uniform(n),
            Some("gamma") => 1.0 + 0.3 * key.normal(n),
            Some("kernel") => scale * key.normal(n),
            _ => 0.2 * key.normal(n),
        };
        let values: Vec<f32> = (0..parameter.len() as u32).map(value).collect();
        state.set_parameter(&parameter.name, &values).unwrap();
    }
    state.step = 7;
    let mut network = Network::new(model, state);
    if let Some(optimizer) = optimizer {
        fill_moments(&mut network.state, &optimizer);
        network = network.optimizer(optimizer);
    }
    network.class_names(Vec::new())
}

/// Moments as training leaves them.
fn fill_moments(state: &mut State, optimizer: &Optimizer) {
    let draw = |seed, scale: f32| -> Vec<f32> {
        let key = Key::new(seed).stream(Stream::Check, 0);
        let mut values = vec![0.0; state.layout.len];
        for p in state.layout.parameters.iter().filter(|p| p.trainable) {
            for i in p.range() {
                values[i] = scale * key.normal(i as u32);
            }
        }
        values
    };
    let (has_m, has_v) = match optimizer.rule {
        UpdateRule::Sgd { momentum, .. } => (momentum > 0.0, false),
        UpdateRule::RmsProp { momentum, .. } => (momentum > 0.0, true),
        _ => (true, true),
    };
    let m = if has_m { draw(2, 0.01) } else { Vec::new() };
    let v = if has_v { draw(3, 0.01) } else { Vec::new() };
    let drift = draw(4, 0.01);
    let shifted = state.params.iter().zip(&drift).map(|(a, b)| a + b);
    let average: Vec<f32> = shifted.collect();
    state.m = m;
    state.v = v.into_iter().map(|x| x * x).collect();
    if optimizer.ema_momentum.is_some() {
        state.average = average;
    }
}

fn images() -> Sequential {
    Sequential::new([9, 8, 3])
        .name("images/of things")
        .add(Rescaling::new(2.0).offset(-1.0))
        .add(ZeroPadding2D::new([[1, 0], [0, 2]]))
        .add(
            Conv2D::new(4, [3, 2])
                .strides([2, 1])
                .padding(Padding::Same)
                .use_bias(false),
        )
        .add(BatchNormalization::new().momentum(0.9).epsilon(0.01))
        .add(ActivationLayer::new(Activation::Relu))
        .add(
            DepthwiseConv2D::new(3)
                .depth_multiplier(2)
                .padding(Padding::Same),
        )
        .add(BatchNormalization::new().scale(false))
        .add(
            Conv2D::new(6, 2)
                .dilation_rate(2)
                .activation(Activation::Gelu),
        )
        .add(Flatten::new())
        .add(Dense::new(5).activation(Activation::Softmax))
}

fn pools() -> Sequential {
    Sequential::new([8, 8, 2])
        .add(Conv2D::new(4, 3).groups(2).activation(Activation::Tanh))
        .add(SumPooling2D::new(2).strides(1).name("sum"))
        .add(MaxPooling2D::new(3).strides(1).padding(Padding::Same))
        .add(
            AveragePooling2D::new([3, 2])
                .strides(2)
                .padding(Padding::Same),
        )
        .add(GlobalMaxPooling2D::new().keepdims(true))
        .add(GlobalAveragePooling2D::new())
        .add(Dense::new(6).activation(Activation::LeakyRelu))
        .add(BatchNormalization::new().center(false))
        .add(Dense::new(3).activation(Activation::Softmax))
}

fn trained_differently() -> Sequential {
    let loss = Loss::categorical_crossentropy().with_label_smoothing(0.1);
    Sequential::new([5, 5, 1])
        .loss(loss.unwrap())
        .add(
            Conv2D::new(3, 3)
                .kernel_initializer(Initializer::HeNormal)
                .bias_initializer(Initializer::Constant(0.1))
                .kernel_regularizer(Regularizer::l2(1e-3))
                .bias_regularizer(Regularizer::l1(1e-3))
                .activation(Activation::Silu),
        )
        .add(
            DepthwiseConv2D::new(2)
                .depthwise_initializer(Initializer::Orthogonal)
                .depthwise_regularizer(Regularizer::l1_l2(1e-3, 2e-3)),
        )
        .add(Flatten::new())
        .add(Dense::new(4).kernel_initializer(Initializer::TruncatedNormal))
        .add(ActivationLayer::new(Activation::Selu))
        .add(Dense::new(3).activation(Activation::Elu))
        .add(ActivationLayer::new(Activation::Softmax))
}

fn decisions() -> Sequential {
    let loss = Loss::binary_crossentropy().with_label_smoothing(0.2);
    Sequential::new([4, 4, 1])
        .loss(loss.unwrap())
        .add(Flatten::new())
        .add(Dense::new(5).activation(Activation::Softplus))
        .add(Dense::new(3).activation(Activation::Sigmoid))
}

fn dropout() -> Sequential {
    Sequential::new([6, 6, 1])
        .loss(Loss::MeanSquaredError)
        .add(Conv2D::new(3, 3))
        .add(SpatialDropout2D::new(0.25))
        .add(Flatten::new())
        .add(Dropout::new(0.5))
        .add(Dense::new(4))
}

/// Layers in another order than Keras's.
fn skips() -> Sequential {
    let conv = |name: &str| Conv2D::new(4, 3).padding(Padding::Same).name(name);
    Sequential::new([7, 6, 2])
        .add(conv("stem").activation(Activation::Relu))
        .add(SumPooling2D::new([1, 2]).name("sums"))
        .add_from("input", conv("wide"))
        .add(BatchNormalization::new().name("norm"))
        .add(MaxPooling2D::new([1, 2]))
        .add(conv("deep"))
        .add_from("stem", conv("short").strides([1, 2]))
        .add_from(["sums", "deep", "short", "sums"], Add::new())
        .add_from(["add", "deep"], Concatenate::new())
        .add(GlobalAveragePooling2D::new().name("mean"))
        .add_from("concatenate", Flatten::new())
        .add(Dense::new(8).name("dense"))
        .add_from(["mean", "dense"], Add::new())
        .add(Dense::new(3).activation(Activation::Softmax).name("head"))
}

fn names() -> Sequential {
    Sequential::new([3, 3, 1])
        .name("")
        .add(Conv2D::new(2, 2).name("input_layer"))
        .add(Conv2D::new(2, 1).name("conv.1-a"))
        .add(Flatten::new().name("block 1 flatten"))
        .add(Dense::new(3).name("größe").activation(Activation::Softmax))
}
