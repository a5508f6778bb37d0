//! mnist-cnn, with 93,322 parameters and weights initialised as in Keras.

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::activation::relu;

const GLOROT_UNIFORM: Initializer = Initializer::XavierUniform { gain: 1.0 };

/// Without the last softmax, which is part of the loss.
#[derive(Module, Debug)]
pub struct Network {
    conv1: Conv2d,
    conv2: Conv2d,
    conv3: Conv2d,
    pool: MaxPool2d,
    hidden: Linear,
    output: Linear,
}

impl Network {
    pub fn new(device: &Device) -> Self {
        let network = Self {
            conv1: conv(1, 32, device),
            conv2: conv(32, 64, device),
            conv3: conv(64, 64, device),
            pool: MaxPool2dConfig::new([2, 2]).init(),
            hidden: linear(576, 64, device),
            output: linear(64, 10, device),
        };
        assert_eq!(network.num_params(), 93_322);
        network
    }

    /// Images [n, 1, 28, 28] to logits [n, 10].
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self.pool.forward(relu(self.conv1.forward(images)));
        let x = self.pool.forward(relu(self.conv2.forward(x)));
        let x = relu(self.conv3.forward(x));
        let x = relu(self.hidden.forward(x.flatten(1, 3)));
        self.output.forward(x)
    }
}

fn conv(inputs: usize, filters: usize, device: &Device) -> Conv2d {
    let config = Conv2dConfig::new([inputs, filters], [3, 3]).with_initializer(GLOROT_UNIFORM);
    let mut layer = config.init(device);
    layer.bias = Some(zeros(filters, device));
    layer
}

fn linear(inputs: usize, units: usize, device: &Device) -> Linear {
    let config = LinearConfig::new(inputs, units).with_initializer(GLOROT_UNIFORM);
    let mut layer = config.init(device);
    layer.bias = Some(zeros(units, device));
    layer
}

fn zeros(n: usize, device: &Device) -> Param<Tensor<1>> {
    Initializer::Zeros.init([n], device)
}
