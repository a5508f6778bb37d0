//! Folders of pictures, one sub-folder per class, loaded into memory or read batch by batch.
//!
//! The classes are the names of the sub-folders in alphabetical order, as in Keras's
//! `image_dataset_from_directory`. The pictures of a class are the files in its folder, at any
//! depth, with one of the [`EXTENSIONS`](super::picture::EXTENSIONS); everything else is skipped
//! and counted in [`Skipped`].
//!
//! A folder with sub-folders named `train`, `val`, `test` or similar (see [`Part`]) holds the parts
//! of a data set. In any other folder every fifth picture of each class, in the order of the paths,
//! is held out for testing. A seed shuffles the training pictures and interleaves the classes
//! evenly, so that any share of them, from the start or from the end, holds every class.
//!
//! Read `scan` first, then `parts`, `skipped`, `images` and `stream`.

mod images;
mod part;
mod parts;
mod scan;
mod skipped;
mod stream;

use std::path::{Path, PathBuf};

pub use images::ImageFolder;
pub use part::Part;
pub use skipped::{Reason, Skipped, SkippedGroup};
pub use stream::FolderStream;

use super::dataset::{Dataset, Splits};
use super::error::DataError;
use super::event::Event;
use super::picture::is_picture;
use super::picture_cache::CachedFolder;
use super::read_options::ReadOptions;
use images::TEST_SHARE;
use parts::PartFolders;
use scan::Scan;

/// The parts of a data set in a folder, found but not read. All parts have the same classes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parts {
    /// The training pictures.
    pub train: ImageFolder,
    /// The validation pictures, if there is a folder of them.
    pub validation: Option<ImageFolder>,
    /// The test pictures.
    pub test: ImageFolder,
    /// Where the test pictures are from.
    pub tested: Tested,
    /// Everything that was skipped.
    pub skipped: Skipped,
}

/// Where the test pictures are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tested {
    /// From a folder of their own.
    Apart,
    /// From the validation folder, because there is no test folder.
    OnValidation,
    /// Every fifth picture of each class that has five, because there is neither.
    Fifth,
    /// All pictures in the folder; see [`to_test`].
    All,
}

/// Finds the training, validation and test pictures without reading them.
///
/// # Errors
/// [`DataError`] if pictures are missing, there are fewer than two training classes or no test
/// pictures (unless [`ReadOptions::inspect`] is set), a validation or test class is not a training
/// class, or sub-folders may be parts or classes.
pub fn find(path: &Path, options: &ReadOptions) -> Result<Parts, DataError> {
    let mut skipped = Skipped::default();
    let folders = PartFolders::of(path, &mut skipped)?;
    let train_path = match &folders.train {
        Some(train) => train.as_path(),
        None if folders.is_flat() => path,
        None => {
            let problem = "it has validation or test pictures and no training pictures: expected a sub-folder \
                           `train`, too";
            return Err(DataError::contents(path, problem));
        }
    };
    if !folders.is_flat() && holds_pictures_only(train_path)? {
        let problem = format!(
            "{0} is the training part by its name, but holds pictures and no class folders: expected \
             sub-folders such as {0}/cat; if {0} is a class, rename it",
            skipped::name(train_path)
        );
        return Err(DataError::contents(path, problem));
    }
    let least = if options.inspect { 1 } else { 2 };
    let mut train = ImageFolder::new(train_path, Scan::of(train_path, least)?, options.shape)?
        .interpolated_by(options.interpolation);
    skipped.merge(train.skipped());
    let mut part = |folder: &Option<PathBuf>| match folder {
        Some(folder) => Ok(part_like(folder, &train, &mut skipped)?
            .map(|part| part.interpolated_by(options.interpolation))),
        None => Ok(None),
    };
    let (validation, test) = (part(&folders.validation)?, part(&folders.test)?);
    let (test, tested) = match (test, &validation) {
        (Some(test), _) => (test, Tested::Apart),
        (None, Some(validation)) => (validation.clone(), Tested::OnValidation),
        (None, None) => {
            let (rest, test) = train.split();
            train = rest;
            (test, Tested::Fifth)
        }
    };
    if test.is_empty() && !options.inspect {
        let problem = format!(
            "no pictures are left for testing: expected at least {TEST_SHARE} pictures in a class, or the \
             sub-folders `train` and `test`"
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

/// Whether a folder has pictures and no sub-folders.
fn holds_pictures_only(path: &Path) -> Result<bool, DataError> {
    let entries = scan::entries(path, &mut Skipped::default())?;
    let mut files = entries.files.iter();
    Ok(entries.folders.is_empty() && files.any(|file| is_picture(file)))
}

/// The pictures of a validation or test part; `None` if it has none. It may lack some classes.
fn part_like(
    path: &Path,
    train: &ImageFolder,
    skipped: &mut Skipped,
) -> Result<Option<ImageFolder>, DataError> {
    let scan = Scan::of(path, 0)?;
    skipped.merge(&scan.skipped);
    if scan.files.is_empty() {
        return Ok(None);
    }
    let part = ImageFolder::new(path, scan, Some(train.shape()))?;
    part.matched_to(train.classes()).map(Some)
}

/// Whether a folder has validation pictures.
pub(super) fn has_validation(path: &Path) -> bool {
    let folders = PartFolders::of(path, &mut Skipped::default());
    let part = folders.ok().and_then(|folders| folders.validation);
    let scan = part.and_then(|part| Scan::of(&part, 0).ok());
    scan.is_some_and(|scan| !scan.files.is_empty())
}

/// Finds the test pictures of a folder without reading them: those of its sub-folder `test`, else
/// of `val`, else all of them. Returns also which of these it is. If there is a sub-folder `train`,
/// it determines the classes.
///
/// # Errors
/// Those of [`find`], but one class is enough.
pub fn to_test(
    path: &Path,
    options: &ReadOptions,
) -> Result<(ImageFolder, Tested, Skipped), DataError> {
    let mut skipped = Skipped::default();
    let folders = PartFolders::of(path, &mut skipped)?;
    let parts = [
        (&folders.test, Tested::Apart),
        (&folders.validation, Tested::OnValidation),
    ];
    for (part, tested) in parts {
        let Some(part) = part else { continue };
        let scan = Scan::of(part, 0)?;
        if scan.files.is_empty() {
            skipped.merge(&scan.skipped);
            continue;
        }
        let mut test =
            ImageFolder::new(part, scan, options.shape)?.interpolated_by(options.interpolation);
        skipped.merge(test.skipped());
        if let Some(train) = &folders.train {
            test = test.matched_to(&Scan::of(train, 1)?.classes)?;
        }
        return Ok((test, tested, skipped));
    }
    let path = folders.train.as_deref().unwrap_or(path);
    let scan = Scan::of(path, 0)?;
    if scan.files.is_empty() {
        let problem = "no class has pictures: expected one sub-folder per class, with its pictures";
        return Err(DataError::contents(path, problem));
    }
    let test = ImageFolder::new(path, scan, options.shape)?.interpolated_by(options.interpolation);
    skipped.merge(test.skipped());
    Ok((test, Tested::All, skipped))
}

/// Reads the training, validation and test pictures into memory; see [`find`]. Reports what it
/// skips as [`Event`]s.
///
/// # Errors
/// Those of [`find`], and for pictures that cannot be read, unless `options` skips them.
pub fn splits(
    path: &Path,
    options: &ReadOptions,
    on_event: &mut dyn FnMut(&Event),
) -> Result<Splits, DataError> {
    let parts = find(path, options)?;
    report_skipped(path, &parts.skipped, on_event);
    if parts.tested == Tested::OnValidation {
        let text = format!(
            "there is no folder of test pictures, so {} is used for testing, too",
            parts.test.path().display()
        );
        on_event(&Event::Note { text });
    }
    let mut folders = vec![&parts.train];
    folders.extend(&parts.validation);
    if parts.tested != Tested::OnValidation {
        folders.push(&parts.test);
    }
    let mut read = load(path, &folders, Some(&parts.train), options, on_event)?.into_iter();
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

/// Reads the test pictures of a folder into memory; see [`to_test`].
///
/// # Errors
/// Those of [`to_test`], and for pictures that cannot be read, unless `options` skips them.
pub fn test_split(
    path: &Path,
    options: &ReadOptions,
    on_event: &mut dyn FnMut(&Event),
) -> Result<Dataset, DataError> {
    let (test, tested, skipped) = to_test(path, options)?;
    report_skipped(path, &skipped, on_event);
    let whole = format!(
        "all pictures in {} are used for testing",
        test.path().display()
    );
    let text = match tested {
        Tested::Apart => None,
        Tested::OnValidation => Some(format!(
            "there is no folder of test pictures, so {} is used for testing",
            test.path().display()
        )),
        Tested::Fifth | Tested::All => Some(whole),
    };
    if let Some(text) = text {
        on_event(&Event::Note { text });
    }
    let mut read = load(path, &[&test], None, options, on_event)?;
    Ok(read.swap_remove(0))
}

/// Reads parts of a folder; one error lists all pictures that cannot be read. With
/// `skip_unreadable`, `train` must keep a picture of each class.
fn load(
    path: &Path,
    folders: &[&ImageFolder],
    train: Option<&ImageFolder>,
    options: &ReadOptions,
    on_event: &mut dyn FnMut(&Event),
) -> Result<Vec<Dataset>, DataError> {
    let (mut sets, mut errors, mut blank) = (Vec::new(), Vec::new(), Vec::new());
    let (mut lost, mut clipped) = (Vec::new(), 0);
    let mut cache = (options.cache.as_ref().zip(folders.first()))
        .map(|(cache, first)| CachedFolder::open(cache, path, first.pixel_format()));
    for folder in folders {
        let (data, findings) = folder.load_some(cache.as_mut())?;
        let is_train = train.is_some_and(|train| std::ptr::eq(train, *folder));
        lost.extend((folder.without(&data).into_iter()).map(|class| (is_train, class)));
        sets.push(data);
        errors.extend(findings.errors);
        blank.extend(findings.blank);
        clipped += findings.clipped;
    }
    for text in cache.map(CachedFolder::finish).unwrap_or_default() {
        on_event(&Event::Note { text });
    }
    if let Some(first) = blank.iter().min() {
        let text = format!(
            "{}; the first is {}",
            blank_pictures(blank.len()),
            first.display()
        );
        on_event(&Event::Warning { text });
    }
    if clipped > 0 {
        let text = clipped_pictures(clipped);
        on_event(&Event::Note { text });
    }
    if errors.is_empty() {
        return Ok(sets);
    }
    let pictures = folders.iter().map(|folder| folder.len()).sum();
    if !options.skip_unreadable || sets.iter().any(Dataset::is_empty) {
        return Err(DataError::pictures(path, pictures, errors));
    }
    let reason = DataError::pictures(path, pictures, errors).in_short();
    if let Some((_, class)) = lost.iter().find(|(is_train, _)| *is_train) {
        let problem = format!(
            "no training picture of class {class} can be read: repair them, or remove the class's folder \
             ({reason})"
        );
        return Err(DataError::contents(path, problem));
    }
    on_event(&Event::Skipped { reason });
    for (_, class) in lost {
        let text = format!("no validation or test picture of class {class} can be read");
        on_event(&Event::Warning { text });
    }
    Ok(sets)
}

/// What to say about pictures that show nothing.
fn blank_pictures(number: usize) -> String {
    match number {
        1 => {
            "1 picture is transparent and shows a single colour, so nothing can be learned from it"
                .into()
        }
        _ => format!(
            "{number} pictures are transparent and show a single colour, so nothing can be learned from them"
        ),
    }
}

/// What to say about pictures with light above 1.
pub(in crate::data) fn clipped_pictures(number: usize) -> String {
    let pictures = match number {
        1 => "1 picture has".to_owned(),
        _ => format!("{number} pictures have"),
    };
    format!(
        "{pictures} light above 1, which is clipped to 1: if they look too bright, convert them to PNG with \
         another exposure"
    )
}

/// A hint if the user probably meant the folder of the only class found.
pub(super) fn hint_at_inner(path: &Path, classes: &[String]) -> Option<String> {
    let [only] = classes else { return None };
    scan::deeper(path, only)
}

fn report_skipped(path: &Path, skipped: &Skipped, on_event: &mut dyn FnMut(&Event)) {
    for (reason, line) in skipped.lines() {
        let text = format!("{}: {line}", path.display());
        on_event(&if reason.is_worth_a_warning() {
            Event::Skipped { reason: text }
        } else {
            Event::Rejected { reason: text }
        });
    }
}
