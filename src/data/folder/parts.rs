//! Finds the sub-folders of the training, validation and test pictures.

use std::path::{Path, PathBuf};

use super::part::{Part, PartName, is_without_classes};
use super::scan::{self, Entries};
use super::skipped::{Reason, Skipped, name};
use crate::data::classes::abridged;
use crate::data::error::DataError;
use crate::data::picture;

/// The folders of a data set's parts; all `None` if the sub-folders are the classes.
#[derive(Debug, Default, PartialEq)]
pub(super) struct PartFolders {
    pub(super) train: Option<PathBuf>,
    pub(super) validation: Option<PathBuf>,
    pub(super) test: Option<PathBuf>,
}

impl PartFolders {
    /// Whether the sub-folders are the classes.
    pub(super) fn is_flat(&self) -> bool {
        *self == Self::default()
    }

    /// Detects the parts by the names of the sub-folders, and counts everything else.
    pub(super) fn of(path: &Path, skipped: &mut Skipped) -> Result<Self, DataError> {
        let Entries { folders, .. } = scan::entries(path, &mut Skipped::default())?;
        let parts = parts(path, &folders)?;
        if parts.is_empty() {
            return Ok(Self::default());
        }
        let mut chosen = Self::default();
        for (named, folder) in &parts {
            let place = match named.part {
                Part::Train => &mut chosen.train,
                Part::Validation => &mut chosen.validation,
                Part::Test => &mut chosen.test,
            };
            match place {
                None => *place = Some((*folder).clone()),
                Some(_) => skipped.add(Reason::SecondPart, folder),
            }
        }
        // Everything that is not in a part.
        let Entries { files, .. } = scan::entries(path, skipped)?;
        for file in &files {
            skipped.add_file_outside(file);
        }
        for folder in &folders {
            if parts.iter().any(|(_, part)| *part == folder) {
                continue;
            }
            let mut below = Skipped::default();
            let found = scan::walk(folder, &mut below)?;
            if found.is_runs() {
                skipped.add(Reason::Runs, folder);
                continue;
            }
            skipped.merge(&below);
            for picture in &found.pictures {
                skipped.add(Reason::NoClass, picture);
            }
        }
        Ok(chosen)
    }
}

/// The folders that are parts, with the preferred names first; none if all are classes.
fn parts<'a>(
    path: &Path,
    folders: &'a [PathBuf],
) -> Result<Vec<(PartName, &'a PathBuf)>, DataError> {
    let mut all: Vec<_> = (folders.iter())
        .filter_map(|folder| Some((PartName::of(&name(folder))?, folder)))
        .collect();
    all.sort();
    let kinds = |named: &[(PartName, &PathBuf)]| {
        let mut kinds: Vec<Part> = named.iter().map(|(named, _)| named.part).collect();
        kinds.dedup();
        kinds.len()
    };
    let (plain, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(n, _)| n.rest.is_empty());
    match kinds(&plain) {
        0 => {}
        1 => return lone(path, plain, folders),
        _ => return Ok(plain),
    }
    // With the same additional word, as in `seg_train` and `seg_test`.
    let trained = |(named, folder): &&(PartName, &PathBuf)| {
        named.part == Part::Train && !inner_classes(folder).is_empty()
    };
    let Some((first, _)) = others.iter().find(trained) else {
        return Ok(Vec::new());
    };
    let rest = first.rest.clone();
    let same: Vec<_> = (others.into_iter())
        .filter(|(named, _)| named.rest == rest)
        .collect();
    Ok(if kinds(&same) > 1 { same } else { Vec::new() })
}

/// Decides about folders of one part only: `train` may be a class.
fn lone<'a>(
    path: &Path,
    named: Vec<(PartName, &'a PathBuf)>,
    folders: &[PathBuf],
) -> Result<Vec<(PartName, &'a PathBuf)>, DataError> {
    let [(_, part)] = named[..] else {
        return Ok(Vec::new());
    };
    let inner = inner_classes(part);
    if inner.is_empty() {
        return Ok(Vec::new());
    }
    for folder in folders.iter().filter(|folder| *folder != part) {
        // Runs, their logs and notes are not classes.
        if is_without_classes(&name(folder))
            || (scan::walk(folder, &mut Skipped::default())?.pictures).is_empty()
        {
            continue;
        }
        // A class may keep its pictures in a sub-folder.
        if inner.len() == 1 {
            return Ok(Vec::new());
        }
        let problem = format!(
            "{part} looks like a part of a data set, because it keeps its pictures in sub-folders ({}), but \
             {other} next to it does not: rename {other} to train, val or test, or use folder:{} alone; if \
             both are classes, move the pictures of {part} out of the sub-folders",
            abridged(&inner),
            part.display(),
            part = name(part),
            other = name(folder)
        );
        return Err(DataError::contents(path, problem));
    }
    Ok(named)
}

/// The names of a folder's sub-folders, if it has no pictures of its own.
fn inner_classes(folder: &Path) -> Vec<String> {
    let entries = scan::entries(folder, &mut Skipped::default()).unwrap_or_default();
    if entries.files.iter().any(|file| picture::is_picture(file)) {
        return Vec::new();
    }
    entries.folders.iter().map(|folder| name(folder)).collect()
}
