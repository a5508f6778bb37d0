//! Your own images and labels in IDX format: a folder with four files named like MNIST's.
//!
//! A file takes no more memory than it has bytes. A gzip file is unpacked to the size in its IDX
//! header, and only if gzip can have packed that much into the file.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::bounded::{max_unpacked, read_preallocated};
use super::dataset::{Dataset, Splits};
use super::error::DataError;
use super::gzip::{self, Unpacked};
use super::idx;

/// The length of the longest header.
const HEADER: u64 = idx::MAX_HEADER as u64;

/// An array of bytes read from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdxFile {
    /// The size along each dimension, outermost first.
    pub dims: Vec<usize>,
    /// The elements in row-major order.
    pub data: Vec<u8>,
}

/// Reads `PATH/*train*images*`, `*train*labels*`, `*t10k*images*` and `*t10k*labels*` (or
/// `*test*`), each raw or packed by gzip: images `[n, h, w]` or `[n, h, w, c]`, labels `[n]`. The
/// largest label determines the number of classes.
///
/// # Errors
/// [`DataError`] names the file that is missing or invalid.
pub fn splits(folder: &Path) -> Result<Splits, DataError> {
    let names = file_names(folder)?;
    let mut train = read(folder, &names, &["train"])?;
    let mut test = read(folder, &names, &["t10k", "test"])?;
    let classes = train.classes.max(test.classes);
    (train.classes, test.classes) = (classes, classes);
    Ok(Splits::new(train, test))
}

/// Reads one file, raw or packed by gzip. Checks the sizes in its header before allocating.
///
/// # Errors
/// [`DataError::Read`], [`DataError::Gzip`] or [`DataError::Idx`].
pub fn read_file(path: &Path) -> Result<IdxFile, DataError> {
    let bytes = fs::read(path).map_err(|source| DataError::Read {
        path: path.into(),
        source,
    })?;
    from_bytes(path, bytes)
}

/// Like [`read_file`], from the contents of the file at `path`.
///
/// # Errors
/// [`DataError::Gzip`] or [`DataError::Idx`].
pub fn from_bytes(path: &Path, mut bytes: Vec<u8>) -> Result<IdxFile, DataError> {
    if bytes.starts_with(&gzip::MAGIC) {
        bytes = unpack(path, &bytes)?;
    }
    let array = idx::parse(&bytes).map_err(|source| bad(path, source))?;
    let (dims, header) = (array.dims().into(), array.header_len());
    // In place: a copy would double the memory.
    bytes.drain(..header);
    Ok(IdxFile { dims, data: bytes })
}

/// Whether a file starts like an IDX file, compressed or not. Two zero bytes are not enough,
/// because TGA and HEIC files start with them, too.
pub fn is_idx(path: &Path) -> bool {
    let mut start = Vec::new();
    let Ok(file) = File::open(path) else {
        return false;
    };
    let read = file.take(4).read_to_end(&mut start);
    read.is_ok() && (idx::is_start(&start) || start.starts_with(&gzip::MAGIC))
}

fn unpack(path: &Path, packed: &[u8]) -> Result<Vec<u8>, DataError> {
    let gzip = |source| DataError::Gzip {
        path: path.into(),
        source,
    };
    let mut start = Vec::new();
    let reader = Unpacked::new(packed).take(HEADER);
    { reader }.read_to_end(&mut start).map_err(gzip)?;
    let declared = match idx::parse(&start) {
        Ok(array) => array.data.len(),
        Err(idx::IdxError::Length { expected, .. }) => expected,
        Err(source) => return Err(bad(path, source)),
    } as u64;
    if declared > max_unpacked(packed.len() as u64) {
        let problem = format!(
            "its header declares {declared} elements, more than its {} packed bytes can hold or more than \
             2 GiB; unpack it or download it again",
            packed.len()
        );
        return Err(DataError::contents(path, problem));
    }
    let limit = declared + HEADER;
    let bytes = read_preallocated(Unpacked::new(packed), limit).map_err(gzip)?;
    bytes.ok_or_else(|| DataError::TooLong {
        path: path.into(),
        expected: limit,
    })
}

fn bad(path: &Path, source: idx::IdxError) -> DataError {
    DataError::Idx {
        path: path.into(),
        source,
    }
}

fn file_names(folder: &Path) -> Result<Vec<String>, DataError> {
    let unreadable = |source| DataError::Read {
        path: folder.into(),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The only file whose name contains one of `set` and `content`.
fn find(
    folder: &Path,
    names: &[String],
    set: &[&str],
    content: &str,
) -> Result<PathBuf, DataError> {
    let is_it = |name: &&String| set.iter().any(|set| name.contains(set)) && name.contains(content);
    let found: Vec<&String> = names.iter().filter(is_it).collect();
    match found[..] {
        [name] => Ok(folder.join(name)),
        _ => {
            let problem = format!(
                "found {} files named *{}*{content}*: expected one, for example {}-{content}-ubyte",
                found.len(),
                set.join("* or *"),
                set[0]
            );
            Err(DataError::contents(folder, problem))
        }
    }
}

fn read(folder: &Path, names: &[String], set: &[&str]) -> Result<Dataset, DataError> {
    let images_path = find(folder, names, set, "images")?;
    let labels_path = find(folder, names, set, "labels")?;
    let images = read_file(&images_path)?;
    let labels = read_file(&labels_path)?;
    let shape = match images.dims[1..] {
        [h, w] => [h, w, 1],
        [h, w, c] => [h, w, c],
        _ => {
            return Err(dimensions(
                &images_path,
                "images: [n, h, w] or [n, h, w, c]",
                &images,
            ));
        }
    };
    if labels.dims.len() != 1 {
        return Err(dimensions(&labels_path, "labels: [n]", &labels));
    }
    if labels.dims[0] != images.dims[0] {
        let expected = format!("labels, one for each of {} images", images.dims[0]);
        return Err(dimensions(&labels_path, &expected, &labels));
    }
    let classes = labels.data.iter().max().map_or(0, |&l| usize::from(l) + 1);
    let source = folder.display().to_string();
    Dataset::new("idx", source, shape, classes, images.data, labels.data)
}

fn dimensions(path: &Path, expected: &str, found: &IdxFile) -> DataError {
    let problem = format!(
        "holds an array of shape {:?}: expected {expected}; use the right file",
        found.dims
    );
    DataError::contents(path, problem)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use tempfile::TempDir;

    use super::*;

    fn idx(dims: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, dims.len() as u8];
        dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
        [&bytes, data].concat()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Five training and two test images of 2x3 in colour, with labels up to 6.
    fn fill(folder: &Path) {
        let pixels = |n: u8| (0..n * 18).collect::<Vec<u8>>();
        let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
        write("my-train-images.idx", &idx(&[5, 2, 3, 3], &pixels(5)));
        write("my-train-labels.idx", &idx(&[5], &[0, 1, 2, 3, 4]));
        write(
            "test-images-ubyte.gz",
            &gzip(&idx(&[2, 2, 3, 3], &pixels(2))),
        );
        let padded = [&gzip(&idx(&[2], &[6, 0]))[..], &[0; 512]].concat();
        write("test-labels-ubyte.gz", &padded);
    }

    fn error(folder: &Path) -> String {
        let message = splits(folder).unwrap_err().to_string();
        assert!(!message.contains('\n'), "{message}");
        message
    }

    #[test]
    fn reads_images_of_any_shape() {
        let folder = TempDir::new().unwrap();
        fill(folder.path());
        let data = splits(folder.path()).unwrap();
        assert_eq!((data.train.shape(), data.train.len()), ([2, 3, 3], 5));
        assert_eq!((data.train.classes, data.test.classes), (7, 7));
        assert_eq!(data.test.image(1), (18..36).collect::<Vec<u8>>());
    }

    #[test]
    fn an_error_names_the_file_and_what_is_wrong() {
        let folder = TempDir::new().unwrap();
        let path = folder.path();
        fill(path);
        let labels = path.join("my-train-labels.idx");
        fs::write(&labels, idx(&[4], &[0; 4])).unwrap();
        let message = error(path);
        assert!(
            message.contains("labels.idx") && message.contains("each of 5 images"),
            "{message}"
        );
        fs::write(&labels, idx(&[5, 1], &[0; 5])).unwrap();
        assert!(error(path).contains("expected labels: [n]"));
        fs::remove_file(&labels).unwrap();
        assert!(error(path).contains("found 0 files named *train*labels*"));
        fs::write(path.join("a-train-images"), "").unwrap();
        assert!(error(path).contains("found 2 files named *train*images*"));
    }

    #[test]
    fn a_header_that_declares_too_much_takes_no_memory() {
        let folder = TempDir::new().unwrap();
        fill(folder.path());
        let path = folder.path().join("test-images-ubyte.gz");
        fs::write(&path, gzip(&idx(&[u32::MAX, 1 << 20, 1], &[1, 2, 3]))).unwrap();
        let message = error(folder.path());
        assert!(
            message.contains("declares") && message.contains("packed bytes"),
            "{message}"
        );
        let good = gzip(&idx(&[2, 2, 3, 3], &[7; 36]));
        for length in 2..good.len() {
            fs::write(&path, &good[..length]).unwrap();
            assert!(read_file(&path).is_err(), "{length}");
        }
        fs::write(&path, gzip(&idx(&[2, 2, 3, 3], &[7; 37]))).unwrap();
        assert!(error(folder.path()).contains("too long: expected 56 bytes"));
    }
}
