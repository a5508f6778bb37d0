//! Layers that vary the training images: they act in training and change nothing in inference, except
//! that [`RandomCrop`] gives images another size in both.
//!
//! They come before the first layer that is trained, and have no gradient. A draw depends only on
//! the run's seed, the step, the layer and the sample's place in the batch, so that any number of
//! threads, every device and a resumed run draw the same.

mod factor;
mod gaussian_noise;
mod presets;
mod random_brightness;
mod random_contrast;
mod random_crop;
mod random_elastic_transform;
mod random_erasing;
mod random_flip;
mod random_rotation;
mod random_shear;
mod random_translation;
mod random_zoom;
mod sampling;

pub use factor::Factor;
pub use gaussian_noise::GaussianNoise;
pub use presets::{AUGMENTATIONS, augmentation};
pub use random_brightness::RandomBrightness;
pub use random_contrast::RandomContrast;
pub use random_crop::RandomCrop;
pub use random_elastic_transform::RandomElasticTransform;
pub use random_erasing::RandomErasing;
pub use random_flip::{FlipMode, RandomFlip};
pub use random_rotation::RandomRotation;
pub use random_shear::RandomShear;
pub use random_translation::RandomTranslation;
pub use random_zoom::RandomZoom;
pub use sampling::{FillMode, Resampling, Sampling};

use crate::words::short;

/// The range of the pixels that a network receives.
const UNIT: [f64; 2] = [0.0, 1.0];

fn unit() -> [f64; 2] {
    UNIT
}

/// A range's lower and upper end. Kernels compute with them, and with their distance, in f32.
fn checked_range([low, high]: [f64; 2]) -> Result<[f64; 2], String> {
    let ends = [low as f32, high as f32];
    let is_finite = ends.iter().all(|end| end.is_finite()) && (ends[1] - ends[0]).is_finite();
    if is_finite && ends[0] < ends[1] {
        Ok([low, high])
    } else {
        Err(format!(
            "value_range [{}, {}] must be two numbers that f32 can hold, the smaller one first",
            short(low),
            short(high)
        ))
    }
}

/// The name of a layer.
macro_rules! augmentation_name {
    ($layer:ident) => {
        impl $layer {
            /// Names the layer.
            pub fn name(mut self, name: impl Into<String>) -> Self {
                self.name = Some(name.into());
                self
            }
        }
    };
}

/// What most layers of this kind have in common: a name, the input's shape as the output's, no
/// parameters. `$check` is the test of the arguments for an input of height, width and channels.
macro_rules! augmentation_layer {
    ($layer:ident, |$self:ident, $input:ident| $check:expr, |$b:ident, $x:ident| $lower:expr) => {
        $crate::model::augmentation::augmentation_name!($layer);

        impl $crate::model::LayerSpec for $layer {
            fn kind(&self) -> &'static str {
                stringify!($layer)
            }

            fn given_name(&self) -> Option<&str> {
                self.name.as_deref()
            }

            fn output_shape(&$self, $input: &[usize]) -> Result<Vec<usize>, String> {
                $check?;
                Ok($input.to_vec())
            }

            fn parameters(&self, _input: &[usize]) -> Vec<$crate::model::ParameterSpec> {
                Vec::new()
            }

            fn lower(
                &$self,
                $b: &mut $crate::plan::Builder,
                $x: $crate::plan::Value,
            ) -> Result<$crate::plan::Value, String> {
                $lower
            }
        }
    };
}

/// What layers that move pixels have in common: how they read the image, in three fields.
macro_rules! sampled_layer {
    ($layer:ident) => {
        impl $layer {
            /// How the image is read.
            pub(crate) fn sampling(&self) -> $crate::model::Sampling {
                $crate::model::Sampling {
                    fill_mode: self.fill_mode,
                    interpolation: self.interpolation,
                    fill_value: self.fill_value,
                }
            }

            /// Sets what lies outside of the image.
            pub fn fill_mode(mut self, fill_mode: $crate::model::FillMode) -> Self {
                self.fill_mode = fill_mode;
                self
            }

            /// Sets how pixels between others are computed.
            pub fn interpolation(mut self, interpolation: $crate::model::Resampling) -> Self {
                self.interpolation = interpolation;
                self
            }

            /// Sets the pixels outside of the image for [`FillMode::Constant`].
            ///
            /// [`FillMode::Constant`]: crate::model::FillMode::Constant
            pub fn fill_value(mut self, fill_value: f32) -> Self {
                self.fill_value = fill_value;
                self
            }
        }
    };
}

use {augmentation_layer, augmentation_name, sampled_layer};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_pixels_are_numbers_that_kernels_can_compute_with() {
        for range in [[0.0, 1.0], [-1.0, 1.0], [0.0, 255.0], [0.0, 1e38]] {
            assert_eq!(checked_range(range), Ok(range));
        }
        let reversed = [[1.0, 0.0], [0.5, 0.5], [1.0, 1.0 + 1e-12]];
        let too_large = [[0.0, 1e39], [-3e38, 3e38], [f64::NAN, 1.0]];
        for range in [reversed, too_large].concat() {
            let message = checked_range(range).unwrap_err();
            assert!(message.contains("the smaller one first"), "{message}");
        }
    }
}
