//! CIFAR-10 in its binary version: `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`.
//!
//! Each file holds 10,000 records of 3,073 bytes: a label, then 1,024 bytes each of red, green and
//! blue, row by row. [`splits`] interleaves the colours to `[h, w, c]`.

use std::fs::File;
use std::path::Path;

use super::bounded::read_preallocated;
use super::dataset::check_labels;
use super::dataset::{Dataset, Splits};
use super::error::DataError;

const SHAPE: [usize; 3] = [32, 32, 3];
const PLANE: usize = 32 * 32;
const RECORD: usize = 1 + 3 * PLANE;
const RECORDS: usize = 10_000;
/// The class names, in the order of their labels.
const CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// Reads CIFAR-10 from the folder with the six files, or from the folder that the archive was
/// unpacked into.
///
/// # Errors
/// [`DataError`] names the file that is missing or invalid.
pub fn splits(folder: &Path) -> Result<Splits, DataError> {
    let inner = folder.join("cifar-10-batches-bin");
    let folder = if inner.is_dir() { &inner } else { folder };
    if !folder.join("data_batch_1.bin").exists() {
        let is_python =
            folder.join("data_batch_1").exists() || folder.join("cifar-10-batches-py").is_dir();
        let found = if is_python {
            "holds CIFAR-10's Python version"
        } else {
            "there is no data_batch_1.bin"
        };
        let problem =
            format!("{found}: expected the binary version, unpacked from cifar-10-binary.tar.gz");
        return Err(DataError::contents(folder, problem));
    }
    let train: Vec<String> = (1..=5).map(|i| format!("data_batch_{i}.bin")).collect();
    Ok(Splits::new(
        read(folder, &train)?,
        read(folder, &["test_batch.bin".into()])?,
    ))
}

fn read(folder: &Path, names: &[String]) -> Result<Dataset, DataError> {
    let mut images = Vec::with_capacity(names.len() * RECORDS * 3 * PLANE);
    let mut labels = Vec::with_capacity(names.len() * RECORDS);
    for name in names {
        let path = folder.join(name);
        for (label, planes) in records(&path, &contents(&path)?)? {
            labels.push(label);
            images.extend(interleaved(planes));
        }
    }
    let source = folder.display().to_string();
    Dataset::new("cifar10", source, SHAPE, CLASSES.len(), images, labels)
        .map(|data| data.with_class_names(CLASSES.map(String::from).to_vec()))
}

/// The labels and colour planes in the contents of the file at `path`, without copying them.
///
/// # Errors
/// [`DataError`] for a truncated record or an invalid label.
pub fn records<'a>(
    path: &Path,
    bytes: &'a [u8],
) -> Result<impl Iterator<Item = (u8, &'a [u8])> + use<'a>, DataError> {
    let (whole, rest) = bytes.as_chunks::<RECORD>();
    if !rest.is_empty() {
        let problem = format!(
            "found {} bytes, expected records of {RECORD}: use an unpacked file of CIFAR-10's binary version",
            bytes.len()
        );
        return Err(DataError::contents(path, problem));
    }
    let labels = whole.iter().map(|record| &record[0]);
    check_labels(&path.display().to_string(), CLASSES.len(), labels)?;
    Ok(whole.iter().map(|record| (record[0], &record[1..])))
}

/// The pixels of an image, interleaved from its colour planes.
pub fn interleaved(planes: &[u8]) -> impl Iterator<Item = u8> {
    (0..3 * PLANE).map(|i| planes[i % 3 * PLANE + i / 3])
}

/// The bytes of a file, which must have the right size.
fn contents(path: &Path) -> Result<Vec<u8>, DataError> {
    let unreadable = |source| DataError::Read {
        path: path.into(),
        source,
    };
    let expected = RECORD * RECORDS;
    let file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?.len();
    let bytes = read_preallocated(file, expected as u64).map_err(unreadable)?;
    match bytes {
        Some(bytes) if bytes.len() == expected => Ok(bytes),
        _ => {
            let problem = format!(
                "found {found} bytes, expected {expected} for 10,000 records of {RECORD}: use an unpacked file \
                 of CIFAR-10's binary version"
            );
            Err(DataError::contents(path, problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// A file whose record `r` has label `r % 10` and planes of bytes `r`, `r + 1` and `r + 2`.
    fn file() -> Vec<u8> {
        let mut bytes = Vec::new();
        for r in 0..RECORDS {
            bytes.push((r % 10) as u8);
            for plane in 0..3 {
                bytes.extend([(r + plane) as u8; PLANE]);
            }
        }
        bytes
    }

    #[test]
    fn planes_become_channels_and_an_error_names_the_file() {
        let folder = TempDir::new().unwrap();
        let inner = folder.path().join("cifar-10-batches-bin");
        fs::create_dir(&inner).unwrap();
        let good = file();
        for i in 1..=5 {
            fs::write(inner.join(format!("data_batch_{i}.bin")), &good).unwrap();
        }
        let missing = splits(folder.path()).unwrap_err().to_string();
        assert!(missing.contains("test_batch.bin"), "{missing}");
        let python = TempDir::new().unwrap();
        let says = |words: &str| {
            let message = splits(python.path()).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        };
        says("there is no data_batch_1.bin: expected the binary version");
        fs::create_dir(python.path().join("cifar-10-batches-py")).unwrap();
        says("holds CIFAR-10's Python version: expected");

        let test = inner.join("test_batch.bin");
        fs::write(&test, &good).unwrap();
        let data = splits(folder.path()).unwrap();
        assert_eq!((data.train.len(), data.test.len()), (50_000, 10_000));
        assert_eq!(data.test.image(7)[..6], [7, 8, 9, 7, 8, 9]);
        assert_eq!(
            data.test.class_name(usize::from(data.test.labels()[9])),
            "truck"
        );

        for length in [0, 1, good.len() - 1, good.len() + 1] {
            let mut bytes = good.clone();
            bytes.resize(length, 0);
            fs::write(&test, bytes).unwrap();
            let message = splits(folder.path()).unwrap_err().to_string();
            let found = format!("test_batch.bin: found {length} bytes, expected 30730000");
            assert!(message.contains(&found), "{message}");
        }
        let mut bytes = good;
        bytes[RECORD] = 10;
        fs::write(&test, bytes).unwrap();
        let message = splits(folder.path()).unwrap_err().to_string();
        assert!(
            message.contains("test_batch.bin: label 1 is 10"),
            "{message}"
        );
    }
}
