//! Matches classes by name.

use std::path::Path;

use super::error::DataError;

/// The index in `known` of each name in `found`.
///
/// # Errors
/// [`DataError::Contents`] lists the names that are not known.
pub(super) fn by_name(
    origin: &Path,
    found: &[String],
    known: &[String],
) -> Result<Vec<u8>, DataError> {
    let (mut places, mut unknown) = (Vec::new(), Vec::new());
    for name in found {
        match known.iter().position(|other| other == name) {
            Some(place) => places.push(place as u8),
            None => unknown.push(name.as_str()),
        }
    }
    if unknown.is_empty() {
        return Ok(places);
    }
    let (what, remedy) = match unknown.len() {
        1 => ("class", "its folder"),
        _ => ("classes", "their folders"),
    };
    let problem = format!(
        "unknown {what} {}: expected some of the training classes ({}); rename or remove {remedy}",
        abridged(&unknown),
        abridged(known)
    );
    Err(DataError::contents(origin, problem))
}

/// The first names of a list.
pub(super) fn abridged(names: &[impl AsRef<str>]) -> String {
    const MOST: usize = 10;
    let shown: Vec<&str> = names.iter().take(MOST).map(AsRef::as_ref).collect();
    match names.len() {
        n if n > MOST => format!("{} and {} more", shown.join(", "), n - MOST),
        _ => shown.join(", "),
    }
}
