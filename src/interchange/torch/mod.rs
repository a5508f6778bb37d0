//! PyTorch: state dicts as `.pt`, `.pth` and safetensors files.
