//! Predictions for images.

use super::classification::most_probable;
use super::feed::Feed;
use super::trainer::Pass;
use super::{Interrupt, Trainer};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::exec::{DataId, Executor};
use crate::shape::dims;

/// The prediction for one image.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Prediction {
    /// The most probable class.
    pub class: usize,
    /// The probability of each class. They sum to one after a softmax, but not after one sigmoid
    /// per class. For a model with the mean squared error as its loss, the outputs.
    pub probabilities: Vec<f32>,
}

impl<E: Executor + ?Sized> Trainer<E> {
    /// Classifies images, given as bytes `[n, h, w, c]`.
    ///
    /// # Errors
    /// The bytes are not a whole number of images, or the device fails.
    ///
    /// ```
    /// use cnn_gpu::data::digits;
    /// use cnn_gpu::exec::{self, Backend, Selection};
    /// use cnn_gpu::model::preset;
    /// use cnn_gpu::train::{Options, Trainer};
    /// # let Some(model) = preset("mnist-mlp") else { return Ok(()) };
    /// let data = digits::generate(3, 1, 0);
    /// let device = exec::open(&Selection::new(Backend::Cpu))?;
    /// let mut trainer = Trainer::new(model, &device, Options::default())?;
    /// let predictions = trainer.predict(data.images())?;
    /// assert_eq!(predictions.len(), 3);
    /// let sum: f32 = predictions[0].probabilities.iter().sum();
    /// assert!((sum - 1.0).abs() < 1e-5);
    /// # Ok::<(), cnn_gpu::Error>(())
    /// ```
    pub fn predict(&mut self, images: &[u8]) -> Result<Vec<Prediction>> {
        let shape = self.model.input_shape;
        let size: usize = shape.iter().product();
        if !images.len().is_multiple_of(size) {
            return Err(Error::Argument(format!(
                "expected images of {} ({size} bytes each), received {} bytes",
                dims(&shape),
                images.len()
            )));
        }
        let batch = self.plan(Pass::Inference).batch;
        let mut predictions = Vec::with_capacity(images.len() / size);
        for bytes in images.chunks(batch * size) {
            predictions.extend(self.predict_batch(bytes, bytes.len() / size)?);
        }
        Ok(predictions)
    }

    /// The outputs for the images of a data set, of bytes or floats: `[n, classes]`; `None` if
    /// `interrupt` is raised meanwhile. The labels do not matter.
    ///
    /// # Errors
    /// As [`Trainer::evaluate`].
    ///
    /// ```
    /// use cnn_gpu::data::digits;
    /// use cnn_gpu::exec::{self, Backend, Selection};
    /// use cnn_gpu::model::preset;
    /// use cnn_gpu::train::{Interrupt, Options, Trainer};
    /// # let Some(model) = preset("mnist-mlp") else { return Ok(()) };
    /// let data = digits::generate(70, 1, 0);
    /// let device = exec::open(&Selection::new(Backend::Cpu))?;
    /// let mut trainer = Trainer::new(model, &device, Options::default())?;
    /// let outputs = trainer.outputs(&data, &Interrupt::new())?.unwrap_or_default();
    /// let predictions = trainer.predict(data.images())?;
    /// assert_eq!(outputs[..10], predictions[0].probabilities);
    /// assert_eq!(outputs.len(), 700);
    /// # Ok::<(), cnn_gpu::Error>(())
    /// ```
    pub fn outputs(&mut self, data: &Dataset, interrupt: &Interrupt) -> Result<Option<Vec<f32>>> {
        let feed = self.whole(data)?;
        self.executor.order(feed.data, &feed.in_order())?;
        let classes = self.plan(Pass::Inference).classes;
        let mut outputs = Vec::with_capacity(data.len() * classes);
        for number in 0..feed.batches() {
            if interrupt.is_raised() {
                return Ok(None);
            }
            let step = self.inference(&feed, number)?;
            self.executor.enqueue(&step)?;
            self.executor.completed(true)?;
            let values = self.executor.predictions(step.program)?;
            outputs.extend_from_slice(&values[..step.rows * classes]);
        }
        Ok(Some(outputs))
    }

    fn predict_batch(&mut self, bytes: &[u8], rows: usize) -> Result<Vec<Prediction>> {
        let (plan, shape) = (self.plan(Pass::Inference), self.model.input_shape);
        let (batch, classes) = (plan.batch, plan.classes);
        // Any labels will do: the metrics that compare with them are discarded.
        let samples =
            |images| Dataset::new("to predict", "", shape, classes, images, vec![0; rows]);
        let data = self.place_for_predictions()?;
        self.executor.reload(data, &samples(bytes.to_vec())?)?;
        let feed = Feed {
            data,
            rows: 0..rows,
            batch,
        };
        let step = self.inference(&feed, 0)?;
        self.executor.enqueue(&step)?;
        self.executor.completed(true)?;
        let values = self.executor.predictions(step.program)?;
        Ok(values
            .chunks(classes)
            .take(rows)
            .map(Prediction::from)
            .collect())
    }

    /// The executor's data set for one batch of images to predict.
    fn place_for_predictions(&mut self) -> Result<DataId> {
        if let Some(data) = self.predicted {
            return Ok(data);
        }
        let (plan, shape) = (self.plan(Pass::Inference), self.model.input_shape);
        let blank = vec![0; plan.batch * shape.iter().product::<usize>()];
        let labels = vec![0; plan.batch];
        let blank = Dataset::new("to predict", "", shape, plan.classes, blank, labels)?;
        let data = self.executor.load(&blank)?;
        self.predicted = Some(data);
        Ok(data)
    }
}

impl From<&[f32]> for Prediction {
    /// The prediction with these probabilities.
    fn from(probabilities: &[f32]) -> Self {
        Self {
            class: most_probable(probabilities),
            probabilities: probabilities.to_vec(),
        }
    }
}
