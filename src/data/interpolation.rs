//! How pictures are resized.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a picture is resized to a model's input. Both stretch it, whatever its aspect ratio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Interpolation {
    /// `bilinear`: a pixel is the mean of the pixels it covers, weighted by a triangle that is two
    /// new pixels wide where the picture shrinks, as Pillow's `BILINEAR`.
    #[default]
    Bilinear,
    /// `bilinear-no-antialias`: a pixel is interpolated between the four nearest to its centre,
    /// however much the picture shrinks, as `tf.image.resize` and Keras's
    /// `image_dataset_from_directory` do. Colours are converted to grey before.
    BilinearNoAntialias,
}

impl Interpolation {
    /// All interpolations.
    pub const ALL: [Self; 2] = [Self::Bilinear, Self::BilinearNoAntialias];

    /// The name in options and settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bilinear => "bilinear",
            Self::BilinearNoAntialias => "bilinear-no-antialias",
        }
    }
}

impl fmt::Display for Interpolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_display_use_the_same_name() {
        for interpolation in Interpolation::ALL {
            let written = serde_json::to_string(&interpolation).unwrap();
            assert_eq!(written, format!("\"{interpolation}\""));
        }
    }
}
