//! Event files: TensorFlow's record format around each event.
//!
//! A record is the length of its data (u64), a checksum of the length, the data, and a checksum of
//! the data, all little-endian. A checksum is a masked CRC-32C.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::event::{Value, What, event};
use crate::error::{Error, Result};

/// An event file under way.
pub(super) struct EventFile {
    path: PathBuf,
    writer: BufWriter<File>,
}

impl EventFile {
    /// Begins a file in `folder`, beside those of earlier runs.
    pub(super) fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)
            .map_err(|e| Error::file(folder, format!("cannot make the folder: {e}")))?;
        let name = format!("events.out.tfevents.{:010}.cnn-gpu", now() as u64);
        let numbered = (2..).map(|n| folder.join(format!("{name}.{n}")));
        let path = std::iter::once(folder.join(&name))
            .chain(numbered)
            .find(|path| !path.exists())
            .unwrap_or_else(|| folder.join(&name));
        let file = File::create_new(&path).map_err(|e| Error::file(&path, e))?;
        let mut events = Self {
            path,
            writer: BufWriter::new(file),
        };
        events.event(0, &What::FileVersion("brain.Event:2"))?;
        Ok(events)
    }

    /// Writes what was measured at `step`, so that a reader sees it at once.
    pub(super) fn write(&mut self, step: i64, values: Vec<Value>) -> Result<()> {
        self.event(step, &What::Summary(values))
    }

    fn event(&mut self, step: i64, what: &What) -> Result<()> {
        let event = event(now(), step, what);
        write_record(&mut self.writer, event.as_bytes())
            .and_then(|()| self.writer.flush())
            .map_err(|e| Error::file(&self.path, e))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

fn write_record(writer: &mut impl Write, data: &[u8]) -> io::Result<()> {
    let length = (data.len() as u64).to_le_bytes();
    writer.write_all(&length)?;
    writer.write_all(&checksum(&length).to_le_bytes())?;
    writer.write_all(data)?;
    writer.write_all(&checksum(data).to_le_bytes())
}

/// A CRC-32C, masked so that checksums of data with checksums in it stay good ones.
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
        // What `tf.io.TFRecordWriter` makes of b"hello".
        let expected = [
            &[5, 0, 0, 0, 0, 0, 0, 0, 0xea, 0xb2, 0x04, 0x3e][..],
            b"hello",
            &[0xbb, 0x1f, 0x1c, 0x19],
        ]
        .concat();
        let mut found = Vec::new();
        write_record(&mut found, b"hello").unwrap();
        assert_eq!(found, expected);
    }
}
