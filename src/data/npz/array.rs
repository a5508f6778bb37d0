//! An array of a NumPy archive: any numeric type, either byte order, C or Fortran order.

use std::fmt::Display;
use std::io::{Read, Seek};
use std::path::Path;

use byteorder::{BE, ByteOrder, LE};
use half::f16;
use npyz::{DType, NpyHeader, Order, TypeChar};
use zip::ZipArchive;
use zip::result::ZipError;

use super::super::bounded::read_preallocated;
use super::super::classes::abridged;
use super::super::error::DataError;
use crate::words::one_line;

/// The longest header, as in NumPy.
const MAX_HEADER: usize = 10_000;

/// An archive, and how many bytes the rest of it can hold. Its directory may declare wrong sizes,
/// or two arrays at the same place.
pub(super) struct Archive<R> {
    pub(super) zip: ZipArchive<R>,
    pub(super) left: u64,
}

/// An array with its elements as stored in the file.
pub(super) struct Array {
    pub(super) name: &'static str,
    /// NumPy's name of the element type, such as `float32`.
    pub(super) dtype: String,
    pub(super) kind: TypeChar,
    pub(super) shape: Vec<usize>,
    item: usize,
    number: fn(&[u8]) -> f64,
    fortran: bool,
    bytes: Vec<u8>,
}

impl Array {
    /// The elements in storage order: in Fortran order, the first index is the fastest.
    pub(super) fn numbers(&self) -> impl Iterator<Item = f64> {
        self.bytes.chunks_exact(self.item).map(self.number)
    }

    /// NumPy's index of the element at this place of the storage order, such as `[3, 0, 1]`.
    pub(super) fn place(&self, mut stored: usize) -> String {
        let mut index = vec![0; self.shape.len()];
        let dimensions = index.iter_mut().zip(&self.shape);
        let fill = |(at, &size): (&mut usize, &usize)| {
            *at = stored % size.max(1);
            stored /= size.max(1);
        };
        if self.fortran {
            dimensions.for_each(fill);
        } else {
            dimensions.rev().for_each(fill);
        }
        format!("{index:?}")
    }

    /// Every element as a byte, in C order. In place: a copy would double the memory.
    pub(super) fn into_bytes(mut self, byte: impl Fn(f64) -> u8) -> Vec<u8> {
        let elements = self.bytes.len() / self.item;
        for i in 0..elements {
            let at = i * self.item;
            self.bytes[i] = byte((self.number)(&self.bytes[at..at + self.item]));
        }
        self.bytes.truncate(elements);
        self.bytes.shrink_to_fit();
        self.in_c_order()
    }

    /// Like [`Array::into_bytes`] if the elements are bytes already.
    pub(super) fn in_c_order(self) -> Vec<u8> {
        if !self.fortran {
            return self.bytes;
        }
        // The distance in C order between neighbours along each dimension.
        let mut strides = vec![1; self.shape.len()];
        for dim in (1..self.shape.len()).rev() {
            strides[dim - 1] = strides[dim] * self.shape[dim];
        }
        let mut ordered = vec![0; self.bytes.len()];
        let (mut index, mut at) = (vec![0; self.shape.len()], 0);
        for &byte in &self.bytes {
            ordered[at] = byte;
            for ((index, &size), stride) in index.iter_mut().zip(&self.shape).zip(&strides) {
                *index += 1;
                at += stride;
                if *index < size {
                    break;
                }
                at -= size * stride;
                *index = 0;
            }
        }
        ordered
    }

    /// An error about the array.
    pub(super) fn bad(&self, path: &Path, problem: &dyn Display) -> DataError {
        DataError::contents(path, format!("{}: {problem}", self.name))
    }
}

/// Reads one array. Checks its size before allocating.
pub(super) fn array(
    path: &Path,
    archive: &mut Archive<impl Read + Seek>,
    name: &'static str,
) -> Result<Array, DataError> {
    let problem = |what: &dyn Display| DataError::contents(path, format!("{name}: {what}"));
    let names = archive.zip.file_names().flatten();
    let names: Vec<String> = names
        .map(|name| name.strip_suffix(".npy").unwrap_or(&name).to_owned())
        .collect();
    let found = match &names[..] {
        [] => "nothing".into(),
        names => one_line(&abridged(names)),
    };
    let entry = archive
        .zip
        .by_name(&format!("{name}.npy"))
        .map_err(|error| {
            problem(&format!(
                "{}; expected the arrays x_train, y_train, x_test and y_test, and possibly x_val and y_val, \
                 as np.savez('data.npz', x_train=..., y_train=..., x_test=..., y_test=...) saves them",
                match error {
                    ZipError::FileNotFound => format!("not in the file, which holds {found}"),
                    _ => format!("{error}"),
                }
            ))
            .caused_by(error)
        })?;
    let size = entry.size();
    let Some(left) = archive.left.checked_sub(size) else {
        let what = format!(
            "its entry declares {size} bytes, more than the file can hold or more than 2 GiB packed; save \
             the arrays with numpy.savez, or download the file again"
        );
        return Err(problem(&what));
    };
    archive.left = left;
    let mut bytes = read_preallocated(entry, size)
        .map_err(|error| {
            problem(&format!(
                "cannot be unpacked: {error}; download or save the file again"
            ))
            .caused_by(error)
        })?
        .ok_or_else(|| {
            problem(&"it is longer than the file declares; download or save it again")
        })?;
    let text = header(&bytes).map_err(|what| problem(&what))?;
    let plain =
        "expected an array of plain numbers: integers, floats of 16, 32 or 64 bits, or bool";
    // Its bytes mean other numbers on other machines, and the header does not say which.
    let longdouble = || {
        format!(
            "its elements are longdouble, which differs from machine to machine; {plain}, as \
             {name}.astype('float64')"
        )
    };
    if !is_countable(&bytes[..text]) {
        return Err(problem(&format!(
            "its header declares more elements than can be counted, found {} bytes; save the file again",
            bytes.len() - text
        )));
    }
    let described = NpyHeader::from_reader(&bytes[..text]).map_err(|error| {
        let is_longdouble = bytes[..text].windows(3).any(|part| part == b"f12");
        let message = if is_longdouble {
            longdouble()
        } else {
            format!("{error}; {plain}")
        };
        problem(&message).caused_by(error)
    })?;
    // In place: a copy would take the memory twice.
    bytes.drain(..text);
    let DType::Plain(dtype) = described.dtype() else {
        return Err(problem(&plain));
    };
    let kind = dtype.type_char();
    let item = dtype.num_bytes().unwrap_or(0);
    let Some(number) = number(kind, item, dtype.to_string().starts_with('>')) else {
        return Err(problem(&match kind {
            TypeChar::Float => longdouble(),
            TypeChar::Object => format!(
                "its elements are of type {dtype}, Python objects; {plain}, as np.stack(list({name})) makes \
                 of arrays of one shape"
            ),
            TypeChar::ByteStr | TypeChar::UnicodeStr if name.starts_with('y') => format!(
                "its elements are texts ({dtype}); {plain}, for example from \
                 np.unique({name}, return_inverse=True)[1]"
            ),
            _ => format!("its elements are of type {dtype}; {plain}"),
        }));
    };
    let shape: Option<Vec<usize>> = (described.shape().iter())
        .map(|&dim| usize::try_from(dim).ok())
        .collect();
    let length = |shape: &[usize]| shape.iter().try_fold(item, |n, &dim| n.checked_mul(dim));
    match shape {
        Some(shape) if length(&shape) == Some(bytes.len()) => Ok(Array {
            name,
            dtype: type_name(kind, item),
            kind,
            shape,
            item,
            number,
            fortran: described.order() == Order::Fortran,
            bytes,
        }),
        _ => Err(problem(&format!(
            "its header declares {:?} elements of {item} bytes, found {} bytes; save the file again",
            described.shape(),
            bytes.len()
        ))),
    }
}

/// Whether the product of all numbers in a header, a few of which are not sizes, is one of 64 bits: the parser multiplies
/// sizes without a check.
fn is_countable(header: &[u8]) -> bool {
    let numbers = header.split(|byte| !byte.is_ascii_digit());
    let numbers = numbers.filter(|digits| digits.iter().any(|&digit| digit != b'0'));
    let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<u64>().ok();
    let product = |n: u64, digits| number(digits).and_then(|next| n.checked_mul(next));
    numbers.into_iter().try_fold(1, product).is_some()
}

/// NumPy's name of a type.
fn type_name(kind: TypeChar, item: usize) -> String {
    let bits = 8 * item;
    match kind {
        TypeChar::Bool => "bool".into(),
        TypeChar::Int => format!("int{bits}"),
        TypeChar::Uint => format!("uint{bits}"),
        _ => format!("float{bits}"),
    }
}

/// How to read an element as a number; `None` if it is not a number.
fn number(kind: TypeChar, item: usize, big_endian: bool) -> Option<fn(&[u8]) -> f64> {
    Some(match (kind, item, big_endian) {
        (TypeChar::Bool, 1, _) => |b| f64::from(u8::from(b[0] != 0)),
        (TypeChar::Uint, 1, _) => |b| f64::from(b[0]),
        (TypeChar::Int, 1, _) => |b| f64::from(b[0] as i8),
        (TypeChar::Uint, 2, false) => |b| f64::from(LE::read_u16(b)),
        (TypeChar::Uint, 2, true) => |b| f64::from(BE::read_u16(b)),
        (TypeChar::Int, 2, false) => |b| f64::from(LE::read_i16(b)),
        (TypeChar::Int, 2, true) => |b| f64::from(BE::read_i16(b)),
        (TypeChar::Uint, 4, false) => |b| f64::from(LE::read_u32(b)),
        (TypeChar::Uint, 4, true) => |b| f64::from(BE::read_u32(b)),
        (TypeChar::Int, 4, false) => |b| f64::from(LE::read_i32(b)),
        (TypeChar::Int, 4, true) => |b| f64::from(BE::read_i32(b)),
        (TypeChar::Uint, 8, false) => |b| LE::read_u64(b) as f64,
        (TypeChar::Uint, 8, true) => |b| BE::read_u64(b) as f64,
        (TypeChar::Int, 8, false) => |b| LE::read_i64(b) as f64,
        (TypeChar::Int, 8, true) => |b| BE::read_i64(b) as f64,
        (TypeChar::Float, 2, false) => |b| f16::from_bits(LE::read_u16(b)).to_f64(),
        (TypeChar::Float, 2, true) => |b| f16::from_bits(BE::read_u16(b)).to_f64(),
        (TypeChar::Float, 4, false) => |b| f64::from(LE::read_f32(b)),
        (TypeChar::Float, 4, true) => |b| f64::from(BE::read_f32(b)),
        (TypeChar::Float, 8, false) => LE::read_f64,
        (TypeChar::Float, 8, true) => BE::read_f64,
        _ => return None,
    })
}

/// The length of everything before the elements. Too long or too nested a header is an error, to
/// protect the parser.
fn header(bytes: &[u8]) -> Result<usize, &'static str> {
    let length = match *bytes {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, a, b, ..] => {
            10 + usize::from(u16::from_le_bytes([a, b]))
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _, a, b, 0, 0, ..] => {
            12 + usize::from(u16::from_le_bytes([a, b]))
        }
        _ => return Err("not an array in NumPy's format: expected a short NumPy header"),
    };
    let opened = |text: &[u8]| text.iter().filter(|byte| b"([{".contains(byte)).count();
    match bytes.get(..length) {
        Some(text) if length <= MAX_HEADER && opened(text) <= 4 => Ok(length),
        Some(text)
            if length <= MAX_HEADER && text.windows(10).any(|part| part == b"'descr': [") =>
        {
            Err("its elements are records: expected one array of plain numbers per name")
        }
        _ => Err("its header is truncated or too long: expected a header as NumPy writes it"),
    }
}
