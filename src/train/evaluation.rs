//! Evaluation: loss and accuracy of the current weights on a data set.

use std::fmt::{self, Display, Formatter};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::feed::Feed;
use super::trainer::Pass;
use super::{Interrupt, Mean, Trainer};
use crate::data::Dataset;
use crate::error::Result;
use crate::exec::{Executor, Step};
use crate::optimizer::Rates;
use crate::rng::Key;

/// Fetches metrics after this many steps.
const FETCH_EVERY: usize = 16;

/// The result of [`Trainer::evaluate`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// Fraction of images classified correctly.
    pub accuracy: f64,
    /// Number of images classified correctly.
    pub correct: u64,
    /// Number of images.
    pub images: u64,
    /// Duration.
    pub seconds: f64,
}

impl Evaluation {
    pub(super) fn new(mean: &Mean, started: Instant) -> Self {
        Self {
            loss: mean.loss(),
            accuracy: mean.accuracy(),
            correct: mean.correct,
            images: mean.rows,
            seconds: started.elapsed().as_secs_f64(),
        }
    }
}

impl Display for Evaluation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "loss {:.4}, accuracy {:.4}", self.loss, self.accuracy)
    }
}

impl<E: Executor + ?Sized> Trainer<E> {
    /// Loss and accuracy of the current weights on `data`.
    ///
    /// # Errors
    /// A data set that does not fit the model, or a device failure.
    pub fn evaluate(&mut self, data: &Dataset) -> Result<Evaluation> {
        let started = Instant::now();
        let feed = self.whole(data)?;
        let mean = self.measure(&feed, || false)?.unwrap_or_default();
        Ok(Evaluation::new(&mean, started))
    }

    /// Like [`Trainer::evaluate`]; `None` if `interrupt` is raised meanwhile.
    ///
    /// # Errors
    /// As [`Trainer::evaluate`].
    pub fn evaluate_unless(
        &mut self,
        data: &Dataset,
        interrupt: &Interrupt,
    ) -> Result<Option<Evaluation>> {
        let started = Instant::now();
        let feed = self.whole(data)?;
        let mean = self.measure(&feed, || interrupt.is_raised())?;
        Ok(mean.map(|mean| Evaluation::new(&mean, started)))
    }

    /// A whole data set in inference batches.
    pub(super) fn whole(&mut self, data: &Dataset) -> Result<Feed> {
        Ok(Feed {
            data: self.load(data)?,
            rows: 0..data.len(),
            batch: self.plan(Pass::Inference).batch,
        })
    }

    /// Mean loss and accuracy over `feed`; `None` if `stop` aborted the evaluation.
    pub(super) fn measure(&mut self, feed: &Feed, stop: impl Fn() -> bool) -> Result<Option<Mean>> {
        self.executor.order(feed.data, &feed.in_order())?;
        let (mut metrics, mut stopped) = (Vec::new(), false);
        for number in 0..feed.batches() {
            stopped = stop();
            if stopped {
                break;
            }
            if self.evaluates(number) {
                let step = self.inference(feed, number)?;
                self.executor.enqueue(&step)?;
            }
            if number % FETCH_EVERY == FETCH_EVERY - 1 {
                metrics.extend(self.executor.completed(false)?);
            }
        }
        metrics.extend(self.executor.completed(true)?);
        self.merge_metrics(metrics, stopped)
    }

    /// The step that evaluates one batch of `feed`.
    pub(super) fn inference(&mut self, feed: &Feed, number: usize) -> Result<Step> {
        let (offset, rows) = feed.batch(number);
        let program = self.program(Pass::Inference)?;
        let (rows, key) = (offset..offset + rows, Key::of_step(0, 1));
        Ok(Step::new(program, feed.data, rows, Rates::default(), key))
    }

    pub(super) fn take_in(&mut self, wait: bool, mean: &mut Mean) -> Result<()> {
        let finished = self.executor.completed(wait)?;
        finished.iter().for_each(|metrics| mean.add(metrics));
        Ok(())
    }
}
