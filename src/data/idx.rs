//! IDX, the format of MNIST's files: a magic number, the dimensions, the bytes.
//!
//! The magic number is two zero bytes, a byte for the element type (0x08 is an unsigned byte) and a
//! byte for the number of dimensions. Each dimension is a big-endian 32-bit number. The elements
//! follow in row-major order and end the file.

use byteorder::{BigEndian, ByteOrder};

/// An array of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idx<'a> {
    dims: [usize; MAX_DIMS],
    rank: usize,
    /// The elements in row-major order.
    pub data: &'a [u8],
}

/// The most dimensions supported.
const MAX_DIMS: usize = 4;
/// The length of the longest header.
pub(super) const MAX_HEADER: usize = header_len(MAX_DIMS);
/// The supported element type: unsigned bytes.
const UNSIGNED_BYTE: u8 = 0x08;

impl Idx<'_> {
    /// The size along each dimension, outermost first.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank]
    }

    /// The number of bytes before the elements.
    pub fn header_len(&self) -> usize {
        header_len(self.rank)
    }
}

/// The length of the magic number and the dimensions.
const fn header_len(rank: usize) -> usize {
    4 + 4 * rank
}

/// Why bytes are not an IDX array.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdxError {
    /// The header is truncated.
    #[error("found {found} bytes, expected a header of {expected}")]
    Header {
        /// The length of the header.
        expected: usize,
        /// The length of the file.
        found: usize,
    },
    /// The magic number is wrong.
    #[error("it starts with {found:02x?}, expected two zero bytes")]
    Magic {
        /// The first two bytes.
        found: [u8; 2],
    },
    /// The elements are not unsigned bytes.
    #[error("its elements are of type {found:#04x}, expected 0x08, unsigned bytes")]
    ElementType {
        /// The type's code.
        found: u8,
    },
    /// The number of dimensions is not supported.
    #[error("it has {found} dimensions, expected 1 to 4")]
    Rank {
        /// The number of dimensions.
        found: u8,
    },
    /// The dimensions multiply to more than memory can address.
    #[error("its dimensions {dims:?} exceed any memory")]
    Overflow {
        /// The dimensions.
        dims: Vec<usize>,
    },
    /// The number of elements differs from the header's.
    #[error("its header declares {expected} elements, found {found}")]
    Length {
        /// The elements that the header declares.
        expected: usize,
        /// The elements in the file.
        found: usize,
    },
}

/// Reads an array of unsigned bytes without allocating, whatever the header says.
///
/// # Errors
/// [`IdxError`] if the bytes are not exactly one array.
///
/// ```
/// use cnn_gpu::data::idx;
/// let array = idx::parse(&[0, 0, 8, 1, 0, 0, 0, 2, 5, 7])?;
/// assert_eq!((array.dims(), array.data), (&[2][..], &[5, 7][..]));
/// # Ok::<(), idx::IdxError>(())
/// ```
pub fn parse(bytes: &[u8]) -> Result<Idx<'_>, IdxError> {
    let Some((&[zero0, zero1, element, rank], rest)) = bytes.split_first_chunk() else {
        return Err(short(4, bytes));
    };
    if [zero0, zero1] != [0, 0] {
        let found = [zero0, zero1];
        return Err(IdxError::Magic { found });
    }
    if element != UNSIGNED_BYTE {
        return Err(IdxError::ElementType { found: element });
    }
    if !(1..=MAX_DIMS).contains(&usize::from(rank)) {
        return Err(IdxError::Rank { found: rank });
    }
    let rank = usize::from(rank);
    let Some((sizes, data)) = rest.split_at_checked(4 * rank) else {
        return Err(short(header_len(rank), bytes));
    };
    let mut dims = [0; MAX_DIMS];
    for (dim, size) in dims.iter_mut().zip(sizes.chunks_exact(4)) {
        *dim = usize::try_from(BigEndian::read_u32(size)).unwrap_or(usize::MAX);
    }
    check_length(&dims[..rank], data.len())?;
    Ok(Idx { dims, rank, data })
}

/// Whether a file starts with an IDX magic number, of any element type.
pub(super) fn is_start(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0, 0x08 | 0x09 | 0x0b..=0x0e, 1..=4, ..])
}

fn short(expected: usize, bytes: &[u8]) -> IdxError {
    IdxError::Header {
        expected,
        found: bytes.len(),
    }
}

fn check_length(dims: &[usize], found: usize) -> Result<(), IdxError> {
    let product = dims
        .iter()
        .try_fold(1_usize, |product, &dim| product.checked_mul(dim));
    match product {
        Some(expected) if expected == found => Ok(()),
        Some(expected) => Err(IdxError::Length { expected, found }),
        None => Err(IdxError::Overflow { dims: dims.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Stream};

    /// A 2x3x1 array.
    const SMALL: [u8; 22] = [
        0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6,
    ];

    #[test]
    fn reads_an_array() {
        let array = parse(&SMALL).unwrap();
        assert_eq!(array.dims(), [2, 3, 1]);
        assert_eq!(array.data, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn refuses_every_truncation() {
        for length in 0..SMALL.len() {
            let result = parse(&SMALL[..length]);
            match length {
                0..16 => assert!(
                    matches!(result, Err(IdxError::Header { .. })),
                    "{length}: {result:?}"
                ),
                _ => assert_eq!(
                    result,
                    Err(IdxError::Length {
                        expected: 6,
                        found: length - 16
                    })
                ),
            }
        }
    }

    #[test]
    fn refuses_trailing_bytes() {
        let longer = [&SMALL[..], &[0]].concat();
        assert_eq!(
            parse(&longer),
            Err(IdxError::Length {
                expected: 6,
                found: 7
            })
        );
    }

    #[test]
    fn names_what_is_wrong_in_the_header() {
        let with = |at: usize, byte| {
            let mut bytes = SMALL;
            bytes[at] = byte;
            parse(&bytes).map(|_| ()).unwrap_err()
        };
        assert_eq!(with(1, 9), IdxError::Magic { found: [0, 9] });
        assert_eq!(with(2, 13), IdxError::ElementType { found: 13 });
        assert_eq!(with(3, 0), IdxError::Rank { found: 0 });
        assert_eq!(with(3, 5), IdxError::Rank { found: 5 });
    }

    #[test]
    fn refuses_sizes_that_overflow() {
        let mut bytes = vec![0, 0, 8, 4];
        bytes.extend([0xff; 16]);
        assert!(matches!(parse(&bytes), Err(IdxError::Overflow { .. })));
        // An overflowing product is an error even if another dimension is zero.
        bytes[16..20].fill(0);
        assert!(parse(&bytes).is_err());
    }

    #[test]
    fn survives_arbitrary_bytes() {
        for case in 0..20_000 {
            let key = Key::new(1).stream(Stream::Check, case);
            let mut bytes: Vec<u8> = (1..=key.bits(0) % 40).map(|i| key.bits(i) as u8).collect();
            // Half of them with a valid start, so that the sizes are reached.
            if case % 2 == 0 {
                for (byte, good) in bytes
                    .iter_mut()
                    .zip([0, 0, 8, (case / 2 % 5) as u8, 0, 0, 0])
                {
                    *byte = good;
                }
            }
            if let Ok(array) = parse(&bytes) {
                assert_eq!(array.dims().iter().product::<usize>(), array.data.len());
            }
        }
    }
}
