//! Run folders: everything needed to inspect, use and repeat a training run.
//!
//! - `config.toml`: [`Config`], the model included.
//! - `history.csv` and `history.jsonl`: one line per epoch, written as it ends.
//! - `checkpoint.safetensors`: the run's position and state, see [`checkpoint`]; replaced after
//!   every epoch, every minute, and after an interrupt.
//! - `model.safetensors`: model and weights, see [`weights`]; replaced after every epoch.
//! - `best.safetensors`: those of the best epoch, if requested.
//! - `result.json`: [`RunOutcome`] and more, written at the end.
//! - `report.html` and `times.json`: the run's report, and the times that it measured, if requested.
//!
//! The folder of an imported network, [`ImportedFolder`], stands for a finished run:
//!
//! - `import.toml`: [`ImportRecord`], where it came from.
//! - `model.safetensors`: as above.
//! - `optimizer.safetensors`: the optimizer's state, if it is known, see [`moments`].

mod callbacks;
pub mod checkpoint;
mod config;
mod folder;
mod imported;
pub mod moments;
mod outcome;
pub(crate) mod tensors;
pub mod weights;

pub use callbacks::CallbackRecord;
pub use config::{Config, DataRecord, DeviceRecord, InitialWeights};
pub use folder::RunFolder;
pub use imported::{ImportRecord, ImportedFolder};
pub use outcome::RunOutcome;
