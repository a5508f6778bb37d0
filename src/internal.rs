//! What this crate's program and tests need of its insides.
//!
//! This module is internal: it may change in any version.

#[cfg(feature = "gpu")]
use std::time::Duration;

#[cfg(feature = "gpu")]
use crate::error::Result;
use crate::exec::Recovering;
#[cfg(feature = "gpu")]
use crate::exec::gpu::{self, GpuDevice, tuning::Tuning};
#[cfg(feature = "gpu")]
use crate::plan::Plan;
#[cfg(feature = "gpu")]
use crate::rng::Key;

pub use crate::exec::null::NullExecutor;

/// Writes to the disk, each of which a test can make fail.
pub mod disk {
    pub use crate::disk::{Act, make_folder, replace, replace_all, watch};
}

/// Sets after how many bytes of samples or calls `recovering` fetches the state, which waits for
/// the device. By default 256 MiB and 65,536.
#[must_use]
pub fn repeating_at_most(recovering: Recovering, bytes: usize, calls: usize) -> Recovering {
    recovering.repeating_at_most(bytes, calls)
}

/// The WGSL of all kernels that a plan's steps and single operations run, in every variant.
#[cfg(feature = "gpu")]
#[must_use]
pub fn kernel_texts(plan: &Plan) -> Vec<String> {
    gpu::kernel_texts(plan)
}

/// Access to a GPU's kernels and faults.
#[cfg(feature = "gpu")]
pub trait GpuHooks: Sized {
    /// Destroys the device, as a driver may at any time.
    fn destroy(&self);

    /// The same device with another hang timeout.
    #[must_use]
    fn with_hang_timeout(&self, timeout: Duration) -> Self;

    /// The choice of kernels.
    fn tuning(&self) -> Tuning;

    /// The same device with other kernels: checks run every variant on any adapter that supports
    /// it.
    #[must_use]
    fn with_tuning(&self, tuning: Tuning) -> Self;

    /// The kernel variants that this adapter supports, by name; its own choice comes first.
    fn variants(&self) -> Vec<(&'static str, Tuning)>;

    /// The same device with each value of each setting that [`tune`](crate::tune) tries, and with the
    /// largest and the smallest of all, by name.
    fn turned(&self) -> Vec<(String, Self)>;

    /// The same device for checks: every buffer is followed by a guard, bound with it, that no
    /// kernel may touch; see [`Inspect::intact`](crate::exec::Inspect::intact).
    #[must_use]
    fn guarded(&self) -> Self;

    /// `key.bits(i)` for `i` in `0..n`, computed on the device.
    ///
    /// # Errors
    /// The device failed.
    fn random_bits(&self, key: Key, n: usize) -> Result<Vec<u32>>;
}

#[cfg(feature = "gpu")]
impl GpuHooks for GpuDevice {
    fn destroy(&self) {
        self.destroy();
    }

    fn with_hang_timeout(&self, timeout: Duration) -> Self {
        self.with_hang_timeout(timeout)
    }

    fn tuning(&self) -> Tuning {
        self.tuning()
    }

    fn with_tuning(&self, tuning: Tuning) -> Self {
        self.with_tuning(tuning)
    }

    fn variants(&self) -> Vec<(&'static str, Tuning)> {
        self.variants()
    }

    fn turned(&self) -> Vec<(String, Self)> {
        let tuned = |name: String, tuning| (name, self.with_tuning(self.possible(tuning)));
        let values = |knob: gpu::Knob| {
            let values = knob.values.iter();
            values.map(move |value| {
                tuned(
                    format!("{} {value}", knob.name),
                    self.tuning().turned(&knob, *value),
                )
            })
        };
        let extremes = [("smallest", 0), ("largest", usize::MAX)].map(|(name, end)| {
            let turned = gpu::KNOBS.iter().fold(self.tuning(), |tuning, knob| {
                let end = end.min(knob.values.len() - 1);
                tuning.turned(knob, knob.values[end])
            });
            tuned(format!("the {name} values"), turned)
        });
        gpu::KNOBS
            .into_iter()
            .flat_map(values)
            .chain(extremes)
            .collect()
    }

    fn guarded(&self) -> Self {
        self.guarded()
    }

    fn random_bits(&self, key: Key, n: usize) -> Result<Vec<u32>> {
        self.random_bits(key, n)
    }
}
