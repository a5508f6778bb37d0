//! Finds the sub-folders of the training, validation and test pictures.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::scan::{self, Entries};
use super::skipped::{Reason, Skipped, name};
use crate::data::error::DataError;
use crate::data::picture;

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The training samples.
    Train,
    /// The samples evaluated after each epoch.
    Validation,
    /// The samples evaluated after training.
    Test,
}

/// The names of each part's folder in lower case, without `_`, `-` and spaces. If several exist,
/// the first in the list is used.
const NAMES: [(Part, &[&str]); 3] = [
    (Part::Train, &["train", "training", "trn"]),
    (
        Part::Validation,
        &["val", "valid", "validation", "validate", "dev", "eval"],
    ),
    (Part::Test, &["test", "testing", "tst"]),
];
/// Possible suffixes of a part's name, as in `training_set` and `test-images`.
const ENDINGS: [&str; 5] = ["", "set", "data", "images", "split"];

impl Part {
    /// The part of a folder with this name (`train`, `Training`, `val`, `VALID`, `test_set`), and
    /// the index of the name in that part's names.
    fn ranked(name: &str) -> Option<(Self, usize)> {
        let plain: String = (name.chars())
            .filter(|c| !"_- .".contains(*c))
            .flat_map(char::to_lowercase)
            .collect();
        NAMES.iter().find_map(|(part, names)| {
            let is_it = |known: &&str| {
                let ending = plain.strip_prefix(known);
                ending.is_some_and(|ending| ENDINGS.contains(&ending))
            };
            names.iter().position(is_it).map(|rank| (*part, rank))
        })
    }

    /// The part of a folder with this name, if it is one of the usual names, in any case.
    ///
    /// ```
    /// use cnn_gpu::data::folder::Part;
    /// assert_eq!(Part::of("Training"), Some(Part::Train));
    /// assert_eq!(Part::of("valid"), Some(Part::Validation));
    /// assert_eq!(Part::of("test_set"), Some(Part::Test));
    /// assert_eq!(Part::of("cat"), None);
    /// ```
    pub fn of(name: &str) -> Option<Self> {
        Self::ranked(name).map(|(part, _)| part)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

/// The folders of a data set's parts; all `None` if the sub-folders are the classes.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Layout {
    pub(super) train: Option<PathBuf>,
    pub(super) validation: Option<PathBuf>,
    pub(super) test: Option<PathBuf>,
}

impl Layout {
    /// Whether the sub-folders are the classes.
    pub(super) fn is_flat(&self) -> bool {
        *self == Self::default()
    }

    /// Detects the parts by the names of the sub-folders, and counts everything else.
    pub(super) fn of(path: &Path, skipped: &mut Skipped) -> Result<Self, DataError> {
        let Entries { folders, .. } = scan::entries(path, &mut Skipped::default())?;
        let mut named: Vec<(Part, usize, PathBuf)> = folders
            .iter()
            .filter_map(|folder| {
                let (part, rank) = Part::ranked(&name(folder))?;
                Some((part, rank, folder.clone()))
            })
            .collect();
        named.sort();
        let kinds = |part| named.iter().any(|(of, _, _)| *of == part);
        let kinds = [Part::Train, Part::Validation, Part::Test].map(kinds);
        let is_layout = match kinds.iter().filter(|found| **found).count() {
            0 => false,
            // A class may be called `train`.
            1 => holds_classes(&named[0].2) && folders.len() == named.len(),
            _ => true,
        };
        if !is_layout {
            return Ok(Self::default());
        }
        let mut layout = Self::default();
        for (part, _, folder) in &named {
            let place = match part {
                Part::Train => &mut layout.train,
                Part::Validation => &mut layout.validation,
                Part::Test => &mut layout.test,
            };
            match place {
                None => *place = Some(folder.clone()),
                Some(_) => skipped.add(Reason::SecondPart, folder),
            }
        }
        // Everything that is not in a part.
        let Entries { files, .. } = scan::entries(path, skipped)?;
        for file in &files {
            skipped.add_file_outside(file);
        }
        for folder in &folders {
            if Part::of(&name(folder)).is_some() {
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
        Ok(layout)
    }
}

/// Whether a folder has sub-folders and no pictures of its own.
fn holds_classes(folder: &Path) -> bool {
    scan::entries(folder, &mut Skipped::default()).is_ok_and(|entries| {
        let mut files = entries.files.iter();
        !entries.folders.is_empty() && !files.any(|file| picture::is_picture(file))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_names_of_parts_are_recognised_in_any_case() {
        let cases = [
            (
                Part::Train,
                "train Train TRAIN training Training_Set trainset train-images",
            ),
            (
                Part::Validation,
                "val valid validation Validation VAL_images dev eval",
            ),
            (
                Part::Test,
                "test Test testing Testing test_set test-data TestSplit",
            ),
        ];
        for (part, names) in cases {
            for name in names.split(' ') {
                assert_eq!(Part::of(name), Some(part), "{name}");
            }
        }
        for name in [
            "cat", "trains", "valley", "tester", "tests", "contest", "value",
        ] {
            assert_eq!(Part::of(name), None, "{name}");
        }
    }
}
