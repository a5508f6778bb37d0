//! Event files: TensorFlow's record format around each event.
//!
//! A record is the length of its data (u64), a checksum of the length, the data, and a checksum of
//! the data, all little-endian. A checksum is a masked CRC-32C.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::event::{SummaryValue, What, event};
use crate::disk::{self, File};
use crate::error::{Error, Result};

/// An open event file.
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Creates a file in `folder`, next to those of earlier runs.
    pub(super) fn create(folder: &Path) -> Result<Self> {
        disk::make_folder(folder).map_err(|e| {
            Error::file(folder, format!("cannot create the folder: {e}")).caused_by(e)
        })?;
        let name = format!("events.out.tfevents.{:010}.cnn-gpu", now() as u64);
        let mut path = folder.join(&name);
        let mut number = 1;
        let file = loop {
            match File::create_new(&path) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                    number += 1;
                    path = folder.join(format!("{name}.{number}"));
                }
                made => break made.map_err(|e| Error::file(&path, &e).caused_by(e))?,
            }
        };
        let mut events = Self { path, file };
        events.event(0, &What::FileVersion("brain.Event:2"))?;
        Ok(events)
    }

    /// Writes the values of `step`; a reader sees them at once.
    pub(super) fn write(&mut self, step: i64, values: Vec<SummaryValue>) -> Result<()> {
        self.event(step, &What::Summary(values))
    }

    fn event(&mut self, step: i64, what: &What) -> Result<()> {
        let event = event(now(), step, what);
        (self.file.write_all(&record(event.as_bytes())))
            .map_err(|e| Error::file(&self.path, &e).caused_by(e))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    seconds(SystemTime::now())
}

/// Seconds from 1970 to `time`; 0 for earlier times, which a clock without a battery may show.
fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [
        &length[..],
        &checksum(&length).to_le_bytes(),
        data,
        &checksum(data).to_le_bytes(),
    ]
    .concat()
}

/// A CRC-32C, masked because the checksum of data that contains checksums would be weak.
fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_tensorflow_s() {
        // Written by `tf.io.TFRecordWriter` for b"hello".
        let expected = [
            &[5, 0, 0, 0, 0, 0, 0, 0, 0xea, 0xb2, 0x04, 0x3e][..],
            b"hello",
            &[0xbb, 0x1f, 0x1c, 0x19],
        ]
        .concat();
        assert_eq!(record(b"hello"), expected);
    }

    #[test]
    fn a_clock_before_1970_is_not_an_error() {
        let before = UNIX_EPOCH - std::time::Duration::from_secs(1);
        assert_eq!(seconds(before), 0.0);
    }

    #[test]
    fn files_of_the_same_second_have_different_names() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<_> = (0..3)
            .map(|_| EventFile::create(folder.path()).unwrap())
            .collect();
        let names: std::collections::HashSet<_> = files.iter().map(|file| &file.path).collect();
        assert_eq!(names.len(), 3);
    }
}
