//! Tensors of a file of weights.

use hdf5_pure::{Dataset, Datatype, DatatypeByteOrder, Layout, make_f32_type};

use super::super::archive::MAX_EXPANSION;
use super::super::section::Section;
use super::fault::{fault, wrong};
use crate::error::FormatError;
use crate::shape::dims;

/// The most bytes that are read at once.
const PIECE: usize = 1 << 20;
/// A packed tensor of up to this many bytes may unpack to any number of times its size: biases are
/// often zeros.
const SMALL: u64 = 1 << 16;
/// The filters that are undone: deflate, shuffle and a checksum.
const FILTERS: [u16; 3] = [1, 2, 3];
/// The least that a chunk holds on average, in bytes, if there are many.
const CHUNK: u64 = 256;

/// A tensor of a file, whose size and type were checked.
pub(in super::super) struct StoredTensor {
    /// Its path in the file.
    pub(in super::super) path: String,
    /// Its shape.
    pub(in super::super) shape: Vec<usize>,
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

/// How many bytes the tensors of a file may take. Tensors could lie on top of each other, or unpack
/// to more than any real weights.
pub(super) struct Budget {
    stored: u64,
    unpacked: u64,
}

impl Budget {
    /// For a file of this many bytes.
    pub(super) fn new(len: u64) -> Self {
        Self {
            stored: len,
            unpacked: len.saturating_mul(MAX_EXPANSION),
        }
    }

    /// Takes a tensor's bytes, as stored and unpacked; false if the file cannot hold them.
    fn take(&mut self, stored: u64, unpacked: u64) -> bool {
        let expands = unpacked > SMALL && unpacked > stored.saturating_mul(MAX_EXPANSION);
        let left = self.stored.checked_sub(stored);
        let left = left.zip(self.unpacked.checked_sub(unpacked));
        match left.filter(|_| !expands) {
            Some((stored, unpacked)) => {
                *self = Self { stored, unpacked };
                true
            }
            None => false,
        }
    }
}

impl StoredTensor {
    /// Checks a tensor of the file in `section`.
    ///
    /// # Errors
    /// It is not of float32, its values are not in this file, or the file is too small for them.
    pub(super) fn new(
        path: &str,
        dataset: Dataset,
        (section, budget): (&Section, &mut Budget),
    ) -> Result<Self, FormatError> {
        let mut tensor = Self {
            path: path.into(),
            shape: shape(path, &dataset)?,
            order: float_order(path, &dataset)?,
            dataset,
            start: None,
        };
        let sizes = tensor.shape.iter();
        let bytes = sizes.fold(4_u64, |n, &d| n.saturating_mul(d as u64));
        let stored = tensor.locate(bytes, section)?;
        if budget.take(stored, bytes) {
            return Ok(tensor);
        }
        let problem =
            format!("takes {bytes} bytes, more than the file can hold; save it again with Keras");
        Err(wrong(path, &problem))
    }

    /// Finds the tensor's values, which take so many bytes. Returns how many they take in the file.
    fn locate(&mut self, bytes: u64, section: &Section) -> Result<u64, FormatError> {
        let layout = self.dataset.layout().map_err(|e| fault(&self.path, e))?;
        match layout {
            Layout::Contiguous { address, size } if size == bytes => {
                self.start = address.filter(|&start| section.part(start, size).is_some());
                match self.start {
                    Some(_) => Ok(bytes),
                    None => Err(wrong(&self.path, "has no values in this file")),
                }
            }
            Layout::Compact { size } if size == bytes => Ok(bytes),
            Layout::Chunked { chunk_shape, .. } => self.stored_chunks(&chunk_shape, bytes),
            Layout::Virtual => Err(wrong(
                &self.path,
                "refers to other files, which are not read",
            )),
            _ => Err(wrong(
                &self.path,
                "has more or fewer values than its shape says",
            )),
        }
    }

    /// The bytes that the tensor's chunks take in the file.
    fn stored_chunks(&self, chunk: &[u64], bytes: u64) -> Result<u64, FormatError> {
        let path = &self.path;
        if self
            .dataset
            .filters()
            .iter()
            .any(|id| !FILTERS.contains(id))
        {
            let problem = "is packed with an unknown filter: expected deflate (gzip) or none";
            return Err(wrong(path, problem));
        }
        // A chunk is unpacked whole.
        let size = chunk.iter().fold(4_u64, |n, &d| n.saturating_mul(d));
        if size > bytes.max(SMALL) {
            return Err(wrong(
                path,
                "is stored in chunks that are larger than itself",
            ));
        }
        // Listing the chunks takes memory for each.
        let counts = self.shape.iter().zip(chunk);
        let counts = counts.map(|(&n, &d)| (n as u64).div_ceil(d.max(1)));
        if counts.fold(1, u64::saturating_mul) > CHUNK + bytes / CHUNK {
            return Err(wrong(path, "is stored in too many chunks"));
        }
        let chunks = self.dataset.chunks().map_err(|e| fault(path, e))?;
        let sizes = chunks.iter().map(|chunk| chunk.storage_size);
        Ok(sizes.fold(0, u64::saturating_add))
    }

    /// Checks the shape.
    pub(in super::super) fn expect_shape(
        &self,
        expected: &[usize],
        ours: &str,
    ) -> Result<(), FormatError> {
        if self.shape == expected {
            return Ok(());
        }
        let (found, expected) = (dims(&self.shape), dims(expected));
        let problem = format!("has the shape {found}: expected {expected} for {ours}");
        Err(wrong(&self.path, &problem))
    }

    /// Reads the values from the file in `section` into `values`, which has as many elements.
    ///
    /// # Errors
    /// The file is damaged.
    pub(super) fn read(&self, section: &Section, values: &mut [f32]) -> Result<(), FormatError> {
        match self.start {
            Some(start) => self.read_pieces(section, start, values),
            None => self.read_rows(values),
        }
    }

    fn read_pieces(
        &self,
        section: &Section,
        mut at: u64,
        values: &mut [f32],
    ) -> Result<(), FormatError> {
        let mut buffer = vec![0; PIECE.min(4 * values.len())];
        for piece in values.chunks_mut(PIECE / 4) {
            let bytes = &mut buffer[..4 * piece.len()];
            let read = section.read_exact_at(at, bytes);
            read.map_err(|e| wrong(&self.path, &format!("cannot be read: {e}")))?;
            self.decode(bytes, piece);
            at += bytes.len() as u64;
        }
        Ok(())
    }

    /// Reads values that do not lie in one piece: as many rows at a time as fit in a piece.
    fn read_rows(&self, values: &mut [f32]) -> Result<(), FormatError> {
        let rows = self.shape.first().copied().unwrap_or(1).max(1);
        let row = (values.len() / rows).max(1);
        let window = (PIECE / (4 * row)).max(1);
        for (i, piece) in values.chunks_mut(window * row).enumerate() {
            let start = (i * window) as u64;
            let bytes = self.dataset.read_raw_rows(start, window as u64);
            let bytes = bytes.map_err(|e| fault(&self.path, e))?;
            if bytes.len() != 4 * piece.len() {
                return Err(wrong(&self.path, "has fewer values than its shape says"));
            }
            self.decode(&bytes, piece);
        }
        Ok(())
    }

    fn decode(&self, bytes: &[u8], values: &mut [f32]) {
        let (numbers, _) = bytes.as_chunks();
        for (value, &bytes) in values.iter_mut().zip(numbers) {
            *value = match self.order {
                Bytes::Little => f32::from_le_bytes(bytes),
                Bytes::Big => f32::from_be_bytes(bytes),
            };
        }
    }
}

/// The shape of a dataset.
pub(super) fn shape(path: &str, dataset: &Dataset) -> Result<Vec<usize>, FormatError> {
    let shape = dataset.shape().map_err(|e| fault(path, e))?;
    let sizes: Option<Vec<usize>> = shape.iter().map(|&n| usize::try_from(n).ok()).collect();
    sizes.ok_or_else(|| wrong(path, "is too large"))
}

/// Whether a dataset is of float32.
pub(super) fn is_float(path: &str, dataset: &Dataset) -> bool {
    float_order(path, dataset).is_ok()
}

/// The byte order of a tensor of float32.
fn float_order(path: &str, dataset: &Dataset) -> Result<Bytes, FormatError> {
    let found = dataset.datatype().map_err(|e| fault(path, e))?;
    let in_order = |byte_order| match make_f32_type() {
        Datatype::FloatingPoint { size, layout, .. } => Datatype::FloatingPoint {
            size,
            byte_order,
            layout,
        },
        other => other,
    };
    if found == in_order(DatatypeByteOrder::LittleEndian) {
        return Ok(Bytes::Little);
    }
    if found == in_order(DatatypeByteOrder::BigEndian) {
        return Ok(Bytes::Big);
    }
    let name = dataset.dtype().map(|dtype| dtype.to_string());
    let name = name.unwrap_or_else(|_| "unknown".into());
    let name = name
        .strip_prefix("other(")
        .and_then(|name| name.strip_suffix(')'))
        .unwrap_or(&name);
    let name = match name.strip_prefix('f') {
        Some(bits) if bits.parse::<u32>().is_ok() => format!("float{bits}"),
        _ => name.to_owned(),
    };
    let problem = format!("is of the type {name}: expected float32; convert the model in Keras");
    Err(wrong(path, &problem))
}
