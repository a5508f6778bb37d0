//! The adapter's peak rates: the kernels of `shaders/peak.wgsl`, timed by wall clock over
//! submissions long enough to measure.

use std::iter::repeat_n;

use wgpu::Buffer;

use super::call::{Access, Call};
use super::device::GpuDevice;
use super::dispatch::{Dispatch, Resource};
use super::steps::Steps;
use crate::error::Result;
use crate::exec::Peak;
use crate::exec::peak::best_rate;

/// Independent sums per invocation of `fma_peak`.
const SUMS: usize = 12;
/// Multiply-adds per sum.
const ROUNDS: usize = 1024;
/// Invocations per invocation needed to keep the adapter busy.
const WAVES: usize = 16;

/// The two buffers, the slots, and the device.
struct Bench<'a> {
    gpu: &'a GpuDevice,
    steps: Steps,
    from: Buffer,
    to: Buffer,
}

impl GpuDevice {
    /// Measures multiply-adds, the better of scalars and vec4s, and copies, the better of a
    /// kernel's and the driver's.
    ///
    /// # Errors
    /// The device failed.
    pub fn peak(&self) -> Result<Peak> {
        let bytes = (Peak::COPIED as u64).min(self.max_bound()) / 16 * 16;
        let bench = Bench {
            gpu: self,
            steps: self.steps(),
            from: self.storage("peak: from", bytes)?,
            to: self.storage("peak: to", bytes)?,
        };
        let gflops = bench.gflops(1)?.max(bench.gflops(4)?);
        let gbytes_per_second = bench.kernel_copy()?.max(bench.driver_copy()?);
        Ok(Peak {
            gflops,
            gbytes_per_second,
        })
    }
}

impl Bench<'_> {
    fn gflops(&self, width: usize) -> Result<f64> {
        let room = self.from.size() as usize / (4 * width);
        let n = (WAVES * self.gpu.tuning().min_invocations).min(room);
        let dispatch = self.prepare("fma_peak", width, n)?;
        let flops = 2 * n * ROUNDS * SUMS * width;
        Ok(self.rate(&dispatch)? * flops as f64 / 1e9)
    }

    fn kernel_copy(&self) -> Result<f64> {
        let n = self.from.size() as usize / 16;
        let dispatch = self.prepare("copy_peak", 4, n)?;
        Ok(self.rate(&dispatch)? * (2 * 16 * n) as f64 / 1e9)
    }

    fn driver_copy(&self) -> Result<f64> {
        let bytes = self.from.size();
        let copies = best_rate(|n| {
            let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
            for _ in 0..n {
                encoder.copy_buffer_to_buffer(&self.from, 0, &self.to, 0, bytes);
            }
            self.gpu.queue.submit([encoder.finish()]);
            self.gpu.wait(None)
        })?;
        Ok(copies * 2.0 * bytes as f64 / 1e9)
    }

    /// A kernel for `n` Cells of `width` floats.
    fn prepare(&self, entry: &'static str, width: usize, n: usize) -> Result<Dispatch> {
        let text = include_str!("../../../shaders/peak.wgsl");
        let call = Call::new(entry, text, self.gpu.tuning().untiled)
            .cells(width)
            .sizes(&[("LEN", n), ("ROUNDS", ROUNDS)])
            .invocations(n)
            .read(&self.from)
            .write(&self.to);
        let place = |buffer, _: Access| Ok(Resource::Buffer(buffer, None));
        self.gpu.prepare(&call, &self.steps.layout, place)
    }

    /// Dispatches per second.
    fn rate(&self, dispatch: &Dispatch) -> Result<f64> {
        best_rate(|n| {
            let again = repeat_n(dispatch, n);
            self.gpu.submit_now(&self.steps, again);
            self.gpu.wait(None)
        })
    }
}
