//! Matching classes by name.

use std::path::Path;

use super::error::DataError;

/// The place in `known` of each name that was `found`.
///
/// # Errors
/// [`DataError::Contents`] names those that are not there.
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
    let what = match unknown.len() {
        1 => "a class that is",
        _ => "classes that are",
    };
    let problem = format!(
        "{}: {what} not among those to train on or trained on ({}): rename its folder, or leave it out",
        abridged(&unknown),
        abridged(known)
    );
    Err(DataError::contents(origin, problem))
}

/// The first names of a list that may be long.
fn abridged(names: &[impl AsRef<str>]) -> String {
    const MOST: usize = 10;
    let shown: Vec<&str> = names.iter().take(MOST).map(AsRef::as_ref).collect();
    match names.len() {
        n if n > MOST => format!("{} and {} more", shown.join(", "), n - MOST),
        _ => shown.join(", "),
    }
}
