//! Finds the classes of a folder and their pictures, at any depth.

use std::fs;
use std::path::{Path, PathBuf};

use super::skipped::{Reason, Skipped, is_hidden, name};
use crate::data::error::DataError;
use crate::data::picture::{FORMATS, is_picture};
use crate::run::RunFolder;

/// Labels are bytes.
const MOST_CLASSES: usize = 256;

/// The classes of a folder and their pictures, both sorted by name.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) classes: Vec<String>,
    pub(super) files: Vec<(PathBuf, u8)>,
    pub(super) skipped: Skipped,
}

/// The entries of a folder that are not hidden, sorted by name.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) folders: Vec<PathBuf>,
    pub(super) files: Vec<PathBuf>,
}

/// The contents of a folder, at any depth.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) pictures: Vec<PathBuf>,
    /// Whether there are no files except hidden ones.
    is_empty: bool,
    /// Whether it contains a training run or its logs.
    holds_runs: bool,
}

impl Found {
    /// Whether the folder is one of training runs.
    pub(super) fn is_runs(&self) -> bool {
        self.pictures.is_empty() && self.holds_runs
    }
}

impl Scan {
    /// Scans `path`, whose sub-folders are the classes. A class without pictures is an error, or is
    /// left out if `may_lack` (for validation and test folders).
    pub(super) fn of(path: &Path, may_lack: bool) -> Result<Self, DataError> {
        let mut scan = Self::default();
        let Entries { folders, files } = entries(path, &mut scan.skipped)?;
        for file in &files {
            scan.skipped.add_file_outside(file);
        }
        for folder in folders {
            if RunFolder::is_run(&folder) {
                scan.skipped.add(Reason::Runs, &folder);
                continue;
            }
            let mut below = Skipped::default();
            let found = walk(&folder, &mut below)?;
            if found.is_runs() {
                scan.skipped.add(Reason::Runs, &folder);
                continue;
            }
            scan.skipped.merge(&below);
            if found.is_empty {
                scan.skipped.add(Reason::Empty, &folder);
                continue;
            }
            if found.pictures.is_empty() && may_lack {
                continue;
            }
            if found.pictures.is_empty() {
                let problem = match below.lines().next() {
                    Some((_, line)) => format!("a class without pictures, but {line}"),
                    None => "a class without pictures".into(),
                };
                let problem = format!("{problem}: expected {FORMATS} files in it");
                return Err(DataError::contents(&folder, problem));
            }
            // Too many classes are an error below.
            let class = scan.classes.len().min(MOST_CLASSES - 1) as u8;
            scan.classes.push(name(&folder));
            let pictures = found.pictures.into_iter();
            scan.files.extend(pictures.map(|picture| (picture, class)));
        }
        let least = if may_lack { 0 } else { 2 };
        if (least..=MOST_CLASSES).contains(&scan.classes.len()) {
            return Ok(scan);
        }
        let problem = format!(
            "found {} sub-folders: expected one per class, from {least} to {MOST_CLASSES}, with their \
             pictures{}",
            scan.classes.len(),
            hint(path, &scan)
        );
        Err(DataError::contents(path, problem))
    }
}

/// A hint if the user probably meant the folder inside this one.
fn hint(path: &Path, scan: &Scan) -> String {
    let [only] = &scan.classes[..] else {
        return String::new();
    };
    let inner = path.join(only);
    match entries(&inner, &mut Skipped::default()) {
        Ok(entries) if entries.folders.len() > 1 => {
            format!("; did you mean folder:{}?", inner.display())
        }
        _ => String::new(),
    }
}

/// The entries of a folder; counts the hidden ones.
pub(super) fn entries(folder: &Path, skipped: &mut Skipped) -> Result<Entries, DataError> {
    let unreadable = |source| DataError::Read {
        path: folder.into(),
        source,
    };
    let mut found = Entries::default();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        let kind = entry.file_type().map_err(unreadable)?;
        if is_hidden(&path) {
            skipped.add(Reason::Hidden, &path);
        } else if kind.is_dir() || kind.is_symlink() && path.is_dir() {
            found.folders.push(path);
        } else if kind.is_file() || kind.is_symlink() && !is_special(&path) {
            found.files.push(path);
        } else {
            // Reading a pipe or a device might never end.
            skipped.add(Reason::NoPicture, &path);
        }
    }
    found.folders.sort();
    found.files.sort();
    Ok(found)
}

/// Whether a link leads to something other than a file. A broken link is not special, so that
/// reading it fails with an error that names it.
fn is_special(link: &Path) -> bool {
    fs::metadata(link).is_ok_and(|target| !target.is_file())
}

/// The pictures in a folder at any depth, sorted by path.
pub(super) fn walk(folder: &Path, skipped: &mut Skipped) -> Result<Found, DataError> {
    let mut found = Found {
        is_empty: true,
        ..Found::default()
    };
    let start = fs::canonicalize(folder).into_iter().collect();
    walk_into(folder, start, skipped, &mut found)?;
    found.pictures.sort();
    Ok(found)
}

/// `trail` holds the real paths of the first folder and of the links followed since.
fn walk_into(
    folder: &Path,
    trail: Vec<PathBuf>,
    skipped: &mut Skipped,
    found: &mut Found,
) -> Result<(), DataError> {
    let Entries { folders, files } = entries(folder, skipped)?;
    found.is_empty &= files.is_empty();
    for file in files {
        if is_picture(&file) {
            found.pictures.push(file);
        } else {
            found.holds_runs |= name(&file).contains("tfevents");
            skipped.add_file(&file);
        }
    }
    for inner in folders {
        let mut trail = trail.clone();
        if inner.is_symlink() {
            let (Ok(target), Ok(here)) = (fs::canonicalize(&inner), fs::canonicalize(folder))
            else {
                continue;
            };
            let leads_back = |place: &PathBuf| place.starts_with(&target);
            if leads_back(&here) || trail.iter().any(leads_back) {
                skipped.add(Reason::Loop, &inner);
                continue;
            }
            trail.push(target);
        }
        if RunFolder::is_run(&inner) {
            found.holds_runs = true;
            skipped.add(Reason::Runs, &inner);
            continue;
        }
        walk_into(&inner, trail, skipped, found)?;
    }
    Ok(())
}
