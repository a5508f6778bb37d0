//! A tensor of a file.

use pytorch_reader::{DType, Tensor};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::error::FormatError;

/// A tensor, whose values are read when they are needed.
pub(super) struct TorchTensor<'a> {
    /// Its full name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    values: TensorValues<'a>,
}

enum TensorValues<'a> {
    /// The bytes of little-endian floats.
    Here(&'a [u8]),
    /// Floats in a `.pt` file.
    InFile(Tensor),
    /// Of another type, by its name in PyTorch.
    Other(&'static str),
}

impl<'a> TorchTensor<'a> {
    /// A tensor of a safetensors file.
    pub fn of_safetensors(name: String, view: &TensorView<'a>) -> Self {
        let values = match view.dtype() {
            Dtype::F32 => TensorValues::Here(view.data()),
            Dtype::F16 => TensorValues::Other("float16"),
            Dtype::BF16 => TensorValues::Other("bfloat16"),
            Dtype::F64 => TensorValues::Other("float64"),
            _ => TensorValues::Other("integers or another type"),
        };
        Self {
            name,
            shape: view.shape().to_vec(),
            values,
        }
    }

    /// A tensor of a `.pt` file.
    pub fn of_pickle(tensor: Tensor) -> Self {
        Self {
            name: tensor.name.clone(),
            shape: tensor.shape().to_vec(),
            values: match tensor.dtype() {
                DType::F32 => TensorValues::InFile(tensor),
                DType::F16 => TensorValues::Other("float16"),
                DType::BF16 => TensorValues::Other("bfloat16"),
                DType::F64 => TensorValues::Other("float64"),
                DType::I64
                | DType::I32
                | DType::I16
                | DType::I8
                | DType::U64
                | DType::U32
                | DType::U16
                | DType::U8
                | DType::Bool => TensorValues::Other("integers"),
            },
        }
    }

    /// The name without the module's.
    pub fn leaf(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }

    /// The name of the module that it belongs to.
    pub fn module(&self) -> &str {
        self.name.rsplit_once('.').map_or("", |(module, _)| module)
    }

    /// Checks that the tensor holds floats of 32 bits.
    ///
    /// # Errors
    /// It holds something else.
    pub fn check_type(&self) -> Result<(), FormatError> {
        match self.values {
            TensorValues::Here(_) | TensorValues::InFile(_) => Ok(()),
            TensorValues::Other(found) => Err(format!(
                "`{}`: expected float32, found {found}; save the state dict of `net.float()`",
                self.name
            )
            .into()),
        }
    }

    /// The values, row-major; as many as the shape says.
    ///
    /// # Errors
    /// They are of another type or cannot be read.
    pub fn floats(&self) -> Result<Vec<f32>, FormatError> {
        self.check_type()?;
        let values: Vec<f32> = match &self.values {
            TensorValues::Here(bytes) => words(bytes).map(f32::from_le_bytes).collect(),
            // In this machine's byte order.
            TensorValues::InFile(tensor) => {
                let bytes = tensor
                    .read()
                    .map_err(|e| FormatError::from(format!("cannot be read: {e}")).caused_by(e))?;
                words(&bytes).map(f32::from_ne_bytes).collect()
            }
            TensorValues::Other(_) => Vec::new(),
        };
        let expected: usize = self.shape.iter().product();
        match values.len() == expected {
            true => Ok(values),
            false => Err(format!(
                "`{}`: expected {expected} values, found {}",
                self.name,
                values.len()
            )
            .into()),
        }
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    let (words, _) = bytes.as_chunks();
    words.iter().copied()
}
