//! How pictures are brought to a model's size.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a picture is brought to a model's size. In either case it is stretched, whatever its shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Interpolation {
    /// `bilinear`: a pixel is the mean of those it covers, weighted by a triangle that is as wide as
    /// two of the new pixels where the picture shrinks, as Pillow's `BILINEAR`.
    #[default]
    Bilinear,
    /// `bilinear-no-antialias`: a pixel is interpolated between the four nearest to its centre, however
    /// much the picture shrinks, as `tf.image.resize` does, and with it Keras's
    /// `image_dataset_from_directory`. Grey is made before.
    BilinearNoAntialias,
}

impl Interpolation {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Bilinear, Self::BilinearNoAntialias];

    /// What it is called.
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
    fn a_name_is_written_in_settings_as_it_is_displayed() {
        for interpolation in Interpolation::ALL {
            let written = serde_json::to_string(&interpolation).unwrap();
            assert_eq!(written, format!("\"{interpolation}\""));
        }
    }
}
