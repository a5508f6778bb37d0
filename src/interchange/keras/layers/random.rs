//! From Keras's layers that only act in training to those of this crate.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::arguments::Arguments;
use crate::error::FormatError;
use crate::model::{
    Factor, FillMode, FlipMode, GaussianNoise, Layer, RandomBrightness, RandomContrast, RandomCrop,
    RandomElasticTransform, RandomErasing, RandomFlip, RandomRotation, RandomShear,
    RandomTranslation, RandomZoom, Resampling,
};

/// The range of pixels in Keras.
const BYTES: [f64; 2] = [0.0, 255.0];

/// The layer that `a` describes; `None` for a class that does not exist here.
///
/// # Errors
/// One line: an argument that is not supported.
pub(super) fn read(a: &mut Arguments<'_>) -> Result<Option<Layer>, FormatError> {
    let layer = match a.class {
        "RandomFlip" => RandomFlip::new()
            .mode(word(a, "mode", FlipMode::HorizontalAndVertical)?)
            .into(),
        "RandomRotation" => sampled(a, |a| Ok(RandomRotation::new(factor(a, "factor", None)?)))?,
        "RandomTranslation" => sampled(a, |a| {
            let [height, width] = [
                factor(a, "height_factor", None)?,
                factor(a, "width_factor", None)?,
            ];
            Ok(RandomTranslation::new(height, width))
        })?,
        "RandomZoom" => sampled(a, |a| {
            let mut zoom = RandomZoom::new(factor(a, "height_factor", None)?);
            if a.value("width_factor").is_some() {
                zoom = zoom.width_factor(factor(a, "width_factor", None)?);
            }
            Ok(zoom)
        })?,
        "RandomShear" => sampled(a, |a| {
            let none = || Some(0.0.into());
            let (x, y) = (
                factor(a, "x_factor", none())?,
                factor(a, "y_factor", none())?,
            );
            Ok(RandomShear::new(x, y))
        })?,
        "RandomContrast" => contrast(a)?.into(),
        "RandomBrightness" => RandomBrightness::new(factor(a, "factor", None)?)
            .value_range(range(a)?)
            .into(),
        "RandomErasing" => {
            let mut erasing = RandomErasing::new(factor(a, "factor", Some(1.0.into()))?)
                .scale(factor(a, "scale", Some([0.02, 0.33].into()))?)
                .value_range(range(a)?);
            erasing.fill_value = number(a, "fill_value")?;
            erasing.into()
        }
        "RandomElasticTransform" => {
            sampled(a, |a| {
                let one = || Some(1.0.into());
                let elastic = RandomElasticTransform::new(factor(a, "factor", one())?)
                    .scale(factor(a, "scale", one())?);
                Ok(elastic.value_range(range(a)?))
            })?
        }
        "RandomCrop" => {
            let (height, width) = (a.size("height", None)?, a.size("width", None)?);
            RandomCrop::new(height, width).into()
        }
        "GaussianNoise" => GaussianNoise::new(a.number("stddev", None)?).into(),
        _ => return Ok(None),
    };
    a.channels_last()?;
    // Set in Keras for what images come with, which there is none of here.
    a.value("bounding_box_format");
    a.finish()?;
    Ok(Some(layer.named(a.name)))
}

/// Keras writes both ends of the range that one number stands for.
fn factor(
    a: &mut Arguments<'_>,
    key: &'static str,
    default: Option<Factor>,
) -> Result<Factor, FormatError> {
    let found = match a.value(key) {
        None => default,
        Some(value) => serde_json::from_value(value.clone()).ok(),
    };
    match found {
        Some(Factor::Between([low, high])) if low == -high => Ok(high.abs().into()),
        Some(factor) => Ok(factor),
        None => Err(a.wrong(key, "a number or two")),
    }
}

/// Files of Keras before 3.7 have no range here, and one number for both directions.
fn contrast(a: &mut Arguments<'_>) -> Result<RandomContrast, FormatError> {
    let is_older = a.value("value_range").is_none();
    let factor = match factor(a, "factor", None)? {
        Factor::Single(f) if is_older => [f, f].into(),
        factor => factor,
    };
    Ok(RandomContrast::new(factor).value_range(range(a)?))
}

fn range(a: &mut Arguments<'_>) -> Result<[f64; 2], FormatError> {
    match a.value("value_range") {
        None => Ok(BYTES),
        Some(value) => {
            serde_json::from_value(value.clone()).map_err(|_| a.wrong("value_range", "two numbers"))
        }
    }
}

/// A number for all channels, if there is one.
fn number(a: &mut Arguments<'_>, key: &'static str) -> Result<Option<f32>, FormatError> {
    match a.value(key).map(Value::as_f64) {
        None => Ok(None),
        Some(Some(number)) => Ok(Some(number as f32)),
        Some(None) => Err(a.wrong(key, "one number for all channels")),
    }
}

/// One of a few words.
fn word<T: DeserializeOwned>(
    a: &mut Arguments<'_>,
    key: &'static str,
    default: T,
) -> Result<T, FormatError> {
    match a.value(key) {
        None => Ok(default),
        Some(value) => serde_json::from_value(value.clone())
            .map_err(|_| a.wrong(key, "one of the words in docs/models.md")),
    }
}

/// A layer that moves pixels.
trait Sampled: Into<Layer> {
    fn read_by(self, fill_mode: FillMode, interpolation: Resampling, fill_value: f32) -> Layer;
}

macro_rules! sampled {
    ($($layer:ident),+) => {
        $(impl Sampled for $layer {
            fn read_by(self, mode: FillMode, how: Resampling, value: f32) -> Layer {
                self.fill_mode(mode).interpolation(how).fill_value(value).into()
            }
        })+
    };
}

sampled!(
    RandomRotation,
    RandomTranslation,
    RandomZoom,
    RandomShear,
    RandomElasticTransform
);

fn sampled<L: Sampled>(
    a: &mut Arguments<'_>,
    layer: impl FnOnce(&mut Arguments<'_>) -> Result<L, FormatError>,
) -> Result<Layer, FormatError> {
    let fill_mode = word(a, "fill_mode", FillMode::Reflect)?;
    let interpolation = word(a, "interpolation", Resampling::Bilinear)?;
    let fill_value = number(a, "fill_value")?.unwrap_or(0.0);
    Ok(layer(a)?.read_by(fill_mode, interpolation, fill_value))
}
