//! Data sets as `keras.datasets` keeps them: an `.npz` file with the arrays `x_train`, `y_train`,
//! `x_test` and `y_test`.
//!
//! Images are `uint8`, `[n, h, w]` or `[n, h, w, c]`; labels are integers of any type, `[n]` or
//! `[n, 1]`. Packed (`savez_compressed`) or not makes no difference.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use npyz::{DType, NpyHeader, Order, TypeChar};
use zip::ZipArchive;

use super::bounded::{most_unpacked, read_promised};
use super::{DataError, Dataset, Splits};

/// The longest header: NumPy reads no longer one either.
const MOST_HEADER: usize = 10_000;

/// Reads a file. There are as many classes as the largest label says.
///
/// # Errors
/// [`DataError`] that names the array that is missing or not what it should be.
///
/// In Python, `np.savez("mine.npz", x_train=x, y_train=y, x_test=xt, y_test=yt)` writes one.
pub fn splits(path: &Path) -> Result<Splits, DataError> {
    let file = File::open(path).map_err(|source| DataError::Read {
        path: path.into(),
        source,
    })?;
    from_reader(path, BufReader::new(file))
}

/// As [`splits`], from the contents of the file at `path`.
///
/// # Errors
/// As [`splits`].
pub fn from_reader(path: &Path, mut file: impl Read + Seek) -> Result<Splits, DataError> {
    let length = file
        .seek(SeekFrom::End(0))
        .map_err(|source| DataError::Read {
            path: path.into(),
            source,
        })?;
    let zip = ZipArchive::new(file).map_err(|error| {
        DataError::contents(path, format!("not a good .npz file: {error}; get it again"))
    })?;
    let left = most_unpacked(length);
    let mut archive = Archive { zip, left };
    let mut train = read(path, &mut archive, "x_train", "y_train")?;
    let mut test = read(path, &mut archive, "x_test", "y_test")?;
    let classes = train.classes.max(test.classes);
    (train.classes, test.classes) = (classes, classes);
    Ok(Splits { train, test })
}

struct Archive<R> {
    zip: ZipArchive<R>,
    /// How many bytes the rest of the file can hold: what its directory says of packed sizes may be
    /// wrong, and two arrays may be said to lie in the same place.
    left: u64,
}

/// An array, its elements still as they lie in the file.
struct Array {
    name: &'static str,
    shape: Vec<usize>,
    kind: TypeChar,
    item: usize,
    big_endian: bool,
    bytes: Vec<u8>,
}

fn read(
    path: &Path,
    archive: &mut Archive<impl Read + Seek>,
    images: &'static str,
    labels: &'static str,
) -> Result<Dataset, DataError> {
    let images = array(path, archive, images)?;
    let shape = match images.shape[..] {
        [_, h, w] => [h, w, 1],
        [_, h, w, c] => [h, w, c],
        _ => return Err(shape_error(path, &images, "[n, h, w] or [n, h, w, c]")),
    };
    if (images.kind, images.item) != (TypeChar::Uint, 1) {
        let problem = format!(
            "{0}: expected elements of uint8, brightness from 0 to 255; from 0.0 to 1.0 they become that as \
             ({0} * 255).astype('uint8')",
            images.name
        );
        return Err(DataError::contents(path, problem));
    }
    let labels = array(path, archive, labels)?;
    let samples = images.shape[0];
    if !matches!(labels.shape[..], [n] | [n, 1] if n == samples) {
        return Err(shape_error(
            path,
            &labels,
            &format!("one label for each of {samples} images"),
        ));
    }
    let labels = integers(path, &labels)?;
    let classes = labels
        .iter()
        .max()
        .map_or(0, |&label| usize::from(label) + 1);
    let source = path.display().to_string();
    Dataset::new("npz", source, shape, classes, images.bytes, labels)
}

fn shape_error(path: &Path, array: &Array, expected: &str) -> DataError {
    let problem = format!(
        "{} has shape {:?}: expected {expected}",
        array.name, array.shape
    );
    DataError::contents(path, problem)
}

/// Labels, whatever integers they are.
fn integers(path: &Path, array: &Array) -> Result<Vec<u8>, DataError> {
    if !matches!(array.kind, TypeChar::Uint | TypeChar::Int) {
        let problem = format!(
            "{}: expected integers, the number of each image's class",
            array.name
        );
        return Err(DataError::contents(path, problem));
    }
    let label = |(index, bytes): (usize, &[u8])| {
        let low = if array.big_endian { array.item - 1 } else { 0 };
        // An i1 with the first bit set is negative; longer ones have other bytes set.
        let negative = array.kind == TypeChar::Int && array.item == 1 && bytes[low] > 127;
        let mut others = bytes.iter().enumerate().filter(|(at, _)| *at != low);
        match negative || others.any(|(_, &byte)| byte != 0) {
            false => Ok(bytes[low]),
            true => {
                let name = array.name;
                let problem = format!(
                    "{name}: the label at index {index} is not from 0 to 255, use other numbers"
                );
                Err(DataError::contents(path, problem))
            }
        }
    };
    array
        .bytes
        .chunks_exact(array.item)
        .enumerate()
        .map(label)
        .collect()
}

/// Reads one array; sizes are checked before memory is taken for them.
fn array(
    path: &Path,
    archive: &mut Archive<impl Read + Seek>,
    name: &'static str,
) -> Result<Array, DataError> {
    let problem =
        |what: &dyn std::fmt::Display| DataError::contents(path, format!("{name}: {what}"));
    let entry = archive
        .zip
        .by_name(&format!("{name}.npy"))
        .map_err(|error| {
            problem(&format!(
                "{error}; expected the arrays x_train, y_train, x_test and y_test, as \
                 np.savez('data.npz', x_train=..., y_train=..., x_test=..., y_test=...) saves them"
            ))
        })?;
    let size = entry.size();
    let Some(left) = archive.left.checked_sub(size) else {
        let what = format!(
            "{size} bytes are promised, more than the file can hold, or more than 2 GiB packed: save the \
             arrays with numpy.savez, or get the file again"
        );
        return Err(problem(&what));
    };
    archive.left = left;
    let mut bytes = read_promised(entry, size)
        .map_err(|error| problem(&format!("cannot be unpacked: {error}; get the file again")))?
        .ok_or_else(|| problem(&"it is longer than the file says; get it again"))?;
    let text = header(&bytes).map_err(|what| problem(&what))?;
    let described = NpyHeader::from_reader(&bytes[..text]).map_err(|error| problem(&error))?;
    // In place: a copy would take the memory twice.
    bytes.drain(..text);
    let DType::Plain(kind) = described.dtype() else {
        return Err(problem(&"expected an array of plain numbers"));
    };
    let shape: Option<Vec<usize>> = (described.shape().iter())
        .map(|&dim| usize::try_from(dim).ok())
        .collect();
    let item = kind.num_bytes().filter(|&item| item > 0);
    let length = |shape: &[usize]| shape.iter().try_fold(item?, |n, &dim| n.checked_mul(dim));
    match (shape, item) {
        (Some(shape), Some(item)) if length(&shape) == Some(bytes.len()) => {
            if described.order() == Order::Fortran && shape.len() > 1 {
                return Err(problem(
                    &"stored in Fortran order: expected C order, as np.ascontiguousarray makes it",
                ));
            }
            Ok(Array {
                name,
                kind: kind.type_char(),
                item,
                big_endian: kind.to_string().starts_with('>'),
                bytes,
                shape,
            })
        }
        (_, item) => Err(problem(&format!(
            "its header promises {:?} elements of {} bytes, found {} bytes; get the file again",
            described.shape(),
            item.unwrap_or(0),
            bytes.len()
        ))),
    }
}

/// The length of what precedes the elements; refuses what is too long or too nested for a parser.
fn header(bytes: &[u8]) -> Result<usize, &'static str> {
    let length = match *bytes {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, a, b, ..] => {
            10 + usize::from(u16::from_le_bytes([a, b]))
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _, a, b, 0, 0, ..] => {
            12 + usize::from(u16::from_le_bytes([a, b]))
        }
        _ => return Err("not an array in NumPy's format: expected a short NumPy header"),
    };
    let opened = |text: &[u8]| text.iter().filter(|byte| b"([{".contains(byte)).count();
    match bytes.get(..length) {
        Some(text) if length <= MOST_HEADER && opened(text) <= 4 => Ok(length),
        _ => Err("its header is cut off or too long: expected the one NumPy writes"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::path::PathBuf;

    use tempfile::TempDir;
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::*;

    /// An array as NumPy writes it.
    fn npy(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        let text = format!("{text:<117}\n");
        let mut bytes = b"\x93NUMPY\x01\0".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend(elements);
        bytes
    }

    fn good() -> Vec<(&'static str, Vec<u8>)> {
        let pixels = |n: u8| (0..n * 6).collect::<Vec<u8>>();
        let labels = [3_i64, 0, 1].map(i64::to_le_bytes).concat();
        vec![
            ("x_train", npy("|u1", "(3, 2, 3)", &pixels(3))),
            ("y_train", npy("<i8", "(3,)", &labels)),
            ("x_test", npy("|u1", "(2, 2, 3)", &pixels(2))),
            ("y_test", npy(">u2", "(2, 1)", &[0, 4, 0, 2])),
        ]
    }

    fn write(folder: &TempDir, method: CompressionMethod, arrays: &[(&str, Vec<u8>)]) -> PathBuf {
        let path = folder.path().join("data.npz");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        for (name, bytes) in arrays {
            let options = SimpleFileOptions::default().compression_method(method);
            zip.start_file(format!("{name}.npy"), options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    /// What is said where one array is another one.
    fn error_with(name: &'static str, bytes: Vec<u8>) -> String {
        let folder = TempDir::new().unwrap();
        let mut arrays = good();
        arrays.retain(|(other, _)| *other != name);
        arrays.push((name, bytes));
        let path = write(&folder, CompressionMethod::Stored, &arrays);
        let message = splits(&path).unwrap_err().to_string();
        assert!(
            message.contains("data.npz") && !message.contains('\n'),
            "{message}"
        );
        message
    }

    #[test]
    fn reads_packed_and_unpacked() {
        let folder = TempDir::new().unwrap();
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let data = splits(&write(&folder, method, &good())).unwrap();
            assert_eq!((data.train.shape, data.train.classes), ([2, 3, 1], 5));
            assert_eq!(data.train.labels, [3, 0, 1]);
            assert_eq!(data.test.labels, [4, 2]);
            assert_eq!(data.test.image(1), [6, 7, 8, 9, 10, 11]);
        }
    }

    #[test]
    fn names_the_array_and_what_is_wrong() {
        let cases: &[(&'static str, Vec<u8>, &str)] = &[
            (
                "x_train",
                npy("<f4", "(3, 1, 2)", &[0; 24]),
                "x_train: expected elements of uint8, brightness from 0 to 255; from 0.0 to 1.0 they become that as \
                 (x_train * 255).astype('uint8')",
            ),
            (
                "x_train",
                npy("|u1", "(3, 6)", &[0; 18]),
                "x_train has shape [3, 6]",
            ),
            (
                "y_train",
                npy("|u1", "(4,)", &[0; 4]),
                "one label for each of 3 images",
            ),
            (
                "y_train",
                npy("<f4", "(3,)", &[0; 12]),
                "y_train: expected integers",
            ),
            (
                "y_test",
                npy("<i2", "(2,)", &[1, 0, 0, 1]),
                "y_test: the label at index 1 is not from 0 to 255",
            ),
            (
                "y_test",
                npy("|i1", "(2,)", &[255, 0]),
                "y_test: the label at index 0 is not",
            ),
            (
                "x_test",
                npy("|u1", "(2, 2, 3)", &[0; 11]),
                "found 11 bytes",
            ),
            (
                "x_test",
                npy("|u1", "(18446744073709551615, 9, 9)", &[]),
                "found 0 bytes",
            ),
            (
                "x_test",
                npy("|u1", "(((((((((1,)))))))))", &[]),
                "cut off or too long",
            ),
            (
                "x_test",
                b"no array".to_vec(),
                "not an array in NumPy's format",
            ),
        ];
        for (name, bytes, expected) in cases {
            let message = error_with(name, bytes.clone());
            assert!(message.contains(expected), "{message} lacks {expected}");
        }
        let folder = TempDir::new().unwrap();
        let path = write(&folder, CompressionMethod::Stored, &good()[..3]);
        let message = splits(&path).unwrap_err().to_string();
        assert!(
            message.contains("y_test: ") && message.contains("expected the arrays"),
            "{message}"
        );
    }

    #[test]
    fn survives_every_truncation_and_every_changed_byte() {
        let folder = TempDir::new().unwrap();
        let path = write(&folder, CompressionMethod::Deflated, &good());
        let bytes = fs::read(&path).unwrap();
        let whole = splits(&path).unwrap();
        for length in 0..bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            assert!(splits(&path).is_err(), "{length}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x55;
            fs::write(&path, &changed).unwrap();
            if let Ok(read) = splits(&path) {
                assert_eq!(read.train, whole.train, "byte {at}");
            }
        }
    }
}
