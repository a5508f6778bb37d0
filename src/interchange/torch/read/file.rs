//! The kinds of files that hold state dicts.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use pytorch_reader::PytorchReader;
use serde::Deserialize;

use super::archive;
use super::pickle::{MAX_PICKLE, unpickle};
use super::state_dict::{PickledTensors, StateDict};
use crate::data::bounded::{read_bounded, read_preallocated};
use crate::error::FormatError;
use crate::interchange::NetworkDescription;
use crate::interchange::torch::arrangement::TorchLayer;

/// The longest header of a safetensors file.
const MAX_HEADER: u64 = 16 << 20;
/// The number that old files start with, as their pickle has it.
const LEGACY_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// What was read of a file.
pub(super) enum FileContents {
    /// A whole safetensors file.
    Safetensors(Vec<u8>),
    /// The tensors of a `.pt` file, whose values are read later.
    Pickle(PickledTensors),
}

impl FileContents {
    /// The state dict.
    ///
    /// # Errors
    /// There is none.
    pub fn state_dict(&self) -> Result<StateDict<'_>, FormatError> {
        match self {
            Self::Safetensors(bytes) => StateDict::of_safetensors(bytes),
            Self::Pickle(tensors) => StateDict::of_pickle(tensors),
        }
    }
}

/// The most bytes that a safetensors file with the weights for these layers takes, even if they are
/// stored as float64.
pub(super) fn weights_limit(layers: &[TorchLayer<'_>]) -> u64 {
    let slots = layers.iter().flat_map(TorchLayer::slots);
    let values = slots.map(|slot| slot.shape.iter().product::<usize>() as u64);
    MAX_HEADER + 8 * values.sum::<u64>()
}

/// Reads a file, of which safetensors may take this many bytes.
///
/// # Errors
/// It cannot be read, or is none of the known kinds.
pub(super) fn contents(path: &Path, limit: u64) -> Result<FileContents, FormatError> {
    let mut file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut start = [0; 512];
    let read = read_start(&mut file, &mut start)?;
    file.rewind().map_err(unreadable)?;
    match FileKind::of(&start[..read])? {
        FileKind::Safetensors if length > limit => Err(format!(
            "has {length} bytes, more than the model's weights can take: expected at most {limit}"
        )
        .into()),
        FileKind::Safetensors => {
            let bytes = read_preallocated(file, length).map_err(unreadable)?;
            let grown = || FormatError::from("grew while it was read; try again");
            bytes.map(FileContents::Safetensors).ok_or_else(grown)
        }
        FileKind::Zip => pickled(path, &archive::pickle(BufReader::new(file))?),
        FileKind::Legacy => pickled(path, &legacy_pickle(file)?),
    }
}

/// See [`super::description`].
pub(super) fn description(path: &Path) -> Result<Option<NetworkDescription>, FormatError> {
    #[derive(Deserialize)]
    struct TorchHeader {
        #[serde(default, rename = "__metadata__")]
        metadata: HashMap<String, String>,
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let mut start = [0; 512];
    let read = read_start(&mut file, &mut start)?;
    if !matches!(FileKind::of(&start[..read]), Ok(FileKind::Safetensors)) {
        return Ok(None);
    }
    let length = start
        .first_chunk()
        .map_or(0, |&length| u64::from_le_bytes(length));
    file.seek(std::io::SeekFrom::Start(8)).map_err(unreadable)?;
    let mut header = Vec::new();
    file.take(length.min(MAX_HEADER))
        .read_to_end(&mut header)
        .map_err(unreadable)?;
    let header: TorchHeader = serde_json::from_slice(&header).map_err(|e| {
        FormatError::from(format!("not a complete safetensors file: {e}")).caused_by(e)
    })?;
    let entry = header.metadata.get(NetworkDescription::KEY);
    entry
        .map(|text| NetworkDescription::from_json(text))
        .transpose()
}

fn unreadable(e: std::io::Error) -> FormatError {
    FormatError::from(format!("cannot read the weights: {e}")).caused_by(e)
}

/// Fills `start` from the beginning of the file as far as it goes; returns how far.
fn read_start(file: &mut File, start: &mut [u8]) -> Result<usize, FormatError> {
    let mut read = 0;
    while let Some(rest) = start.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read(rest).map_err(unreadable)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

enum FileKind {
    Safetensors,
    /// `torch.save` since PyTorch 1.6.
    Zip,
    /// `torch.save` before: several pickles in a row.
    Legacy,
}

impl FileKind {
    fn of(start: &[u8]) -> Result<Self, FormatError> {
        let contains_magic = start
            .windows(10)
            .take(64)
            .any(|bytes| bytes == LEGACY_MAGIC);
        if start.starts_with(b"PK\x03\x04") {
            Ok(Self::Zip)
        } else if start.get(8) == Some(&b'{') {
            Ok(Self::Safetensors)
        } else if contains_magic {
            Ok(Self::Legacy)
        } else if start.get(257..262) == Some(b"ustar") {
            Err(
                "saved by PyTorch before 0.1.10; load it there and save its state dict again"
                    .into(),
            )
        } else if start.starts_with(b"\x89HDF") {
            Err(
                "an HDF5 file, as Keras writes it: expected PyTorch's .pt, .pth or safetensors"
                    .into(),
            )
        } else {
            Err("not a file of PyTorch: expected .pt, .pth or safetensors".into())
        }
    }
}

/// The tensors of a `.pt` file, and their order from its pickle.
fn pickled(path: &Path, pickle: &[u8]) -> Result<FileContents, FormatError> {
    // Checks sizes that the reader below does not.
    let unpickled = unpickle(pickle)?;
    let reader = PytorchReader::new(path).map_err(|e| {
        let message = format!("holds no state dict: {e}; save `net.state_dict()`");
        FormatError::from(message).caused_by(e)
    })?;
    let tensors = PickledTensors::new(reader.into_tensors(), &unpickled);
    Ok(FileContents::Pickle(tensors))
}

/// The fourth pickle of an old file, behind the magic number, the version and the machine.
fn legacy_pickle(file: File) -> Result<Vec<u8>, FormatError> {
    let start = read_bounded(file.take(2 * MAX_PICKLE), 2 * MAX_PICKLE).map_err(unreadable)?;
    let mut rest = start.unwrap_or_default();
    for _ in 0..3 {
        let length = unpickle(&rest)?.length;
        rest.drain(..length);
    }
    let length = unpickle(&rest)?.length;
    rest.truncate(length.min(MAX_PICKLE as usize));
    Ok(rest)
}
