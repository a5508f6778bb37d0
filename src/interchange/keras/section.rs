//! Parts of a file, read where they lie: a network of 500 MB takes no more memory than its weights.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

/// Where the bytes of a file are.
enum Medium {
    Disk(Mutex<File>),
    Memory(Vec<u8>),
}

/// A contiguous part of a file. Clones share the file, but each has its own position.
#[derive(Clone)]
pub(super) struct Section {
    medium: Arc<Medium>,
    start: u64,
    len: u64,
    at: u64,
}

impl Section {
    /// All of an open file.
    pub(super) fn of_file(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self::new(Medium::Disk(Mutex::new(file)), metadata.len()))
    }

    /// All of a file's contents.
    pub(super) fn of_bytes(bytes: Vec<u8>) -> Self {
        let len = bytes.len() as u64;
        Self::new(Medium::Memory(bytes), len)
    }

    fn new(medium: Medium, len: u64) -> Self {
        Self {
            medium: Arc::new(medium),
            start: 0,
            len,
            at: 0,
        }
    }

    /// A part of this part; `None` if it does not lie inside.
    pub(super) fn part(&self, start: u64, len: u64) -> Option<Self> {
        let inside = start.checked_add(len).is_some_and(|end| end <= self.len);
        inside.then(|| Self {
            medium: Arc::clone(&self.medium),
            start: self.start + start,
            len,
            at: 0,
        })
    }

    /// Its number of bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Its first bytes, at most eight.
    pub(super) fn magic(&self) -> io::Result<Vec<u8>> {
        let mut magic = vec![0; self.len.min(8) as usize];
        self.read_exact_at(0, &mut magic)?;
        Ok(magic)
    }

    /// Fills `buffer` from this place.
    pub(super) fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let part = self.part(offset, buffer.len() as u64);
        let start = part.ok_or(io::ErrorKind::UnexpectedEof)?.start;
        match &*self.medium {
            Medium::Disk(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(start))?;
                file.read_exact(buffer)
            }
            Medium::Memory(bytes) => {
                let from = usize::try_from(start).ok();
                let from = from.and_then(|start| bytes.get(start..)?.get(..buffer.len()));
                buffer.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(self.at);
        let count = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        self.read_exact_at(self.at, &mut buffer[..count])?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Section {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        // Past the end, there is nothing to read.
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?.min(self.len);
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_within_its_bounds_from_disk_and_memory() {
        let bytes: Vec<u8> = (0..100).collect();
        let file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut &file, &bytes).unwrap();
        for whole in [Section::of_bytes(bytes), Section::of_file(file).unwrap()] {
            assert_eq!(whole.magic().unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
            assert!(whole.part(90, 11).is_none() && whole.part(u64::MAX, 2).is_none());
            let mut part = whole.part(10, 20).unwrap().part(5, 10).unwrap();
            let mut read = Vec::new();
            part.read_to_end(&mut read).unwrap();
            assert_eq!(read, (15..25).collect::<Vec<u8>>());
            assert_eq!(part.seek(SeekFrom::End(-1)).unwrap(), 9);
            assert_eq!(part.seek(SeekFrom::Current(5)).unwrap(), 10);
            assert!(part.seek(SeekFrom::Current(-11)).is_err());
            assert!(part.read_exact_at(9, &mut [0; 2]).is_err());
        }
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let opened = File::open(folder.path());
        assert!(opened.and_then(Section::of_file).is_err());
    }
}
