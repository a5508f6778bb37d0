//! Finds the classes of a folder and their pictures, at any depth.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::part::Part;
use super::skipped::{Reason, Skipped, is_hidden, name};
use crate::data::classes::abridged;
use crate::data::error::DataError;
use crate::data::picture::{FORMATS, is_picture};
use crate::run_files;
use crate::words::counted;

/// Labels are bytes.
const MAX_CLASSES: usize = 256;

/// Names of folders that runs or their logs are written to.
const RUNS: [&str; 5] = ["runs", "logs", "tensorboard", "tb_logs", "lightning_logs"];

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
    /// Whether it has sub-folders.
    is_nested: bool,
}

impl Found {
    /// Whether the folder is one of training runs: it holds runs or their logs, and no pictures.
    pub(super) fn is_runs(&self) -> bool {
        self.pictures.is_empty() && self.holds_runs
    }

    /// The sub-folders of `folder` that contain the pictures, at any depth; none if a picture lies
    /// in `folder` itself.
    fn inner(&self, folder: &Path) -> BTreeSet<String> {
        let mut inner = BTreeSet::new();
        for picture in &self.pictures {
            let mut below = picture.strip_prefix(folder).unwrap_or(picture).components();
            let (first, rest) = (below.next(), below.next());
            let (Some(first), Some(_)) = (first, rest) else {
                return BTreeSet::new();
            };
            inner.insert(first.as_os_str().to_string_lossy().into_owned());
        }
        inner
    }
}

impl Scan {
    /// Scans `path`, whose sub-folders are the classes, at least `least` of them. A class without
    /// pictures is an error, or is left out if `least` is 0 (for validation and test folders).
    pub(super) fn of(path: &Path, least: usize) -> Result<Self, DataError> {
        let mut scan = Self::default();
        let Entries { folders, files } = entries(path, &mut scan.skipped)?;
        for file in &files {
            scan.skipped.add_file_outside(file);
        }
        let mut inner = Vec::new();
        for folder in folders {
            if run_files::is_run(&folder) {
                scan.skipped.add(Reason::Runs, &folder);
                continue;
            }
            let mut below = Skipped::default();
            let found = walk(&folder, &mut below)?;
            if found.is_runs() {
                scan.skipped.add(Reason::Runs, &folder);
                continue;
            }
            if found.holds_runs && RUNS.contains(&&*name(&folder).to_lowercase()) {
                let problem = format!(
                    "holds training runs or their logs, and {}: expected either runs or the pictures of a \
                     class; move the others to another folder",
                    counted(found.pictures.len(), "picture")
                );
                return Err(DataError::contents(&folder, problem));
            }
            scan.skipped.merge(&below);
            if found.is_empty {
                scan.skipped.add(Reason::Empty, &folder);
                continue;
            }
            if found.pictures.is_empty() && least == 0 {
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
            let class = scan.classes.len().min(MAX_CLASSES - 1) as u8;
            let Some(class_name) = folder.file_name().and_then(OsStr::to_str) else {
                let problem = "the name of a class is not UTF-8: rename the folder";
                return Err(DataError::contents(&folder, problem));
            };
            scan.classes.push(class_name.to_owned());
            inner.push(found.inner(&folder));
            let pictures = found.pictures.into_iter();
            scan.files.extend(pictures.map(|picture| (picture, class)));
        }
        if !(least..=MAX_CLASSES).contains(&scan.classes.len()) {
            let problem = format!(
                "found {} with pictures: expected one per class, {least} to {MAX_CLASSES}{}",
                counted(scan.classes.len(), "sub-folder"),
                hint(path, &scan)
            );
            return Err(DataError::contents(path, problem));
        }
        match alike(&scan.classes, &inner) {
            Some(problem) => Err(DataError::contents(path, problem)),
            None => Ok(scan),
        }
    }
}

/// The problem with classes that contain the same sub-folders: they are probably parts of a data
/// set and the sub-folders its classes, or the other way round.
fn alike(classes: &[String], inner: &[BTreeSet<String>]) -> Option<String> {
    let pairs = (0..classes.len()).flat_map(|i| (0..i).map(move |j| (j, i)));
    pairs.into_iter().find_map(|(a, b)| {
        let common: Vec<&String> = inner[a].intersection(&inner[b]).collect();
        // A single one is harmless: each class may keep its pictures in `images`.
        if common.len() < 2 {
            return None;
        }
        let (one, other, names) = (&classes[a], &classes[b], abridged(&common));
        let parts: Vec<_> = common.iter().filter(|name| Part::of(name).is_some()).collect();
        Some(match parts.len() {
            0 | 1 => format!(
                "{one} and {other} look like parts of a data set, not like classes, because both keep their \
                 pictures in the same sub-folders ({names}): rename them to train, val and test, or use one \
                 of them alone; if they are classes, move the pictures out of the sub-folders"
            ),
            _ => format!(
                "the classes {one} and {other} contain parts of a data set ({names}): expected parts that \
                 contain classes, such as {}/{one} and {}/{one}",
                common[0], common[1]
            ),
        })
    })
}

/// A hint at pictures in another place.
fn hint(path: &Path, scan: &Scan) -> String {
    match (&scan.classes[..], scan.skipped.count(Reason::NoClass)) {
        ([only], _) => deeper(path, only).unwrap_or_default(),
        ([], outside) if outside > 0 => format!(
            "; {} directly in it, outside of any class",
            match outside {
                1 => "1 picture lies".to_owned(),
                _ => format!("{outside} pictures lie"),
            }
        ),
        _ => String::new(),
    }
}

/// A hint if the user probably meant the only class's folder.
pub(super) fn deeper(path: &Path, only: &str) -> Option<String> {
    let inner = path.join(only);
    let entries = entries(&inner, &mut Skipped::default()).ok()?;
    (entries.folders.len() > 1).then(|| format!("; did you mean folder:{}?", inner.display()))
}

/// The entries of a folder; counts the hidden ones.
pub(super) fn entries(folder: &Path, skipped: &mut Skipped) -> Result<Entries, DataError> {
    let unreadable = |source: io::Error| {
        let problem = format!(
            "cannot be read as a folder: {source}; expected a folder of pictures; check the path and its \
             permissions"
        );
        DataError::contents(folder, problem).caused_by(source)
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
    // As paths are compared, which takes longer: they differ in their last components only.
    found
        .folders
        .sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    found.files.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
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
    if found.is_nested {
        found.pictures.sort();
    }
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
    found.is_nested |= !folders.is_empty();
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
        if run_files::is_run(&inner) {
            found.holds_runs = true;
            skipped.add(Reason::Runs, &inner);
            continue;
        }
        walk_into(&inner, trail, skipped, found)?;
    }
    Ok(())
}
