//! `optimizer.safetensors`: the state of an imported network's optimizer.
//!
//! The tensors are its moments, `m/LAYER/kernel`, `v/LAYER/kernel` and `average/LAYER/kernel`, as
//! little-endian f32 in the parameters' shapes; see [`State`] for what they mean. The metadata holds
//! one entry, `cnn_gpu`, a TOML text with the optimizer's settings, the number of its steps, and the
//! hashes of the moments and of the weights that they belong to.

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::tensors::{FloatTensor, TensorFile, floats, parse};
use crate::data::bounded::MAX_TEXT;
use crate::disk;
use crate::error::{Error, FormatError, Result};
use crate::optimizer::Optimizer;
use crate::read_toml::read_toml;
use crate::shape::dims;
use crate::state::{Parameter, State, hex};

/// The metadata's key.
const KEY: &str = "cnn_gpu";

#[derive(Serialize, Deserialize)]
struct MomentsHeader {
    version: String,
    step: u64,
    weights_hash: String,
    /// See [`hash`].
    moments_hash: String,
    optimizer: Optimizer,
}

/// Writes the moments of `state` atomically, if it has any.
///
/// # Errors
/// The file cannot be written.
pub fn save(path: &Path, state: &State, optimizer: Optimizer) -> Result<()> {
    let file = file(state, optimizer).map_err(|e| e.at(path))?;
    disk::replace_with(path, |to| file.write(to))
        .map_err(|e| Error::file(path, format!("cannot write the moments: {e}")).caused_by(e))
}

/// Reads the moments and the number of steps into `state`, which holds the weights that they belong
/// to. Returns the optimizer.
///
/// # Errors
/// One line: a missing file, a file that is not safetensors or not written by this crate, moments of
/// other weights, or bytes that changed since it was written. The state is then unchanged.
pub fn load(path: &Path, state: &mut State) -> Result<Optimizer> {
    let bytes = fs::read(path)
        .map_err(|e| Error::file(path, format!("cannot read the moments: {e}")).caused_by(e))?;
    from_bytes(&bytes, state).map_err(|e| e.at(path))
}

/// Like [`load`], from the file's contents.
///
/// # Errors
/// Those of [`load`].
pub fn from_bytes(bytes: &[u8], state: &mut State) -> Result<Optimizer, FormatError> {
    let (tensors, metadata) = parse(bytes)?;
    let header = (metadata.get(KEY))
        .ok_or_else(|| format!("contains no moments: expected the metadata `{KEY}`"))?;
    if header.len() as u64 > MAX_TEXT {
        return Err(format!("its metadata `{KEY}` is longer than 1 MiB").into());
    }
    let header: MomentsHeader = read_toml(header)
        .map_err(|e: FormatError| e.within(&format!("its metadata `{KEY}` is invalid")))?;
    header.optimizer.check().map_err(FormatError::from_cause)?;
    if state.weights_hash() != header.weights_hash {
        return Err("the moments belong to other weights than those beside them".into());
    }
    let [m, v, average] = ["m", "v", "average"].map(|arena| read(&tensors, arena, state));
    let mut read = State {
        m: m?,
        v: v?,
        average: average?,
        step: header.step,
        ..state.clone()
    };
    if hash(&read) != header.moments_hash {
        return Err("the moments have changed since they were written: their hash differs".into());
    }
    if !read.average.is_empty() {
        // What is not trained has no average of its own.
        let trained = read.layout.trainable;
        read.average[trained..].copy_from_slice(&read.params[trained..]);
    }
    *state = read;
    Ok(header.optimizer)
}

/// SHA-256 of the number of steps and of the moments' little-endian bytes, parameter by parameter.
pub fn hash(state: &State) -> String {
    let mut hasher = Sha256::new();
    hasher.update(state.step.to_le_bytes());
    for arena in [&state.m, &state.v, &state.average] {
        for p in trainable(state).filter(|_| !arena.is_empty()) {
            for value in &arena[p.range()] {
                hasher.update(value.to_le_bytes());
            }
        }
    }
    hex(&hasher.finalize())
}

fn trainable(state: &State) -> impl Iterator<Item = &Parameter> {
    state.layout.parameters.iter().filter(|p| p.trainable)
}

fn file(state: &State, optimizer: Optimizer) -> Result<TensorFile<'_>, FormatError> {
    let header = MomentsHeader {
        version: env!("CARGO_PKG_VERSION").into(),
        step: state.step,
        weights_hash: state.weights_hash(),
        moments_hash: hash(state),
        optimizer,
    };
    let header = toml::to_string(&header).map_err(FormatError::from_cause)?;
    let mut tensors = Vec::new();
    for (arena, values) in state.moments() {
        tensors.extend(trainable(state).map(|p| FloatTensor {
            name: format!("{arena}/{}", p.name),
            shape: &p.shape,
            values: &values[p.range()],
        }));
    }
    TensorFile::new(tensors, [(KEY.to_owned(), header)].into())
}

/// One of the arenas; empty if the file has no moment of this kind.
fn read(tensors: &SafeTensors<'_>, arena: &str, state: &State) -> Result<Vec<f32>, FormatError> {
    let prefix = format!("{arena}/");
    if !(tensors.names().iter()).any(|name| name.starts_with(&prefix)) {
        return Ok(Vec::new());
    }
    // Before memory is allocated.
    for p in trainable(state) {
        let name = format!("{prefix}{}", p.name);
        let tensor = (tensors.tensor(&name)).map_err(|_| format!("lacks the moment `{name}`"))?;
        if tensor.shape() != p.shape {
            return Err(format!(
                "moment `{name}`: expected {}, found {}",
                dims(&p.shape),
                dims(tensor.shape())
            )
            .into());
        }
    }
    let mut values = vec![0.0; state.layout.len];
    for p in trainable(state) {
        let found = floats(tensors, &format!("{prefix}{}", p.name))?;
        values[p.range()]
            .iter_mut()
            .zip(found)
            .for_each(|(to, value)| *to = value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_bytes(state: &State, optimizer: Optimizer) -> Vec<u8> {
        let mut bytes = Vec::new();
        let file = file(state, optimizer).unwrap();
        file.write(&mut bytes).unwrap();
        bytes
    }
    use crate::model::{BatchNormalization, Dense, Flatten, Sequential};
    use crate::state::Layout;

    fn state() -> State {
        let model = Sequential::new([2, 2, 1])
            .add(Flatten::new())
            .add(BatchNormalization::new())
            .add(Dense::new(3).name("head"));
        let mut state = State::new(Layout::new(&model).unwrap(), 1);
        state.step = 7;
        state.m = vec![0.0; state.params.len()];
        state.average = state.params.clone();
        for p in state.layout.parameters.iter().filter(|p| p.trainable) {
            for (i, place) in state.m[p.range()].iter_mut().enumerate() {
                *place = i as f32 + 0.5;
            }
        }
        state
    }

    fn bare() -> State {
        State {
            m: Vec::new(),
            average: Vec::new(),
            step: 0,
            ..state()
        }
    }

    #[test]
    fn saved_moments_are_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("optimizer.safetensors");
        let optimizer = Optimizer::sgd().with_learning_rate(0.5);
        save(&path, &state(), optimizer).unwrap();
        let mut loaded = bare();
        assert_eq!(load(&path, &mut loaded).unwrap(), optimizer);
        assert_eq!((loaded.m, loaded.step), (state().m, 7));
        assert_eq!(loaded.average, state().average);
        assert!(loaded.v.is_empty());
    }

    #[test]
    fn moments_of_other_weights_are_refused() {
        let bytes = to_bytes(&state(), Optimizer::adam());
        let mut other = bare();
        other.params[0] += 1.0;
        let message = from_bytes(&bytes, &mut other).unwrap_err().to_string();
        assert!(message.contains("other weights"), "{message}");
        assert!(other.m.is_empty());
    }

    #[test]
    fn every_truncation_is_refused_in_one_line() {
        let bytes = to_bytes(&state(), Optimizer::adam());
        for length in 0..bytes.len() {
            let message = from_bytes(&bytes[..length], &mut bare()).unwrap_err();
            assert!(!message.to_string().contains('\n'), "{length}: {message}");
        }
    }

    #[test]
    fn flipped_bytes_never_panic_and_are_detected_among_the_moments() {
        let bytes = to_bytes(&state(), Optimizer::adam());
        for i in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[i] ^= 0x20;
            let read = from_bytes(&flipped, &mut bare());
            assert!(i < bytes.len() - 60 || read.is_err(), "byte {i}");
        }
    }
}
