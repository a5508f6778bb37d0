//! Networks by name.

use super::{
    Activation, ActivationLayer, Add, AveragePooling2D, BatchNormalization, Conv2D, Dense, Dropout,
    Flatten, GlobalAveragePooling2D, Initializer, MaxPooling2D, Regularizer, Sequential,
};
use crate::shape::Padding;

/// The names that [`preset`] accepts.
pub const PRESETS: &[&str] = &[
    "mnist-cnn",
    "mnist-mlp",
    "mnist-small",
    "mnist-best",
    "resnet20",
];

/// The network of this name, if there is one.
///
/// - `mnist-cnn`: the Keras lab's network, 93,322 parameters.
/// - `mnist-mlp`: two dense layers, 101,770 parameters, for comparison.
/// - `mnist-small`: five convolutions with batch normalization, 68,442 parameters, for the best accuracy of
///   a small network.
/// - `mnist-best`: the network of Deotte's "25 Million Images! [0.99757] MNIST" on Kaggle, two blocks of
///   convolutions of 3x3, 3x3 and 5x5 with strides of 2, and dropout of 40 %; 327,242 parameters.
/// - `resnet20`: the residual network of 20 layers for CIFAR-10 (He et al., 2015) as in Keras's
///   example `cifar10_resnet`, version 1, with shortcuts by 1x1 convolutions; 274,442 parameters.
pub fn preset(name: &str) -> Option<Sequential> {
    match name {
        "mnist-cnn" => Some(
            Sequential::new([28, 28, 1])
                .name(name)
                .add(Conv2D::new(32, 3).activation(Activation::Relu))
                .add(MaxPooling2D::new(2))
                .add(Conv2D::new(64, 3).activation(Activation::Relu))
                .add(MaxPooling2D::new(2))
                .add(Conv2D::new(64, 3).activation(Activation::Relu))
                .add(Flatten::new())
                .add(Dense::new(64).activation(Activation::Relu))
                .add(Dense::new(10).activation(Activation::Softmax)),
        ),
        "mnist-mlp" => Some(
            Sequential::new([28, 28, 1])
                .name(name)
                .add(Flatten::new())
                .add(Dense::new(128).activation(Activation::Relu))
                .add(Dense::new(10).activation(Activation::Softmax)),
        ),
        "mnist-small" => Some(mnist_small().name(name)),
        "mnist-best" => Some(mnist_best().name(name)),
        "resnet20" => Some(resnet20().name(name)),
        _ => None,
    }
}

/// Adds a convolution, its normalization and its activation.
fn add_normalized(model: Sequential, convolution: Conv2D) -> Sequential {
    model
        .add(convolution.use_bias(false))
        .add(BatchNormalization::new())
        .add(ActivationLayer::new(Activation::Relu))
}

fn mnist_small() -> Sequential {
    let mut model = Sequential::new([28, 28, 1]);
    for filters in [16, 32] {
        model = add_normalized(model, Conv2D::new(filters, 3));
    }
    model = model.add(MaxPooling2D::new(2));
    for _ in 0..2 {
        model = add_normalized(model, Conv2D::new(48, 3));
    }
    model = model.add(MaxPooling2D::new(2));
    add_normalized(model, Conv2D::new(64, 3))
        .add(GlobalAveragePooling2D::new())
        .add(Dense::new(10).activation(Activation::Softmax))
}

fn mnist_best() -> Sequential {
    let relu = Activation::Relu;
    let mut model = Sequential::new([28, 28, 1]);
    for filters in [32, 64] {
        for _ in 0..2 {
            model = model
                .add(Conv2D::new(filters, 3).activation(relu))
                .add(BatchNormalization::new());
        }
        let halving = Conv2D::new(filters, 5).strides(2).padding(Padding::Same);
        model = model
            .add(halving.activation(relu))
            .add(BatchNormalization::new())
            .add(Dropout::new(0.4));
    }
    model
        .add(Flatten::new())
        .add(Dense::new(128).activation(relu))
        .add(BatchNormalization::new())
        .add(Dropout::new(0.4))
        .add(Dense::new(10).activation(Activation::Softmax))
}

/// A convolution of Keras's residual networks.
fn residual_conv(filters: usize, kernel_size: usize, strides: usize) -> Conv2D {
    Conv2D::new(filters, kernel_size)
        .strides(strides)
        .padding(Padding::Same)
        .kernel_initializer(Initializer::HeNormal)
        .kernel_regularizer(Regularizer::l2(1e-4))
}

fn resnet20() -> Sequential {
    let mut model = Sequential::new([32, 32, 3])
        .add(residual_conv(16, 3, 1))
        .add(BatchNormalization::new())
        .add(ActivationLayer::new(Activation::Relu).name("stem"));
    let mut before = "stem".to_owned();
    for (stage, filters) in [16, 32, 64].into_iter().enumerate() {
        for block in 0..3 {
            let halves = stage > 0 && block == 0;
            let block = format!("stage{}_block{}", stage + 1, block + 1);
            let [residual, shortcut] =
                ["residual", "shortcut"].map(|branch| format!("{block}_{branch}"));
            model = model
                .add(residual_conv(filters, 3, if halves { 2 } else { 1 }))
                .add(BatchNormalization::new())
                .add(ActivationLayer::new(Activation::Relu))
                .add(residual_conv(filters, 3, 1))
                .add(BatchNormalization::new().name(&residual));
            if halves {
                let convolution = residual_conv(filters, 1, 2).name(&shortcut);
                model = model.add_from(before, convolution);
                before = shortcut;
            }
            model = model
                .add_from([before, residual], Add::new())
                .add(ActivationLayer::new(Activation::Relu).name(&block));
            before = block;
        }
    }
    model.add(AveragePooling2D::new(8)).add(Flatten::new()).add(
        Dense::new(10)
            .activation(Activation::Softmax)
            .kernel_initializer(Initializer::HeNormal),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lab_network_has_its_known_number_of_parameters() {
        let model = preset("mnist-cnn").unwrap();
        assert_eq!(model.parameter_count().unwrap(), 93_322);
    }

    #[test]
    fn the_networks_for_mnist_have_their_known_numbers_of_parameters() {
        for (name, parameters) in [("mnist-small", 68_442), ("mnist-best", 327_242)] {
            assert_eq!(
                preset(name).unwrap().parameter_count().unwrap(),
                parameters,
                "{name}"
            );
        }
    }

    /// As Keras counts them in the model that its example builds.
    #[test]
    fn the_residual_network_has_the_parameters_of_keras() {
        let model = preset("resnet20").unwrap();
        model.check().unwrap();
        assert_eq!(model.parameter_count().unwrap(), 274_442);
        let layers = model.resolve().unwrap();
        let trainable: usize = layers.iter().map(|layer| layer.trainable_count()).sum();
        assert_eq!(trainable, 273_066);
        let convolutions = layers
            .iter()
            .filter(|layer| layer.layer.spec().kind() == "Conv2D");
        assert_eq!(convolutions.count(), 21);
        assert_eq!(layers[layers.len() - 4].output, [8, 8, 64]);
    }

    #[test]
    fn every_listed_preset_exists() {
        for name in PRESETS {
            assert!(preset(name).is_some(), "{name}");
        }
    }
}
