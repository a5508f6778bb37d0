//! Finds MNIST, or a data set published in its format, in a folder, in the cache or on a mirror.

use std::path::{Path, PathBuf};

use super::dataset::{Dataset, Splits};
use super::download::Downloader;
use super::error::{Cause, DataError};
use super::event::Event;
use super::published::{CLASSES, MnistFile, Published, SIDE};
use super::sources::ARGUMENT;
use super::sources::Sources;

/// Looks for the data set in all sources. A folder that the user named must hold it; the exception
/// is the environment's folder for all data sets, if it has no sub-folder for this one.
pub(super) fn find(
    sources: &Sources,
    on_event: &mut dyn FnMut(&Event),
) -> Result<Splits, DataError> {
    let (mut tried, mut first) = (Vec::new(), None);
    for (given_by, folder) in sources.given() {
        match read_folder(sources, &subfolder(folder, sources.which)) {
            Ok(splits) => return Ok(splits),
            Err(source) => {
                let source = Box::new(source);
                let error = DataError::GivenFolder { given_by, source };
                if given_by == ARGUMENT || must_hold(folder, sources.which) {
                    return Err(error);
                }
                let reason = error.to_string();
                on_event(&Event::Rejected {
                    reason: reason.clone(),
                });
                tried.push(reason);
                first.get_or_insert(error);
            }
        }
    }
    cached_or_downloaded(sources, (tried, first.map(Cause::from)), on_event)
}

/// Whether the environment's folder for all published data sets must hold this one.
fn must_hold(folder: &Path, which: Published) -> bool {
    which == Published::Mnist || !folder.is_dir() || folder.join(which.name()).is_dir()
}

/// The sub-folder with the data set's name, if there is one, so that a folder can hold several
/// sets.
fn subfolder(folder: &Path, which: Published) -> PathBuf {
    let inner = folder.join(which.name());
    if inner.is_dir() { inner } else { folder.into() }
}

/// Reads all four files from a folder.
fn read_folder(sources: &Sources, folder: &Path) -> Result<Splits, DataError> {
    let files = &sources.files;
    // Check that all exist before reading any, which takes longer.
    for file in files {
        if file.candidates(folder).next().is_none() {
            return Err(file.missing_from(folder));
        }
    }
    let mut parts = [const { Vec::new() }; 4];
    for (part, file) in parts.iter_mut().zip(files) {
        *part = file.read_in(folder)?;
    }
    assemble(sources.which, parts, &folder.display().to_string())
}

/// Reads each file from the cache folder, or downloads it there.
fn cached_or_downloaded(
    sources: &Sources,
    (mut tried, first): (Vec<String>, Option<Cause>),
    on_event: &mut dyn FnMut(&Event),
) -> Result<Splits, DataError> {
    let Some(cache) = &sources.cache else {
        tried.push(
            "downloading: there is no cache folder because the home folder is unknown".into(),
        );
        return Err(unavailable(sources, tried, (Vec::new(), first)));
    };
    let mut downloader = Downloader::new(&sources.mirrors);
    let mut origin = cache.display().to_string();
    let mut parts = [const { Vec::new() }; 4];
    for (part, file) in parts.iter_mut().zip(&sources.files) {
        if let Some(elements) = cached(file, cache, on_event) {
            *part = elements;
        } else if let Some(download) = downloader.fetch(file, cache, on_event)? {
            *part = download.elements;
            origin = download.mirror;
        } else {
            tried.push(format!("{} without {}", cache.display(), file.name));
            let (mirrors, cause) = downloader.into_failures();
            return Err(unavailable(sources, tried, (mirrors, first.or(cause))));
        }
    }
    assemble(sources.which, parts, &origin)
}

/// The error after all sources failed.
fn unavailable(
    sources: &Sources,
    mut tried: Vec<String>,
    (mirrors, source): (Vec<String>, Option<Cause>),
) -> DataError {
    if sources.mirrors.urls.is_empty() {
        tried.push("downloading: CNN_GPU_MIRRORS is empty, so there is no mirror".into());
    }
    DataError::Unavailable {
        title: sources.which.title(),
        tried,
        mirrors,
        files: sources.files.iter().map(|file| file.name.clone()).collect(),
        folder: match &sources.cache {
            Some(folder) => folder.display().to_string().into(),
            None => "a folder".into(),
        },
        source,
    }
}

/// A file from the cache folder; an invalid one is reported, and the download replaces it.
fn cached(file: &MnistFile, cache: &Path, on_event: &mut dyn FnMut(&Event)) -> Option<Vec<u8>> {
    match file.read_in(cache) {
        Ok(elements) => Some(elements),
        Err(DataError::Missing { .. }) => None,
        Err(error) => {
            on_event(&Event::Rejected {
                reason: error.to_string(),
            });
            None
        }
    }
}

fn assemble(which: Published, parts: [Vec<u8>; 4], origin: &str) -> Result<Splits, DataError> {
    let shape = [SIDE, SIDE, 1];
    let split = |images, labels| {
        Dataset::new(which.name(), origin, shape, CLASSES, images, labels)
            .map(|data| data.with_class_names(which.class_names()))
    };
    let [train_images, train_labels, test_images, test_labels] = parts;
    Ok(Splits::new(
        split(train_images, train_labels)?,
        split(test_images, test_labels)?,
    ))
}
