//! Files of Keras: `.keras`, files of weights (`.weights.h5`) and models of Keras 2 (`.h5`).
//!
//! | module | what it knows |
//! |---|---|
//! | `export`, `import` | the whole files |
//! | `section`, `archive`, `hdf5` | bytes, the zip archive around them, tensors in them |
//! | `config`, `assembly`, `blueprint` | Keras's configuration as layers that take each other's outputs, and as a model |
//! | `layers`, `arguments`, `activation`, ... | each layer and its arguments |
//! | `loss`, `optimizer` | how a model was compiled |
//! | `inputs` | inputs that are not images in Keras |
//! | `weights`, `moments`, `legacy` | where Keras stores which variable |
//!
//! ```
//! use cnn_gpu::interchange::{Network, keras};
//! use cnn_gpu::model::preset;
//! use cnn_gpu::optimizer::Optimizer;
//! use cnn_gpu::state::{Layout, State};
//! # let Some(model) = preset("mnist-mlp") else { return Ok(()) };
//! let state = State::new(Layout::new(&model)?, 1);
//! let network = Network::new(model, state).optimizer(Optimizer::adam());
//! let export = keras::to_bytes(&network)?;
//! let import = keras::from_bytes(export.bytes, None)?;
//! assert_eq!(import.network.model, network.model);
//! assert_eq!(import.network.optimizer, network.optimizer);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod activation;
mod archive;
mod arguments;
mod assembly;
mod blueprint;
mod branches;
mod config;
mod export;
mod hdf5;
mod import;
mod initializer;
mod inputs;
mod layers;
mod legacy;
mod loss;
mod moments;
mod names;
mod objects;
mod optimizer;
mod order;
mod regularizer;
mod section;
mod substitute;
mod weights;

pub use export::to_bytes;
pub use import::{from_bytes, is_weights, read, read_unchanged};
pub use inputs::FEATURES;
