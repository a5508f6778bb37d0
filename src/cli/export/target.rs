//! The formats to write, and their files.

use std::path::{Path, PathBuf};

use cnn_gpu::Error;
use cnn_gpu::interchange::{keras, onnx, torch};
use cnn_gpu::internal::disk;
#[cfg(feature = "gpu")]
use cnn_gpu::web::WebSite;
use serde::Serialize;

use super::collect::Collected;

/// A format and where to write it.
pub enum ExportTarget {
    Onnx(PathBuf, onnx::Options),
    Keras(PathBuf),
    Torch(PathBuf),
    /// A site in a folder.
    #[cfg(feature = "gpu")]
    Web(PathBuf),
    /// A site in one file.
    #[cfg(feature = "gpu")]
    WebPage(PathBuf),
}

impl ExportTarget {
    /// Whether it is a page, which can train the network further.
    pub fn is_page(&self) -> bool {
        #[cfg(feature = "gpu")]
        return matches!(self, Self::Web(_) | Self::WebPage(_));
        #[cfg(not(feature = "gpu"))]
        return false;
    }
}

/// The contents of a target's files.
pub struct Files {
    /// In the order of [`ExportTarget::paths`].
    contents: Vec<Vec<u8>>,
    left_behind: Vec<String>,
}

/// What was written.
#[derive(Serialize)]
pub struct Written {
    pub format: &'static str,
    pub files: Vec<WrittenFile>,
    /// An expression of Python that loads the network, or where to open a page.
    pub load_with: String,
    /// What the files do not hold, one line each.
    pub left_behind: Vec<String>,
}

#[derive(Serialize)]
pub struct WrittenFile {
    pub path: String,
    pub bytes: usize,
}

impl ExportTarget {
    fn paths(&self) -> Vec<PathBuf> {
        match self {
            Self::Onnx(path, _) | Self::Keras(path) => vec![path.clone()],
            Self::Torch(folder) => {
                let names = [
                    torch::TorchExport::MODEL_FILE,
                    torch::TorchExport::WEIGHTS_FILE,
                ];
                names.map(|name| folder.join(name)).into()
            }
            #[cfg(feature = "gpu")]
            Self::Web(folder) => {
                let names = WebSite::file_names().into_iter();
                names.map(|name| folder.join(name)).collect()
            }
            #[cfg(feature = "gpu")]
            Self::WebPage(path) => vec![path.clone()],
        }
    }

    /// Checks that no file of this target exists.
    ///
    /// # Errors
    /// One exists.
    pub fn check_free(&self) -> cnn_gpu::Result<()> {
        // A link exists even if what it points to does not.
        let exists = |path: &PathBuf| path.symlink_metadata().is_ok();
        match self.paths().into_iter().find(exists) {
            Some(path) => Err(Error::file(
                &path,
                "exists, and is only replaced with --force",
            )),
            None => Ok(()),
        }
    }

    /// The contents of the files.
    ///
    /// # Errors
    /// The format cannot hold the network.
    pub fn files(&self, collected: &Collected) -> cnn_gpu::Result<Files> {
        let network = &collected.network;
        let one = |export: cnn_gpu::interchange::Export| Files {
            contents: vec![export.bytes],
            left_behind: export.left_behind,
        };
        match self {
            Self::Onnx(_, options) => onnx::to_bytes(network, options).map(one),
            Self::Keras(_) => keras::to_bytes(network).map(one),
            Self::Torch(_) => torch::export(network).map(|export| Files {
                contents: vec![export.model_py.into_bytes(), export.weights],
                left_behind: export.left_behind,
            }),
            #[cfg(feature = "gpu")]
            Self::Web(_) => collected.site().map(|site| Files {
                contents: site.files(),
                left_behind: site.left_out,
            }),
            #[cfg(feature = "gpu")]
            Self::WebPage(_) => collected.site().and_then(|site| {
                Ok(Files {
                    contents: vec![site.single()?.into_bytes()],
                    left_behind: site.left_out,
                })
            }),
        }
    }

    /// Writes the files: all of them, or none.
    ///
    /// # Errors
    /// A file or the folder cannot be written.
    pub fn write(&self, files: Files) -> cnn_gpu::Result<Written> {
        if let Some(folder) = self.folder() {
            disk::make_folder(folder).map_err(|e| {
                Error::file(folder, format!("cannot make the folder: {e}")).caused_by(e)
            })?;
        }
        let paths = self.paths();
        let contents = files.contents.iter().map(Vec::as_slice);
        let all: Vec<_> = paths.into_iter().zip(contents).collect();
        disk::replace_all(&all).map_err(|(path, e)| {
            Error::file(&path, format!("cannot write the network: {e}")).caused_by(e)
        })?;
        let written = all.iter().map(|(path, contents)| WrittenFile {
            path: path.display().to_string(),
            bytes: contents.len(),
        });
        Ok(Written {
            format: self.format(),
            files: written.collect(),
            load_with: self.load_with(),
            left_behind: files.left_behind,
        })
    }

    /// The folder that holds the files, if the target is a folder.
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Onnx(..) | Self::Keras(_) => None,
            Self::Torch(folder) => Some(folder),
            #[cfg(feature = "gpu")]
            Self::Web(folder) => Some(folder),
            #[cfg(feature = "gpu")]
            Self::WebPage(_) => None,
        }
    }

    fn format(&self) -> &'static str {
        match self {
            Self::Onnx(..) => "ONNX",
            Self::Keras(_) => "Keras",
            Self::Torch(_) => "PyTorch",
            #[cfg(feature = "gpu")]
            Self::Web(_) | Self::WebPage(_) => "web page",
        }
    }

    /// How to load the network: an expression of Python, or where to open the page.
    fn load_with(&self) -> String {
        match self {
            Self::Onnx(path, _) => format!("onnxruntime.InferenceSession({})", python(path)),
            Self::Keras(path) => format!("keras.saving.load_model({})", python(path)),
            Self::Torch(folder) => format!(
                "import sys; sys.path.insert(0, {}); import model; model.load()",
                python(folder)
            ),
            #[cfg(feature = "gpu")]
            Self::Web(folder) => format!(
                "a browser, from a web server: python3 -m http.server -b 127.0.0.1 -d {}",
                folder.display()
            ),
            #[cfg(feature = "gpu")]
            Self::WebPage(path) => format!("a browser, from disk: {}", path.display()),
        }
    }
}

/// A path as a string of Python.
fn python(path: &Path) -> String {
    // Python understands all escapes of JSON.
    serde_json::to_string(&path.to_string_lossy()).unwrap_or_default()
}
