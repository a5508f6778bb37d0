//! Reading with limits, so that no file takes too much memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The most bytes that one byte of deflate (gzip, zip, PNG) unpacks to: 1,032, with a margin for
/// formats that count sizes differently.
pub const MAX_UNPACKED: u64 = 1100;

/// The size that any packed file may unpack to, however small it is.
const MAX_FROM_LITTLE: u64 = 2 << 30;

/// The most bytes that a file of `packed` bytes may unpack to: what deflate can produce, up to 2
/// GiB or twice the file, whichever is larger.
pub fn max_unpacked(packed: u64) -> u64 {
    let allowed = packed.saturating_mul(2).max(MAX_FROM_LITTLE);
    packed.saturating_mul(MAX_UNPACKED).min(allowed)
}

/// The longest text to read, of a model or of settings. Parsed, it takes many times as much memory.
pub const MAX_TEXT: u64 = 1 << 20;

/// Reads a text file.
pub fn read_text(path: &Path) -> io::Result<String> {
    let bytes = read_bounded(File::open(path)?, MAX_TEXT)?;
    let bytes = bytes.ok_or_else(|| io::Error::other("it is longer than 1 MiB"))?;
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not text in UTF-8"))
}

/// Reads everything, or returns `None` if that is more than `limit` bytes.
pub fn read_bounded(reader: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    read_into(Vec::new(), reader, limit)
}

/// Like [`read_bounded`] if about `limit` bytes are expected, which the caller has found plausible.
/// Allocates them at once, because a buffer that grows by doubling takes up to twice as much.
pub fn read_preallocated(reader: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let size = usize::try_from(limit).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.try_reserve_exact(size.saturating_add(1))?;
    read_into(bytes, reader, limit)
}

fn read_into(mut bytes: Vec<u8>, reader: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let read = reader
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok((read as u64 <= limit).then_some(bytes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_packed_file_unpacks_to_at_most_two_gib_or_twice_its_size() {
        let most = super::max_unpacked;
        assert_eq!([most(0), most(10)], [0, 11_000]);
        assert_eq!([most(4 << 20), most(1 << 30)], [2 << 30; 2]);
        assert_eq!(most(3 << 30), 6 << 30);
        assert_eq!(most(u64::MAX), u64::MAX);
    }
}
