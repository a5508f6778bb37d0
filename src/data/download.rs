//! Downloads: mirrors in turn, with time-outs and size limits. A partial file never gets the final
//! name.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::published::{MnistFile, packed_limit};
use super::{Cause, DataError, Event, Mirrors};
use crate::disk::{self, File};

/// Bytes per write and per progress report.
const CHUNK: usize = 64 * 1024;

/// A file that was downloaded, checked and stored.
pub(super) struct Download {
    /// The elements of the file's array.
    pub(super) elements: Vec<u8>,
    /// The base address of the mirror.
    pub(super) mirror: String,
}

/// Why a mirror did not deliver a file.
enum Failure {
    /// It does not respond, so further files are not requested from it.
    Unreachable(Cause),
    /// It lacks the file or has a wrong one.
    Refused(Cause),
    /// The error is local.
    Local(DataError),
}

/// Downloads files, and remembers which mirrors do not respond.
pub(super) struct Downloader {
    agent: ureq::Agent,
    /// The mirrors that have not failed to respond.
    mirrors: Vec<String>,
    failures: Vec<String>,
    /// The first failure.
    first: Option<Cause>,
}

impl Downloader {
    pub(super) fn new(mirrors: &Mirrors) -> Self {
        Self {
            agent: agent(mirrors),
            mirrors: mirrors.urls.clone(),
            failures: Vec::new(),
            first: None,
        }
    }

    /// Every address that failed, with its reason, and the first error.
    pub(super) fn into_failures(self) -> (Vec<String>, Option<Cause>) {
        (self.failures, self.first)
    }

    /// Downloads a file into a folder from the first mirror that delivers it; `None` if none does.
    ///
    /// # Errors
    /// [`DataError::Write`] if the file cannot be stored.
    pub(super) fn fetch(
        &mut self,
        file: &MnistFile,
        folder: &Path,
        on_event: &mut dyn FnMut(&Event),
    ) -> Result<Option<Download>, DataError> {
        for mirror in self.mirrors.clone() {
            let url = address(&mirror, file);
            let cause = match self.try_mirror(&url, file, folder, on_event) {
                Ok(elements) => return Ok(Some(Download { elements, mirror })),
                Err(Failure::Local(error)) => return Err(error),
                Err(Failure::Refused(cause)) => cause,
                Err(Failure::Unreachable(cause)) => {
                    self.mirrors.retain(|other| *other != mirror);
                    cause
                }
            };
            let reason = cause.to_string();
            self.failures.push(format!("{url}: {reason}"));
            self.first.get_or_insert(cause);
            on_event(&Event::MirrorFailed { url, reason });
        }
        Ok(None)
    }

    /// Downloads to a temporary name next to the final one, and renames the file after checking it.
    fn try_mirror(
        &self,
        url: &str,
        file: &MnistFile,
        folder: &Path,
        on_event: &mut dyn FnMut(&Event),
    ) -> Result<Vec<u8>, Failure> {
        let path = folder.join(format!("{}.gz", file.name));
        let partial = Partial(folder.join(format!("{}.gz.partial", file.name)));
        on_event(&Event::Downloading {
            url: url.into(),
            file: path.clone(),
        });
        let body = self.request(url)?;
        // Only now, so that a machine without a network is left unchanged.
        disk::make_folder(folder).map_err(|source| local(folder, source))?;
        receive(body, file, &partial.0, &mut |received, total| {
            on_event(&Event::Progress {
                file: path.clone(),
                received,
                total,
            });
        })?;
        let elements = (file.read(&partial.0)).map_err(|error| Failure::Refused(error.into()))?;
        disk::rename(&partial.0, &path).map_err(|source| local(&path, source))?;
        on_event(&Event::Downloaded { file: path });
        Ok(elements)
    }

    fn request(&self, url: &str) -> Result<ureq::Body, Failure> {
        match self.agent.get(url).call() {
            Ok(response) => Ok(response.into_body()),
            Err(error @ ureq::Error::StatusCode(_)) => Err(Failure::Refused(error.into())),
            Err(error) => Err(Failure::Unreachable(error.into())),
        }
    }
}

/// The HTTP client, with the time-outs of `mirrors`.
fn agent(mirrors: &Mirrors) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .user_agent(concat!("cnn-gpu/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(mirrors.resolve_timeout))
        .timeout_connect(Some(mirrors.connect_timeout))
        .timeout_recv_response(Some(mirrors.idle_timeout))
        .timeout_per_read(Some(mirrors.idle_timeout))
        .timeout_per_write(Some(mirrors.idle_timeout))
        .timeout_global(Some(mirrors.file_timeout));
    if mirrors.use_proxy {
        config.build().into()
    } else {
        config.proxy(None).build().into()
    }
}

/// A partial file, removed on drop unless it has been renamed.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // Harmless if it fails: the next download overwrites the file.
        let _ = fs::remove_file(&self.0);
    }
}

fn address(mirror: &str, file: &MnistFile) -> String {
    format!("{}/{}.gz", mirror.trim_end_matches('/'), file.name)
}

fn local(path: &Path, source: std::io::Error) -> Failure {
    Failure::Local(DataError::Write {
        path: path.into(),
        source,
    })
}

/// Writes a response's body to a file, up to the size limit.
fn receive(
    mut body: ureq::Body,
    file: &MnistFile,
    path: &Path,
    on_progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<(), Failure> {
    let limit = packed_limit(file.bytes());
    let total = body.content_length();
    let mut reader = body.as_reader();
    let mut output = File::create(path).map_err(|source| local(path, source))?;
    let mut chunk = vec![0; CHUNK];
    let mut received = 0;
    loop {
        let count = reader
            .read(&mut chunk)
            .map_err(|error| Failure::Unreachable(error.into()))?;
        if count == 0 {
            break;
        }
        received += count as u64;
        if received > limit {
            let reason =
                format!("it sends more than {limit} bytes, the most that the file can have");
            return Err(Failure::Refused(reason.into()));
        }
        output
            .write_all(&chunk[..count])
            .map_err(|source| local(path, source))?;
        on_progress(received, total);
    }
    // Without this, the rename could reach the disk before the bytes.
    output.sync().map_err(|source| local(path, source))
}
