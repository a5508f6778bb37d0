//! How the time of a step scales with the batch size and the image size.

use std::time::Duration;

use serde::Serialize;

use super::Workload;
use crate::error::{Error, Result};
use crate::exec::Device;
use crate::model::Sequential;
use crate::optimizer::Optimizer;
use crate::plan::{Plan, Purpose};

/// Batch sizes at the model's own image size.
const BATCHES: [usize; 7] = [1, 4, 16, 64, 256, 1024, 4096];
/// Image sides, as multiples of the model's own.
const SIDES: [usize; 4] = [1, 2, 4, 8];
/// The batch size for larger images, if it fits.
const SIDE_BATCH: usize = 64;
/// Maximum bytes of tensors of a step with larger images.
const ROOM: usize = 1 << 30;
/// Time budget per row.
const BUDGET: Duration = Duration::from_millis(500);

/// Two tables: over batch sizes and over image sizes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Scaling {
    /// Batches of 1 to 4096 images of the model's own size.
    pub batches: Vec<ScalingRow>,
    /// Images of 1 to 8 times the model's own height and width, through the same layers, in batches
    /// of 64 or the largest that fits.
    pub sides: Vec<ScalingRow>,
}

/// One row of a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScalingRow {
    /// Height and width of the images.
    pub image: [usize; 2],
    /// Images per step.
    pub batch_size: usize,
    /// The measurement, unless the size was skipped.
    #[serde(flatten)]
    pub measured: Option<Measured>,
    /// Why it was skipped.
    pub skipped: Option<String>,
}

/// The cost of a step of one size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Median time of a step.
    pub seconds: f64,
    /// Images per second.
    pub images_per_second: f64,
    /// Nanoseconds per multiply-add: the step's time over half its floating-point operations.
    pub ns_per_mac: f64,
}

impl Scaling {
    /// Measures both tables for training `model` and reports each row to `progress`. A size that
    /// does not fit the device is skipped, with the reason.
    ///
    /// # Errors
    /// The device is lost, or the model is invalid.
    pub fn measure(
        device: &Device,
        model: &Sequential,
        progress: &mut dyn FnMut(&ScalingRow),
    ) -> Result<Self> {
        let mut scaling = Self::default();
        for batch in BATCHES {
            let row = row(device, model, batch)?;
            progress(&row);
            scaling.batches.push(row);
        }
        for factor in SIDES {
            let row = largest(device, &enlarged(model, factor))?;
            progress(&row);
            scaling.sides.push(row);
        }
        Ok(scaling)
    }
}

/// The same layers with a larger input.
fn enlarged(model: &Sequential, factor: usize) -> Sequential {
    let [height, width, channels] = model.input_shape;
    Sequential {
        input_shape: [height * factor, width * factor, channels],
        ..model.clone()
    }
}

/// The row for the largest batch up to [`SIDE_BATCH`] that fits.
fn largest(device: &Device, model: &Sequential) -> Result<ScalingRow> {
    let mut batch = SIDE_BATCH;
    while batch > 1 && bytes(model, batch)? > ROOM {
        batch /= 2;
    }
    loop {
        let row = row(device, model, batch)?;
        if row.measured.is_some() || batch == 1 {
            return Ok(row);
        }
        batch /= 2;
    }
}

/// Bytes of all tensors of a training step.
fn bytes(model: &Sequential, batch: usize) -> Result<usize> {
    let plan = Plan::new(model, Purpose::Training(Optimizer::default()), batch)?;
    Ok(plan.buffers.iter().map(|buffer| 4 * buffer.len()).sum())
}

fn row(device: &Device, model: &Sequential, batch: usize) -> Result<ScalingRow> {
    let [height, width, _] = model.input_shape;
    let (measured, skipped) = match measure(device, model, batch) {
        Ok(measured) => (Some(measured), None),
        Err(
            error @ (Error::Device { .. }
            | Error::OutOfMemory(_)
            | Error::TooLarge { .. }
            | Error::Argument(_)),
        ) => (None, Some(error.to_string())),
        Err(error) => return Err(error),
    };
    Ok(ScalingRow {
        image: [height, width],
        batch_size: batch,
        measured,
        skipped,
    })
}

fn measure(device: &Device, model: &Sequential, batch: usize) -> Result<Measured> {
    let mut workload = Workload::new(device, model, batch)?;
    let time = workload.step(BUDGET)?;
    Ok(Measured {
        seconds: time.seconds,
        images_per_second: time.images_per_second,
        ns_per_mac: time.seconds * 1e9 / (workload.flops() as f64 / 2.0),
    })
}
