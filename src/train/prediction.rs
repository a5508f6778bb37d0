//! Predictions for images.

use super::Trainer;
use super::classification::most_probable;
use super::trainer::Pass;
use crate::error::{Error, Result};
use crate::exec::{DataId, Executor, Program, Step, Values};
use crate::optimizer::Rates;
use crate::plan::{BufferId, LossOp, Op, Plan};
use crate::rng::Key;
use crate::shape::dims;

/// The prediction for one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The most probable class.
    pub class: usize,
    /// The probability of each class. They sum to one after a softmax, but not after one sigmoid per
    /// class. For a model trained on the mean squared error, its outputs.
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
    /// let device = exec::open(&Selection { backend: Backend::Cpu, ..Selection::default() })?;
    /// let mut trainer = Trainer::new(model, &device, Options::default())?;
    /// let predictions = trainer.predict(&data.images)?;
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

    fn predict_batch(&mut self, bytes: &[u8], rows: usize) -> Result<Vec<Prediction>> {
        let program = self.program(Pass::Inference)?;
        let plan = self.plan(Pass::Inference);
        let (ops, classes) = (1..plan.ops.len(), plan.classes);
        let (input, labels) = (plan.find("input")?, plan.find("labels")?);
        let mut pixels: Vec<f32> = bytes.iter().map(|&b| f32::from(b) / 255.0).collect();
        pixels.resize(plan.buffer(input).len(), 0.0);
        let zeros = vec![0; plan.batch];
        // The images are written directly, so the gather, the first operation, is skipped.
        self.executor.write(program, input, &Values::F32(pixels))?;
        self.executor.write(program, labels, &Values::U32(zeros))?;
        let step = Step {
            program,
            data: DataId(0),
            offset: 0,
            rows,
            rates: Rates::default(),
            key: Key::of_step(0, 1),
        };
        self.executor.run(ops, &step)?;
        // Discard the metrics, which compare with labels of zero.
        self.executor.completed(true)?;
        let values = self.probabilities(program)?;
        Ok(values.chunks(classes).take(rows).map(prediction).collect())
    }

    /// The inference plan's output for its last batch, `[batch, classes]`.
    pub(super) fn probabilities(&mut self, program: Program) -> Result<Vec<f32>> {
        let buffer = probabilities(self.plan(Pass::Inference))?;
        Ok(self.executor.read(program, buffer)?.into_f32())
    }
}

/// The buffer that the last operation of an inference plan writes.
fn probabilities(plan: &Plan) -> Result<BufferId> {
    let found = plan.ops.iter().rev().find_map(|op| match op {
        Op::Loss(LossOp { predictions, .. }) => Some(*predictions),
        _ => None,
    });
    found.ok_or_else(|| Error::Device(format!("plan `{}` makes no probabilities", plan.name)))
}

fn prediction(probabilities: &[f32]) -> Prediction {
    Prediction {
        class: most_probable(probabilities),
        probabilities: probabilities.to_vec(),
    }
}
