//! The kernels that a run trains with.

use cnn_gpu::Result;
use cnn_gpu::exec::Device;
use cnn_gpu::run::DeviceRecord;

/// Which kernels a run takes.
#[derive(Clone, Debug)]
pub enum KernelSource {
    /// Those that `tune` chose for the device, if it did.
    Tuned,
    /// Those of the device's class.
    Default,
    /// Those that the run began with, as long as it stays on the same device.
    Recorded(Box<DeviceRecord>),
}

impl KernelSource {
    /// The device with these kernels and, if they are not the default ones, a note on them.
    ///
    /// # Errors
    /// The run's kernels do not exist in this version.
    pub fn give(&self, device: Device) -> Result<(Device, Option<String>)> {
        match self {
            Self::Default => Ok((device, None)),
            Self::Recorded(record) if record.is_of(&device.describe()) => {
                let note = format!("kernels: tuned, as before ({})", record.kernels);
                let note = (!record.kernels.is_empty()).then_some(note);
                Ok((device.with_kernels(&record.kernels)?, note))
            }
            Self::Tuned | Self::Recorded(_) => tuned(device),
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
