//! Floats in safetensors files, little-endian on every machine.

use std::collections::HashMap;
use std::io::{self, Write};

use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use crate::error::FormatError;

/// The maximum length of a header. Its text, a model and a history, takes many times its size in
/// memory, whereas the tensors take no more than in the file.
const MAX_HEADER: u64 = 16 << 20;

/// Values converted to bytes at a time.
const PIECE: usize = 1 << 14;

/// A tensor to write.
pub struct FloatTensor<'a> {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: &'a [usize],
    /// Its values.
    pub values: &'a [f32],
}

/// A safetensors file to write, whose tensors stay where they are.
///
/// It has the same bytes as [`safetensors::serialize`] returns, which needs each tensor as bytes and
/// copies them once more.
pub struct TensorFile<'a> {
    header: Vec<u8>,
    tensors: Vec<FloatTensor<'a>>,
}

impl<'a> TensorFile<'a> {
    /// A file with these tensors, sorted by name.
    ///
    /// # Errors
    /// A shape does not fit its values.
    pub fn new(
        mut tensors: Vec<FloatTensor<'a>>,
        metadata: HashMap<String, String>,
    ) -> Result<Self, FormatError> {
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        let mut end = 0;
        let infos = tensors.iter().map(|tensor| {
            let start = end;
            end += 4 * tensor.values.len();
            let info = TensorInfo {
                dtype: Dtype::F32,
                shape: tensor.shape.to_vec(),
                data_offsets: (start, end),
            };
            (tensor.name.clone(), info)
        });
        let metadata =
            Metadata::new(Some(metadata), infos.collect()).map_err(FormatError::from_cause)?;
        let mut text = serde_json::to_string(&metadata).map_err(FormatError::from_cause)?;
        let padding = text.len().next_multiple_of(8) - text.len();
        text.extend(std::iter::repeat_n(' ', padding));
        let length = (text.len() as u64).to_le_bytes();
        let header = [&length[..], text.as_bytes()].concat();
        Ok(Self { header, tensors })
    }

    /// Writes it piece by piece.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&self.header)?;
        for tensor in &self.tensors {
            for values in tensor.values.chunks(PIECE) {
                to.write_all(&le_bytes(values))?;
            }
        }
        Ok(())
    }
}

/// Floats as the bytes of a tensor.
pub fn le_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// The tensors and metadata of a file, without copying the tensors' bytes.
///
/// # Errors
/// The bytes are not a complete safetensors file, or the header is too long.
pub fn parse(bytes: &[u8]) -> Result<(SafeTensors<'_>, HashMap<String, String>), FormatError> {
    let broken = |e: SafeTensorError| {
        FormatError::from(format!("not a complete safetensors file: {e}")).caused_by(e)
    };
    if let Some(&length) = bytes.first_chunk()
        && u64::from_le_bytes(length) > MAX_HEADER
    {
        let found = u64::from_le_bytes(length);
        return Err(format!(
            "not a safetensors file: its first 8 bytes, the length of the header, are {found}, expected \
             at most {MAX_HEADER}"
        )
        .into());
    }
    let tensors = SafeTensors::deserialize(bytes).map_err(broken)?;
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let metadata = metadata.metadata().clone().unwrap_or_default();
    Ok((tensors, metadata))
}

/// The floats of a tensor.
///
/// # Errors
/// The tensor is missing or has another type.
pub fn floats<'a>(
    tensors: &SafeTensors<'a>,
    name: &str,
) -> Result<impl ExactSizeIterator<Item = f32> + use<'a>, FormatError> {
    let tensor = tensors
        .tensor(name)
        .map_err(|_| format!("lacks the tensor `{name}`"))?;
    if tensor.dtype() != Dtype::F32 {
        return Err(format!("`{name}`: expected F32, found {:?}", tensor.dtype()).into());
    }
    let (bytes, _) = tensor.data().as_chunks();
    Ok(bytes.iter().map(|&bytes| f32::from_le_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::TensorView;

    use super::*;

    #[test]
    fn files_are_those_that_safetensors_writes() {
        let values: Vec<f32> = (0..3 * PIECE as u32).map(|i| i as f32 / 7.0).collect();
        let shapes = [
            ("b", vec![2, PIECE + 1]),
            ("a", vec![3]),
            ("c", vec![]),
            ("d", vec![0, 4]),
        ];
        let bytes = shapes.each_ref().map(|(_, shape)| {
            let count = shape.iter().product::<usize>();
            le_bytes(&values[..count])
        });
        for key in ["key", "a longer key"] {
            let metadata: HashMap<_, _> = [(key.to_owned(), "{\"é\"}\n".to_owned())].into();
            let tensors = (shapes.iter().zip(&bytes))
                .map(|((name, shape), bytes)| FloatTensor {
                    name: (*name).into(),
                    shape,
                    values: &values[..bytes.len() / 4],
                })
                .collect();
            let file = TensorFile::new(tensors, metadata.clone()).unwrap();
            let mut found = Vec::new();
            file.write(&mut found).unwrap();
            let views = (shapes.iter().zip(&bytes)).map(|((name, shape), bytes)| {
                let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
                (*name, view)
            });
            let expected = safetensors::serialize(views, Some(metadata)).unwrap();
            assert!(found == expected, "{key}");
        }
    }

    #[test]
    fn a_shape_that_does_not_fit_is_an_error() {
        let tensor = FloatTensor {
            name: "a".into(),
            shape: &[2, 2],
            values: &[0.0; 3],
        };
        assert!(TensorFile::new(vec![tensor], HashMap::new()).is_err());
    }
}
