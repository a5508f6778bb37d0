//! PyTorch: state dicts as `.pt`, `.pth` and safetensors files.
//!
//! [`export`] writes a network's weights as PyTorch arranges them, and the text of a `model.py` that
//! loads and uses them. [`read`] takes the weights of a network that PyTorch trained, for a model
//! whose layers are the same; a state dict holds no layers. Code in files is never run.
//!
//! PyTorch's images are `[n, c, h, w]`. Kernels of convolutions, `[kh, kw, in, out]` here, are
//! `[out, in, kh, kw]` there, those of depthwise ones `[c * m, 1, kh, kw]`, and those of dense
//! layers `[out, in]`; a dense layer behind a flattened image reads it in the order `[c, h, w]`.

mod arrangement;
mod attributes;
mod axes;
mod read;
mod write;

pub use read::{description, from_safetensors, read};
pub use write::{TorchExport, export};
