//! A data set on the device.
//!
//! The images may exceed the largest binding: WebGPU guarantees 128 MiB, and CIFAR-10 takes 147.
//! They then lie in several buffers of whole images.

use wgpu::Buffer;

use super::device::GpuDevice;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::exec::check_reload;
use crate::memory;

/// Number of buffers that a gather binds in addition to the images.
const EXTRA_BINDINGS: usize = 4;
/// Maximum number of image buffers. The gather tests each of them for every word.
const MAX_PARTS: usize = 16;

/// A data set on the device.
pub struct GpuData {
    /// The images, in parts.
    pub images: Vec<Buffer>,
    /// The labels.
    pub labels: Buffer,
    /// The order in which steps read the samples.
    pub order: Buffer,
    /// Number of images in each part except the last.
    pub images_per_part: usize,
    /// Whether the pixels are floats.
    pub floats: bool,
    /// Number of samples in the order.
    pub len: usize,
    /// Size of an image in bytes.
    size: usize,
    /// Bytes of images, and number of labels, when first loaded.
    room: [usize; 2],
}

impl GpuData {
    /// Uploads a data set, in its own order.
    ///
    /// # Errors
    /// The data set exceeds the adapter's bindings or memory.
    pub fn new(gpu: &GpuDevice, data: &Dataset) -> Result<Self> {
        let (pixels, floats) = (data.pixels().memory(), data.pixels().are_floats());
        let of_pixel = if floats { size_of::<f32>() } else { 1 };
        let size = of_pixel * data.image_bytes().max(1);
        let images_per_part = images_per_part(gpu, data, size)?;
        if gpu.describe().software {
            memory::check("the data set", pixels.len() as u64)?;
        }
        let parts = parts(pixels, images_per_part, size);
        let images = parts.map(|part| gpu.storage_with("data set images", part));
        Ok(Self {
            images: images.collect::<Result<_>>()?,
            labels: gpu.storage_with("data set labels", data.labels())?,
            order: gpu.storage_with("data set order", bytemuck::cast_slice(&in_order(data)))?,
            images_per_part,
            floats,
            len: data.len(),
            size,
            room: [pixels.len(), data.len()],
        })
    }

    /// Replaces the samples.
    ///
    /// # Errors
    /// There are more than were loaded first.
    pub fn reload(&mut self, gpu: &GpuDevice, samples: &Dataset) -> Result<()> {
        check_reload(self.room, samples)?;
        if samples.pixels().are_floats() != self.floats {
            let message = "bytes cannot take the place of floats in a loaded data set, nor floats that of bytes";
            return Err(Error::Argument(message.into()));
        }
        self.len = samples.len();
        let parts = parts(samples.pixels().memory(), self.images_per_part, self.size);
        for (buffer, part) in self.images.iter().zip(parts) {
            gpu.write_bytes(buffer, 0, part)?;
        }
        gpu.write_bytes(&self.labels, 0, samples.labels())?;
        gpu.write_bytes(&self.order, 0, bytemuck::cast_slice(&in_order(samples)))
    }

    /// Sets the order.
    ///
    /// # Errors
    /// The order is longer than the data set.
    pub fn set_order(&mut self, gpu: &GpuDevice, order: &[u32]) -> Result<()> {
        let bytes = bytemuck::cast_slice(order);
        if bytes.len() as u64 > self.order.size() {
            return Err(Error::Argument(format!(
                "an order of {} does not fit a data set of {}",
                order.len(),
                self.len
            )));
        }
        self.len = order.len();
        gpu.write_bytes(&self.order, 0, bytes)
    }
}

fn in_order(data: &Dataset) -> Vec<u32> {
    (0..data.len() as u32).collect()
}

/// The memory of each part.
fn parts(images: &[u8], images_per_part: usize, size: usize) -> impl Iterator<Item = &[u8]> {
    images.chunks(images_per_part.saturating_mul(size))
}

/// Number of images of `size` bytes in a part; unlimited if one buffer holds all.
fn images_per_part(gpu: &GpuDevice, data: &Dataset, size: usize) -> Result<usize> {
    let all = data.pixels().memory().len();
    let most = usize::try_from(gpu.max_in_part.min(gpu.max_bound())).unwrap_or(usize::MAX);
    if all <= most {
        return Ok(usize::MAX);
    }
    // Parts start at word boundaries.
    let images_per_part = most / size / 4 * 4;
    let bindings = gpu.limits.max_storage_buffers_per_shader_stage as usize;
    let parts = bindings.saturating_sub(EXTRA_BINDINGS).min(MAX_PARTS);
    if images_per_part.saturating_mul(parts) < data.len() {
        Err(memory::too_large(
            &format!("the images of data set `{}`", data.name),
            all as u64,
            &format!(
                "the adapter allows {} in {parts} buffers",
                memory::in_words((images_per_part * parts * size) as u64)
            ),
        ))
    } else {
        Ok(images_per_part)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::digits;
    use crate::exec::gpu::GpuExecutor;
    use crate::model::{Activation, Dense, Flatten, Sequential, preset};
    use crate::state::Layout;
    use crate::train::{Options, Trainer};

    /// Size of a digit in bytes.
    const SIZE: u64 = 28 * 28;

    fn device(max_in_part: u64) -> GpuDevice {
        let mut gpu = GpuDevice::find(crate::exec::test_backend(), None)
            .unwrap_or_else(|e| panic!("the GPU tests need an adapter, such as lavapipe: {e}"));
        gpu.max_in_part = max_in_part;
        gpu
    }

    /// The hash of the weights after training on `train` in parts of at most `max_in_part` bytes,
    /// and the number of parts.
    fn trained(max_in_part: u64, model: Sequential, train: &Dataset) -> (String, usize) {
        let gpu = Arc::new(device(max_in_part));
        let layout = Layout::new(&model).unwrap();
        let executor = Box::new(GpuExecutor::new(Arc::clone(&gpu), layout));
        let options = Options::default().epochs(2).batch_size(8);
        let mut trainer = Trainer::with_executor(model, executor, options).unwrap();
        let parts = GpuData::new(&gpu, train).unwrap().images.len();
        trainer.fit((train, train)).unwrap();
        (trainer.state().weights_hash(), parts)
    }

    #[test]
    fn images_in_parts_train_to_the_same_bytes() {
        let digits = digits::generate(50, 1, 0);
        let train = |most| trained(most, preset("mnist-mlp").unwrap(), &digits);
        let (whole, one) = train(u64::MAX);
        // Parts of 12, 12, 12, 12 and 2 images; there is room for 15.
        let (cut, five) = train(15 * SIZE);
        assert_eq!((one, five), (1, 5));
        assert_eq!(whole, cut);
    }

    /// Nine images of 15 bytes, most of which start within a word.
    fn odd(first: usize) -> Dataset {
        let pixels = (0..9 * 15).map(|i| ((first + 7 * i) % 251) as u8);
        Dataset::new("odd", "", [3, 5, 1], 9, pixels.collect(), (0..9).collect()).unwrap()
    }

    #[test]
    fn images_that_begin_within_words_can_lie_in_parts() {
        let model = || {
            let head = Dense::new(9).activation(Activation::Softmax);
            Sequential::new([3, 5, 1]).add(Flatten::new()).add(head)
        };
        let (whole, one) = trained(u64::MAX, model(), &odd(0));
        // Parts of 4, 4 and 1 images.
        let (cut, three) = trained(64, model(), &odd(0));
        assert_eq!((one, three), (1, 3));
        assert_eq!(whole, cut);
        let (other, _) = trained(64, model(), &odd(100));
        assert_ne!(cut, other, "the images make no difference");
    }

    #[test]
    fn parts_can_be_reloaded() {
        let (first, second) = (odd(0), odd(100));
        let gpu = device(64);
        let mut data = GpuData::new(&gpu, &first).unwrap();
        let read = |data: &GpuData| -> Vec<u8> {
            let parts = data.images.iter().zip(first.images().chunks(4 * 15));
            let bytes = parts.map(|(buffer, part)| {
                let all = gpu.read_back(buffer, 0, buffer.size()).unwrap();
                all[..part.len()].to_vec()
            });
            bytes.flatten().collect()
        };
        assert_eq!(read(&data), first.images());
        data.reload(&gpu, &second).unwrap();
        assert_eq!(read(&data), second.images());
    }

    #[test]
    fn more_than_the_adapter_binds_is_refused() {
        let gpu = device(4 * SIZE);
        let error = GpuData::new(&gpu, &digits::generate(70, 1, 0)).map(|_| ());
        let message = error.unwrap_err().to_string();
        assert!(message.contains("data set `digits`"), "{message}");
        assert!(message.contains("53.6 KiB"), "{message}");
    }
}
