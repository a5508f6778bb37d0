//! The zip archive around a `.keras` file's parts.

use std::io::{self, BufReader, Cursor, Write};

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::section::Section;
use crate::data::bounded::{read_bounded, read_preallocated};
use crate::error::FormatError;

/// The model's configuration, and how it was compiled.
pub(super) const CONFIG: &str = "config.json";
/// The version of Keras, and what this crate adds.
pub(super) const METADATA: &str = "metadata.json";
/// The weights, and the optimizer's state.
const WEIGHTS: &str = "model.weights.h5";

/// The longest configuration to read. Parsed, it takes many times as much memory.
pub(super) const MAX_JSON: u64 = 4 << 20;
/// How many times its size a packed file of weights may unpack to. Weights hardly compress.
pub(super) const MAX_EXPANSION: u64 = 100;
/// From this size on, a member needs the fields of large files: 4 GiB, with a margin.
const LARGE: u64 = 0xFF00_0000;

/// An archive opened for reading.
pub(super) struct KerasArchive {
    zip: ZipArchive<BufReader<Section>>,
    section: Section,
}

impl KerasArchive {
    /// Reads the archive's directory.
    pub(super) fn open(section: Section) -> Result<Self, FormatError> {
        let zip = ZipArchive::new(BufReader::new(section.clone())).map_err(|e| {
            FormatError::from(format!(
                "not a complete .keras file: {e}; copy or save it again"
            ))
            .caused_by(e)
        })?;
        Ok(Self { zip, section })
    }

    /// A member that holds text; `None` if there is no such member.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, FormatError> {
        let entry = match self.zip.by_name(name) {
            Ok(entry) => entry,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(e) => return Err(broken(name, e)),
        };
        let bytes = read_bounded(entry, MAX_JSON).map_err(|e| broken(name, e))?;
        let bytes = bytes.ok_or_else(|| format!("its {name} is longer than 4 MiB"))?;
        let text = String::from_utf8(bytes).map_err(|e| broken(name, e))?;
        Ok(Some(text))
    }

    /// The file of weights: where it lies if it is stored, or unpacked.
    pub(super) fn weights(&mut self) -> Result<Section, FormatError> {
        let missing = self.other_weights();
        let mut entry = self.zip.by_name(WEIGHTS).map_err(|e| match e {
            ZipError::FileNotFound => missing,
            _ => broken(WEIGHTS, e),
        })?;
        let (size, packed) = (entry.size(), entry.compressed_size());
        if entry.compression() == CompressionMethod::Stored && !entry.encrypted() && size == packed
        {
            // Its checksum is compared at the end.
            io::copy(&mut entry, &mut io::sink()).map_err(|e| broken(WEIGHTS, e))?;
            let part = entry.data_start();
            let part = part.and_then(|start| self.section.part(start, size));
            return part.ok_or_else(|| broken(WEIGHTS, io::Error::other("it is cut short")));
        }
        if size > packed.saturating_mul(MAX_EXPANSION) {
            return Err(format!(
                "its {WEIGHTS} declares {size} bytes in {packed} packed ones, more than {MAX_EXPANSION} times: \
                 save it again with Keras"
            )
            .into());
        }
        let bytes = read_preallocated(entry, size).map_err(|e| broken(WEIGHTS, e))?;
        let bytes = bytes.ok_or_else(|| format!("its {WEIGHTS} is longer than it declares"))?;
        Ok(Section::of_bytes(bytes))
    }

    /// Why there are no weights.
    fn other_weights(&self) -> FormatError {
        let holds = |name: &str| self.zip.index_for_name(name).is_some();
        let found = ["model.weights.npz", "model.weights.json"];
        match found.into_iter().find(|name| holds(name)) {
            Some(name) => format!(
                "its weights are in {name}, which is not supported: expected {WEIGHTS}, as model.save writes it"
            ),
            None => format!("lacks {WEIGHTS}: expected a model as model.save writes it"),
        }
        .into()
    }
}

/// An error about a member.
fn broken(
    name: &str,
    error: impl std::error::Error + Send + Sync + Into<crate::data::Cause>,
) -> FormatError {
    FormatError::from(format!(
        "its {name} cannot be read: {error}; copy or save it again"
    ))
    .caused_by(error)
}

/// Writes an archive: Keras stores all members unpacked, so that weights are read where they lie.
/// The times in it are always the same, so that equal contents give equal bytes.
///
/// `weights` writes the file of weights, which takes about `size` bytes.
pub(super) fn write(
    [config, metadata]: [&str; 2],
    size: u64,
    weights: impl FnOnce(&mut dyn Write) -> Result<(), FormatError>,
) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    let capacity = usize::try_from(size).unwrap_or(usize::MAX);
    let reserved = bytes.try_reserve_exact(capacity.saturating_add(config.len() * 2));
    reserved.map_err(FormatError::from_cause)?;
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(Cursor::new(bytes));
    for (name, text) in [(METADATA, metadata), (CONFIG, config)] {
        zip.start_file(name, options)
            .map_err(FormatError::from_cause)?;
        zip.write_all(text.as_bytes())
            .map_err(FormatError::from_cause)?;
    }
    zip.start_file(WEIGHTS, options.large_file(size >= LARGE))
        .map_err(FormatError::from_cause)?;
    weights(&mut zip)?;
    let bytes = zip.finish().map_err(FormatError::from_cause)?;
    Ok(bytes.into_inner())
}
