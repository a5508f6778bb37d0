//! What a run leaves on disk: a folder with all that is needed to look at it, use it and run it
//! again.
//!
//! - `config.toml`: [`Config`], the model included.
//! - `history.csv` and `history.jsonl`: one line per epoch, written as it ends.
//! - `model.safetensors`: model and weights, see [`weights`]; replaced after every epoch.
//! - `result.json`: what the run came to, written at its end.

mod config;
mod folder;
pub mod weights;

pub use config::{Config, DataRecord, DeviceRecord};
pub use folder::RunFolder;
