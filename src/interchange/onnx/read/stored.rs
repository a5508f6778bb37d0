//! Large tensors of a file, which are read where they lie when a network takes them: each is in memory once.

use std::cell::{OnceCell, RefCell};
use std::fmt::{self, Debug, Formatter};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use prost::bytes::Bytes;

/// The most bytes that are read at once.
const PIECE: usize = 1 << 20;
/// Tensors of fewer bytes are read with the graph.
pub(super) const LARGE: usize = 1 << 16;

/// A file of tensors, or the bytes of one tensor.
#[derive(Debug)]
pub(super) enum OnnxWeightFile {
    Disk {
        file: RefCell<File>,
        /// Why a tensor could not be read when its elements were wanted; zeros took their place.
        failure: RefCell<Option<io::Error>>,
    },
    Memory(Bytes),
}

impl OnnxWeightFile {
    pub fn on_disk(file: File) -> Self {
        Self::Disk {
            file: RefCell::new(file),
            failure: RefCell::new(None),
        }
    }

    /// Fills `bytes` from this place.
    pub fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Disk { file, .. } => {
                let mut file = file.borrow_mut();
                file.seek(SeekFrom::Start(offset))?;
                file.read_exact(bytes)
            }
            Self::Memory(all) => {
                let from = usize::try_from(offset).ok();
                let from = from.and_then(|start| all.get(start..)?.get(..bytes.len()));
                bytes.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }

    /// The error of a tensor that could not be read, once.
    pub fn failure(&self) -> Option<io::Error> {
        match self {
            Self::Disk { failure, .. } => failure.take(),
            Self::Memory(_) => None,
        }
    }
}

/// An axis of a tensor in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StoredAxis {
    size: usize,
    /// The distance of neighbours in the file, in elements.
    stride: usize,
}

/// The elements of a tensor, four little-endian bytes each in one piece of a file, with its axes in any order.
pub(super) struct Stored<T> {
    file: Rc<OnnxWeightFile>,
    /// The first byte.
    offset: u64,
    /// The outermost first.
    axes: Vec<StoredAxis>,
    decode: fn([u8; 4]) -> T,
    elements: OnceCell<Vec<T>>,
}

impl<T: Clone> Stored<T> {
    /// `len` elements from this place on.
    pub fn new(
        file: Rc<OnnxWeightFile>,
        offset: u64,
        len: usize,
        decode: fn([u8; 4]) -> T,
    ) -> Self {
        let axes = vec![StoredAxis {
            size: len,
            stride: 1,
        }];
        Self {
            file,
            offset,
            axes,
            decode,
            elements: OnceCell::new(),
        }
    }

    fn len(&self) -> usize {
        self.axes.iter().map(|axis| axis.size).product()
    }

    /// All elements, which are kept.
    pub fn elements(&self) -> &[T] {
        self.elements.get_or_init(|| {
            let mut elements = vec![(self.decode)([0; 4]); self.len()];
            if let (Err(e), OnnxWeightFile::Disk { failure, .. }) =
                (self.copy_to(&mut elements), &*self.file)
            {
                *failure.borrow_mut() = Some(e);
            }
            elements
        })
    }

    /// The same elements of an array of shape `dims`, whose axis `i` becomes axis `order[i]` of this one. `None` if the
    /// file's axes do not divide into such.
    pub fn transposed(&self, dims: &[usize], order: &[usize]) -> Option<Self> {
        let mut left = self.axes.clone();
        let mut groups: Vec<Vec<StoredAxis>> = dims.iter().rev().map(|_| Vec::new()).collect();
        for (group, &size) in groups.iter_mut().zip(dims).rev() {
            *group = split_off(&mut left, size)?;
        }
        let axes: Option<Vec<_>> = order.iter().map(|&i| groups.get(i).cloned()).collect();
        Some(Self {
            file: Rc::clone(&self.file),
            axes: axes?.concat(),
            elements: OnceCell::new(),
            ..*self
        })
    }

    /// Reads all elements into `to`, which has as many.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn copy_to(&self, to: &mut [T]) -> io::Result<()> {
        if let Some(elements) = self.elements.get() {
            to.clone_from_slice(elements);
            return Ok(());
        }
        // The axes in the file's order, with the distance of neighbours in `to`.
        let mut step = 1;
        let mut axes: Vec<(StoredAxis, usize)> = Vec::with_capacity(self.axes.len());
        for &axis in self.axes.iter().rev() {
            axes.push((axis, step));
            step *= axis.size;
        }
        axes.sort_by_key(|(axis, _)| axis.stride);
        let mut index = vec![0; axes.len()];
        let mut at = 0;
        let mut buffer = vec![0; PIECE.min(4 * to.len())];
        let mut offset = self.offset;
        let mut left = 4 * to.len();
        while left > 0 {
            let bytes = &mut buffer[..left.min(PIECE)];
            self.file.read_at(offset, bytes)?;
            for &number in bytes.as_chunks().0 {
                let place = to.get_mut(at).ok_or(io::ErrorKind::InvalidData)?;
                *place = (self.decode)(number);
                for (index, (axis, step)) in index.iter_mut().zip(&axes) {
                    *index += 1;
                    at += step;
                    if *index < axis.size {
                        break;
                    }
                    *index = 0;
                    at -= step * axis.size;
                }
            }
            left -= bytes.len();
            offset += bytes.len() as u64;
        }
        Ok(())
    }
}

/// Takes the innermost axes of this many elements off, of which the outermost may be a part of one.
fn split_off(axes: &mut Vec<StoredAxis>, size: usize) -> Option<Vec<StoredAxis>> {
    let mut taken = Vec::new();
    let mut left = size;
    while left > 1 {
        let axis = axes.pop()?;
        if left.is_multiple_of(axis.size) {
            taken.push(axis);
            left /= axis.size;
        } else if axis.size.is_multiple_of(left) {
            axes.push(StoredAxis {
                size: axis.size / left,
                stride: axis.stride * left,
            });
            taken.push(StoredAxis { size: left, ..axis });
            left = 1;
        } else {
            return None;
        }
    }
    taken.reverse();
    Some(taken)
}

impl<T> Debug for Stored<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("offset", &self.offset)
            .field("axes", &self.axes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(n: u8) -> Stored<u32> {
        let bytes: Vec<u8> = (0..n).flat_map(|i| u32::from(i).to_le_bytes()).collect();
        let bytes = [&[9; 3][..], &bytes].concat();
        let file = Rc::new(OnnxWeightFile::Memory(bytes.into()));
        Stored::new(file, 3, n.into(), u32::from_le_bytes)
    }

    #[test]
    fn axes_are_put_in_another_order_while_they_are_read() {
        let rows = stored(6).transposed(&[2, 3], &[1, 0]).unwrap();
        assert_eq!(rows.elements(), [0, 3, 1, 4, 2, 5]);
        // Seen as 3x1x2 again, and back.
        let back = rows.transposed(&[3, 1, 2], &[2, 1, 0]).unwrap();
        assert_eq!(back.elements(), [0, 1, 2, 3, 4, 5]);
        let image = stored(24).transposed(&[2, 3, 4], &[1, 2, 0]).unwrap();
        let mut copied = vec![0; 24];
        image.copy_to(&mut copied).unwrap();
        let expected: Vec<u32> = (0..12).flat_map(|i| [i, i + 12]).collect();
        assert_eq!(copied, expected);
        assert!(image.transposed(&[4, 6], &[1, 0]).is_none());
    }

    #[test]
    fn an_element_that_is_missing_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(7).unwrap();
        let file = Rc::new(OnnxWeightFile::on_disk(file));
        let stored = Stored::new(Rc::clone(&file), 0, 2, u32::from_le_bytes);
        assert_eq!(stored.elements(), [0, 0]);
        assert!(file.failure().is_some());
        assert!(stored.copy_to(&mut [0; 2]).is_ok(), "they are kept");
        assert!(file.failure().is_none());
    }
}
