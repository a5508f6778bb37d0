//! Augmentation by name.

use super::{
    FillMode, FlipMode, RandomBrightness, RandomContrast, RandomErasing, RandomFlip,
    RandomRotation, RandomTranslation, RandomZoom, Resampling,
};
use crate::error::Result;
use crate::model::{Layer, PlacedLayer, Sequential};

/// The names that [`augmentation`] accepts.
pub const AUGMENTATIONS: &[&str] = &["mnist", "cifar", "photos"];

/// The layers of this name, if there are any, for [`Sequential::augmented`].
///
/// - `mnist`, for digits and other drawings on a dark ground: rotations of up to 10 degrees, shifts and
///   zooms of up to 10 %, filled with 0. No flips, as a mirrored 2 is none.
/// - `cifar`, for small pictures: mirrored left to right, and shifted by whole pixels of up to an eighth
///   of a side.
/// - `photos`: mirrored left to right, rotations of up to 15 degrees, shifts of up to 10 %, zooms of up
///   to 15 %, contrast and brightness of up to 20 %, and a rectangle erased from one image in four.
pub fn augmentation(name: &str) -> Option<Vec<Layer>> {
    let mirrored = || RandomFlip::new().mode(FlipMode::Horizontal).into();
    match name {
        "mnist" => Some(vec![
            RandomRotation::new(0.028)
                .fill_mode(FillMode::Constant)
                .into(),
            RandomTranslation::new(0.1, 0.1)
                .fill_mode(FillMode::Constant)
                .into(),
            RandomZoom::new(0.1).fill_mode(FillMode::Constant).into(),
        ]),
        "cifar" => Some(vec![
            mirrored(),
            RandomTranslation::new(0.125, 0.125)
                .interpolation(Resampling::Nearest)
                .into(),
        ]),
        "photos" => Some(vec![
            mirrored(),
            RandomRotation::new(0.042).into(),
            RandomTranslation::new(0.1, 0.1).into(),
            RandomZoom::new(0.15).into(),
            RandomContrast::new([0.2, 0.2]).into(),
            RandomBrightness::new(0.2).into(),
            RandomErasing::new(0.5).scale([0.02, 0.2]).into(),
        ]),
        _ => None,
    }
}

impl Sequential {
    /// The model with these layers in front of its own. They are part of it from then on: its files,
    /// checkpoints and exports hold them, and inference does without them.
    ///
    /// # Errors
    /// It has image augmentation already, or the names of two layers are the same.
    pub fn augmented(mut self, layers: Vec<Layer>) -> Result<Self> {
        let existing = self.layers.iter().find(|l| l.is_image_augmentation());
        if let Some(layer) = existing {
            return Err(self.error(format!(
                "it has a {} already: its images would be varied twice",
                layer.spec().kind()
            )));
        }
        let count = layers.len();
        let placed = layers.into_iter().map(PlacedLayer::from);
        self.layers.splice(0..0, placed);
        // Layers that take the model's input take what is made of it.
        let names = self.layer_names()?;
        if let Some(last) = names[..count].last() {
            let sources = self.layers[count..].iter_mut().flat_map(|l| &mut l.from);
            for source in sources.filter(|source| *source == PlacedLayer::INPUT) {
                source.clone_from(last);
            }
        }
        self.resolve()?;
        Ok(self)
    }

    /// The layers in front that vary training images.
    pub(crate) fn leading_augmentation(&self) -> &[PlacedLayer] {
        let varies = |placed: &&PlacedLayer| {
            placed.from.is_empty()
                && (placed.is_image_augmentation()
                    || matches!(placed.layer, Layer::GaussianNoise(_)))
        };
        let count = self.layers.iter().take_while(varies).count();
        &self.layers[..count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Add, Conv2D, preset};

    #[test]
    fn every_listed_augmentation_fits_in_front_of_a_model() {
        for name in AUGMENTATIONS {
            let model = preset("mnist-cnn").unwrap();
            let model = model.augmented(augmentation(name).unwrap()).unwrap();
            assert_eq!(model.parameter_count().unwrap(), 93_322);
            let again = model.clone().augmented(augmentation(name).unwrap());
            assert!(again.unwrap_err().to_string().contains("already"));
            assert_eq!(Sequential::from_toml(&model.to_toml()).unwrap(), model);
        }
        assert!(augmentation("none").is_none());
    }

    #[test]
    fn a_skip_from_the_input_starts_behind_the_augmentation() {
        let model = Sequential::new([4, 4, 1])
            .add(Conv2D::new(1, 1).name("conv"))
            .add_from(["conv", "input"], Add::new());
        let augmented = model.augmented(vec![RandomFlip::new().into()]).unwrap();
        assert_eq!(augmented.layers[2].from, ["conv", "random_flip"]);
        assert_eq!(augmented.resolve().unwrap()[2].from, [Some(1), Some(0)]);
    }
}
