//! The zip archive that `torch.save` writes.

use std::io::{Read, Seek};

use zip::ZipArchive;

use super::pickle::MAX_PICKLE;
use crate::data::bounded::read_bounded;
use crate::error::FormatError;

/// How many times its size an entry may unpack to. PyTorch does not compress.
const MAX_EXPANSION: u64 = 100;

/// Checks the archive's entries, and returns the pickle in it.
///
/// # Errors
/// Not an archive, not one of `torch.save`, or an entry that unpacks to far more than its size.
pub(super) fn pickle(file: impl Read + Seek) -> Result<Vec<u8>, FormatError> {
    let mut archive = ZipArchive::new(file).map_err(|e| {
        let message = format!("a damaged or incomplete file: {e}; save or download it again");
        FormatError::from(message).caused_by(e)
    })?;
    check_expansion(&mut archive)?;
    let mut names: Vec<String> = archive
        .file_names()
        .map_while(Result::ok)
        .map(|name| name.to_string())
        .collect();
    names.sort_by_key(String::len);
    let ends = |end: &str| names.iter().any(|name| name.ends_with(end));
    if ends("constants.pkl") || names.iter().any(|name| name.contains("/code/")) {
        return Err(
            "a TorchScript archive: expected a state dict, as `torch.save(net.state_dict(), ...)` \
             writes it"
                .into(),
        );
    }
    let is_pickle = |name: &&String| *name == "data.pkl" || name.ends_with("/data.pkl");
    let name = names.iter().find(is_pickle).ok_or(
        "a zip archive without `data.pkl`: expected a state dict, as `torch.save(net.state_dict(), \
         ...)` writes it",
    )?;
    let entry = archive.by_name(name).map_err(unreadable(name))?;
    read_bounded(entry, MAX_PICKLE)
        .map_err(unreadable(name))?
        .ok_or_else(|| {
            let most = MAX_PICKLE >> 20;
            format!("`{name}` is longer than {most} MiB; save only `net.state_dict()`").into()
        })
}

fn unreadable<E: std::error::Error + Send + Sync + 'static>(
    name: &str,
) -> impl FnOnce(E) -> FormatError + '_ {
    move |e| FormatError::from(format!("`{name}` cannot be read: {e}")).caused_by(e)
}

fn check_expansion(archive: &mut ZipArchive<impl Read + Seek>) -> Result<(), FormatError> {
    for i in 0..archive.len() {
        let entry = archive.by_index_raw(i).map_err(FormatError::from_cause)?;
        let most = entry.compressed_size().saturating_mul(MAX_EXPANSION);
        if entry.size() > most.saturating_add(MAX_EXPANSION) {
            let name = entry
                .name()
                .map(|name| name.to_string())
                .unwrap_or_default();
            return Err(format!(
                "`{name}` unpacks to {} bytes, more than {MAX_EXPANSION} times its size; \
                 PyTorch does not compress: save the state dict again",
                entry.size()
            )
            .into());
        }
    }
    Ok(())
}
