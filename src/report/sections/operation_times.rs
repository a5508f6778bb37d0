//! How long each operation of a training step takes.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::bench::Workload;
use crate::data::bounded::read_text;
use crate::data::sha256;
use crate::disk;
use crate::error::{Error, Result};
use crate::exec::Device;
use crate::model::Sequential;
use crate::optimizer::Optimizer;

/// The times of the operations of a training step on a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OperationTimes {
    /// The adapter and its API and driver.
    pub device: String,
    /// Images per step.
    pub batch_size: usize,
    /// The fingerprint of the network and its optimizer.
    #[serde(default)]
    pub network: String,
    /// How the times were measured.
    pub method: String,
    /// The operations or, on a GPU, its dispatches, in order.
    pub operations: Vec<OperationTime>,
}

/// The time of one operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OperationTime {
    /// The operations, or the kernel if it only helps others.
    pub name: String,
    /// The layers that they belong to.
    pub layers: Vec<String>,
    /// The median of several runs.
    pub seconds: f64,
    /// Billions of floating-point operations per second, if it computes anything.
    pub gflops: Option<f64>,
}

/// Several measurements, as in a file.
#[derive(Default, Serialize, Deserialize)]
struct KeptTimes {
    measurements: Vec<OperationTimes>,
}

impl OperationTimes {
    /// Measures a training step of `batch_size` images of noise, in about three seconds.
    ///
    /// # Errors
    /// The device cannot run it, or fails.
    pub fn measure(
        device: &Device,
        model: &Sequential,
        optimizer: Optimizer,
        batch_size: usize,
    ) -> Result<Self> {
        let mut workload = Workload::with_optimizer(device, model, optimizer, batch_size)?;
        workload.run(1)?;
        let roofline = workload.roofline(&device.peak()?)?;
        let rows = roofline.rows.into_iter().map(|row| OperationTime {
            name: match row.operations.as_slice() {
                [] => row.name.into(),
                operations => operations.join(" + "),
            },
            layers: row.layers,
            seconds: row.seconds,
            gflops: row.gflops,
        });
        Ok(Self {
            device: described(device),
            batch_size,
            network: fingerprint(model, optimizer)?,
            method: roofline.clock.explanation().replace('\n', " "),
            operations: rows.collect(),
        })
    }

    /// The times that the file at `path` holds for this device, network and batch size; measures
    /// them, and adds them to the file, if it holds none. So a report that is made again stays the
    /// same.
    ///
    /// # Errors
    /// Those of [`OperationTimes::measure`]; the file cannot be written.
    pub fn kept(
        path: &Path,
        device: &Device,
        model: &Sequential,
        optimizer: Optimizer,
        batch_size: usize,
    ) -> Result<Self> {
        let text = read_text(path).unwrap_or_default();
        // A file that cannot be read holds no measurement.
        let mut kept: KeptTimes = serde_json::from_str(&text).unwrap_or_default();
        let here = described(device);
        let network = fingerprint(model, optimizer)?;
        let key = (here.as_str(), network.as_str(), batch_size);
        let fits = |times: &&Self| {
            key == (
                times.device.as_str(),
                times.network.as_str(),
                times.batch_size,
            )
        };
        if let Some(found) = kept.measurements.iter().find(fits) {
            return Ok(found.clone());
        }
        let measured = Self::measure(device, model, optimizer, batch_size)?;
        kept.measurements.push(measured.clone());
        let failed = |e: String| Error::file(path, format!("cannot keep the times: {e}"));
        let text = serde_json::to_string_pretty(&kept).map_err(|e| failed(e.to_string()))?;
        disk::replace(path, (text + "\n").as_bytes()).map_err(|e| failed(e.to_string()))?;
        Ok(measured)
    }
}

/// What a step computes, hashed.
fn fingerprint(model: &Sequential, optimizer: Optimizer) -> Result<String> {
    let text = serde_json::to_string(&(model, optimizer));
    let text = text.map_err(|e| Error::Argument(format!("cannot describe the network: {e}")))?;
    Ok(sha256::of(text.as_bytes()))
}

fn described(device: &Device) -> String {
    let found = device.describe();
    let driver = match found.driver.as_str() {
        "" => String::new(),
        driver => format!(", {driver}"),
    };
    format!("{} ({}{driver})", found.adapter, found.backend)
}
