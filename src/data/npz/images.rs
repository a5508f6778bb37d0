//! Converts numbers to pixels according to their range.

use std::path::Path;

use half::f16;
use npyz::TypeChar;

use super::super::error::DataError;
use super::array::Array;
use crate::words::short;

/// Floats with a maximum above 1 and up to this are refused: pixels from 0 to 1 may overshoot when
/// they are resized, and some data sets range to 16. As brightness up to 255 they would be black.
const TOO_DARK: f64 = 16.0;

/// The range of the elements of an array of images, and the value that means white.
pub(super) struct Range {
    low: f64,
    high: f64,
    white: White,
}

/// The value that means white in an array of images.
#[derive(Clone, Copy, PartialEq)]
enum White {
    /// Anything: all elements are 0, or there are none.
    Any,
    /// True.
    True,
    /// 1, for floats.
    One,
    /// 255, for floats.
    Float,
    /// 255, for integers.
    Integer,
    /// 255, for integers so small that another value may be meant.
    Dim,
}

impl Range {
    /// Inspects all elements.
    pub(super) fn of(path: &Path, array: &Array) -> Result<Self, DataError> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for (index, value) in array.numbers().enumerate() {
            if !value.is_finite() {
                let (name, index) = (array.name, array.place(index));
                let problem = format!(
                    "the element {index} is {value}: expected finite numbers; find its cause, or \
                     replace it by 0 with np.nan_to_num({name}, posinf=0, neginf=0)"
                );
                return Err(array.bad(path, &problem));
            }
            (low, high) = (low.min(value), high.max(value));
        }
        let white = match array.kind {
            _ if high == 0.0 && low == 0.0 || low > high => White::Any,
            TypeChar::Bool => White::True,
            TypeChar::Float if high <= 1.0 => White::One,
            TypeChar::Float => White::Float,
            _ if high <= TOO_DARK => White::Dim,
            _ => White::Integer,
        };
        let range = Self { low, high, white };
        let too_dark = white == White::Float && high <= TOO_DARK;
        if low < 0.0 || high > 255.0 || too_dark {
            return Err(array.bad(path, &range.refused(array)));
        }
        Ok(range)
    }

    /// The range in words.
    fn shown(&self, array: &Array) -> String {
        let [low, high] = [self.low, self.high].map(|value| shown(value, &array.dtype));
        format!("from {low} to {high}")
    }

    /// Why numbers are not brightness, and how to convert them.
    fn refused(&self, array: &Array) -> String {
        let (name, low, high) = (array.name, self.low, self.high);
        let remedy = match array.kind {
            // Interpolation overshoots by a few percent.
            TypeChar::Float if low < 0.0 && is_nearly(low, high, 1.0) => {
                format!("save np.clip({name}, 0, 1)")
            }
            _ if low < 0.0 && high > 127.0 && is_nearly(low, high, 255.0) => {
                format!("save np.clip({name}, 0, 255)")
            }
            _ if (-1.0..0.0).contains(&low) && high <= 1.0 => {
                format!("convert them from -1..1 with ({name} + 1) / 2")
            }
            TypeChar::Uint | TypeChar::Int if low >= 0.0 && high <= 65_535.0 => {
                // Of the usual depths.
                let holds = |bits: &u32| high < f64::from(1_u32 << bits);
                let bits = [10, 12, 14].into_iter().find(holds).unwrap_or(16);
                let white = (1_u32 << bits) - 1;
                format!("if the pixels have {bits} bits, convert all arrays with {name} / {white}")
            }
            TypeChar::Float if low < 0.0 => format!(
                "save the pixels before standardization, or scale all arrays alike with \
                 ({name} - low) / (high - low)"
            ),
            TypeChar::Float if high <= TOO_DARK => format!(
                "if 1 means white, save np.clip({name}, 0, 1); otherwise divide all arrays by the value that \
                 means white"
            ),
            _ if low < 0.0 => {
                format!("shift and scale all arrays alike with ({name} - low) / (high - low)")
            }
            _ => format!(
                "scale all arrays alike with {name} / high, where high is the largest possible brightness"
            ),
        };
        format!(
            "its {} elements range {}: expected brightness from 0 to 255, or floats from 0 to 1; \
             {remedy}",
            array.dtype,
            self.shown(array)
        )
    }

    /// Whether the images are nearly black, probably because another number stands for white.
    pub(super) fn is_dark(&self) -> bool {
        let brightest = if self.white == White::One {
            255.0 * self.high
        } else {
            self.high
        };
        matches!(self.white, White::One | White::Dim | White::Any) && brightest <= TOO_DARK
    }

    /// The elements as brightness from 0 to 255, and how they were interpreted if that is not
    /// obvious.
    /// `are_dark` says whether the training images are; see [`Range::is_dark`].
    pub(super) fn pixels(&self, array: Array, are_dark: bool) -> (Vec<u8>, Option<String>) {
        if array.shape.contains(&0) {
            return (Vec::new(), None);
        }
        let what = format!("{} is {} {}", array.name, array.dtype, self.shown(&array));
        match array.kind {
            TypeChar::Bool => {
                let taken = format!("{} is bool, read as 0 and 255", array.name);
                (array.into_bytes(|value| (255.0 * value) as u8), Some(taken))
            }
            TypeChar::Float if self.high <= 1.0 => {
                // As dark as integers that are noted below: probably divided by 255 twice.
                let dark = if are_dark && self.is_dark() && self.white != White::Any {
                    let high = shown(self.high, &array.dtype);
                    format!(" and so nearly black; if {high} means white, divide all arrays by it")
                } else {
                    String::new()
                };
                let taken = format!("{what}, read as 0 to 1 and multiplied by 255{dark}");
                let bytes = array.into_bytes(|value| (255.0 * value).round() as u8);
                (bytes, Some(taken))
            }
            _ => {
                let taken = match self.white {
                    White::Dim if are_dark => Some(format!(
                        "{what}, read as 0 to 255 and therefore nearly black; if {} means white, divide all \
                         arrays by it and save floats",
                        self.high
                    )),
                    _ if array.dtype == "uint8" => None,
                    _ => Some(format!("{what}, read as 0 to 255")),
                };
                let bytes = match array.dtype.as_str() {
                    "uint8" => array.in_c_order(),
                    _ => array.into_bytes(|value| value.round() as u8),
                };
                (bytes, taken)
            }
        }
    }
}

/// Whether pixels from 0 to `white` overshoot a little on both sides, as after a bicubic resize.
fn is_nearly(low: f64, high: f64, white: f64) -> bool {
    const OVERSHOOT: f64 = 0.1;
    low >= -OVERSHOOT * white && high <= (1.0 + OVERSHOOT) * white
}

/// Refuses arrays of one file with different values for white.
pub(super) fn check_alike<'a>(
    path: &Path,
    arrays: impl Iterator<Item = (&'a Array, &'a Range)> + Clone,
) -> Result<(), DataError> {
    for (array, range) in arrays.clone() {
        for (other, theirs) in arrays.clone() {
            if matches!(
                (range.white, theirs.white),
                (White::One, White::Float | White::Dim) | (White::True, White::Dim)
            ) {
                let problem = format!(
                    "its {} elements range {}, but those of {} ({}) {}: expected one scale for all images; \
                     save all as floats from 0 to 1, or all from 0 to 255",
                    array.dtype,
                    range.shown(array),
                    other.name,
                    other.dtype,
                    theirs.shown(other)
                );
                return Err(array.bad(path, &problem));
            }
        }
    }
    Ok(())
}

/// The shortest text that identifies an element among the numbers of its type.
fn shown(value: f64, dtype: &str) -> String {
    match dtype {
        "float16" => {
            let is_it = |text: &String| {
                text.parse()
                    .is_ok_and(|number| f16::from_f64(number).to_f64() == value)
            };
            let mut texts = (0..6).map(|digits| format!("{value:.digits$e}"));
            let text = texts.find(is_it).and_then(|text| text.parse::<f64>().ok());
            short(text.unwrap_or(value))
        }
        "float32" => short(value as f32),
        _ => short(value),
    }
}
