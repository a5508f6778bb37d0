//! Files of weights: the only module that reads HDF5.
//!
//! Sizes are compared with the file before memory is taken, and values are read in pieces. Links to
//! other places and files are not followed: [`hdf5_pure`] knows hard links only.

use std::collections::HashMap;

use hdf5_pure::{
    AttrValue, Dataset, Datatype, DatatypeByteOrder, Error as Hdf5Error, File,
    FormatError as Fault, Layout, Source, make_f32_type,
};

use super::archive::MAX_EXPANSION;
use super::section::Section;
use crate::error::FormatError;
use crate::shape::dims;

/// The most bytes of a piece.
const PIECE: usize = 1 << 20;
/// A packed tensor of up to this many bytes may unpack to any number of times its size: biases are
/// often zeros.
const SMALL: u64 = 1 << 16;
/// The filters that are undone: deflate, shuffle and a checksum.
const FILTERS: [u16; 3] = [1, 2, 3];

/// An open file.
pub(super) struct WeightsFile {
    file: File,
    section: Section,
    /// How many more bytes the tensors may take, as stored and unpacked.
    left: [u64; 2],
    /// The group that was searched last, and its tensors: finding each by its path would list the
    /// group each time.
    listed: (String, HashMap<String, Dataset>),
}

/// A tensor of a file, whose size and type were checked.
pub(super) struct StoredTensor {
    /// Its path in the file.
    pub(super) path: String,
    /// Its shape.
    pub(super) shape: Vec<usize>,
    dataset: Dataset,
    order: Bytes,
    /// Where its values lie, if they lie in one piece.
    start: Option<u64>,
}

/// The order of the bytes of a number.
#[derive(Clone, Copy)]
enum Bytes {
    Little,
    Big,
}

impl Source for Section {
    fn len(&self) -> u64 {
        Self::len(self)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        let read = self.read_exact_at(offset, buffer);
        read.map_err(|e| Fault::Source(e.to_string()))
    }
}

impl WeightsFile {
    /// Opens a file.
    ///
    /// # Errors
    /// Not an HDF5 file, or a damaged one.
    pub(super) fn open(section: Section) -> Result<Self, FormatError> {
        let file = File::from_source(section.clone()).map_err(|e| {
            FormatError::from(format!(
                "not a complete HDF5 file: {e}; copy or save it again"
            ))
            .caused_by(e)
        })?;
        let len = section.len();
        Ok(Self {
            file,
            section,
            left: [len, len.saturating_mul(MAX_EXPANSION)],
            listed: Default::default(),
        })
    }

    /// Whether there is a group at this path.
    pub(super) fn has_group(&self, path: &str) -> bool {
        self.file.group(path).is_ok()
    }

    /// The names of the groups in a group; none if there is no such group.
    pub(super) fn groups(&self, path: &str) -> Result<Vec<String>, FormatError> {
        let listed = self.file.group(path).and_then(|group| group.groups());
        present(path, listed).map(Option::unwrap_or_default)
    }

    /// The names of the tensors in a group; none if there is no such group.
    pub(super) fn tensors(&self, path: &str) -> Result<Vec<String>, FormatError> {
        let listed = self.file.group(path).and_then(|group| group.datasets());
        present(path, listed).map(Option::unwrap_or_default)
    }

    /// The texts of an attribute of a group, one text or a list; `None` if the group or the
    /// attribute is missing.
    pub(super) fn texts(
        &self,
        group: &str,
        name: &str,
    ) -> Result<Option<Vec<String>>, FormatError> {
        let attributes = self.file.group(group).and_then(|group| group.attrs());
        let attributes = present(group, attributes)?;
        let value = attributes.and_then(|mut attributes| attributes.remove(name));
        Ok(match value {
            // A list without elements has the type of a number.
            Some(AttrValue::F64Array(list)) if list.is_empty() => Some(Vec::new()),
            value => value.and_then(|value| value.as_strings().map(<[String]>::to_vec)),
        })
    }

    /// The tensor at this path; `None` if there is none.
    ///
    /// # Errors
    /// It is not of float32, or its values are not in this file, or the file is too small for its
    /// size.
    pub(super) fn tensor(&mut self, path: &str) -> Result<Option<StoredTensor>, FormatError> {
        let Some(dataset) = self.dataset(path)? else {
            return Ok(None);
        };
        let order = float_order(path, &dataset)?;
        let shape = shape(path, &dataset)?;
        let count = shape
            .iter()
            .try_fold(1_u64, |n, &d| n.checked_mul(d as u64));
        let bytes = count.and_then(|count| count.checked_mul(4));
        let bytes = bytes.ok_or_else(|| wrong(path, "is too large"))?;
        let start = self.locate(path, &dataset, bytes)?;
        Ok(Some(StoredTensor {
            path: path.into(),
            shape,
            dataset,
            order,
            start,
        }))
    }

    fn dataset(&mut self, path: &str) -> Result<Option<Dataset>, FormatError> {
        let (group, name) = path.rsplit_once('/').unwrap_or(("/", path));
        if self.listed.0 != group {
            let found = self
                .file
                .group(group)
                .and_then(|group| group.iter_datasets());
            let found = present(group, found)?;
            self.listed = (group.into(), found.into_iter().flatten().collect());
        }
        Ok(self.listed.1.get(name).cloned())
    }

    /// Checks that the file holds the values of a tensor of this many bytes; where they lie, if
    /// they lie in one piece.
    fn locate(
        &mut self,
        path: &str,
        dataset: &Dataset,
        bytes: u64,
    ) -> Result<Option<u64>, FormatError> {
        let layout = dataset.layout().map_err(|e| fault(path, e))?;
        let (start, stored) = match layout {
            Layout::Contiguous {
                address: Some(start),
                size,
            } if size == bytes && self.section.part(start, size).is_some() => (Some(start), bytes),
            Layout::Compact { size } if size == bytes => (None, bytes),
            Layout::Chunked { chunk_shape, .. } => {
                (None, stored_chunks(path, dataset, &chunk_shape, bytes)?)
            }
            Layout::Virtual => {
                return Err(wrong(path, "refers to other files, which are not read"));
            }
            _ => return Err(wrong(path, "has no values in this file")),
        };
        let unpacks_too_far = bytes > SMALL && bytes > stored.saturating_mul(MAX_EXPANSION);
        let take = |left: u64, taken: u64| left.checked_sub(taken);
        let left = (take(self.left[0], stored), take(self.left[1], bytes));
        let (Some(stored), Some(unpacked), false) = (left.0, left.1, unpacks_too_far) else {
            let problem = format!(
                "takes {bytes} bytes, more than the file can hold; save it again with Keras"
            );
            return Err(wrong(path, &problem));
        };
        self.left = [stored, unpacked];
        Ok(start)
    }

    /// The integer at this path; `None` if there is none.
    pub(super) fn integer(&self, path: &str) -> Result<Option<i64>, FormatError> {
        let Some(dataset) = self.scalar(path)? else {
            return Ok(None);
        };
        match dataset.datatype().map_err(|e| fault(path, e))? {
            Datatype::FixedPoint { size: 1..=8, .. } => {}
            _ => return Ok(None),
        }
        let values = dataset.read_i64().map_err(|e| fault(path, e))?;
        Ok(values.first().copied())
    }

    /// The float32 at this path; `None` if there is none.
    pub(super) fn float(&self, path: &str) -> Result<Option<f32>, FormatError> {
        let Some(dataset) = self.scalar(path)? else {
            return Ok(None);
        };
        if float_order(path, &dataset).is_err() {
            return Ok(None);
        }
        let values = dataset.read_f32().map_err(|e| fault(path, e))?;
        Ok(values.first().copied())
    }

    /// The dataset of one element at this path.
    fn scalar(&self, path: &str) -> Result<Option<Dataset>, FormatError> {
        let Some(dataset) = present(path, self.file.dataset(path))? else {
            return Ok(None);
        };
        let layout = dataset.layout().map_err(|e| fault(path, e))?;
        let is_plain = match layout {
            Layout::Contiguous { size, .. } | Layout::Compact { size } => size <= 8,
            _ => false,
        };
        let is_one = shape(path, &dataset)?.iter().all(|&n| n == 1);
        Ok((is_plain && is_one).then_some(dataset))
    }

    /// Reads a tensor's values into `values`, which has as many elements.
    ///
    /// # Errors
    /// The file is damaged, or its filters are not supported.
    pub(super) fn read(
        &self,
        tensor: &StoredTensor,
        values: &mut [f32],
    ) -> Result<(), FormatError> {
        match tensor.start {
            Some(start) => self.read_piecewise(tensor, start, values),
            None => read_rows(tensor, values),
        }
    }

    fn read_piecewise(
        &self,
        tensor: &StoredTensor,
        mut at: u64,
        values: &mut [f32],
    ) -> Result<(), FormatError> {
        let mut buffer = vec![0; PIECE.min(4 * values.len())];
        for piece in values.chunks_mut(PIECE / 4) {
            let bytes = &mut buffer[..4 * piece.len()];
            let read = self.section.read_exact_at(at, bytes);
            read.map_err(|e| wrong(&tensor.path, &format!("cannot be read: {e}")))?;
            decode(bytes, tensor.order, piece);
            at += bytes.len() as u64;
        }
        Ok(())
    }
}

/// Reads a tensor whose values do not lie in one piece: as many rows at a time as fit in a piece.
fn read_rows(tensor: &StoredTensor, values: &mut [f32]) -> Result<(), FormatError> {
    let rows = tensor.shape.first().copied().unwrap_or(1).max(1);
    let row = values.len() / rows;
    let window = (PIECE / (4 * row).max(1)).max(1);
    for (i, piece) in values.chunks_mut((window * row).max(1)).enumerate() {
        let start = (i * window) as u64;
        let bytes = tensor.dataset.read_raw_rows(start, window as u64);
        let bytes = bytes.map_err(|e| fault(&tensor.path, e))?;
        if bytes.len() != 4 * piece.len() {
            return Err(wrong(&tensor.path, "has fewer values than its shape says"));
        }
        decode(&bytes, tensor.order, piece);
    }
    Ok(())
}

fn decode(bytes: &[u8], order: Bytes, values: &mut [f32]) {
    let (numbers, _) = bytes.as_chunks();
    for (value, &bytes) in values.iter_mut().zip(numbers) {
        *value = match order {
            Bytes::Little => f32::from_le_bytes(bytes),
            Bytes::Big => f32::from_be_bytes(bytes),
        };
    }
}

/// The bytes that the chunks of a tensor take in the file.
fn stored_chunks(
    path: &str,
    dataset: &Dataset,
    chunk: &[u64],
    bytes: u64,
) -> Result<u64, FormatError> {
    if dataset.filters().iter().any(|id| !FILTERS.contains(id)) {
        let problem =
            "is packed with a filter that is not supported: expected deflate (gzip) or none";
        return Err(wrong(path, problem));
    }
    let size = chunk.iter().try_fold(4_u64, |n, &d| n.checked_mul(d));
    // A chunk is unpacked whole.
    if size.is_none_or(|size| size > bytes.max(SMALL)) {
        return Err(wrong(
            path,
            "is stored in chunks that are larger than itself",
        ));
    }
    let chunks = dataset.chunks().map_err(|e| fault(path, e))?;
    let sizes = chunks.iter().map(|chunk| chunk.storage_size);
    Ok(sizes.fold(0, u64::saturating_add))
}

fn shape(path: &str, dataset: &Dataset) -> Result<Vec<usize>, FormatError> {
    let shape = dataset.shape().map_err(|e| fault(path, e))?;
    let sizes: Option<Vec<usize>> = shape.iter().map(|&n| usize::try_from(n).ok()).collect();
    sizes.ok_or_else(|| wrong(path, "is too large"))
}

/// The byte order of a tensor of float32.
fn float_order(path: &str, dataset: &Dataset) -> Result<Bytes, FormatError> {
    let found = dataset.datatype().map_err(|e| fault(path, e))?;
    let expected = |order| match make_f32_type() {
        Datatype::FloatingPoint { size, layout, .. } => Datatype::FloatingPoint {
            size,
            byte_order: order,
            layout,
        },
        other => other,
    };
    if found == expected(DatatypeByteOrder::LittleEndian) {
        Ok(Bytes::Little)
    } else if found == expected(DatatypeByteOrder::BigEndian) {
        Ok(Bytes::Big)
    } else {
        let found = dataset
            .dtype()
            .map_or("unknown".into(), |dtype| dtype.to_string());
        let problem =
            format!("is of the type {found}: expected float32; convert the model in Keras");
        Err(wrong(path, &problem))
    }
}

/// `None` if what was looked for is not there.
fn present<T>(path: &str, found: Result<T, Hdf5Error>) -> Result<Option<T>, FormatError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(
            Hdf5Error::Format(Fault::PathNotFound(_))
            | Hdf5Error::NotAGroup(_)
            | Hdf5Error::NotADataset(_),
        ) => Ok(None),
        Err(e) => Err(fault(path, e)),
    }
}

fn wrong(path: &str, problem: &str) -> FormatError {
    format!("the tensor {path} {problem}").into()
}

fn fault(path: &str, error: Hdf5Error) -> FormatError {
    let message = format!(
        "{path} cannot be read ({error}): expected a complete file without soft or external links"
    );
    FormatError::from(message).caused_by(error)
}

impl StoredTensor {
    /// Checks the shape.
    pub(super) fn expect_shape(&self, expected: &[usize], ours: &str) -> Result<(), FormatError> {
        if self.shape == expected {
            return Ok(());
        }
        let found = dims(&self.shape);
        let problem = format!(
            "has the shape {found}: expected {} for {ours}",
            dims(expected)
        );
        Err(wrong(&self.path, &problem))
    }
}
