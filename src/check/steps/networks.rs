//! The table of networks. All are small, so that a driver has little to compile.

use super::StepCase;
use crate::model::{
    Activation, ActivationLayer, Add, BatchNormalization, Concatenate, Conv2D, Dense,
    DepthwiseConv2D, Dropout, Flatten, GaussianNoise, GlobalMaxPooling2D, Loss, MaxPooling2D,
    RandomBrightness, RandomContrast, RandomCrop, RandomElasticTransform, RandomErasing,
    RandomFlip, RandomRotation, RandomShear, RandomTranslation, RandomZoom, Regularizer, Rescaling,
    Sequential, SpatialDropout2D, ZeroPadding2D,
};
use crate::optimizer::{Clip, Optimizer, UpdateRule};
use crate::plan::{Mixing, Purpose};
use crate::shape::Padding;

/// Every network, as a training step or as an inference step.
pub fn all() -> Vec<StepCase> {
    let step = |name, model, purpose| StepCase::new(name, model, purpose, 5);
    let train = |name, model, optimizer| step(name, model, Purpose::Training(optimizer));
    let mixed = |name, model, mixup, cutmix| {
        let mixing = Mixing { mixup, cutmix };
        step(name, model, Purpose::MixedTraining(momentum(), mixing))
    };
    vec![
        train("pools", pools(), momentum()),
        train("wide-pools", wide_pools(), adam()),
        train("channels", many_channels(), momentum()),
        train("mixed-pools", mixed_pools(), adam().ema_momentum(0.75)),
        train("large-pools", large_pools(), rmsprop()),
        train("layers", layers(), momentum()),
        train("augmented", augmented(), momentum()),
        train("adjusted", adjusted(), momentum()),
        mixed("mixup", augmented(), Some(0.5), None),
        mixed("cutmix", pools(), None, Some([0.0, 1.0])),
        mixed("mix-binary", binary(), Some(1.0), Some([0.5, 1.0])),
        mixed("mix-squared", squared(), Some(1.0), None),
        train("residual", residual(), momentum()),
        train("skips", skips(), momentum()),
        train("frozen-base", frozen_base(), adam()),
        train("frozen-top", frozen_top(), momentum()),
        train("factors", factors(), momentum()),
        train(
            "overwriting",
            factors(),
            adam().ema_momentum(0.75).ema_overwrite_frequency(2),
        ),
        train("penalty", penalties(&[4]), momentum()),
        train("penalties", penalties(&[4, 32]), momentum()),
        train("binary", binary(), momentum().ema_momentum(0.75)),
        train("squared", squared(), rmsprop().ema_momentum(0.75)),
        train("clip-value", sigmoid(), momentum().clip(Clip::Value(0.05))),
        train("clip-norm", linear(), momentum().clip(Clip::Norm(0.1))),
        train(
            "clip-global",
            small(softmax(3)),
            adam().clip(Clip::GlobalNorm(0.1)),
        ),
        step("pools", pools(), Purpose::Inference),
        step("wide-pools", wide_pools(), Purpose::Inference),
        step("residual", residual(), Purpose::Inference),
        step("skips", skips(), Purpose::Inference),
    ]
}

/// SGD whose first moment after one step is an exact multiple of the gradient.
fn momentum() -> Optimizer {
    Optimizer::from(UpdateRule::Sgd {
        learning_rate: 0.125,
        momentum: 0.5,
        nesterov: false,
    })
}

/// Adam with an epsilon as large as a small gradient. With a smaller epsilon, the relative error of
/// such a gradient would become an error of the whole step.
fn adam() -> Optimizer {
    Optimizer::from(UpdateRule::Adam {
        learning_rate: 0.01,
        beta_1: 0.5,
        beta_2: 0.75,
        epsilon: 0.01,
    })
}

/// RMSprop, likewise.
fn rmsprop() -> Optimizer {
    Optimizer::from(UpdateRule::RmsProp {
        learning_rate: 0.01,
        rho: 0.75,
        momentum: 0.5,
        epsilon: 1e-3,
    })
}

fn softmax(units: usize) -> Dense {
    Dense::new(units).activation(Activation::Softmax)
}

/// Layers that are not trained below layers that are: their backward pass ends early.
fn frozen_base() -> Sequential {
    let model = Sequential::new([8, 9, 2])
        .add(Conv2D::new(4, 3).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(BatchNormalization::new())
        .add(Conv2D::new(5, 2).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(Flatten::new())
        .add(softmax(3));
    frozen(model, &[0, 1, 2])
}

/// Layers that are not trained above layers that are: gradients pass through them.
fn frozen_top() -> Sequential {
    let model = Sequential::new([8, 9, 2])
        .add(Conv2D::new(4, 3).activation(Activation::Relu))
        .add(BatchNormalization::new())
        .add(Conv2D::new(5, 2).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(DepthwiseConv2D::new(2))
        .add(BatchNormalization::new().scale(false))
        .add(Flatten::new())
        .add(Dense::new(6).kernel_regularizer(Regularizer::l2(0.1)))
        .add(softmax(3));
    frozen(model, &[1, 2, 4, 5, 7])
}

/// Layers with factors of the learning rate, also of one that is frozen and of biases alone.
fn factors() -> Sequential {
    let model = Sequential::new([8, 9, 2])
        .add(Conv2D::new(4, 3).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(BatchNormalization::new())
        .add(Conv2D::new(5, 2).activation(Activation::Relu))
        .add(Flatten::new())
        .add(Dense::new(6).activation(Activation::Tanh))
        .add(softmax(3));
    let mut model = frozen(model, &[3]);
    model.layers[0].learning_rate_factor = 0.5;
    model.layers[2].bias_learning_rate_factor = Some(8.0);
    model.layers[3].learning_rate_factor = 2.0;
    model.layers[5].learning_rate_factor = 3.0;
    model.layers[5].bias_learning_rate_factor = Some(1.0);
    model
}

fn frozen(mut model: Sequential, indices: &[usize]) -> Sequential {
    for &index in indices {
        model.layers[index].trainable = false;
    }
    model
}

/// Max pools fused with convolutions, forward and backward: after another convolution and after a
/// pool, with and without cells that no window covers, with and without a bias.
fn pools() -> Sequential {
    Sequential::new([13, 12, 3])
        .add(Conv2D::new(4, 2).activation(Activation::Relu))
        .add(Conv2D::new(8, 3).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(
            Conv2D::new(4, 2)
                .padding(Padding::Same)
                .use_bias(false)
                .activation(Activation::Tanh),
        )
        .add(MaxPooling2D::new([2, 3]))
        .add(Flatten::new())
        .add(Dense::new(7).activation(Activation::Relu))
        .add(softmax(5))
}

/// The same with 32 channels, enough for kernels in which eight lanes share their pixels.
fn wide_pools() -> Sequential {
    Sequential::new([8, 8, 3])
        .add(Conv2D::new(32, 2).activation(Activation::Relu))
        .add(Conv2D::new(32, 2).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(
            Conv2D::new(32, 2)
                .use_bias(false)
                .activation(Activation::Tanh),
        )
        .add(MaxPooling2D::new(2))
        .add(Flatten::new())
        .add(Dense::new(32).activation(Activation::Relu))
        .add(softmax(5))
}

/// Convolutions with enough channels and cells for Winograd's filtering on the CPU, with sizes that
/// tiles of 2x2 cells do not divide.
fn many_channels() -> Sequential {
    Sequential::new([12, 10, 3])
        .add(Conv2D::new(12, 2).activation(Activation::Relu))
        .add(
            Conv2D::new(16, 3)
                .padding(Padding::Same)
                .activation(Activation::Tanh),
        )
        .add(Conv2D::new(13, 3).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(Flatten::new())
        .add(softmax(5))
}

/// Convolutions with different vector widths on input and output. Their gradients do not include
/// the backward pass of the pool after them, but skip the cells that no window of that pool covers.
fn mixed_pools() -> Sequential {
    Sequential::new([9, 9, 1])
        .add(Conv2D::new(3, 2).activation(Activation::Tanh))
        .add(Conv2D::new(32, 2).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(Conv2D::new(3, 1).activation(Activation::Sigmoid))
        .add(MaxPooling2D::new(2))
        .add(Flatten::new())
        .add(softmax(3))
}

/// A pool with windows too large to fuse its backward pass, and one with overlapping windows, which
/// is never fused.
fn large_pools() -> Sequential {
    Sequential::new([13, 14, 1])
        .add(Conv2D::new(4, 2).activation(Activation::Relu))
        .add(Conv2D::new(4, 2).activation(Activation::Tanh))
        .add(MaxPooling2D::new(5))
        .add(
            Conv2D::new(4, 1)
                .padding(Padding::Same)
                .activation(Activation::Sigmoid),
        )
        .add(MaxPooling2D::new(2).strides(1))
        .add(Flatten::new())
        .add(softmax(3))
}

/// Layers that a step does not fuse, between convolutions that it does.
fn layers() -> Sequential {
    Sequential::new([12, 11, 3])
        .add(Rescaling::new(2.0).offset(-1.0))
        .add(Conv2D::new(8, 3).activation(Activation::Gelu))
        .add(MaxPooling2D::new(2))
        .add(ZeroPadding2D::new(1))
        .add(
            Conv2D::new(8, 3)
                .use_bias(false)
                .kernel_regularizer(Regularizer::l2(0.01)),
        )
        .add(BatchNormalization::new())
        .add(ActivationLayer::new(Activation::Silu))
        .add(SpatialDropout2D::new(0.25))
        .add(
            DepthwiseConv2D::new(3)
                .padding(Padding::Same)
                .activation(Activation::Selu),
        )
        .add(
            Conv2D::new(16, 2)
                .dilation_rate(2)
                .groups(2)
                .activation(Activation::Relu),
        )
        .add(GlobalMaxPooling2D::new())
        // The gradient of a bias before a normalization is nearly zero.
        .add(Dense::new(12).use_bias(false).activation(Activation::Elu))
        .add(BatchNormalization::new().momentum(0.5))
        .add(Dropout::new(0.5))
        .add(Dense::new(10).activation(Activation::Softmax))
}

/// Training images that every layer varies, and noise between trained layers.
fn augmented() -> Sequential {
    Sequential::new([12, 11, 3])
        .add(RandomFlip::new())
        .add(RandomRotation::new(0.1))
        .add(RandomTranslation::new(0.1, 0.2))
        .add(RandomZoom::new(0.2))
        .add(RandomShear::new(0.2, 0.1))
        .add(RandomElasticTransform::new([0.5, 1.0]).scale([0.5, 1.0]))
        .add(RandomContrast::new([0.5, 0.5]))
        .add(RandomBrightness::new(0.2))
        .add(RandomErasing::new(1.0))
        .add(RandomCrop::new(11, 9))
        .add(Conv2D::new(4, 3).activation(Activation::Tanh))
        .add(GaussianNoise::new(0.1))
        .add(Flatten::new())
        .add(softmax(3))
}

/// Contrasts with a brightness or an erasing behind them, in one channel.
fn adjusted() -> Sequential {
    Sequential::new([6, 8, 1])
        .add(RandomContrast::new([0.5, 0.5]))
        .add(RandomBrightness::new(0.2))
        .add(RandomContrast::new([0.25, 0.5]))
        .add(RandomErasing::new(1.0))
        .add(Conv2D::new(4, 3).activation(Activation::Tanh))
        .add(Flatten::new())
        .add(softmax(3))
}

/// Residual blocks, with and without a shortcut by a convolution, and around a dropout.
fn residual() -> Sequential {
    let conv = |filters, kernel| {
        Conv2D::new(filters, kernel)
            .padding(Padding::Same)
            .use_bias(false)
    };
    let relu = || ActivationLayer::new(Activation::Relu);
    Sequential::new([8, 8, 3])
        .add(conv(4, 3).name("stem"))
        .add(BatchNormalization::new())
        .add(relu().name("first"))
        .add(conv(4, 3))
        .add(BatchNormalization::new().name("residual"))
        .add_from(["first", "residual"], Add::new())
        .add(relu().name("second"))
        .add(
            conv(8, 3)
                .strides(2)
                .kernel_regularizer(Regularizer::l2(0.01)),
        )
        .add(Dropout::new(0.25).name("dropped"))
        .add_from("second", conv(8, 1).strides(2).name("shortcut"))
        .add_from(["shortcut", "dropped"], Add::new())
        .add(GlobalMaxPooling2D::new())
        .add(softmax(3))
}

/// Skips around and between what a step fuses: a convolution and its pool, of which one has another
/// reader; a value that is taken twice and three times; other numbers of channels; the input; and a
/// sum before the loss, whose gradient two dense layers take.
fn skips() -> Sequential {
    Sequential::new([8, 8, 3])
        .add(
            Conv2D::new(4, 3)
                .padding(Padding::Same)
                .activation(Activation::Relu)
                .name("a"),
        )
        .add(MaxPooling2D::new(2).name("a-pool"))
        .add(
            Conv2D::new(4, 3)
                .padding(Padding::Same)
                .activation(Activation::Relu)
                .name("b"),
        )
        .add(MaxPooling2D::new(2).name("b-pool"))
        .add_from("input", Conv2D::new(3, 2).strides(2).name("c"))
        .add_from(["a-pool", "c", "a-pool"], Concatenate::new())
        .add(
            Conv2D::new(4, 2)
                .strides(2)
                .activation(Activation::Tanh)
                .name("d"),
        )
        .add_from("a", MaxPooling2D::new(4).name("a-far"))
        .add_from(["d", "b-pool", "a-far", "d"], Add::new().name("sum"))
        .add(Flatten::new())
        .add(Dense::new(4).activation(Activation::Tanh).name("e"))
        .add(Dense::new(3).name("f"))
        .add_from("e", Dense::new(3).name("g"))
        .add_from(["f", "g"], Add::new())
        .add(ActivationLayer::new(Activation::Softmax))
}

/// Penalties on the kernels of convolutions with these numbers of filters. The plain variant splits
/// the sum of the second one.
fn penalties(filters: &[usize]) -> Sequential {
    let convolutions = filters.iter().map(|&filters| {
        Conv2D::new(filters, 2)
            .activation(Activation::Tanh)
            .kernel_regularizer(Regularizer::l2(0.01))
    });
    convolutions
        .fold(Sequential::new([5, 5, 1]), Sequential::add)
        .add(Flatten::new())
        .add(softmax(3))
}

/// Binary classification; the loss's kernel computes the input gradient of the last layer.
fn binary() -> Sequential {
    Sequential::new([6, 5, 1])
        .add(Conv2D::new(4, 2).activation(Activation::Tanh))
        .add(Flatten::new())
        .add(Dense::new(1).activation(Activation::Sigmoid))
        .loss(Loss::BinaryCrossentropy {
            label_smoothing: 0.1,
        })
}

/// The mean squared error, likewise.
fn squared() -> Sequential {
    Sequential::new([6, 5, 1])
        .add(Conv2D::new(2, 2).activation(Activation::Tanh))
        .add(Flatten::new())
        .add(Dense::new(6).activation(Activation::Tanh))
        .add(Dense::new(3))
        .loss(Loss::MeanSquaredError)
}

/// Layers without an activation, and one before the loss.
fn small(last: Dense) -> Sequential {
    Sequential::new([5, 5, 1])
        .add(Conv2D::new(2, 2))
        .add(Flatten::new())
        .add(Dense::new(4))
        .add(last)
}

fn sigmoid() -> Sequential {
    let loss = Loss::BinaryCrossentropy {
        label_smoothing: 0.0,
    };
    small(Dense::new(3).activation(Activation::Sigmoid)).loss(loss)
}

fn linear() -> Sequential {
    small(Dense::new(3)).loss(Loss::MeanSquaredError)
}
