//! Replaces `download` if the cargo feature `download` is off.

use std::path::Path;

use super::published::MnistFile;
use super::{Cause, DataError, Event, Mirrors};

/// Never constructed.
pub(super) struct Download {
    pub(super) elements: Vec<u8>,
    pub(super) mirror: String,
}

/// Downloads nothing and reports why.
pub(super) struct Downloader;

impl Downloader {
    pub(super) fn new(_mirrors: &Mirrors) -> Self {
        Self
    }

    pub(super) fn into_failures(self) -> (Vec<String>, Option<Cause>) {
        let why = "downloading: this library was built without its cargo feature `download`";
        (vec![why.into()], None)
    }

    pub(super) fn fetch(
        &mut self,
        _file: &MnistFile,
        _folder: &Path,
        _on_event: &mut dyn FnMut(&Event),
    ) -> Result<Option<Download>, DataError> {
        Ok(None)
    }
}
