//! Floats in safetensors files, little-endian on every machine.

use std::collections::HashMap;

use safetensors::{Dtype, SafeTensorError, SafeTensors};

use crate::error::FormatError;

/// The maximum length of a header. Its text, a model and a history, takes many times its size in
/// memory, whereas the tensors take no more than in the file.
const MAX_HEADER: u64 = 16 << 20;

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
