//! Training and evaluation on generated batches.

use std::sync::Arc;
use std::time::Instant;

use super::feed::Validation;
use super::prefetch::{default_threads, with_prefetch};
use super::source::{Rows, Streamed, batches_in_chunk};
use super::trainer::Pass;
use super::{Callback, Evaluation, GeneratedData, History, Mean, Trainer, ValidationData};
use crate::data::{Dataset, Generator};
use crate::error::{Error, Result};
use crate::exec::{DataId, Executor, Step};
use crate::optimizer::Rates;
use crate::rng::Key;

impl<E: Executor + ?Sized> Trainer<E> {
    /// Trains on the batches of a generator for [`Options::epochs`](super::Options::epochs) more
    /// epochs of `steps_per_epoch` batches each, by default [`Generator::steps`]. `data` is
    /// `&generator`, or `(&generator, &validation)` with a second generator or a
    /// [`Dataset`](crate::data::Dataset) to validate on; see [`ValidationData`].
    ///
    /// Threads generate batches while the device works; the result does not depend on their number.
    /// Batches keep the generator's order.
    ///
    /// # Errors
    /// Those of [`Trainer::fit`]; a generator with an unknown number of steps, one that is
    /// exhausted too early, batches that do not fit the model, or, without validation data, a
    /// [`validation_split`](super::Options::validation_split), since generated batches cannot be
    /// split.
    ///
    /// ```
    /// use cnn_gpu::data::digits::{self, DigitStream};
    /// use cnn_gpu::exec::{self, Backend, Selection};
    /// use cnn_gpu::model::preset;
    /// use cnn_gpu::train::{Options, Trainer};
    /// # let Some(model) = preset("mnist-mlp") else { return Ok(()) };
    /// let device = exec::open(&Selection::new(Backend::Cpu))?;
    /// let mut trainer = Trainer::new(model, &device, Options::default().epochs(2))?;
    /// // Digits that were never seen before, without end.
    /// let data = (&DigitStream::new(64, 7), &digits::generate(100, 8, 0));
    /// let history = trainer.fit_generator(data, Some(20), &mut [])?;
    /// assert!(history.epochs[1].val_loss < history.epochs[0].val_loss);
    /// # Ok::<(), cnn_gpu::Error>(())
    /// ```
    pub fn fit_generator<'a>(
        &mut self,
        data: impl Into<GeneratedData<'a>>,
        steps_per_epoch: Option<usize>,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<History> {
        let GeneratedData {
            training: generator,
            validation,
        } = data.into();
        self.check_generator(generator)?;
        let steps = steps(generator, steps_per_epoch, "steps_per_epoch")?;
        if validation.is_none() && self.options.validation_split > 0.0 {
            return Err(Error::Argument(
                "a validation split needs a data set: expected validation data beside the generator"
                    .into(),
            ));
        }
        let validation = validation.map(|data| self.validation(data)).transpose()?;
        let sizes = (self.options.batch_size, self.classes());
        let chunks = self.chunks(Pass::Training, generator, sizes.0)?;
        let resumed = self.resumed.take();
        let last = self.last_epoch(resumed.as_ref()).saturating_mul(steps);
        let partial_epoch = resumed.as_ref().and_then(|snapshot| snapshot.partial_epoch);
        let done = self.epochs_done.saturating_mul(steps) + partial_epoch.unwrap_or_default().steps;
        self.resumed = resumed;
        let total = last.saturating_sub(done);
        let first = done as u64;
        let numbers = first..first.saturating_add(total as u64);
        let threads = self.generator_threads.unwrap_or_else(default_threads);
        with_prefetch(generator, numbers, threads, |prefetch| {
            let mut feed = Streamed::new(generator, prefetch, chunks, (steps, total), sizes);
            self.fit_source(&mut feed, validation, callbacks)
        })
    }

    /// Loss and accuracy of the current weights on `number` batches of a generator, by default
    /// [`Generator::steps`]. Batches may have any number of images.
    ///
    /// # Errors
    /// As [`Trainer::fit_generator`].
    pub fn evaluate_generator(
        &mut self,
        generator: &dyn Generator,
        number: Option<usize>,
    ) -> Result<Evaluation> {
        let started = Instant::now();
        self.check_generator(generator)?;
        let steps = steps(generator, number, "a number of batches")?;
        let measured = self.measure_generator(generator, steps, || false);
        if measured.is_err() {
            // Otherwise the next call would count the steps in flight.
            let _ = self.executor.completed(true);
        }
        let mean = measured?.unwrap_or_default();
        Ok(Evaluation {
            loss: mean.loss(),
            accuracy: mean.accuracy(),
            correct: mean.correct,
            images: mean.rows,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Mean loss and accuracy over the first `steps` batches of a generator; `None` if `stop`
    /// aborted the evaluation.
    pub(super) fn measure_generator(
        &mut self,
        generator: &dyn Generator,
        steps: usize,
        stop: impl Fn() -> bool,
    ) -> Result<Option<Mean>> {
        let batch = self.plan(Pass::Inference).batch;
        let program = self.program(Pass::Inference)?;
        let sizes = (batch, self.classes());
        let chunks = self.chunks(Pass::Inference, generator, batch)?;
        let threads = self.generator_threads.unwrap_or_else(default_threads);
        with_prefetch(generator, 0..steps as u64, threads, |prefetch| {
            let mut feed =
                Streamed::new(generator, prefetch, chunks, (steps, steps), sizes).cutting();
            let (mut mean, mut stopped) = (Mean::default(), false);
            while !feed.is_used_up() {
                stopped = stop();
                if stopped {
                    break;
                }
                let Rows { data, offset, rows } = feed.next_rows(&mut *self.executor)?;
                let (rows, key) = (offset..offset + rows, Key::of_step(0, 1));
                let step = Step::new(program, data, rows, Rates::default(), key);
                self.executor.enqueue(&step)?;
                self.take_in(false, &mut mean)?;
            }
            self.take_in(true, &mut mean)?;
            Ok((!stopped).then_some(mean))
        })
    }

    /// What to validate on after each epoch.
    pub(super) fn validation<'a>(&mut self, data: ValidationData<'a>) -> Result<Validation<'a>> {
        Ok(match data {
            ValidationData::Dataset(set) => {
                let batch = self.plan(Pass::Inference).batch;
                Validation::Resident(self.validation_set(set, batch)?)
            }
            ValidationData::Generator(generator) => {
                self.check_generator(generator)?;
                let steps = steps(generator, self.options.validation_steps, "validation_steps")?;
                Validation::Generated(generator, steps)
            }
        })
    }

    /// Sets the number of threads that run generators. Default: all hardware threads, at most 16.
    pub fn set_generator_threads(&mut self, threads: usize) {
        self.generator_threads = Some(threads.max(1));
    }

    fn check_generator(&self, generator: &dyn Generator) -> Result<()> {
        let (name, names) = (generator.name(), generator.class_names());
        self.check_images(&format!("generator `{name}`"), generator.shape(), &names)
    }

    /// The device memory for two chunks of batches, allocated at first use.
    /// Training and validation, which alternate, have their own.
    fn chunks(
        &mut self,
        pass: Pass,
        generator: &dyn Generator,
        batch: usize,
    ) -> Result<[DataId; 2]> {
        let shape = generator.shape();
        let rows = batch * batches_in_chunk(batch, shape);
        let pixels = shape.iter().product::<usize>() * rows;
        let floats = generator.gives_floats();
        let mut ids = [DataId(0); 2];
        for (i, id) in ids.iter_mut().enumerate() {
            let kind = if floats { "floats" } else { "bytes" };
            let key = format!("chunk {i} of {rows} images of {shape:?} {kind} for {pass:?}");
            *id = self.resident(&key, || blank("chunk", (floats, pixels), shape, rows))?;
        }
        Ok(ids)
    }
}

/// A data set of zeros, to be replaced: as floats or bytes, with this many pixels.
fn blank(
    name: &str,
    (floats, pixels): (bool, usize),
    shape: [usize; 3],
    rows: usize,
) -> Result<Dataset> {
    let labels = vec![0; rows];
    Ok(match floats {
        true => Dataset::from_floats(name, "", shape, 1, Arc::new(vec![0.0; pixels]), labels),
        false => Dataset::new(name, "", shape, 1, vec![0; pixels], labels),
    }?)
}

/// The number of batches to take: `given`, the argument `name`, or the generator's own number.
fn steps(generator: &dyn Generator, given: Option<usize>, name: &str) -> Result<usize> {
    match given.or_else(|| generator.steps()) {
        Some(0) => Err(Error::Argument(format!(
            "expected at least 1 batch of generator `{}`, received 0",
            generator.name()
        ))),
        Some(steps) => Ok(steps),
        None => Err(Error::Argument(format!(
            "generator `{}` does not say how many batches it has: expected {name}",
            generator.name()
        ))),
    }
}
