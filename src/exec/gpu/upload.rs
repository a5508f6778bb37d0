//! Uploads in pieces.
//!
//! The queue copies the data of a write into staging memory and keeps the copy until a submission
//! has executed it. Written in one piece, a large data set or state would be held twice.

use wgpu::Buffer;

use super::device::GpuDevice;
use crate::error::Result;

impl GpuDevice {
    /// Writes to a buffer, starting at `offset`. Waits for earlier pieces, so that the queue holds
    /// at most two.
    ///
    /// # Errors
    /// The device failed.
    pub(super) fn write_bytes(&self, buffer: &Buffer, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut submitted = None;
        let mut pieces = bytes.chunks(self.piece).enumerate().peekable();
        while let Some((i, piece)) = pieces.next() {
            self.write_piece(buffer, offset + (i * self.piece) as u64, piece);
            if pieces.peek().is_some()
                && let Some(before) = submitted.replace(self.queue.submit([]))
            {
                self.wait(Some(before))?;
            }
        }
        self.check()
    }

    fn write_piece(&self, buffer: &Buffer, offset: u64, bytes: &[u8]) {
        #[cfg(test)]
        self.largest_write
            .fetch_max(bytes.len(), std::sync::atomic::Ordering::Relaxed);
        let whole = bytes.len() / 4 * 4;
        self.queue.write_buffer(buffer, offset, &bytes[..whole]);
        if whole < bytes.len() {
            // Writes consist of whole words.
            let mut last = [0u8; 4];
            last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            self.queue
                .write_buffer(buffer, offset + whole as u64, &last);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::data::digits;
    use crate::exec::gpu::GpuExecutor;
    use crate::exec::gpu::device::PIECE;
    use crate::model::preset;
    use crate::state::Layout;
    use crate::train::{Options, Trainer};

    /// The test device with this size of pieces.
    fn device(piece: usize) -> GpuDevice {
        let mut gpu = GpuDevice::find(crate::exec::test_backend(), None)
            .unwrap_or_else(|e| panic!("the GPU tests need an adapter, such as lavapipe: {e}"));
        gpu.piece = piece;
        gpu
    }

    #[test]
    fn pieces_arrive_in_their_places() {
        let gpu = device(16);
        let bytes: Vec<u8> = (1..=75).collect();
        let buffer = gpu.storage("target", 96).unwrap();
        gpu.write_bytes(&buffer, 8, &bytes).unwrap();
        let found = gpu.read_back(&buffer, 0, 96).unwrap();
        let mut expected = vec![0; 96];
        expected[8..83].copy_from_slice(&bytes);
        assert_eq!(found, expected);
        assert_eq!(gpu.largest_write.load(Ordering::Relaxed), 16);
    }

    #[test]
    fn nothing_that_training_uploads_exceeds_a_piece() {
        let digits = digits::generate(24, 1, 0);
        let trained = |piece| {
            let gpu = Arc::new(device(piece));
            let model = preset("mnist-mlp").unwrap();
            let layout = Layout::new(&model).unwrap();
            let executor = Box::new(GpuExecutor::new(Arc::clone(&gpu), layout));
            let options = Options::default().epochs(1).batch_size(8);
            let mut trainer = Trainer::with_executor(model, executor, options).unwrap();
            trainer.fit((&digits, &digits)).unwrap();
            let largest = gpu.largest_write.load(Ordering::Relaxed);
            (trainer.state().weights_hash(), largest)
        };
        let (whole, largest) = trained(PIECE);
        assert!(largest > 4096, "{largest}");
        assert_eq!(trained(4096), (whole, 4096));
    }
}
