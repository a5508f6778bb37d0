//! The two files of a network for PyTorch.

/// A network as the contents of two files that belong in one folder.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TorchExport {
    /// The contents of `weights.safetensors`: the module's state dict.
    pub weights: Vec<u8>,
    /// The text of `model.py`: the module, and `load()`, which returns it with these weights.
    pub model_py: String,
    /// What the files do not hold, one line each.
    pub left_behind: Vec<String>,
}

impl TorchExport {
    /// The name of the file with the weights, which `model.py` loads.
    pub const WEIGHTS_FILE: &'static str = "weights.safetensors";
    /// The name of the file with the module.
    pub const MODEL_FILE: &'static str = "model.py";
}
