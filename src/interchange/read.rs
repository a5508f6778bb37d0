//! Reads a file of any format.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::{Format, Import, keras, onnx, outputs, torch};
use crate::error::{Error, Result};
use crate::model::{Activation, Sequential};
use crate::run::ImportRecord;
use crate::state::{Parameter, State, hex};
use crate::words::counted;

/// What a file does not say about its network.
///
/// ```
/// use cnn_gpu::interchange::ImportOptions;
/// use cnn_gpu::model::preset;
/// let options = ImportOptions::default()
///     .model(preset("mnist-mlp"))
///     .pixel_range([0.0, 255.0]);
/// assert!(options.class_names.is_empty());
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ImportOptions {
    /// The model, for files of weights alone: state dicts of PyTorch and `.weights.h5`.
    pub model: Option<Sequential>,
    /// The names of the classes, in the order of the outputs. Default: those in the file, if any.
    pub class_names: Vec<String>,
    /// What the network takes black and white pixels as; see [`Import::pixel_range`]. Default: 0
    /// and 1.
    pub pixel_range: Option<[f32; 2]>,
    /// The activation to add if the network returns logits; see [`Import::output_activation`].
    pub output_activation: Option<Activation>,
}

impl ImportOptions {
    /// Sets the model.
    #[must_use]
    pub fn model(mut self, model: impl Into<Option<Sequential>>) -> Self {
        self.model = model.into();
        self
    }

    /// Sets the names of the classes.
    #[must_use]
    pub fn class_names(mut self, names: Vec<String>) -> Self {
        self.class_names = names;
        self
    }

    /// Sets what the network takes black and white pixels as.
    #[must_use]
    pub fn pixel_range(mut self, range: impl Into<Option<[f32; 2]>>) -> Self {
        self.pixel_range = range.into();
        self
    }

    /// Sets the activation to add behind the last layer.
    #[must_use]
    pub fn output_activation(mut self, activation: impl Into<Option<Activation>>) -> Self {
        self.output_activation = activation.into();
        self
    }
}

/// Reads a network from a file of Keras, PyTorch or ONNX; the contents of the file tell which.
///
/// # Errors
/// One line: a file that cannot be read, an unknown format, or those of [`keras::read`],
/// [`onnx::read`] and [`torch::read`]; [`Error::ModelNeeded`] for weights without a model; a number
/// of class names other than the number of classes.
pub fn read(path: &Path, options: &ImportOptions) -> Result<Import> {
    let format = Format::of(path)?;
    let mut import = of_format(format, path, options.model.as_ref())?;
    if options.model.is_some() && !format.needs_model(path)? {
        let note = "the given model was not used, as the file holds its own";
        import.notes.push(note.into());
    }
    if !options.class_names.is_empty() {
        import.network.class_names = options.class_names.clone();
    }
    import.notes.extend(not_finite(&import.network.state));
    check_class_names(path, &import)?;
    let about = |e: Error| match e {
        Error::Argument(message) => Error::Argument(format!("{}: {message}", path.display())),
        other => other,
    };
    if let Some(range) = options.pixel_range {
        import = import.pixel_range(range).map_err(about)?;
    }
    if let Some(activation) = options.output_activation {
        import = import.output_activation(activation).map_err(about)?;
    }
    Ok(import)
}

fn of_format(format: Format, path: &Path, model: Option<&Sequential>) -> Result<Import> {
    match (format, model) {
        (Format::Onnx, _) => onnx::read(path),
        (Format::Keras, _) => keras::read(path, None),
        (Format::Hdf5, None) if format.needs_model(path)? => Err(needed(path)),
        (Format::Hdf5, model) => keras::read(path, model),
        (Format::PyTorch | Format::Safetensors, Some(model)) => torch::read(path, model),
        (Format::PyTorch | Format::Safetensors, None) => {
            let description = torch::description(path)?.ok_or_else(|| needed(path))?;
            let model = description.model().map_err(|e| e.at(path))?;
            torch::read(path, &model)
        }
    }
}

/// A note if weights are no numbers that a network can compute with.
fn not_finite(state: &State) -> Option<String> {
    let holds = |p: &&Parameter| state.params[p.range()].iter().any(|v| !v.is_finite());
    let mut found = state.layout.parameters.iter().filter(holds);
    let first = &found.next()?.name;
    let more = match found.count() {
        0 => String::new(),
        more => format!(" and {} more", counted(more, "parameter")),
    };
    Some(format!(
        "`{first}`{more} holds NaN or infinite numbers: outputs will hold them too"
    ))
}

fn needed(path: &Path) -> Error {
    Error::ModelNeeded {
        path: path.to_owned(),
    }
}

impl Format {
    /// Whether a file of this format holds weights without their model.
    fn needs_model(self, path: &Path) -> Result<bool> {
        match self {
            Self::Onnx | Self::Keras => Ok(false),
            Self::Hdf5 => keras::is_weights(path),
            Self::PyTorch | Self::Safetensors => Ok(true),
        }
    }
}

/// Checks that the names of the classes can be those of the model's outputs.
fn check_class_names(path: &Path, import: &Import) -> Result<()> {
    let names = &import.network.class_names;
    let expected = outputs::classes(&import.network.model)?;
    let is_odd = |name: &&String| name.trim().is_empty() || name.contains(char::is_control);
    let problem = if names.is_empty() {
        return Ok(());
    } else if names.len() != expected {
        format!("received {}", names.len())
    } else if let Some(name) = names.iter().find(is_odd) {
        format!("received {name:?}")
    } else if let Some(name) = (1..expected).find(|&i| names[..i].contains(&names[i])) {
        format!("received {:?} twice", names[name])
    } else {
        return Ok(());
    };
    Err(Error::Argument(format!(
        "{}: expected {expected} different class names, in the order of the outputs, {problem}",
        path.display()
    )))
}

/// The record of a file that was imported at `imported`, a time with its zone.
///
/// # Errors
/// The file cannot be read.
pub fn record(path: &Path, import: &Import, imported: &str) -> Result<ImportRecord> {
    let sha256 = sha256(path)
        .map_err(|e| Error::file(path, format!("cannot read the file: {e}")).caused_by(e))?;
    let source = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // A settings file is text.
    let source = source.to_string_lossy().into_owned();
    let format = Format::of(path)?.to_string();
    let network = &import.network;
    Ok(ImportRecord::new(imported, source, sha256, format)
        .class_names(network.class_names.clone())
        .notes(import.notes.clone())
        .optimizer(network.optimizer))
}

fn sha256(path: &Path) -> io::Result<String> {
    let (mut file, mut hasher) = (File::open(path)?, Sha256::new());
    let mut part = vec![0; 1 << 16];
    loop {
        match file.read(&mut part)? {
            0 => return Ok(hex(&hasher.finalize())),
            n => hasher.update(&part[..n]),
        }
    }
}
