//! Which program wrote a file.

use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use zip::ZipArchive;

use crate::error::{Error, FormatError, Result};
use crate::run_files::{IMPORT, WEIGHTS};

/// A format of networks of other programs.
///
/// ```
/// use std::io::Cursor;
/// use cnn_gpu::interchange::Format;
/// let hdf5 = Cursor::new(b"\x89HDF\r\n\x1a\n...");
/// assert_eq!(Format::of_contents(hdf5, "net.h5".as_ref())?, Format::Hdf5);
/// # Ok::<(), cnn_gpu::error::FormatError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// `.onnx`.
    Onnx,
    /// `.keras`, the archive of Keras 3.
    Keras,
    /// `.h5` and `.weights.h5` of Keras.
    Hdf5,
    /// `.pt` and `.pth` of PyTorch.
    PyTorch,
    /// A state dict of PyTorch as `.safetensors`.
    Safetensors,
}

/// What can be read, for messages.
const EXPECTED: &str = "expected ONNX (.onnx), Keras (.keras, .h5, .weights.h5) or PyTorch (.pt, .pth, \
    .safetensors)";

/// The formats that are known but cannot be read: how their files start, and what to do.
const REFUSED: [(usize, &[u8], &str); 5] = [
    (
        0,
        b"version https://git-lfs",
        "a pointer of Git LFS in place of the file: `git lfs pull` fetches the file; expected ONNX, .keras \
         or a state dict",
    ),
    (
        4,
        b"TFL3",
        "a TensorFlow Lite model, which no longer holds the trained weights: expected the network that \
         it was made of, as ONNX, .keras or a state dict",
    ),
    (
        0,
        b"GGUF",
        "a GGUF file, which holds no layers: expected ONNX, .keras or a state dict",
    ),
    (
        0,
        b"{",
        "a JSON text: a model without weights is not supported; expected ONNX, .keras or a state dict",
    ),
    (
        0,
        b"\x93NUMPY",
        "an array of NumPy: expected ONNX, .keras or a state dict",
    ),
];

impl Format {
    /// The format of a file, by its contents; only files without any signature are recognised by
    /// their extension.
    ///
    /// # Errors
    /// The file cannot be read or is a folder, or its format is unknown; the message says what is
    /// supported.
    pub fn of(path: &Path) -> Result<Self> {
        let unreadable =
            |e: io::Error| Error::file(path, format!("cannot read the file: {e}")).caused_by(e);
        let metadata = fs::metadata(path).map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(of_folder(path).at(path));
        }
        // Opening a pipe waits for a writer.
        if !metadata.is_file() {
            return Err(Error::file(path, format!("not a regular file: {EXPECTED}")));
        }
        let file = File::open(path).map_err(unreadable)?;
        Self::of_contents(BufReader::new(file), path).map_err(|e| e.at(path))
    }

    /// Like [`Format::of`], from the contents of the file at `path`.
    ///
    /// # Errors
    /// Those of [`Format::of`].
    pub fn of_contents(mut file: impl Read + Seek, path: &Path) -> Result<Self, FormatError> {
        let mut start = Vec::new();
        (file.by_ref().take(512).read_to_end(&mut start)).map_err(FormatError::from_cause)?;
        if start.is_empty() {
            return Err(format!("an empty file: {EXPECTED}").into());
        }
        if start.starts_with(b"PK") {
            return of_archive(file, path);
        }
        let refused = |(at, magic, _): &&(usize, &[u8], &str)| {
            start.get(*at..).is_some_and(|rest| rest.starts_with(magic))
        };
        if let Some((_, _, problem)) = REFUSED.iter().find(refused) {
            return Err((*problem).into());
        }
        Self::of_start(&start)
            .or_else(|| Self::of_extension(path))
            .ok_or_else(|| format!("not a network in a known format: {EXPECTED}").into())
    }

    fn of_start(start: &[u8]) -> Option<Self> {
        let is_tar = start.get(257..262) == Some(b"ustar");
        // Protocol 2 or later, as PyTorch has always used.
        let is_pickle = matches!(start, [0x80, 2..=5, ..]);
        if start.starts_with(b"\x89HDF\r\n\x1a\n") {
            Some(Self::Hdf5)
        } else if start.get(8) == Some(&b'{') {
            Some(Self::Safetensors)
        } else if is_tar || is_pickle {
            Some(Self::PyTorch)
        } else {
            // The first field of a model is its version, a small number.
            matches!(start, [8, 1..=100, ..]).then_some(Self::Onnx)
        }
    }

    /// The format of a file that is damaged or has no signature.
    fn of_extension(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_ascii_lowercase();
        match extension.to_str()? {
            "onnx" => Some(Self::Onnx),
            "keras" => Some(Self::Keras),
            "h5" | "hdf5" => Some(Self::Hdf5),
            "pt" | "pth" => Some(Self::PyTorch),
            "safetensors" => Some(Self::Safetensors),
            _ => None,
        }
    }
}

/// The format of a zip archive, by the names in it.
fn of_archive(file: impl Read + Seek, path: &Path) -> Result<Format, FormatError> {
    let archive = match ZipArchive::new(file) {
        Ok(archive) => archive,
        // The format's own reader says what is damaged.
        Err(e) => {
            return Format::of_extension(path).ok_or_else(|| {
                FormatError::from(format!("a damaged zip archive: {e}; {EXPECTED}")).caused_by(e)
            });
        }
    };
    let holds = |is_it: &dyn Fn(&str) -> bool| {
        let names = archive.file_names().map_while(std::result::Result::ok);
        names.into_iter().any(|name| is_it(&name))
    };
    if holds(&|name| name == "config.json") {
        Ok(Format::Keras)
    } else if holds(&|name| name == "data.pkl" || name.ends_with("/data.pkl")) {
        Ok(Format::PyTorch)
    } else {
        Err(format!("a zip archive without a network: {EXPECTED}").into())
    }
}

fn of_folder(path: &Path) -> FormatError {
    if path.join("saved_model.pb").exists() {
        return "a SavedModel of TensorFlow: expected a file; Keras's `model.save(\"net.keras\")` writes one"
            .into();
    }
    if path.join(WEIGHTS).exists() {
        let what = match path.join(IMPORT).exists() {
            true => "imported already",
            false => "a run of this program",
        };
        return format!("{what}, which needs no import: evaluate it, or train its weights further")
            .into();
    }
    format!("a folder, not a file: {EXPECTED}").into()
}

impl Display for Format {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Onnx => "ONNX",
            Self::Keras => "Keras",
            Self::Hdf5 => "Keras (HDF5)",
            Self::PyTorch => "PyTorch",
            Self::Safetensors => "PyTorch (safetensors)",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn zip(names: &[&str]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for name in names {
            (zip.start_file(*name, SimpleFileOptions::default())).unwrap();
            zip.write_all(b"{}").unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn format(name: &str, bytes: &[u8]) -> Result<Format, String> {
        let format = Format::of_contents(Cursor::new(bytes), Path::new(name));
        format.map_err(|e| e.to_string())
    }

    #[test]
    fn files_are_recognised_by_their_contents_whatever_their_names() {
        let keras = zip(&["metadata.json", "config.json", "model.weights.h5"]);
        let torch = zip(&["net/data.pkl", "net/version"]);
        let tar = [&[7; 257][..], b"ustar\0", &[0; 100]].concat();
        let files: [(&[u8], Format); 7] = [
            (&keras, Format::Keras),
            (&torch, Format::PyTorch),
            (&tar, Format::PyTorch),
            (b"\x80\x02\x8a\x0a\x6c\xfc", Format::PyTorch),
            (b"\x89HDF\r\n\x1a\n\0", Format::Hdf5),
            (b"\x02\0\0\0\0\0\0\0{}", Format::Safetensors),
            (b"\x08\x08\x12\x07cnn-gpu", Format::Onnx),
        ];
        for (bytes, expected) in files {
            for name in ["net", "net.onnx", "net.keras"] {
                assert_eq!(format(name, bytes), Ok(expected), "{name}");
            }
        }
    }

    #[test]
    fn damaged_files_are_recognised_by_their_names() {
        let names = [
            ("a.onnx", Format::Onnx),
            ("a.KERAS", Format::Keras),
            ("a.weights.h5", Format::Hdf5),
            ("a.pth", Format::PyTorch),
            ("a.safetensors", Format::Safetensors),
        ];
        for (name, expected) in names {
            assert_eq!(format(name, b"\0\0\0"), Ok(expected));
        }
        assert_eq!(format("a.pt", &zip(&["a"])[..20]), Ok(Format::PyTorch));
    }

    #[test]
    fn other_files_are_refused_with_what_is_supported() {
        for (bytes, words) in [
            (&b""[..], "empty"),
            (b"hello", "not a network"),
            (&zip(&["x_train.npy"]), "without a network"),
            (&zip(&["a"])[..20], "damaged zip"),
            (b"\x1c\0\0\0TFL3\0\0", "TensorFlow Lite"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
                "git lfs pull",
            ),
        ] {
            let message = format("net", bytes).unwrap_err();
            assert!(message.contains(words) && message.contains(".keras"));
            assert!(!message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn folders_are_refused_with_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let message = || Format::of(path).unwrap_err().to_string();
        assert!(message().contains("a folder, not a file"));
        fs::write(path.join("model.safetensors"), "").unwrap();
        assert!(message().contains("a run"), "{}", message());
        fs::write(path.join("import.toml"), "").unwrap();
        assert!(message().contains("imported already"), "{}", message());
        fs::write(path.join("saved_model.pb"), "").unwrap();
        assert!(message().contains("SavedModel"), "{}", message());
        let missing = Format::of(&path.join("missing")).unwrap_err().to_string();
        assert!(missing.contains("cannot read the file"), "{missing}");
    }
}
