//! Steps by themselves, without epochs and callbacks, for benchmarks.

use std::time::Instant;

use super::Trainer;
use super::training_batch::TrainingBatch;
use crate::data::Dataset;
use crate::distributed::{Communicator, Exchange, TreeNode};
use crate::error::Result;
use crate::exec::{DataId, Executor, GradientSum};
use crate::rng::Key;

impl<E: Executor + ?Sized> Trainer<E> {
    /// Loads the batch on which steps are timed.
    ///
    /// # Errors
    /// It does not fit the device.
    pub(crate) fn load_batch(&mut self, data: &Dataset) -> Result<DataId> {
        self.executor.load(data)
    }

    /// Takes `steps` training steps on the first `rows` rows of a batch, waits for them, and returns the time in
    /// seconds. If there are several ranks, all call it alike.
    ///
    /// # Errors
    /// The device or a rank failed.
    pub(crate) fn time_steps(&mut self, data: DataId, rows: usize, steps: usize) -> Result<f64> {
        let started = Instant::now();
        for number in 1..=steps as u64 {
            self.enqueue_batch(&TrainingBatch {
                data,
                offset: 0,
                rows,
                rates: self.options.optimizer.rates(number),
                key: Key::of_step(self.options.seed, number),
            })?;
            // Otherwise their metrics would pile up.
            self.completed_batches(false)?;
        }
        self.completed_batches(true)?;
        Ok(started.elapsed().as_secs_f64())
    }

    /// Takes the gradients from the device, makes a message of them, and gives its contents back to the device.
    /// Returns the time in seconds and the length of the message in bytes.
    ///
    /// # Errors
    /// The device failed, or does not share its gradients.
    pub(crate) fn time_handling(&mut self) -> Result<(f64, usize)> {
        self.executor.completed(true)?;
        let started = Instant::now();
        let about = (Exchange::Training, 0);
        let mut node = TreeNode::new(about);
        node.gradients = self.executor.gradients()?;
        let message = node.to_bytes();
        let received = TreeNode::from_bytes(&message, about)?;
        self.executor
            .set_gradients(&received.gradients, GradientSum::default())?;
        self.executor.start()?;
        self.executor.completed(true)?;
        Ok((started.elapsed().as_secs_f64(), message.len()))
    }

    /// The connection to the other ranks, if there are any.
    pub(crate) fn communicator(&mut self) -> Option<&mut dyn Communicator> {
        let ranks = self.ranks.as_mut()?;
        Some(ranks.communicator.as_mut())
    }
}
