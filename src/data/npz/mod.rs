//! Data sets in the format of `keras.datasets`: an `.npz` file with the arrays `x_train`,
//! `y_train`, `x_test` and `y_test`. Optional `x_val` and `y_val` (or `x_valid`, `x_validation`)
//! are the validation set.
//!
//! Images are `[n, h, w]` or `[n, h, w, c]` of any numeric type. Integers are brightness from 0 to
//! 255. Floats are, too, unless none is above 1: then they are brightness from 0 to 1. `bool`
//!      becomes 0 and 255. Values outside these ranges or not finite are an error, as are floats
//!      with a maximum above 1 and up to 16, and arrays on different scales. Labels are whole
//!      numbers of any type, `[n]` or `[n, 1]`, or one-hot rows `[n, classes]` as `to_categorical`
//!      makes them.
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

use self::array::{Archive, Array, array};
use self::images::{Range, check_alike};
use self::labels::{Labels, labels};
use super::bounded::max_unpacked;
use super::dataset::{Dataset, Splits};
use super::error::DataError;
use crate::words::one_line;

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
/// and all labels integers, and which arrays were not read.
///
/// # Errors
/// Those of [`splits`].
pub fn read(path: &Path) -> Result<(Splits, Option<String>), DataError> {
    if path.is_dir() {
        let problem = "a folder: expected an .npz file; folder: reads pictures";
        return Err(DataError::contents(path, problem));
    }
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
    let mut start = [0; 6];
    let is_npy = file
        .rewind()
        .and_then(|()| file.read_exact(&mut start))
        .is_ok()
        && start == *b"\x93NUMPY";
    let zip = ZipArchive::new(file).map_err(|error| {
        let problem = if is_npy {
            "a single array (.npy): expected images and labels together, as np.savez('data.npz', \
             x_train=..., y_train=..., x_test=..., y_test=...) saves them"
                .into()
        } else {
            format!("not a valid .npz file: {error}; download or save it again")
        };
        DataError::contents(path, problem).caused_by(error)
    })?;
    let left = max_unpacked(length);
    let mut archive = Archive { zip, left };
    let names = ArrayNames::of(&archive.zip);
    let mut sets = Vec::new();
    for [images, labels] in names.sets() {
        let images = array(path, &mut archive, images)?;
        let range = Range::of(path, &images)?;
        sets.push((images, range, array(path, &mut archive, labels)?));
    }
    check_alike(path, sets.iter().map(|(images, range, _)| (images, range)))?;
    // A few dark test images mean nothing.
    let are_dark = sets.first().is_some_and(|(_, range, _)| range.is_dark());
    let mut taken = Vec::new();
    let mut read = Vec::new();
    for (images, range, labels) in sets {
        read.push(set(path, (images, &range, are_dark), labels, &mut taken)?);
    }
    taken.extend(names.not_read());
    let classes = read.iter().map(|data| data.classes).max().unwrap_or(0);
    read.iter_mut().for_each(|data| data.classes = classes);
    let validation = names.validation.and_then(|_| read.pop());
    let (Some(test), Some(train)) = (read.pop(), read.pop()) else {
        return Err(DataError::contents(path, "no set was read"));
    };
    let splits = Splits {
        validation,
        ..Splits::new(train, test)
    };
    let taken = (!taken.is_empty()).then(|| taken.join("; "));
    Ok((splits, taken))
}

/// Whether a file has validation images.
pub(super) fn has_validation(path: &Path) -> bool {
    let file = File::open(path).ok().map(BufReader::new);
    let zip = file.and_then(|file| ZipArchive::new(file).ok());
    zip.is_some_and(|zip| ArrayNames::of(&zip).validation.is_some())
}

/// The names of the arrays of images and of labels.
const TRAIN: [&str; 2] = ["x_train", "y_train"];
const TEST: [&str; 2] = ["x_test", "y_test"];
const VALIDATION: [[&str; 2]; 3] = [
    ["x_val", "y_val"],
    ["x_valid", "y_valid"],
    ["x_validation", "y_validation"],
];

/// The names of a file's arrays.
struct ArrayNames {
    /// Those of the validation images, if there are any.
    validation: Option<[&'static str; 2]>,
    /// All others, which are not read.
    others: Vec<String>,
}

impl ArrayNames {
    fn of<R: Read + Seek>(zip: &ZipArchive<R>) -> Self {
        let mut others: Vec<String> = (zip.file_names().flatten())
            .map(|name| name.strip_suffix(".npy").unwrap_or(&name).to_owned())
            .collect();
        let mut named = VALIDATION.into_iter();
        let validation = named.find(|[images, _]| others.iter().any(|name| name == images));
        let mut names = Self {
            validation,
            others: Vec::new(),
        };
        let read: Vec<&str> = names.sets().flatten().collect();
        others.retain(|name| !read.contains(&name.as_str()));
        others.sort();
        names.others = others;
        names
    }

    /// Those of the training, test and, if there are any, validation images.
    fn sets(&self) -> impl Iterator<Item = [&'static str; 2]> + use<> {
        [TRAIN, TEST].into_iter().chain(self.validation)
    }

    fn not_read(&self) -> Option<String> {
        const MOST: usize = 5;
        let mut shown: Vec<&str> = self.others.iter().take(MOST).map(String::as_str).collect();
        if self.others.len() > MOST {
            shown.push("...");
        }
        let not_read = || one_line(&format!("not read: {}", shown.join(", ")));
        (!shown.is_empty()).then(not_read)
    }
}

fn set(
    path: &Path,
    (images, range, are_dark): (Array, &Range, bool),
    names: Array,
    taken: &mut Vec<String>,
) -> Result<Dataset, DataError> {
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
    let (bytes, how) = range.pixels(images, are_dark);
    taken.extend(how);
    let Labels {
        labels,
        classes,
        taken: how,
    } = labels(path, names, samples)?;
    taken.extend(how);
    let source = path.display().to_string();
    Dataset::new("npz", source, shape, classes, bytes, labels)
}
