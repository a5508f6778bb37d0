//! Floats in safetensors files: little-endian, whatever the machine.

use safetensors::{Dtype, SafeTensors};

/// Floats as the bytes of a tensor.
pub fn le_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// The floats of a tensor.
///
/// # Errors
/// There is no such tensor, or it holds something else.
pub fn floats(tensors: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>, String> {
    let tensor = tensors
        .tensor(name)
        .map_err(|_| format!("lacks the tensor `{name}`"))?;
    if tensor.dtype() != Dtype::F32 {
        return Err(format!(
            "`{name}`: expected F32, found {:?}",
            tensor.dtype()
        ));
    }
    let bytes = tensor.data().chunks_exact(4);
    Ok(bytes
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect())
}
