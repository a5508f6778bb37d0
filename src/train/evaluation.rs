//! How well the weights do on a data set, as they are.

use std::fmt::{self, Display, Formatter};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::feed::Feed;
use super::trainer::Pass;
use super::{Mean, Trainer};
use crate::data::Dataset;
use crate::error::Result;
use crate::exec::{Executor, Step};
use crate::optimizer::Rates;
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
    /// Loss and accuracy on `data`, with the weights as they are.
    ///
    /// # Errors
    /// A data set that does not fit the model, or a device that failed.
    pub fn evaluate(&mut self, data: &Dataset) -> Result<Evaluation> {
        let started = Instant::now();
        let feed = self.whole(data)?;
        let mean = self.measure(&feed, || false)?.unwrap_or_default();
        Ok(Evaluation::new(&mean, started))
    }

    /// All of a data set, in batches for inference.
    pub(super) fn whole(&mut self, data: &Dataset) -> Result<Feed> {
        Ok(Feed {
            data: self.load(data)?,
            rows: 0..data.len(),
            batch: self.plan(Pass::Inference).batch,
        })
    }

    /// Mean loss and accuracy over `feed`; none if `stop` said to stop on the way.
    pub(super) fn measure(&mut self, feed: &Feed, stop: impl Fn() -> bool) -> Result<Option<Mean>> {
        self.executor.order(feed.data, &feed.in_order())?;
        let (mut mean, mut stopped) = (Mean::default(), false);
        for number in 0..feed.batches() {
            stopped = stop();
            if stopped {
                break;
            }
            let step = self.inference(feed, number)?;
            self.executor.enqueue(&step)?;
            if number % FETCH_EVERY == FETCH_EVERY - 1 {
                self.take_in(false, &mut mean)?;
            }
        }
        self.take_in(true, &mut mean)?;
        Ok((!stopped).then_some(mean))
    }

    /// The step that measures one batch of `feed`.
    pub(super) fn inference(&mut self, feed: &Feed, number: usize) -> Result<Step> {
        let (offset, rows) = feed.batch(number);
        Ok(Step {
            program: self.program(Pass::Inference)?,
            data: feed.data,
            offset,
            rows,
            rates: Rates::default(),
            key: Key::of_step(0, 1),
        })
    }

    pub(super) fn take_in(&mut self, wait: bool, mean: &mut Mean) -> Result<()> {
        let finished = self.executor.completed(wait)?;
        finished.iter().for_each(|metrics| mean.add(metrics));
        Ok(())
    }
}
