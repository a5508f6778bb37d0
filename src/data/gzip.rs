//! Unpacks gzip files as gzip does: one member after another, skipping zeros after a member, which
//! tapes and some copies add. Anything else after a member is an error, as in Python.

use std::io::{self, Read};

use flate2::bufread::GzDecoder;

/// The first bytes of a gzip file.
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The unpacked bytes of a file's contents.
pub(super) struct Unpacked<'a>(GzDecoder<&'a [u8]>);

impl<'a> Unpacked<'a> {
    pub(super) fn new(packed: &'a [u8]) -> Self {
        Self(GzDecoder::new(packed))
    }
}

impl Read for Unpacked<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.0.read(buf)?;
            if read > 0 || buf.is_empty() {
                return Ok(read);
            }
            let rest = *self.0.get_ref();
            let Some(zeros) = rest.iter().position(|&byte| byte != 0) else {
                return Ok(0);
            };
            let rest = &rest[zeros..];
            if !rest.starts_with(&MAGIC) {
                let problem = format!(
                    "its last {} bytes are neither a gzip member nor zeros",
                    rest.len()
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            }
            self.0 = GzDecoder::new(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(packed: &[u8]) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let read = Unpacked::new(packed).read_to_end(&mut bytes);
        read.map(|_| bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn zeros_after_a_member_are_skipped() {
        let (one, two) = (gzip(b"one "), gzip(b"two"));
        for zeros in [0, 1, 7, 512, 70_000] {
            let padding = vec![0; zeros];
            let file = [&one[..], &padding, &two, &padding].concat();
            assert_eq!(unpacked(&file).unwrap(), b"one two", "{zeros}");
        }
        assert_eq!(unpacked(&gzip(b"")).unwrap(), b"");
    }

    #[test]
    fn trailing_bytes_and_truncated_files_are_errors() {
        let one = gzip(b"one");
        let message = unpacked(&[&one[..], b"\0\0\0more"].concat()).unwrap_err();
        assert_eq!(
            message,
            "its last 4 bytes are neither a gzip member nor zeros"
        );
        for length in 0..one.len() {
            assert!(unpacked(&one[..length]).is_err(), "{length}");
            let file = [&one[..], &one[..length]].concat();
            assert_eq!(unpacked(&file).is_ok(), length == 0, "{length}");
        }
    }
}
