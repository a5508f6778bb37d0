//! Tensors whose values are not decoded with the graph: in other files, or large.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::super::messages::TensorProto;
use super::stored::OnnxWeightFile;
use super::tensor::{StoredBytes, byte_count};
use super::wire::INSIDE;
use crate::error::FormatError;

/// The value of `TensorProto.data_location` for such tensors.
const EXTERNAL: i32 = 1;

/// The files beside a model, all in one folder.
pub(super) struct ExternalFiles {
    folder: Option<PathBuf>,
    opened: HashMap<PathBuf, OpenedFile>,
    /// The model's own file, where large tensors are left.
    model: Option<OpenedFile>,
}

/// A file of tensors.
pub(super) struct OpenedFile {
    file: Rc<OnnxWeightFile>,
    len: u64,
    /// The bytes that no tensor has taken yet. So tensors cannot take more memory than the files take on the disk.
    left: u64,
}

impl OpenedFile {
    /// A file of `len` bytes.
    pub fn new(file: File, len: u64) -> Self {
        Self {
            file: Rc::new(OnnxWeightFile::on_disk(file)),
            len,
            left: len,
        }
    }

    /// The bytes of a tensor. `None` if they are not all in the file, or tensors have taken as many as
    /// it has.
    fn take(&mut self, offset: u64, len: u64) -> Option<StoredBytes> {
        offset.checked_add(len).filter(|&end| end <= self.len)?;
        self.left = self.left.checked_sub(len)?;
        Some(StoredBytes {
            file: Rc::clone(&self.file),
            offset,
            len: usize::try_from(len).ok()?,
        })
    }
}

impl ExternalFiles {
    /// Files in this folder, or none, and that of the model, if large tensors were left there.
    pub fn new(folder: Option<&Path>, model: Option<OpenedFile>) -> Self {
        Self {
            folder: folder.map(Path::to_owned),
            opened: HashMap::new(),
            model,
        }
    }

    /// Where the bytes of a tensor are, if they were not decoded with the graph.
    ///
    /// # Errors
    /// There is no such file in the folder, or it is too short.
    pub fn find(&mut self, tensor: &TensorProto) -> Result<Option<StoredBytes>, FormatError> {
        let found = match tensor.data_location() {
            EXTERNAL => self.in_other_file(tensor),
            INSIDE => self.in_model(tensor),
            _ => return Ok(None),
        };
        found
            .map(Some)
            .map_err(|e| e.within(&format!("tensor `{}`", tensor.name())))
    }

    /// Checks that all tensors could be read whose elements were wanted.
    ///
    /// # Errors
    /// One could not.
    pub fn check(&self) -> Result<(), FormatError> {
        let mut all = self.opened.values().chain(&self.model);
        match all.find_map(|opened| opened.file.failure()) {
            Some(e) => {
                Err(FormatError::from(format!("its weights cannot be read: {e}")).caused_by(e))
            }
            None => Ok(()),
        }
    }

    /// The bytes of a tensor that was left in the model's file. A file can pretend that one was.
    fn in_model(&mut self, tensor: &TensorProto) -> Result<StoredBytes, FormatError> {
        let place = (number(tensor, "offset")?).zip(number(tensor, "length")?);
        let model = self.model.as_mut().zip(place);
        let taken = model.and_then(|(model, (offset, len))| model.take(offset, len));
        taken.ok_or_else(|| "says wrongly where its values are; the file is damaged".into())
    }

    fn in_other_file(&mut self, tensor: &TensorProto) -> Result<StoredBytes, FormatError> {
        let location = entry(tensor, "location").unwrap_or_default();
        let path = self.inside(location)?;
        if !self.opened.contains_key(&path) {
            let opened = open(&path, location)?;
            self.opened.insert(path.clone(), opened);
        }
        let opened = self.opened.get_mut(&path).ok_or("its file was closed")?;
        let offset = number(tensor, "offset")?.unwrap_or(0);
        let size = byte_count(tensor)? as u64;
        let stated = number(tensor, "length")?.unwrap_or(size);
        let end = offset.checked_add(size).filter(|&end| end <= opened.len);
        if end.is_none() || stated != size {
            return Err(format!(
                "expected {size} bytes at {offset} in `{location}`, which has {} (the entry says {stated}); \
                 copy the file that belongs to the model",
                opened.len
            )
            .into());
        }
        (opened.take(offset, size))
            .ok_or_else(|| format!("several tensors share the same bytes of `{location}`").into())
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

/// Opens the file at `path`, which the model calls `location`.
fn open(path: &Path, location: &str) -> Result<OpenedFile, FormatError> {
    let cannot = |e: std::io::Error| {
        FormatError::from(format!("cannot read `{location}` beside the model: {e}")).caused_by(e)
    };
    // Opening a pipe would wait for a writer.
    let metadata = path.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return Err(format!("`{location}` beside the model is not a file").into());
    }
    let file = File::open(path).map_err(cannot)?;
    Ok(OpenedFile::new(file, metadata.len()))
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
    use std::fs;

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
        let mut files = ExternalFiles::new(Some(&folder.path().join("model")), None);
        let message = files.find(tensor).unwrap_err().to_string();
        assert!(
            message.starts_with("tensor `w`: ") && message.contains(with),
            "{message}"
        );
        assert!(!message.contains('\n'), "{message}");
    }

    #[test]
    fn a_model_cannot_pretend_that_tensors_were_left_in_it() {
        let folder = folder();
        let path = folder.path().join("outside");
        let inside = |offset: &str, length: &str| TensorProto {
            data_location: Some(INSIDE),
            ..tensor("", &[("offset", offset), ("length", length)])
        };
        let far = u64::MAX.to_string();
        for (offset, length) in [
            ("0", "13"),
            ("5", "8"),
            ("0", &far),
            (&far, "8"),
            ("13", "0"),
        ] {
            let model = OpenedFile::new(File::open(&path).unwrap(), 12);
            let mut files = ExternalFiles::new(None, Some(model));
            let message = files.find(&inside(offset, length)).unwrap_err().to_string();
            assert!(message.contains("the file is damaged"), "{message}");
        }
        let model = OpenedFile::new(File::open(&path).unwrap(), 12);
        let mut files = ExternalFiles::new(None, Some(model));
        assert_eq!(files.find(&inside("4", "8")).unwrap().unwrap().len, 8);
        assert!(files.find(&inside("4", "8")).is_err(), "taken twice");
        assert!(
            ExternalFiles::new(None, None)
                .find(&inside("0", "8"))
                .is_err()
        );
    }

    #[test]
    fn bytes_of_a_file_beside_the_model_are_read() {
        let folder = folder();
        let mut files = ExternalFiles::new(Some(&folder.path().join("model")), None);
        let here = tensor("./data", &[("offset", "4"), ("length", "8")]);
        let found = files.find(&here).unwrap().unwrap();
        let mut bytes = vec![0; found.len];
        found.file.read_at(found.offset, &mut bytes).unwrap();
        assert_eq!(bytes, (4..12).collect::<Vec<u8>>());
        assert!(files.find(&here).unwrap_err().to_string().contains("share"));
        let message = ExternalFiles::new(None, None)
            .find(&here)
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
        let mut files = ExternalFiles::new(Some(&model), None);
        let message = files.find(&tensor("link", &[])).unwrap_err().to_string();
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
