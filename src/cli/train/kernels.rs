//! The kernels that a run trains with.

use cnn_gpu::exec::Device;
use cnn_gpu::run::DeviceRecord;
use cnn_gpu::{Error, Result};

/// Which kernels a run takes.
#[derive(Clone, Debug)]
pub enum KernelSource {
    /// Those that `tune` chose for the device, if it did.
    Tuned,
    /// Those of the device's class.
    Default,
    /// Those that the run had on the device, if it was trained there; in order.
    Recorded(Vec<DeviceRecord>),
}

impl KernelSource {
    /// The device with these kernels and, if they are not the default ones, a note on them.
    ///
    /// # Errors
    /// The run's kernels do not exist in this version.
    pub fn give(&self, device: Device) -> Result<(Device, Option<String>)> {
        let here = device.describe();
        match self {
            Self::Default => Ok((device, None)),
            Self::Tuned => tuned(device),
            Self::Recorded(records) => match records.iter().rfind(|record| record.is_of(&here)) {
                None => tuned(device),
                Some(DeviceRecord { kernels, .. }) if kernels.is_empty() => Ok((device, None)),
                Some(DeviceRecord { kernels, .. }) => {
                    let note = format!("kernels: tuned, as before ({kernels})");
                    let device = device.with_kernels(kernels).map_err(|error| {
                        Error::Argument(format!(
                            "the run's kernels are of another version: {error}"
                        ))
                    })?;
                    Ok((device, Some(note)))
                }
            },
        }
    }

    /// Whether the run has tuned kernels on any device.
    pub fn is_tuned(&self) -> bool {
        match self {
            Self::Default | Self::Tuned => false,
            Self::Recorded(records) => records.iter().any(|record| !record.kernels.is_empty()),
        }
    }
}

#[cfg(feature = "gpu")]
fn tuned(device: Device) -> Result<(Device, Option<String>)> {
    let Some(tuned) = crate::cli::tune::remembered(&device.describe()) else {
        return Ok((device, None));
    };
    let note = format!(
        "kernels: tuned on {} for {} in batches of {}, {:.2} times as fast as the default ones, which \
         --default-kernels takes",
        tuned.tuned, tuned.model, tuned.batch_size, tuned.speed
    );
    Ok((device.with_kernels(&tuned.kernels)?, Some(note)))
}

#[cfg(not(feature = "gpu"))]
fn tuned(device: Device) -> Result<(Device, Option<String>)> {
    Ok((device, None))
}
