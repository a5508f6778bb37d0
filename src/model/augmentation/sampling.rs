//! How transformed images are read.

use serde::{Deserialize, Serialize};

/// What lies outside of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FillMode {
    /// The image mirrored at its edge, with the edge repeated: `d c b a | a b c d | d c b a`.
    #[default]
    Reflect,
    /// The fill value.
    Constant,
    /// The nearest pixel: `a a a a | a b c d | d d d d`.
    Nearest,
    /// The image again: `a b c d | a b c d | a b c d`.
    Wrap,
}

impl FillMode {
    /// Keras's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reflect => "reflect",
            Self::Constant => "constant",
            Self::Nearest => "nearest",
            Self::Wrap => "wrap",
        }
    }

    /// The pixel that stands at position `i` of an axis with `len` pixels; `None` for the fill
    /// value.
    pub(crate) fn index(self, i: i64, len: usize) -> Option<usize> {
        let n = len as i64;
        let inside = match self {
            Self::Reflect => {
                let i = i.rem_euclid(2 * n);
                i.min(2 * n - 1 - i)
            }
            Self::Constant if !(0..n).contains(&i) => return None,
            Self::Constant => i,
            Self::Nearest => i.clamp(0, n - 1),
            Self::Wrap => i.rem_euclid(n),
        };
        Some(inside as usize)
    }
}

/// How a pixel at a place between pixels is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resampling {
    /// From the four pixels around it.
    #[default]
    Bilinear,
    /// The nearest pixel.
    Nearest,
}

impl Resampling {
    /// Keras's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bilinear => "bilinear",
            Self::Nearest => "nearest",
        }
    }
}

/// How the layers that move pixels read the image.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Sampling {
    /// What lies outside of the image.
    pub fill_mode: FillMode,
    /// How a pixel between others is computed.
    pub interpolation: Resampling,
    /// The pixels outside of the image for the fill mode `constant`.
    pub fill_value: f32,
}

impl Sampling {
    /// Checks the fill value.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.fill_value.is_finite() {
            Ok(())
        } else {
            Err(format!(
                "fill_value {} must be a finite number",
                self.fill_value
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_outside_are_those_of_keras() {
        let row = |mode: FillMode| -> String {
            let letters = ["a", "b", "c", "d"];
            let place = |i| mode.index(i, 4).map_or("k", |i| letters[i]);
            (-9..13).map(place).collect()
        };
        assert_eq!(row(FillMode::Reflect), "aabcddcbaabcddcbaabcdd");
        assert_eq!(row(FillMode::Constant), "kkkkkkkkkabcdkkkkkkkkk");
        assert_eq!(row(FillMode::Nearest), "aaaaaaaaaabcdddddddddd");
        assert_eq!(row(FillMode::Wrap), "dabcdabcdabcdabcdabcda");
        for mode in [FillMode::Reflect, FillMode::Nearest, FillMode::Wrap] {
            assert!((-3..4).all(|i| mode.index(i, 1) == Some(0)));
        }
    }
}
