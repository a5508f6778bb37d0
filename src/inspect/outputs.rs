//! What the layers of a network compute.

use super::op_runner::OpRunner;
use crate::error::{Error, Result};
use crate::exec::Device;
use crate::model::Sequential;
use crate::plan::{BufferId, Purpose};
use crate::shape::dims;
use crate::state::{State, check_memory};

/// Images per pass, if they fit the device.
const BATCH: usize = 64;

/// The output of a layer for some images.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LayerOutput {
    /// The layer's name, as `summary` prints it.
    pub layer: String,
    /// The layer's type, such as `Conv2D`.
    pub kind: &'static str,
    /// The shape for one image: `[h, w, c]` or `[features]`.
    pub shape: Vec<usize>,
    /// The values, `[n, ..shape]`: after the layer's activation, as in inference.
    pub values: Vec<f32>,
}

impl LayerOutput {
    /// The number of values per image.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// The values of one image; empty if there is no such image.
    pub fn image(&self, index: usize) -> &[f32] {
        let size = self.size();
        let start = index.saturating_mul(size);
        self.values.get(start..start + size).unwrap_or_default()
    }
}

/// The forward pass of a network with its weights, compiled once, whose layers' outputs can be
/// read. Any stack of layers will do, also one that ends without a softmax or in an image.
///
/// ```
/// use cnn_gpu::exec::{self, Backend, Selection};
/// use cnn_gpu::inspect::ForwardPass;
/// use cnn_gpu::model::{Conv2D, Sequential};
/// use cnn_gpu::state::{Layout, State};
///
/// let model = Sequential::new([4, 4, 1]).add(Conv2D::new(1, [1, 2]).use_bias(false));
/// let mut state = State::new(Layout::new(&model)?, 1);
/// state.set_parameter("conv2d/kernel", &[-1.0, 1.0])?; // the difference of neighbours
///
/// let device = exec::open(&Selection::new(Backend::Cpu))?;
/// let mut forward = ForwardPass::new(&device, &model, &state)?;
/// let image: Vec<f32> = (0..16).map(|i| (i % 4) as f32).collect();
/// let output = forward.of("conv2d", &image)?;
/// assert_eq!(output.shape, [4, 3, 1]);
/// assert_eq!(output.values, [1.0; 12]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
pub struct ForwardPass {
    runner: OpRunner,
    model: Sequential,
    layers: Vec<Tap>,
}

/// A layer, and where its output lies.
struct Tap {
    name: String,
    kind: &'static str,
    shape: Vec<usize>,
    buffer: BufferId,
}

impl ForwardPass {
    /// Compiles the forward pass.
    ///
    /// # Errors
    /// A model whose layers do not fit each other, weights of another model, or a device that fails
    /// or is too small.
    pub fn new(device: &Device, model: &Sequential, state: &State) -> Result<Self> {
        Self::of_batches(device, (model, state), BATCH)
    }

    /// Like [`ForwardPass::new`], for at most `batch` images at a time.
    fn of_batches(
        device: &Device,
        (model, state): (&Sequential, &State),
        batch: usize,
    ) -> Result<Self> {
        let runner = OpRunner::new(device, (model, state), Purpose::Outputs, batch)?;
        let resolved = model.resolve()?;
        let layers = (resolved.into_iter().zip(&runner.plan.layer_outputs))
            .map(|(layer, &buffer)| Tap {
                kind: layer.layer.spec().kind(),
                name: layer.name,
                shape: layer.output,
                buffer,
            })
            .collect();
        Ok(Self {
            runner,
            model: model.clone(),
            layers,
        })
    }

    /// The outputs of all layers, first to last, for `images`, `[n, h, w, c]`. Where images are
    /// bytes, as in data sets, [`to_floats`] converts them.
    ///
    /// # Errors
    /// Not a whole number of images, or a device failure.
    pub fn all(&mut self, images: &[f32]) -> Result<Vec<LayerOutput>> {
        let every: Vec<usize> = (0..self.layers.len()).collect();
        self.some(&every, images)
    }

    /// The output of one layer, by its name in `summary`.
    ///
    /// # Errors
    /// No such layer; and those of [`ForwardPass::all`].
    pub fn of(&mut self, layer: &str, images: &[f32]) -> Result<LayerOutput> {
        let found = self.layers.iter().position(|l| l.name == layer);
        let index = found.ok_or_else(|| no_such_layer(&self.model, layer))?;
        let mut outputs = self.some(&[index], images)?;
        outputs
            .pop()
            .ok_or_else(|| no_such_layer(&self.model, layer))
    }

    fn some(&mut self, wanted: &[usize], images: &[f32]) -> Result<Vec<LayerOutput>> {
        let size: usize = self.model.input_shape.iter().product();
        let n = self.check(images)?;
        let mut outputs = self.empty(wanted, n)?;
        let input = self.runner.input()?;
        for batch in images.chunks(size * self.runner.plan.batch) {
            let rows = batch.len() / size;
            self.runner.write(input, batch)?;
            self.runner.run(1..self.runner.plan.ops.len(), rows)?;
            for (output, &index) in outputs.iter_mut().zip(wanted) {
                let values = self.runner.read(self.layers[index].buffer)?;
                let valid = values.len().min(rows * output.size());
                output.values.extend(&values[..valid]);
            }
        }
        Ok(outputs)
    }

    /// The number of images.
    fn check(&self, images: &[f32]) -> Result<usize> {
        let shape = self.model.input_shape;
        let size: usize = shape.iter().product();
        if images.is_empty() || !images.len().is_multiple_of(size) {
            return Err(Error::Argument(format!(
                "expected images of {} ({size} values each), received {} values",
                dims(&shape),
                images.len()
            )));
        }
        Ok(images.len() / size)
    }

    /// The outputs without their values, for which there is memory.
    fn empty(&self, wanted: &[usize], n: usize) -> Result<Vec<LayerOutput>> {
        let outputs = wanted.iter().map(|&index| {
            let Tap {
                name, kind, shape, ..
            } = &self.layers[index];
            LayerOutput {
                layer: name.clone(),
                kind,
                shape: shape.clone(),
                values: Vec::new(),
            }
        });
        let outputs: Vec<LayerOutput> = outputs.collect();
        let floats = outputs.iter().map(|output| output.size().saturating_mul(n));
        check_memory(
            "the outputs of the layers",
            floats.fold(0, usize::saturating_add),
        )?;
        Ok(outputs)
    }
}

/// The outputs of all layers of a network, first to last, for `images`, `[n, h, w, c]`; see
/// [`ForwardPass`], which also runs several times.
///
/// # Errors
/// Those of [`ForwardPass::new`] and [`ForwardPass::all`].
pub fn layer_outputs(
    device: &Device,
    model: &Sequential,
    state: &State,
    images: &[f32],
) -> Result<Vec<LayerOutput>> {
    // A single large picture would not fit many times.
    let size: usize = model.input_shape.iter().product();
    let batch = (images.len() / size.max(1)).clamp(1, BATCH);
    ForwardPass::of_batches(device, (model, state), batch)?.all(images)
}

/// The pixels of images as a network receives them: divided by 255.
pub fn to_floats(pixels: &[u8]) -> Vec<f32> {
    pixels
        .iter()
        .map(|&pixel| f32::from(pixel) / 255.0)
        .collect()
}

/// The error for a layer's name that the model does not have.
pub(super) fn no_such_layer(model: &Sequential, layer: &str) -> Error {
    let layers = model.resolve().unwrap_or_default();
    let names: Vec<String> = layers.into_iter().map(|layer| layer.name).collect();
    model.error(format!(
        "no layer `{layer}`: expected one of {}",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::digits;
    use crate::exec::{Backend, Selection, open};
    use crate::model::{
        Activation, ActivationLayer, BatchNormalization, Conv2D, Dense, Dropout, Flatten,
        MaxPooling2D, preset,
    };
    use crate::state::Layout;
    use crate::train::{Options, Trainer};

    fn cpu() -> Device {
        open(&Selection::new(Backend::Cpu)).unwrap()
    }

    #[test]
    fn the_last_output_is_what_the_trainer_predicts_in_batches_of_any_size() {
        let model = preset("mnist-cnn").unwrap();
        let state = State::new(Layout::new(&model).unwrap(), 3);
        let digits = digits::generate(BATCH + 3, 1, 0);
        let images = to_floats(digits.images());
        let outputs = layer_outputs(&cpu(), &model, &state, &images).unwrap();
        let options = Options::default().batch_size(1);
        let mut trainer = Trainer::new(model.clone(), &cpu(), options).unwrap();
        trainer.set_state(state).unwrap();
        let predicted = trainer.predict(digits.images()).unwrap();
        let last = outputs.last().unwrap();
        assert_eq!(outputs.len(), model.layers.len());
        for (i, prediction) in predicted.iter().enumerate() {
            for (found, expected) in last.image(i).iter().zip(&prediction.probabilities) {
                assert!((found - expected).abs() < 1e-6, "{i}: {found}, {expected}");
            }
        }
        assert!(last.image(predicted.len()).is_empty());
    }

    #[test]
    fn activations_are_included_and_dropout_and_batch_statistics_are_not() {
        let model = Sequential::new([1, 2, 1])
            .add(Conv2D::new(1, 1).activation(Activation::Gelu))
            .add(BatchNormalization::new().epsilon(1.0))
            .add(Dropout::new(0.5))
            .add(Flatten::new())
            .add(ActivationLayer::new(Activation::Softmax));
        let mut state = State::new(Layout::new(&model).unwrap(), 1);
        state.set_parameter("conv2d/kernel", &[1.0]).unwrap();
        let variance = "batch_normalization/moving_variance";
        state.set_parameter(variance, &[3.0]).unwrap();
        let outputs = layer_outputs(&cpu(), &model, &state, &[1.0, 0.0]).unwrap();
        let gelu = 0.841_344_8;
        let half = gelu / 2.0;
        let share = 1.0 / (1.0 + f32::exp(-half));
        let expected = [
            [gelu, 0.0],
            [half, 0.0],
            [half, 0.0],
            [half, 0.0],
            [share, 1.0 - share],
        ];
        for (output, expected) in outputs.iter().zip(expected) {
            for (found, expected) in output.values.iter().zip(expected) {
                let name = &output.layer;
                assert!(
                    (found - expected).abs() < 1e-5,
                    "{name}: {found}, {expected}"
                );
            }
        }
    }

    #[test]
    fn a_layer_is_found_by_name_and_other_names_are_listed() {
        let model = Sequential::new([4, 4, 1])
            .add(MaxPooling2D::new(2).name("pool"))
            .add(Flatten::new())
            .add(Dense::new(1));
        let state = State::new(Layout::new(&model).unwrap(), 1);
        let mut forward = ForwardPass::new(&cpu(), &model, &state).unwrap();
        let image: Vec<f32> = (0..16).map(|i| i as f32).collect();
        let pooled = forward.of("pool", &image).unwrap();
        assert_eq!(
            (pooled.kind, pooled.values),
            ("MaxPooling2D", vec![5.0, 7.0, 13.0, 15.0])
        );
        let message = forward.of("pol", &image).unwrap_err().to_string();
        assert!(message.contains("pool, flatten, dense"), "{message}");
        for wrong in [0, 15, 17] {
            let message = forward.all(&vec![0.0; wrong]).unwrap_err().to_string();
            assert!(message.contains("4x4x1 (16 values"), "{message}");
        }
    }

    #[test]
    fn weights_of_another_model_are_refused() {
        let [ours, theirs] = [3, 4].map(|n| Sequential::new([1, 1, 1]).add(Conv2D::new(n, 1)));
        let state = State::new(Layout::new(&theirs).unwrap(), 1);
        let error = ForwardPass::new(&cpu(), &ours, &state)
            .map(drop)
            .unwrap_err();
        assert!(error.to_string().contains("another model"), "{error}");
    }
}
