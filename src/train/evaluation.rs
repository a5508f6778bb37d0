//! How well the weights do on a data set, as they are.

use std::fmt::{self, Display, Formatter};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::trainer::Pass;
use super::{Mean, Trainer};
use crate::data::Dataset;
use crate::error::Result;
use crate::exec::{Executor, Step};
use crate::rng::Key;

/// Metrics are fetched after this many steps.
const FETCH_EVERY: usize = 16;

/// What [`Trainer::evaluate`] measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// Share of images that were classified correctly.
    pub accuracy: f64,
    /// How many that are.
    pub correct: u64,
    /// Images.
    pub images: u64,
    /// How long it took.
    pub seconds: f64,
}

impl Display for Evaluation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "loss {:.4}, accuracy {:.4}", self.loss, self.accuracy)
    }
}

impl<E: Executor + ?Sized> Trainer<E> {
    /// Loss and accuracy on `data`, with the weights as they are.
    ///
    /// # Errors
    /// A data set that does not fit the model, or a device that failed.
    pub fn evaluate(&mut self, data: &Dataset) -> Result<Evaluation> {
        let started = Instant::now();
        let id = self.load(data)?;
        let program = self.program(Pass::Inference)?;
        let batch = self.plan(Pass::Inference).batch;
        let order: Vec<u32> = (0..data.len() as u32).collect();
        self.executor.order(id, &order)?;
        let mut mean = Mean::default();
        for (i, offset) in (0..data.len()).step_by(batch).enumerate() {
            self.executor.enqueue(&Step {
                program,
                data: id,
                offset,
                rows: batch.min(data.len() - offset),
                rate: 0.0,
                key: Key::of_step(0, 1),
            })?;
            if i % FETCH_EVERY == FETCH_EVERY - 1 {
                self.take_in(false, &mut mean)?;
            }
        }
        self.take_in(true, &mut mean)?;
        Ok(Evaluation {
            loss: mean.loss(),
            accuracy: mean.accuracy(),
            correct: mean.correct,
            images: mean.rows,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    fn take_in(&mut self, wait: bool, mean: &mut Mean) -> Result<()> {
        let finished = self.executor.completed(wait)?;
        finished.iter().for_each(|metrics| mean.add(metrics));
        Ok(())
    }
}
