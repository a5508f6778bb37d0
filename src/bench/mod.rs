//! Benchmarks: a device's peak rates, the parts of a training step, the whole step, scaling, and several ranks.
//!
//! This module is internal: it may change in any version.
//!
//! ```
//! use std::time::Duration;
//!
//! use cnn_gpu::bench::Workload;
//! use cnn_gpu::exec::{self, Backend, Selection};
//! use cnn_gpu::model::preset;
//!
//! let device = exec::open(&Selection::new(Backend::Cpu))?;
//! let model = preset("mnist-mlp").expect("a preset");
//! let mut workload = Workload::new(&device, &model, 16)?;
//! let step = workload.step(Duration::from_millis(20))?;
//! assert!(step.images_per_second > 0.0);
//! # Ok::<(), cnn_gpu::Error>(())
//! ```

mod race;
mod ranks;
mod roofline;
mod scaling;
mod workload;

pub use race::{Race, cpu_is_faster};
pub use ranks::{RankedStep, StepCost, StepTraffic};
pub use roofline::{Roofline, RooflineRow};
pub use scaling::{Measured, Scaling, ScalingRow};
pub use workload::{StepMemory, StepTime, Workload};
