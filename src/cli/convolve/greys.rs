//! Numbers as grey levels.

use std::fmt::{self, Display, Formatter};

use clap::ValueEnum;
use cnn_gpu::inspect::{Matrix, number};

/// How to show the numbers of an output as grey levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum GreyChoice {
    /// `clip` for filters whose weights sum to 1, `signed` for outputs with negative numbers and for
    /// filters whose weights sum to 0, otherwise `range`
    #[default]
    Auto,
    /// Grey levels as they are; below 0 black, above 255 white
    Clip,
    /// 0 is mid-grey, negative numbers are darker and positive ones brighter
    Signed,
    /// From the smallest number, black, to the largest, white
    Range,
}

/// The grey level of each number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Greys {
    /// As it is.
    Clip,
    /// 0 is mid-grey, this size black or white.
    Signed(f32),
    /// From black to white.
    Range([f32; 2]),
}

/// The brightness of 0 in [`Greys::Signed`].
const MIDDLE: f32 = 128.0;

impl Greys {
    /// The chosen grey levels for these numbers; `sum` is that of the filter's weights, if it was
    /// applied to grey levels from 0 to 255.
    pub fn of(choice: GreyChoice, numbers: &[&Matrix], sum: Option<f64>) -> Self {
        let [low, high] = range(numbers);
        let signed = Self::Signed(high.abs().max(low.abs()));
        let is = |value: f64| sum.is_some_and(|sum| (sum - value).abs() < 1e-4);
        match choice {
            GreyChoice::Clip => Self::Clip,
            GreyChoice::Signed => signed,
            GreyChoice::Range => Self::Range([low, high]),
            GreyChoice::Auto if is(1.0) => Self::Clip,
            GreyChoice::Auto if is(0.0) || low < 0.0 => signed,
            GreyChoice::Auto => Self::Range([low.min(0.0), high]),
        }
    }

    /// The grey level of a number, from 0 to 255. NaN is black.
    pub fn level(self, value: f32) -> u8 {
        let level = match self {
            Self::Clip => value,
            Self::Signed(0.0) => MIDDLE,
            Self::Signed(most) => MIDDLE + value / most * (255.0 - MIDDLE),
            Self::Range([low, high]) if low == high => 0.0,
            Self::Range([low, high]) => (value - low) / (high - low) * 255.0,
        };
        // The conversion keeps within 0 to 255.
        level.round() as u8
    }
}

/// The smallest and the largest of all numbers.
pub fn range(numbers: &[&Matrix]) -> [f32; 2] {
    let ranges = numbers.iter().map(|matrix| matrix.range());
    let joined = ranges.reduce(|[a, b], [c, d]| [a.min(c), b.max(d)]);
    joined.unwrap_or([0.0, 0.0])
}

/// What is black and what is white.
impl Display for Greys {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let number = |value: f32| number(value.into());
        match *self {
            Self::Clip => write!(f, "as they are, below 0 black and above 255 white"),
            Self::Signed(most) => {
                let (low, high) = (number(-most), number(most));
                write!(f, "0 is mid-grey, {low} black and {high} white")
            }
            Self::Range([low, high]) => {
                write!(f, "{} is black and {} white", number(low), number(high))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_shown_around_a_mid_grey_and_brightness_as_it_is() {
        let matrix = |text: &str| text.parse::<Matrix>().unwrap();
        let greys = |text, sum| Greys::of(GreyChoice::Auto, &[&matrix(text)], sum);
        let edges = greys("0,30,-15", Some(0.0));
        assert_eq!(edges, Greys::Signed(30.0));
        assert_eq!(
            [0.0, 30.0, -30.0, -15.0].map(|v| edges.level(v)),
            [128, 255, 1, 65]
        );
        assert_eq!(edges.to_string(), "0 is mid-grey, -30 black and 30 white");
        let blurred = greys("-3,300,8", Some(1.0));
        assert_eq!([-3.0, 300.0, 8.4].map(|v| blurred.level(v)), [0, 255, 8]);
        // Of a network, after its relu.
        let relu = greys("0.5,2", None);
        assert_eq!([0.0, 1.0, 2.0].map(|v| relu.level(v)), [0, 128, 255]);
        assert_eq!(greys("0.5,-2", None), Greys::Signed(2.0));
        assert_eq!(greys("0", Some(0.0)).level(0.0), 128);
        assert_eq!(greys("0", None).level(0.0), 0);
    }
}
