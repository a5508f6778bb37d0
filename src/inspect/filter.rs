//! Well-known filters.

use std::str::FromStr;

use super::matrix::Matrix;
use crate::error::{Error, Result};

/// A filter for pictures: a small matrix of weights that slides over the picture. Like the layers
/// of a network it is not mirrored first, so strictly speaking it is cross-correlated.
///
/// ```
/// use cnn_gpu::inspect::Filter;
/// let known: Filter = "vertical-edges".parse()?;
/// let own: Filter = "1,0,-1;1,0,-1;1,0,-1".parse()?;
/// assert_eq!(known.weights, own.weights);
/// assert_eq!(own.name, "1,0,-1;1,0,-1;1,0,-1");
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Filter {
    /// The name of a well-known filter, or the text of its rows.
    pub name: String,
    /// The weights.
    pub weights: Matrix,
}

/// The names and weights of the well-known filters, all of 3x3, with a divisor.
const KNOWN: [(&str, [i8; 9], i8); 9] = [
    // Bright on the left and dark on the right gives positive values.
    ("vertical-edges", [1, 0, -1, 1, 0, -1, 1, 0, -1], 1),
    ("horizontal-edges", [1, 1, 1, 0, 0, 0, -1, -1, -1], 1),
    // Sobel's derivatives along x and y, with the rows or columns between weighted twice.
    ("sobel-x", [-1, 0, 1, -2, 0, 2, -1, 0, 1], 1),
    ("sobel-y", [-1, -2, -1, 0, 0, 0, 1, 2, 1], 1),
    ("sharpen", [0, -1, 0, -1, 5, -1, 0, -1, 0], 1),
    ("blur", [1, 1, 1, 1, 1, 1, 1, 1, 1], 9),
    ("emboss", [-2, -1, 0, -1, 1, 1, 0, 1, 2], 1),
    ("identity", [0, 0, 0, 0, 1, 0, 0, 0, 0], 1),
    ("laplacian", [0, 1, 0, 1, -4, 1, 0, 1, 0], 1),
];

impl Filter {
    /// The names of the well-known filters.
    pub const NAMES: [&'static str; 9] = {
        let mut names = [""; 9];
        let mut i = 0;
        while i < names.len() {
            names[i] = KNOWN[i].0;
            i += 1;
        }
        names
    };

    /// The well-known filter of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        let (name, weights, divisor) = KNOWN.iter().find(|(known, ..)| *known == name)?;
        let weights = weights.map(|weight| f32::from(weight) / f32::from(*divisor));
        Some(Self {
            name: (*name).into(),
            weights: Matrix::new(3, weights.to_vec()).ok()?,
        })
    }
}

/// Parses a name of [`Filter::NAMES`], or rows of numbers as [`Matrix`] does.
impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(known) = Self::by_name(text) {
            return Ok(known);
        }
        let is_word = !text.contains([',', ';']) && text.chars().any(char::is_alphabetic);
        if is_word {
            return Err(Error::Argument(format!(
                "no filter `{text}`: expected {}, or rows of numbers like 1,0,-1;1,0,-1",
                Self::NAMES.join(", ")
            )));
        }
        Ok(Self {
            name: text.into(),
            weights: text.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_filter_of_3x3_that_keeps_brightness_or_finds_edges() {
        for name in Filter::NAMES {
            let filter = Filter::by_name(name).unwrap();
            assert_eq!(filter.name, name);
            assert_eq!((filter.weights.rows(), filter.weights.columns()), (3, 3));
            let sum = filter.weights.sum();
            let keeps = ["sharpen", "blur", "emboss", "identity"].contains(&name);
            let expected = if keeps { 1.0 } else { 0.0 };
            assert!((sum - expected).abs() < 1e-6, "{name}: {sum}");
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_that_exist() {
        let message = "edges".parse::<Filter>().unwrap_err().to_string();
        assert!(message.contains("no filter `edges`"), "{message}");
        for name in Filter::NAMES {
            assert!(message.contains(name), "{message}");
        }
        let message = "1,0;1".parse::<Filter>().unwrap_err().to_string();
        assert!(message.starts_with("row 2: "), "{message}");
        assert_eq!("2".parse::<Filter>().unwrap().weights.sum(), 2.0);
    }
}
