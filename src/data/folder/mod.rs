//! Folders of pictures, one sub-folder per class: in memory, or read batch by batch while training.
//!
//! The classes are the sub-folders' names in alphabetical order, as Keras's
//! `image_dataset_from_directory` has them. Files with the extensions of
//! [`EXTENSIONS`](super::picture::EXTENSIONS) in them and in their own sub-folders are the pictures;
//! what else lies there is passed over, and counted in [`Skipped`].
//!
//! A folder with sub-folders of the usual names (`train`, `val` or `valid` or `validation`, `test`, and
//! others; see [`Part`]) holds the parts of a data set. In another one every fifth picture of each
//! class, in the order of their paths, is kept apart for testing. The pictures to train on are mixed
//! by a seed, the classes evenly, so that their first and their last images hold each class.
//!
//! Read `scan` first, then `parts`, `skipped`, `images` and `stream`.

mod images;
mod parts;
mod scan;
mod skipped;
mod stream;

use std::path::{Path, PathBuf};

pub use images::ImageFolder;
pub use parts::Part;
pub use skipped::{Group, Reason, Skipped};
pub use stream::FolderStream;

use super::dataset::{Dataset, Splits};
use super::error::DataError;
use super::event::Event;
use super::read_options::ReadOptions;
use images::TEST_SHARE;
use parts::Layout;
use scan::Scan;

/// The parts of a data set in a folder, found but not read. All have the same classes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parts {
    /// The pictures to train on.
    pub train: ImageFolder,
    /// Those to validate on, if there is a folder of them.
    pub validation: Option<ImageFolder>,
    /// Those to test on.
    pub test: ImageFolder,
    /// Where those to test on are from.
    pub tested: Tested,
    /// What is passed over in all of it.
    pub skipped: Skipped,
}

/// Where the pictures to test on are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tested {
    /// A folder of their own.
    Apart,
    /// The folder to validate on, as there is no other.
    OnValidation,
    /// Every fifth picture of each class, as there is neither.
    Fifth,
    /// All pictures of the folder; see [`to_test`].
    All,
}

/// The pictures to train on, to validate on and to test on, found but not read.
///
/// # Errors
/// [`DataError`] if there are no pictures where they should be, no two classes to train on, or a class
/// to validate or test on that is not among them.
pub fn find(path: &Path, options: &ReadOptions) -> Result<Parts, DataError> {
    let mut skipped = Skipped::default();
    let layout = Layout::of(path, &mut skipped)?;
    let train_path = match &layout.train {
        Some(train) => train.as_path(),
        None if layout.is_flat() => path,
        None => {
            let problem = "pictures to validate or test on, and none to train on: expected a sub-folder train \
                           beside them";
            return Err(DataError::contents(path, problem));
        }
    };
    let mut train =
        ImageFolder::open(train_path, options.shape)?.interpolated_by(options.interpolation);
    skipped.merge(train.skipped());
    let mut part = |folder: &Option<PathBuf>| match folder {
        Some(folder) => Ok(beside(folder, &train, &mut skipped)?
            .map(|part| part.interpolated_by(options.interpolation))),
        None => Ok(None),
    };
    let (validation, test) = (part(&layout.validation)?, part(&layout.test)?);
    let (test, tested) = match (test, &validation) {
        (Some(test), _) => (test, Tested::Apart),
        (None, Some(validation)) => (validation.clone(), Tested::OnValidation),
        (None, None) => {
            let (rest, test) = train.split();
            train = rest;
            (test, Tested::Fifth)
        }
    };
    if test.is_empty() {
        let problem = format!(
            "no picture is left for testing: expected {TEST_SHARE} pictures or more in a class, or \
             the sub-folders train and test"
        );
        return Err(DataError::contents(path, problem));
    }
    if let Some(seed) = options.seed {
        train = train.mixed(seed);
    }
    if let Some(limit) = options.limit {
        train = train.take(limit);
    }
    Ok(Parts {
        train,
        validation,
        test,
        tested,
        skipped,
    })
}

/// The pictures of a part beside those to train on; none if it has no class. Not every class need be
/// there.
fn beside(
    path: &Path,
    train: &ImageFolder,
    skipped: &mut Skipped,
) -> Result<Option<ImageFolder>, DataError> {
    let scan = Scan::of(path, true)?;
    skipped.merge(&scan.skipped);
    if scan.files.is_empty() {
        return Ok(None);
    }
    let part = ImageFolder::new(path, scan, Some(train.shape()))?;
    part.matched_to(train.classes()).map(Some)
}

/// Whether a folder has pictures to validate on.
pub(super) fn has_validation(path: &Path) -> bool {
    let layout = Layout::of(path, &mut Skipped::default());
    let part = layout.ok().and_then(|layout| layout.validation);
    let scan = part.and_then(|part| Scan::of(&part, true).ok());
    scan.is_some_and(|scan| !scan.files.is_empty())
}

/// The pictures of a folder to test on: those of its sub-folder `test`, else those of `val`, else all,
/// found but not read; and which it is. Where the folder has a sub-folder `train`, its classes count.
///
/// # Errors
/// As [`find`]; one class is enough.
pub fn to_test(
    path: &Path,
    options: &ReadOptions,
) -> Result<(ImageFolder, Tested, Skipped), DataError> {
    let mut skipped = Skipped::default();
    let layout = Layout::of(path, &mut skipped)?;
    let parts = [
        (&layout.test, Tested::Apart),
        (&layout.validation, Tested::OnValidation),
    ];
    for (part, tested) in parts {
        let Some(part) = part else { continue };
        let scan = Scan::of(part, true)?;
        if scan.files.is_empty() {
            skipped.merge(&scan.skipped);
            continue;
        }
        let mut test =
            ImageFolder::new(part, scan, options.shape)?.interpolated_by(options.interpolation);
        skipped.merge(test.skipped());
        if let Some(train) = &layout.train {
            test = test.matched_to(&Scan::of(train, false)?.classes)?;
        }
        return Ok((test, tested, skipped));
    }
    let path = layout.train.as_deref().unwrap_or(path);
    let scan = Scan::of(path, true)?;
    if scan.files.is_empty() {
        let problem =
            "no class with a picture: expected one sub-folder per class, with the pictures in it";
        return Err(DataError::contents(path, problem));
    }
    let test = ImageFolder::new(path, scan, options.shape)?.interpolated_by(options.interpolation);
    skipped.merge(test.skipped());
    Ok((test, Tested::All, skipped))
}

/// Reads the pictures to train on, to validate on and to test on into memory; see [`find`]. What is
/// passed over is told as [`Event`]s.
///
/// # Errors
/// As [`find`], and for pictures that cannot be read, unless these are passed over.
pub fn splits(
    path: &Path,
    options: &ReadOptions,
    on_event: &mut dyn FnMut(&Event),
) -> Result<Splits, DataError> {
    let parts = find(path, options)?;
    tell_skipped(path, &parts.skipped, on_event);
    if parts.tested == Tested::OnValidation {
        let text = format!(
            "there is no folder of pictures to test on: tests are made on {}, too",
            parts.test.path().display()
        );
        on_event(&Event::Note { text });
    }
    let mut folders = vec![&parts.train];
    folders.extend(&parts.validation);
    if parts.tested != Tested::OnValidation {
        folders.push(&parts.test);
    }
    let mut read = load(path, &folders, options, on_event)?.into_iter();
    let mut next = || {
        read.next()
            .ok_or_else(|| DataError::contents(path, "no part was read"))
    };
    let train = next()?;
    let validation = parts.validation.as_ref().map(|_| next()).transpose()?;
    let test = match (&validation, parts.tested) {
        (Some(validation), Tested::OnValidation) => validation.clone(),
        _ => next()?,
    };
    Ok(Splits {
        validation,
        ..Splits::new(train, test)
    })
}

/// Reads the pictures of a folder to test on into memory; see [`to_test`].
///
/// # Errors
/// As [`to_test`], and for pictures that cannot be read, unless these are passed over.
pub fn test_split(
    path: &Path,
    options: &ReadOptions,
    on_event: &mut dyn FnMut(&Event),
) -> Result<Dataset, DataError> {
    let (test, tested, skipped) = to_test(path, options)?;
    tell_skipped(path, &skipped, on_event);
    let whole = format!("all pictures of {} are tested", test.path().display());
    let text = match tested {
        Tested::Apart => None,
        Tested::OnValidation => Some(format!(
            "there is no folder of pictures to test on: tests are made on {}",
            test.path().display()
        )),
        Tested::Fifth | Tested::All => Some(whole),
    };
    if let Some(text) = text {
        on_event(&Event::Note { text });
    }
    let mut read = load(path, &[&test], options, on_event)?;
    Ok(read.swap_remove(0))
}

/// Reads parts of a folder; pictures that cannot be read are named together.
fn load(
    path: &Path,
    folders: &[&ImageFolder],
    options: &ReadOptions,
    on_event: &mut dyn FnMut(&Event),
) -> Result<Vec<Dataset>, DataError> {
    let (mut sets, mut errors, mut blank) = (Vec::new(), Vec::new(), Vec::new());
    for folder in folders {
        let (data, unshown) = folder.load_some()?;
        sets.push(data);
        errors.extend(unshown.errors);
        blank.extend(unshown.blank);
    }
    if let Some(first) = blank.first() {
        let text = format!(
            "{} of the pictures are transparent and show one colour only, the first is {}: they teach nothing",
            blank.len(),
            first.display()
        );
        on_event(&Event::Warning { text });
    }
    if errors.is_empty() {
        return Ok(sets);
    }
    let pictures = folders.iter().map(|folder| folder.len()).sum();
    if !options.skip_unreadable || sets.iter().any(Dataset::is_empty) {
        return Err(DataError::pictures(path, pictures, errors));
    }
    let problem = DataError::pictures(path, pictures, errors).to_string();
    // Without the advice on what to do, as it was done.
    let reason = problem
        .rsplit_once("; mend them")
        .map_or(&*problem, |(what, _)| what);
    on_event(&Event::PassedOver {
        reason: reason.into(),
    });
    Ok(sets)
}

fn tell_skipped(path: &Path, skipped: &Skipped, on_event: &mut dyn FnMut(&Event)) {
    for (reason, line) in skipped.lines() {
        let reason_text = format!("{}: {line}", path.display());
        on_event(&match reason.is_worth_a_warning() {
            true => Event::PassedOver {
                reason: reason_text,
            },
            false => Event::Rejected {
                reason: reason_text,
            },
        });
    }
}
