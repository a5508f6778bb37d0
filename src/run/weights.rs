//! `model.safetensors`: a model and its weights in one file.
//!
//! The tensors are the parameters, `LAYER/kernel` and `LAYER/bias`, as little-endian f32 in their
//! shapes, so that any program can read them. The metadata holds one entry, `cnn_gpu`, a TOML text
//! with the model, the number of optimizer steps and the weights' hash. The same weights give the
//! same bytes.

use std::fs;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::tensors::{FloatTensor, TensorFile, floats, parse};
use crate::data::bounded::MAX_TEXT;
use crate::disk;
use crate::error::{Error, FormatError, Result};
use crate::model::Sequential;
use crate::read_toml::read_toml;
use crate::shape::dims;
use crate::state::{Layout, State};

/// The metadata's key.
const KEY: &str = "cnn_gpu";

#[derive(Serialize, Deserialize)]
struct WeightsHeader {
    version: String,
    step: u64,
    /// See [`State::weights_hash`].
    weights_hash: String,
    model: Sequential,
}

/// Writes the model and its weights atomically: to a temporary file that then replaces `path`.
///
/// # Errors
/// The file cannot be written.
pub fn save(path: &Path, model: &Sequential, state: &State) -> Result<()> {
    let file = file(model, state).map_err(|e| e.at(path))?;
    disk::replace_with(path, |to| file.write(to))
        .map_err(|e| Error::file(path, format!("cannot write the weights: {e}")).caused_by(e))
}

/// Reads a model and its weights. The file does not contain the optimizer's moments, which restart
/// at zero.
///
/// # Errors
/// One line: a missing file, a file that is not safetensors or not written by this crate, tensors
/// that do not fit the model, or bytes that changed since it was written.
pub fn load(path: &Path) -> Result<(Sequential, State)> {
    let bytes = fs::read(path)
        .map_err(|e| Error::file(path, format!("cannot read the weights: {e}")).caused_by(e))?;
    from_bytes(bytes).map_err(|e| e.at(path))
}

/// The contents of the file that [`save`] writes.
///
/// # Errors
/// None that is known: a model that cannot be written as TOML.
pub fn to_bytes(model: &Sequential, state: &State) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    let file = file(model, state)?;
    file.write(&mut bytes).map_err(FormatError::from_cause)?;
    Ok(bytes)
}

fn file<'a>(model: &Sequential, state: &'a State) -> Result<TensorFile<'a>, FormatError> {
    let header = WeightsHeader {
        version: env!("CARGO_PKG_VERSION").into(),
        step: state.step,
        weights_hash: state.weights_hash(),
        model: model.clone(),
    };
    let header = toml::to_string(&header).map_err(FormatError::from_cause)?;
    let tensors = state.layout.parameters.iter().map(|p| FloatTensor {
        name: p.name.clone(),
        shape: &p.shape,
        values: &state.params[p.range()],
    });
    TensorFile::new(tensors.collect(), [(KEY.to_owned(), header)].into())
}

/// Like [`load`], from the file's contents. Sizes are checked before memory is allocated; in
/// addition to the contents, only the weights take memory.
///
/// # Errors
/// Those of [`load`].
pub fn from_bytes(bytes: Vec<u8>) -> Result<(Sequential, State), FormatError> {
    let (tensors, metadata) = parse(&bytes)?;
    let header = (metadata.get(KEY))
        .ok_or_else(|| format!("contains no model: expected the metadata `{KEY}`"))?;
    if header.len() as u64 > MAX_TEXT {
        return Err(format!("its metadata `{KEY}` is longer than 1 MiB").into());
    }
    let header: WeightsHeader = read_toml(header)
        .map_err(|e: FormatError| e.within(&format!("its metadata `{KEY}` is invalid")))?;
    let layout = Layout::new(&header.model).map_err(FormatError::from_cause)?;
    check(&tensors, &layout)?;
    let params = fill(&tensors, &layout)?;
    drop(bytes);
    let state = State {
        m: Vec::new(),
        v: Vec::new(),
        average: Vec::new(),
        params,
        step: header.step,
        layout,
    };
    if state.weights_hash() != header.weights_hash {
        return Err("the weights have changed since they were written: their hash differs".into());
    }
    Ok((header.model, state))
}

/// Checks, before anything is allocated, that the file contains exactly the model's parameters.
fn check(tensors: &SafeTensors<'_>, layout: &Layout) -> Result<(), FormatError> {
    for p in &layout.parameters {
        let tensor = (tensors.tensor(&p.name))
            .map_err(|_| format!("lacks the weights `{}`, which its model has", p.name))?;
        if tensor.shape() != p.shape || tensor.dtype() != Dtype::F32 {
            return Err(format!(
                "weights `{}`: expected F32 {}, found {:?} {}",
                p.name,
                dims(&p.shape),
                tensor.dtype(),
                dims(tensor.shape())
            )
            .into());
        }
    }
    if tensors.len() != layout.parameters.len() {
        return Err(format!(
            "expected the {} tensors of its model, found {}",
            layout.parameters.len(),
            tensors.len()
        )
        .into());
    }
    Ok(())
}

fn fill(tensors: &SafeTensors<'_>, layout: &Layout) -> Result<Vec<f32>, FormatError> {
    let mut params = vec![0.0; layout.len];
    for p in &layout.parameters {
        let values = floats(tensors, &p.name)?;
        params[p.range()]
            .iter_mut()
            .zip(values)
            .for_each(|(to, value)| *to = value);
    }
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dense, Flatten};

    fn model() -> Sequential {
        Sequential::new([2, 2, 1])
            .add(Flatten::new())
            .add(Dense::new(3).name("head"))
    }

    fn state(model: &Sequential) -> State {
        let mut state = State::new(Layout::new(model).unwrap(), 1);
        state.step = 7;
        state
    }

    #[test]
    fn saved_weights_are_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let (model, state) = (model(), state(&model()));
        save(&path, &model, &state).unwrap();
        let (loaded, weights) = load(&path).unwrap();
        assert_eq!(loaded, model);
        assert_eq!(weights.step, 7);
        assert_eq!(weights.weights_hash(), state.weights_hash());
        let files = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 1, "a partial file was left");
    }

    #[test]
    fn every_truncation_is_refused_in_one_line() {
        let bytes = to_bytes(&model(), &state(&model())).unwrap();
        for length in 0..bytes.len() {
            let message = from_bytes(bytes[..length].to_vec())
                .map(|_| ())
                .unwrap_err()
                .to_string();
            assert!(!message.contains('\n'), "{length}: {message}");
        }
    }

    #[test]
    fn every_flipped_byte_of_the_weights_is_detected() {
        let bytes = to_bytes(&model(), &state(&model())).unwrap();
        for i in bytes.len() - 60..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[i] ^= 0x40;
            assert!(from_bytes(flipped).is_err(), "byte {i}");
        }
    }

    #[test]
    fn flipped_bytes_of_the_header_never_panic() {
        let bytes = to_bytes(&model(), &state(&model())).unwrap();
        for i in 0..bytes.len() - 60 {
            for bit in [0x01, 0x20, 0x80] {
                let mut flipped = bytes.clone();
                flipped[i] ^= bit;
                let _ = from_bytes(flipped);
            }
        }
    }

    #[test]
    fn a_tensor_of_another_shape_is_named() {
        let other = Sequential::new([2, 3, 1])
            .add(Flatten::new())
            .add(Dense::new(3).name("head"));
        let bytes = to_bytes(&other, &state(&model())).unwrap();
        let message = from_bytes(bytes).map(|_| ()).unwrap_err().to_string();
        assert_eq!(
            message,
            "weights `head/kernel`: expected F32 6x3, found F32 4x3"
        );
    }
}
