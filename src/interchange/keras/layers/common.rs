//! Arguments that several layers share.

use super::super::arguments::Arguments;
use super::super::{initializer, regularizer};
use crate::error::FormatError;
use crate::model::{GlobalPooling2D, Initializer, Pooling2D, Regularizer};

/// An initializer. It only matters to training from the start, so that one that does not exist here
/// is replaced by the default.
pub(super) fn initializer(
    a: &mut Arguments<'_>,
    key: &'static str,
    default: Initializer,
) -> Initializer {
    let Some(value) = a.value(key) else {
        return default;
    };
    match initializer::read(value).filter(|found| found.check().is_ok()) {
        Some(found) => found,
        None => {
            a.note(format!(
                "{key} is not available; the default stands in, which matters only to training anew"
            ));
            default
        }
    }
}

/// A penalty.
pub(super) fn regularizer(a: &mut Arguments<'_>, key: &'static str) -> Regularizer {
    let Some(value) = a.value(key) else {
        return Regularizer::default();
    };
    match regularizer::read(value) {
        Some(found) => found,
        None => {
            a.note(format!(
                "{key} is not available and was not taken, which matters only to training"
            ));
            Regularizer::default()
        }
    }
}

/// The arguments of a pool.
pub(super) fn pool(a: &mut Arguments<'_>) -> Result<Pooling2D, FormatError> {
    a.channels_last()?;
    let pool_size = a.pair("pool_size", Some(2))?;
    let strides = match a.value("strides") {
        None => None,
        Some(_) => Some(a.pair("strides", None)?),
    };
    Ok(Pooling2D {
        name: Some(a.name.into()),
        pool_size,
        // The default, which Keras always spells out.
        strides: strides.filter(|strides| *strides != pool_size),
        padding: a.padding()?,
    })
}

/// The arguments of a pool over whole images.
pub(super) fn global_pool(a: &mut Arguments<'_>) -> Result<GlobalPooling2D, FormatError> {
    a.channels_last()?;
    Ok(GlobalPooling2D {
        name: Some(a.name.into()),
        keepdims: a.flag("keepdims", false)?,
    })
}
