//! The values of tensors in a file.

use std::io;
use std::rc::Rc;

use super::super::messages::TensorProto;
use super::nd_array::{NdArray, count};
use super::stored::{LARGE, OnnxWeightFile, Stored};
use super::value::{Floats, GraphValue, TensorOrigin};
use crate::error::FormatError;
use crate::shape::dims as in_words;

/// `TensorProto.DataType`
const FLOAT: i32 = 1;
const INT32: i32 = 6;
const INT64: i32 = 7;
const BOOL: i32 = 9;

/// GraphTensors have fewer elements than this.
const MOST: usize = 1 << 31;

/// Where the bytes of a tensor are that are not decoded with the graph: so many from a place on.
#[derive(Debug)]
pub(super) struct StoredBytes {
    pub file: Rc<OnnxWeightFile>,
    pub offset: u64,
    pub len: usize,
}

/// The values of a tensor; `stored` tells where the bytes of one are that is elsewhere.
///
/// # Errors
/// Another type than the ones that are read, values that do not fit the shape, or bytes that cannot be read.
pub(super) fn decode(
    tensor: &TensorProto,
    stored: Option<StoredBytes>,
) -> Result<GraphValue, FormatError> {
    let in_graph = tensor.raw_data.as_ref().map(|raw| StoredBytes {
        len: raw.len(),
        file: Rc::new(OnnxWeightFile::Memory(raw.clone())),
        offset: 0,
    });
    let stored = stored.or(in_graph).filter(|stored| stored.len > 0);
    let dims = shape(tensor)?;
    if let Some(stored) = &stored
        && tensor.data_type() == FLOAT
        && stored.len >= LARGE
        && count(&dims).and_then(|n| n.checked_mul(4)) == Some(stored.len)
    {
        return Ok(GraphValue::Floats(large(tensor, dims, stored)));
    }
    let bytes = stored.map(|stored| stored.bytes()).transpose();
    let bytes = bytes.map_err(|e| format!("tensor `{}`: cannot be read: {e}", tensor.name()))?;
    let raw = bytes.as_deref();
    match tensor.data_type() {
        FLOAT => {
            let values = elements(raw, &tensor.float_data, f32::from_le_bytes);
            Ok(GraphValue::Floats(Floats {
                origins: origin(tensor, &dims),
                array: array(tensor, dims, values)?,
            }))
        }
        INT64 => {
            let values = elements(raw, &tensor.int64_data, i64::from_le_bytes);
            integers(tensor, dims, values)
        }
        INT32 => {
            let values = elements(raw, &tensor.int32_data, i32::from_le_bytes);
            let values = values.map(|v| v.into_iter().map(i64::from).collect());
            integers(tensor, dims, values)
        }
        BOOL => {
            let values = raw.map_or_else(
                || tensor.int32_data.iter().map(|&v| v.into()).collect(),
                |raw| raw.iter().map(|&v| v.into()).collect(),
            );
            integers(tensor, dims, Some(values))
        }
        other => Err(unsupported(tensor.name(), other)),
    }
}

impl StoredBytes {
    fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.len];
        self.file.read_at(self.offset, &mut bytes)?;
        Ok(bytes)
    }
}

/// A large tensor, which is read when its elements are wanted.
fn large(tensor: &TensorProto, dims: Vec<usize>, stored: &StoredBytes) -> Floats {
    let (file, len) = (Rc::clone(&stored.file), stored.len / 4);
    Floats {
        origins: origin(tensor, &dims),
        array: NdArray::stored(
            dims,
            Stored::new(file, stored.offset, len, f32::from_le_bytes),
        ),
    }
}

fn origin(tensor: &TensorProto, dims: &[usize]) -> Vec<Rc<TensorOrigin>> {
    vec![Rc::new(TensorOrigin {
        name: tensor.name().into(),
        dims: dims.to_vec(),
    })]
}

/// The bytes of a tensor of a type that is read.
///
/// # Errors
/// As [`decode`].
pub(super) fn byte_count(tensor: &TensorProto) -> Result<usize, FormatError> {
    let size = match tensor.data_type() {
        FLOAT | INT32 => 4,
        INT64 => 8,
        BOOL => 1,
        other => return Err(unsupported(tensor.name(), other)),
    };
    let elements = count(&shape(tensor)?).unwrap_or(MOST);
    Ok(elements.saturating_mul(size))
}

fn shape(tensor: &TensorProto) -> Result<Vec<usize>, FormatError> {
    let dims: Option<Vec<usize>> = (tensor.dims.iter())
        .map(|&size| usize::try_from(size).ok())
        .collect();
    dims.filter(|dims| count(dims).is_some_and(|n| n < MOST))
        .ok_or_else(|| {
            let message = format!(
                "tensor `{}`: the shape {:?} is invalid; expected fewer than 2^31 elements",
                tensor.name(),
                tensor.dims
            );
            message.into()
        })
}

/// The elements, from little-endian bytes if there are any; `None` if they end within one.
fn elements<T: Clone, const N: usize>(
    raw: Option<&[u8]>,
    listed: &[T],
    read: impl Fn([u8; N]) -> T,
) -> Option<Vec<T>> {
    let Some(raw) = raw else {
        return Some(listed.to_vec());
    };
    let (chunks, rest) = raw.as_chunks::<N>();
    rest.is_empty()
        .then(|| chunks.iter().map(|&c| read(c)).collect())
}

fn integers(
    tensor: &TensorProto,
    dims: Vec<usize>,
    values: Option<Vec<i64>>,
) -> Result<GraphValue, FormatError> {
    let known = values.map(|values| values.into_iter().map(Some).collect());
    Ok(GraphValue::Integers(array(tensor, dims, known)?))
}

fn array<T: Clone>(
    tensor: &TensorProto,
    dims: Vec<usize>,
    values: Option<Vec<T>>,
) -> Result<NdArray<T>, FormatError> {
    let wanted = in_words(&dims);
    values
        .and_then(|values| NdArray::new(dims, values))
        .ok_or_else(|| {
            let message = format!(
                "tensor `{}`: its values do not fill its shape ({wanted}); the file is damaged",
                tensor.name()
            );
            message.into()
        })
}

/// The error about a tensor of a type that is not read.
fn unsupported(name: &str, data_type: i32) -> FormatError {
    let advice = match data_type {
        2 | 3 => "export the network before it is quantized",
        _ => "convert the network to float32 before it is exported",
    };
    let found = type_name(data_type);
    format!("tensor `{name}`: expected float32, found {found}; {advice}").into()
}

/// The name of a `TensorProto.DataType`.
pub(super) fn type_name(data_type: i32) -> String {
    let name = match data_type {
        1 => "float32",
        2 => "uint8",
        3 => "int8",
        6 => "int32",
        7 => "int64",
        9 => "bool",
        10 => "float16",
        11 => "float64",
        16 => "bfloat16",
        other => return format!("the type {other}"),
    };
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(dims: &[i64], float_data: &[f32]) -> TensorProto {
        TensorProto {
            dims: dims.to_vec(),
            data_type: Some(FLOAT),
            name: Some("w".into()),
            float_data: float_data.to_vec(),
            ..TensorProto::default()
        }
    }

    fn message(tensor: &TensorProto) -> String {
        decode(tensor, None).unwrap_err().to_string()
    }

    #[test]
    fn numbers_are_read_from_bytes_and_from_lists() {
        let listed = floats(&[2, 1], &[1.0, -2.0]);
        let mut raw = floats(&[2, 1], &[]);
        raw.raw_data = Some([1.0_f32, -2.0].map(f32::to_le_bytes).concat().into());
        for tensor in [listed, raw] {
            let GraphValue::Floats(numbers) = decode(&tensor, None).unwrap() else {
                panic!("not numbers");
            };
            assert_eq!(numbers.array.dims(), [2, 1]);
            assert_eq!(numbers.array.elements(), [1.0, -2.0]);
        }
    }

    #[test]
    fn values_that_do_not_fill_the_shape_are_refused() {
        assert!(message(&floats(&[3], &[1.0])).contains("`w`"));
        assert!(message(&floats(&[-3], &[1.0])).contains("[-3]"));
        assert!(message(&floats(&[1 << 40, 1 << 40], &[])).contains("2^31"));
        let mut raw = floats(&[1], &[]);
        raw.raw_data = Some(vec![0; 5].into());
        assert!(message(&raw).contains("damaged"));
    }

    #[test]
    fn other_types_are_refused_by_name() {
        let mut half = floats(&[1], &[1.0]);
        half.data_type = Some(10);
        assert_eq!(
            message(&half),
            "tensor `w`: expected float32, found float16; convert the network to float32 before it is exported"
        );
        half.data_type = Some(3);
        assert!(message(&half).ends_with("quantized"));
    }
}
