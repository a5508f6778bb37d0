//! Converts numbers to pixels, by the range of their values.

use std::path::Path;

use npyz::TypeChar;

use super::super::error::DataError;
use super::array::Array;

/// The elements as brightness from 0 to 255, and how they were interpreted if that is not obvious.
pub(super) fn pixels(path: &Path, array: Array) -> Result<(Vec<u8>, Option<String>), DataError> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (index, value) in array.numbers().enumerate() {
        if !value.is_finite() {
            let name = array.name;
            let problem = format!(
                "the element at index {index} is {value}: expected finite numbers; find its cause, or \
                 replace it by 0 with np.nan_to_num({name}, posinf=0, neginf=0)"
            );
            return Err(array.bad(path, &problem));
        }
        (low, high) = (low.min(value), high.max(value));
    }
    let is_float = array.kind == TypeChar::Float;
    let what = format!("{} is {} from {low} to {high}", array.name, array.dtype);
    if array.shape.contains(&0) {
        return Ok((Vec::new(), None));
    }
    if array.kind == TypeChar::Bool {
        let taken = format!("{} is bool, taken as 0 and 255", array.name);
        return Ok((array.into_bytes(|value| (255.0 * value) as u8), Some(taken)));
    }
    if low < 0.0 || high > 255.0 {
        return Err(array.bad(path, &refused(&array, low, high)));
    }
    if is_float && high <= 1.0 {
        let taken = format!("{what}, taken as 0 to 1: times 255");
        return Ok((
            array.into_bytes(|value| (255.0 * value).round() as u8),
            Some(taken),
        ));
    }
    let taken = match () {
        () if high <= 1.0 && high > 0.0 => Some(format!(
            "{what}, taken as 0 to 255 and so nearly black; if 1 means white, save it as float32"
        )),
        () if array.dtype == "uint8" => None,
        () => Some(format!("{what}, taken as 0 to 255")),
    };
    let bytes = match array.dtype.as_str() {
        "uint8" => array.in_c_order(),
        _ => array.into_bytes(|value| value.round() as u8),
    };
    Ok((bytes, taken))
}

/// Why numbers are not brightness, and how to convert them.
fn refused(array: &Array, low: f64, high: f64) -> String {
    let name = array.name;
    let remedy = match array.kind {
        _ if (-1.0..0.0).contains(&low) && high <= 1.0 => {
            format!("convert them from -1..1 with ({name} + 1) / 2")
        }
        TypeChar::Uint if array.dtype == "uint16" => {
            format!("convert them from 16 bits with {name} / 65535")
        }
        TypeChar::Float if low < 0.0 => format!(
            "save the pixels before standardization, or scale all arrays alike with \
             ({name} - low) / (high - low)"
        ),
        _ if low < 0.0 => {
            format!("shift and scale all arrays alike with ({name} - low) / (high - low)")
        }
        _ => format!(
            "scale all arrays alike with {name} / high, where high is the largest possible brightness"
        ),
    };
    format!(
        "its {} elements range from {low} to {high}: expected brightness from 0 to 255, or floats from \
         0 to 1; {remedy}",
        array.dtype
    )
}
