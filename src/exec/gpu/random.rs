//! The random bits of `shaders/rng.wgsl`, for the check that they equal those of [`crate::rng`].

use wgpu::{BufferDescriptor, BufferUsages};

use super::call::Call;
use super::device::GpuDevice;
use super::dispatch::Resource;
use crate::error::Result;
use crate::rng::Key;

impl GpuDevice {
    /// `key.bits(i)` for `i` in `0..n`, computed on the device.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) fn random_bits(&self, key: Key, n: usize) -> Result<Vec<u32>> {
        let [key_0, key_1] = key.words().map(|word| word as usize);
        let out = self.device.create_buffer(&BufferDescriptor {
            label: Some("random bits"),
            size: (n.max(4) * 4) as u64,
            usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let text = concat!(
            include_str!("../../../shaders/rng.wgsl"),
            include_str!("../../../shaders/random_bits.wgsl")
        );
        let call = Call::new("random_bits", text, self.tuning().untiled)
            .sizes(&[("LEN", n), ("KEY_0", key_0), ("KEY_1", key_1)])
            .invocations(n)
            .write(());
        let steps = self.steps();
        let dispatch = self.prepare(&call, &steps.layout, |(), _| {
            Ok(Resource::Buffer(&out, None))
        })?;
        self.submit_now(&steps, std::iter::once(&dispatch));
        let bytes = self.read_back(&out, 0, (n * 4) as u64)?;
        Ok(bytemuck::pod_collect_to_vec(&bytes))
    }
}
