//! What a run leaves on disk: a folder with all that is needed to look at it, use it and run it
//! again.
//!
//! - `config.toml`: [`Config`], the model included.
//! - `history.csv` and `history.jsonl`: one line per epoch, written as it ends.
//! - `checkpoint.safetensors`: where the run is, see [`checkpoint`]; replaced after every epoch, every
//!   minute, and when the run is interrupted.
//! - `model.safetensors`: model and weights, see [`weights`]; replaced after every epoch.
//! - `best.safetensors`: those of its best epoch, where that was asked for.
//! - `result.json`: what the run came to, written at its end.

mod callbacks;
pub mod checkpoint;
mod config;
mod folder;
mod tensors;
pub mod weights;

pub use callbacks::CallbackRecord;
pub use config::{Config, DataRecord, DeviceRecord, InitialWeights};
pub use folder::RunFolder;
