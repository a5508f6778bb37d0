//! Data sets in the format of `keras.datasets`: an `.npz` file with the arrays `x_train`,
//! `y_train`, `x_test` and `y_test`.
//!
//! Images are `[n, h, w]` or `[n, h, w, c]` of any numeric type. Integers are brightness from 0 to
//! 255. Floats are, too, unless none is above 1: then they are brightness from 0 to 1. `bool`
//! becomes 0 and
//! 255. Values outside these ranges or not finite are an error. Labels are whole numbers of any
//!      type, `[n]` or `[n, 1]`, or one-hot rows `[n, classes]` as `to_categorical` makes them.
//!
//! Both byte orders, C and Fortran order, and compressed files (`savez_compressed`) are supported.

mod array;
mod images;
mod labels;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use zip::ZipArchive;

use self::array::{Archive, array};
use self::images::pixels;
use self::labels::{Labels, labels};
use super::bounded::most_unpacked;
use super::dataset::{Dataset, Splits};
use super::error::DataError;

/// Reads a file. The largest label or the length of the one-hot rows determines the number of
/// classes.
///
/// # Errors
/// [`DataError`] names the array that is missing or invalid.
///
/// In Python, `np.savez("mine.npz", x_train=x, y_train=y, x_test=xt, y_test=yt)` writes such a
/// file.
pub fn splits(path: &Path) -> Result<Splits, DataError> {
    read(path).map(|(splits, _)| splits)
}

/// Like [`splits`], with a line that says how numbers were interpreted, unless all images are bytes
/// and all labels integers.
///
/// # Errors
/// Those of [`splits`].
pub fn read(path: &Path) -> Result<(Splits, Option<String>), DataError> {
    let file = File::open(path).map_err(|source| DataError::Read {
        path: path.into(),
        source,
    })?;
    from_reader(path, BufReader::new(file))
}

/// Like [`read`], from the contents of the file at `path`.
///
/// # Errors
/// Those of [`splits`].
pub fn from_reader(
    path: &Path,
    mut file: impl Read + Seek,
) -> Result<(Splits, Option<String>), DataError> {
    let length = file
        .seek(SeekFrom::End(0))
        .map_err(|source| DataError::Read {
            path: path.into(),
            source,
        })?;
    let zip = ZipArchive::new(file).map_err(|error| {
        DataError::contents(
            path,
            format!("not a valid .npz file: {error}; download or save it again"),
        )
        .caused_by(error)
    })?;
    let left = most_unpacked(length);
    let mut archive = Archive { zip, left };
    let mut taken = Vec::new();
    let mut train = set(path, &mut archive, ["x_train", "y_train"], &mut taken)?;
    let mut test = set(path, &mut archive, ["x_test", "y_test"], &mut taken)?;
    let classes = train.classes.max(test.classes);
    (train.classes, test.classes) = (classes, classes);
    let taken = (!taken.is_empty()).then(|| taken.join("; "));
    Ok((Splits::new(train, test), taken))
}

fn set(
    path: &Path,
    archive: &mut Archive<impl Read + Seek>,
    [images, names]: [&'static str; 2],
    taken: &mut Vec<String>,
) -> Result<Dataset, DataError> {
    let images = array(path, archive, images)?;
    let samples = images.shape.first().copied().unwrap_or(0);
    let shape = match images.shape[..] {
        [_, h, w] => [h, w, 1],
        [_, h, w, c] => [h, w, c],
        _ => {
            let problem = format!(
                "{} has shape {:?}: expected [n, h, w] or [n, h, w, c]",
                images.name, images.shape
            );
            return Err(DataError::contents(path, problem));
        }
    };
    let (bytes, how) = pixels(path, images)?;
    taken.extend(how);
    let Labels {
        labels,
        classes,
        taken: how,
    } = labels(path, array(path, archive, names)?, samples)?;
    taken.extend(how);
    let source = path.display().to_string();
    Dataset::new("npz", source, shape, classes, bytes, labels)
}
