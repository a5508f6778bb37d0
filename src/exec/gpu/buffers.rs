//! Buffers on the device: creating, filling, clearing and reading them back.

use futures_intrusive::channel::shared::oneshot_channel;
use wgpu::{Buffer, BufferDescriptor, BufferUsages, MapMode};

use super::device::GpuDevice;
use crate::error::{Error, Result};
use crate::memory;
use crate::state::Layout;

/// The flat arrays of parameters, gradients, moments and average.
pub struct Arenas {
    pub params: Buffer,
    pub gradients: Buffer,
    pub moment_1: Buffer,
    pub moment_2: Buffer,
    pub average: Buffer,
}

/// The guard behind every buffer of a guarded device, which kernels must not overwrite: NaNs, so
/// that a kernel that reads it is noticed too.
const GUARD: [u32; 64] = [0x7fc0_5afe; 64];

impl GpuDevice {
    /// The same device for checks: every buffer is followed by a guard, bound with it, that no
    /// kernel may touch; see [`Inspect::intact`](crate::exec::Inspect::intact).
    pub(crate) fn guarded(&self) -> Self {
        let mut guarded = self.clone();
        guarded.guard = size_of_val(&GUARD) as u64;
        guarded
    }

    /// Writes the guard behind a new buffer of `bytes` bytes.
    pub(super) fn set_guard(&self, buffer: &Buffer, bytes: u64) {
        if self.guard > 0 {
            let guard = bytemuck::bytes_of(&GUARD);
            self.queue.write_buffer(buffer, bytes, guard);
        }
    }

    /// Whether the guard behind a buffer is unchanged.
    pub(super) fn is_intact(&self, buffer: &Buffer) -> Result<bool> {
        if self.guard == 0 {
            return Ok(true);
        }
        let bytes = self.read_back(buffer, buffer.size() - self.guard, self.guard)?;
        Ok(bytes == bytemuck::bytes_of(&GUARD))
    }

    /// Size in bytes of the largest buffer that can be bound as a whole.
    pub(super) fn max_bound(&self) -> u64 {
        let limits = &self.limits;
        let most = (limits.max_buffer_size).min(limits.max_storage_buffer_binding_size);
        // Metal passes a binding's size to shaders as a u32; reads beyond it return zero
        // (gfx-rs/wgpu#10305).
        most.min(u32::MAX.into()) / 16 * 16
    }

    /// Checks the size of a buffer against the adapter's limits.
    pub(super) fn check_size(&self, label: &str, bytes: u64) -> Result<()> {
        let most = self.max_bound();
        if bytes > most {
            Err(memory::too_large(
                &format!("buffer `{label}`"),
                bytes,
                &format!("the adapter allows {}", memory::in_words(most)),
            ))
        } else {
            Ok(())
        }
    }

    /// A zeroed storage buffer of at least `bytes` bytes.
    pub(super) fn storage(&self, label: &str, bytes: u64) -> Result<Buffer> {
        self.check_size(label, bytes)?;
        let size = bytes.max(16).next_multiple_of(16);
        let buffer = self.device.create_buffer(&BufferDescriptor {
            label: Some(label),
            size: size + self.guard,
            usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.set_guard(&buffer, size);
        self.check()?;
        Ok(buffer)
    }

    /// An executor's arrays, zeroed.
    pub(super) fn arenas(&self, layout: &Layout) -> Result<Arenas> {
        let bytes = 4 * layout.len as u64;
        Ok(Arenas {
            params: self.storage("parameters", bytes)?,
            gradients: self.storage("gradients", bytes)?,
            moment_1: self.storage("first moments", bytes)?,
            moment_2: self.storage("second moments", bytes)?,
            average: self.storage("average of the weights", bytes)?,
        })
    }

    /// A part of a buffer, after everything submitted so far.
    pub(super) fn read_back(&self, buffer: &Buffer, offset: u64, bytes: u64) -> Result<Vec<u8>> {
        let size = bytes.max(4);
        let staging = self.device.create_buffer(&BufferDescriptor {
            label: Some("read back"),
            size,
            usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, size);
        let submission = self.queue.submit([encoder.finish()]);
        let (sender, receiver) = oneshot_channel();
        staging.map_async(MapMode::Read, .., move |outcome| {
            // Fails only if the receiver is gone, after an error below.
            let _ = sender.send(outcome);
        });
        self.wait(Some(submission))?;
        // The wait has run the callback or, if the device is lost, dropped it.
        if !matches!(pollster::block_on(receiver.receive()), Some(Ok(()))) {
            return Err(Error::DeviceLost("a finished copy cannot be read".into()));
        }
        let view = staging
            .get_mapped_range(..)
            .map_err(|e| Error::DeviceLost(e.to_string()))?;
        Ok(view[..bytes as usize].to_vec())
    }

    /// Zeroes a buffer, except for its guard.
    pub(super) fn clear(&self, buffer: &Buffer) {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.clear_buffer(buffer, 0, Some(buffer.size() - self.guard));
        self.queue.submit([encoder.finish()]);
    }

    /// A storage buffer with these bytes.
    pub(super) fn storage_with(&self, label: &str, bytes: &[u8]) -> Result<Buffer> {
        let buffer = self.storage(label, bytes.len() as u64)?;
        self.write_bytes(&buffer, 0, bytes)?;
        Ok(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::test_backend;

    #[test]
    fn nothing_of_4_gib_is_bound_whatever_the_adapter_allows() {
        let mut gpu = GpuDevice::find(test_backend(), None)
            .unwrap_or_else(|e| panic!("the GPU tests need an adapter, such as lavapipe: {e}"));
        gpu.limits.max_buffer_size = 1 << 40;
        gpu.limits.max_storage_buffer_binding_size = 1 << 40;
        assert!(gpu.check_size("tensor", (1 << 32) - 16).is_ok());
        let refused = gpu.check_size("tensor", 1 << 32).map_err(|e| e.to_string());
        let message = refused.unwrap_err();
        assert!(message.contains("`tensor` would take 4.0 GiB"), "{message}");
    }
}
