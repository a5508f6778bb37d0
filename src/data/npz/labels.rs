//! Reads labels: class numbers or one-hot rows.

use std::path::Path;

use npyz::TypeChar;

use super::super::error::DataError;
use super::array::Array;

/// The maximum number of classes, as labels are bytes.
const MAX_CLASSES: usize = 256;

/// The labels of a set of images.
pub(super) struct Labels {
    pub(super) labels: Vec<u8>,
    /// The number of classes.
    pub(super) classes: usize,
    /// How they were interpreted, if that is not obvious.
    pub(super) taken: Option<String>,
}

/// Reads labels `[n]` or `[n, 1]`, whole numbers of any type, or one-hot rows `[n, classes]`.
pub(super) fn labels(path: &Path, array: Array, samples: usize) -> Result<Labels, DataError> {
    match array.shape[..] {
        [n] | [n, 1] if n == samples => numbered(path, array),
        [n, classes] if n == samples && classes > 1 => one_hot(path, array, classes),
        _ => {
            let problem = format!(
                "{} has shape {:?}: expected one label for each of {samples} images, [n] or [n, 1], or one-hot \
                 rows [n, classes]",
                array.name, array.shape
            );
            Err(DataError::contents(path, problem))
        }
    }
}

fn numbered(path: &Path, array: Array) -> Result<Labels, DataError> {
    for (index, value) in array.numbers().enumerate() {
        let problem = match value {
            _ if value.fract() != 0.0 || !value.is_finite() => {
                format!(
                    "the label at index {index} is {value}: expected the class numbers, which are whole"
                )
            }
            _ if !(0.0..=255.0).contains(&value) => {
                format!(
                    "the label at index {index} is {value}: expected 0 to 255; renumber all labels together, \
                     for example with np.unique({0}, return_inverse=True)[1]",
                    array.name
                )
            }
            _ => continue,
        };
        return Err(array.bad(path, &problem));
    }
    let float = array.kind == TypeChar::Float;
    let taken = float.then(|| format!("{} is {}, all whole", array.name, array.dtype));
    let labels = array.into_bytes(|value| value as u8);
    let classes = labels
        .iter()
        .max()
        .map_or(0, |&label| usize::from(label) + 1);
    Ok(Labels {
        labels,
        classes,
        taken,
    })
}

fn one_hot(path: &Path, array: Array, classes: usize) -> Result<Labels, DataError> {
    if classes > MAX_CLASSES {
        let problem = format!("it has {classes} classes: expected at most {MAX_CLASSES}");
        return Err(array.bad(path, &problem));
    }
    if let Some((index, value)) =
        (array.numbers().enumerate()).find(|(_, value)| *value != 0.0 && *value != 1.0)
    {
        let problem = format!(
            "the element {} of shape {:?} is {value}: expected one-hot rows of 0 and 1, or one \
             number per image, for example from np.argmax({}, axis=1)",
            array.place(index),
            array.shape,
            array.name
        );
        return Err(array.bad(path, &problem));
    }
    let name = array.name;
    let taken = format!("{name} is one-hot, {classes} classes");
    let rows = array.into_bytes(|value| value as u8);
    let mut labels = Vec::with_capacity(rows.len() / classes);
    for (row, ones) in rows.chunks_exact(classes).enumerate() {
        let mut hot = ones.iter().enumerate().filter(|(_, one)| **one == 1);
        match (hot.next(), hot.next()) {
            (Some((class, _)), None) => labels.push(class as u8),
            (first, _) => {
                let found = if first.is_none() {
                    "no class"
                } else {
                    "several classes"
                };
                let problem = format!(
                    "{name}: row {row} names {found}: expected exactly one; multi-label classification is not supported"
                );
                return Err(DataError::contents(path, problem));
            }
        }
    }
    let taken = Some(taken);
    Ok(Labels {
        labels,
        classes,
        taken,
    })
}
