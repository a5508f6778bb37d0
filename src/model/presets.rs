//! Networks by name.

use super::{Activation, Conv2D, Dense, Flatten, MaxPooling2D, Sequential};

/// The names that [`preset`] accepts.
pub const PRESETS: &[&str] = &["mnist-cnn", "mnist-mlp"];

/// The network of this name, if there is one.
///
/// - `mnist-cnn`: the Keras lab's network, 93,322 parameters.
/// - `mnist-mlp`: two dense layers, 101,770 parameters, for comparison.
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
        _ => None,
    }
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
    fn every_listed_preset_exists() {
        for name in PRESETS {
            assert!(preset(name).is_some(), "{name}");
        }
    }
}
