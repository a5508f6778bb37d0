//! GraphTensors whose values are in other files.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use super::super::messages::TensorProto;
use super::tensor::byte_count;
use crate::error::FormatError;

/// The value of `TensorProto.data_location` for such tensors.
const EXTERNAL: i32 = 1;

/// The files beside a model, all in one folder.
pub(super) struct ExternalFiles {
    folder: Option<PathBuf>,
    /// The bytes of each file that no tensor has taken yet. So tensors cannot take more memory
    /// than the files take on the disk.
    left: HashMap<PathBuf, u64>,
}

impl ExternalFiles {
    /// Files in this folder, or none.
    pub fn new(folder: Option<&Path>) -> Self {
        Self {
            folder: folder.map(Path::to_owned),
            left: HashMap::new(),
        }
    }

    /// The bytes of a tensor, if they are in another file.
    ///
    /// # Errors
    /// There is no such file in the folder, or it is too short.
    pub fn bytes(&mut self, tensor: &TensorProto) -> Result<Option<Vec<u8>>, FormatError> {
        if tensor.data_location() != EXTERNAL {
            return Ok(None);
        }
        let read = self.read(tensor);
        read.map(Some)
            .map_err(|e| e.within(&format!("tensor `{}`", tensor.name())))
    }

    fn read(&mut self, tensor: &TensorProto) -> Result<Vec<u8>, FormatError> {
        let location = entry(tensor, "location").unwrap_or_default();
        let path = self.inside(location)?;
        let cannot = |e: std::io::Error| {
            FormatError::from(format!("cannot read `{location}` beside the model: {e}"))
                .caused_by(e)
        };
        let metadata = fs::metadata(&path).map_err(cannot)?;
        if !metadata.is_file() {
            return Err(format!("`{location}` beside the model is not a file").into());
        }
        let offset = number(tensor, "offset")?.unwrap_or(0);
        let size = byte_count(tensor)? as u64;
        let stated = number(tensor, "length")?.unwrap_or(size);
        let end = offset
            .checked_add(size)
            .filter(|&end| end <= metadata.len());
        if end.is_none() || stated != size {
            return Err(format!(
                "expected {size} bytes at {offset} in `{location}`, which has {} (the entry says {stated}); \
                 copy the file that belongs to the model",
                metadata.len()
            )
            .into());
        }
        let left = self.left.entry(path.clone()).or_insert(metadata.len());
        *left = left
            .checked_sub(size)
            .ok_or_else(|| format!("several tensors share the same bytes of `{location}`"))?;
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let mut file = File::open(&path).map_err(cannot)?;
        file.seek(SeekFrom::Start(offset)).map_err(cannot)?;
        file.read_exact(&mut bytes).map_err(cannot)?;
        Ok(bytes)
    }

    /// The path of a file in the folder or below it.
    fn inside(&self, location: &str) -> Result<PathBuf, FormatError> {
        let Some(folder) = &self.folder else {
            return Err(format!(
                "its values are in another file, `{location}`; read the model from its path"
            )
            .into());
        };
        let relative = Path::new(location);
        let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        let leaves = || -> FormatError {
            format!("`{location}` is not a file in the model's folder; move it there").into()
        };
        if location.is_empty() || location.contains('\\') || !relative.components().all(plain) {
            return Err(leaves());
        }
        let cannot = |e: std::io::Error| {
            FormatError::from(format!("cannot find `{location}` beside the model: {e}"))
                .caused_by(e)
        };
        let folder = folder.canonicalize().map_err(cannot)?;
        let path = folder.join(relative).canonicalize().map_err(cannot)?;
        // A link may lead out of it.
        path.starts_with(&folder).then_some(path).ok_or_else(leaves)
    }
}

fn entry<'a>(tensor: &'a TensorProto, key: &str) -> Option<&'a str> {
    let found = tensor.external_data.iter().find(|e| e.key() == key);
    found.map(|e| e.value())
}

fn number(tensor: &TensorProto, key: &str) -> Result<Option<u64>, FormatError> {
    let number = entry(tensor, key).map(str::parse);
    number
        .transpose()
        .map_err(|_| format!("expected a number of bytes as `{key}`").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interchange::onnx::messages::StringStringEntryProto;

    fn tensor(location: &str, numbers: &[(&str, &str)]) -> TensorProto {
        let all = [("location", location)]
            .into_iter()
            .chain(numbers.iter().copied());
        let entry = |(key, value): (&str, &str)| StringStringEntryProto {
            key: Some(key.into()),
            value: Some(value.into()),
        };
        TensorProto {
            dims: vec![2],
            data_type: Some(1),
            name: Some("w".into()),
            external_data: all.map(entry).collect(),
            data_location: Some(EXTERNAL),
            ..TensorProto::default()
        }
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("model")).unwrap();
        fs::write(
            folder.path().join("model/data"),
            (0..12).collect::<Vec<u8>>(),
        )
        .unwrap();
        fs::write(folder.path().join("outside"), [0; 12]).unwrap();
        folder
    }

    #[track_caller]
    fn refused(tensor: &TensorProto, with: &str) {
        let folder = folder();
        let mut files = ExternalFiles::new(Some(&folder.path().join("model")));
        let message = files.bytes(tensor).unwrap_err().to_string();
        assert!(
            message.starts_with("tensor `w`: ") && message.contains(with),
            "{message}"
        );
        assert!(!message.contains('\n'), "{message}");
    }

    #[test]
    fn bytes_of_a_file_beside_the_model_are_read() {
        let folder = folder();
        let mut files = ExternalFiles::new(Some(&folder.path().join("model")));
        let here = tensor("./data", &[("offset", "4"), ("length", "8")]);
        assert_eq!(files.bytes(&here).unwrap(), Some((4..12).collect()));
        assert!(
            files
                .bytes(&here)
                .unwrap_err()
                .to_string()
                .contains("share")
        );
        let message = ExternalFiles::new(None)
            .bytes(&here)
            .unwrap_err()
            .to_string();
        assert!(
            message.ends_with("read the model from its path"),
            "{message}"
        );
    }

    #[test]
    fn files_outside_the_folder_are_refused() {
        for location in [
            "../outside",
            "/etc/passwd",
            "",
            "..\\outside",
            "a/../../outside",
        ] {
            refused(&tensor(location, &[]), "in the model's folder");
        }
        refused(&tensor("missing", &[]), "cannot find");
        refused(&tensor(".", &[]), "is not a file");
    }

    #[cfg(unix)]
    #[test]
    fn links_that_leave_the_folder_are_refused() {
        let folder = folder();
        let model = folder.path().join("model");
        std::os::unix::fs::symlink("../outside", model.join("link")).unwrap();
        let mut files = ExternalFiles::new(Some(&model));
        let message = files.bytes(&tensor("link", &[])).unwrap_err().to_string();
        assert!(message.contains("in the model's folder"), "{message}");
    }

    #[test]
    fn bytes_outside_the_file_are_refused() {
        refused(&tensor("data", &[("offset", "5")]), "expected 8 bytes at 5");
        refused(
            &tensor("data", &[("offset", "18446744073709551615")]),
            "expected 8 bytes",
        );
        refused(&tensor("data", &[("length", "12")]), "says 12");
        refused(&tensor("data", &[("offset", "-1")]), "as `offset`");
    }
}
