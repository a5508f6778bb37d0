//! What a network sees of its training images.

use super::op_runner::OpRunner;
use crate::error::Result;
use crate::exec::Device;
use crate::model::{Activation, Dense, GlobalAveragePooling2D, Sequential};
use crate::optimizer::Optimizer;
use crate::plan::Purpose;
use crate::rng::Key;
use crate::state::{Layout, State};

/// The layer behind those that augment.
const BEHIND: &str = "the first layer behind augmentation";

/// Images per batch.
const BATCH: usize = 64;

/// Images as the layers behind a model's augmentation receive them.
#[derive(Clone, Debug, PartialEq)]
pub struct AugmentedImages {
    /// Height, width and channels of each.
    pub shape: [usize; 3],
    /// The pixels, `[n, h, w, c]`.
    pub pixels: Vec<f32>,
}

/// These images (`[n, h, w, c]`, pixels divided by 255) as the layers behind a model's augmentation
/// receive them in training. Batch number `i`, of 64, draws as step `i + 1` of a run with this seed.
///
/// # Errors
/// The model does not start with augmentation, or is invalid; the device fails.
pub fn augmented(
    device: &Device,
    model: &Sequential,
    images: &[f32],
    seed: u64,
) -> Result<AugmentedImages> {
    let layers = model.leading_augmentation();
    if layers.is_empty() {
        return Err(model.error("it does not start with augmentation".into()));
    }
    let mut front = Sequential::new(model.input_shape).name(model.name.as_str());
    front.layers = layers.to_vec();
    let size: usize = model.input_shape.iter().product();
    // Only training augments, and it needs a loss.
    let front = front
        .add(GlobalAveragePooling2D::new().name(BEHIND))
        .add(Dense::new(2).activation(Activation::Softmax));
    let behind = front.resolve()?.into_iter().find(|l| l.name == BEHIND);
    let shape = behind.and_then(|layer| layer.input.try_into().ok());
    let shape: [usize; 3] = shape.unwrap_or(model.input_shape);
    let moved: usize = shape.iter().product();
    let state = State::new(Layout::new(&front)?, seed);
    let purpose = Purpose::Training(Optimizer::sgd());
    let mut runner = OpRunner::new(device, (&front, &state), purpose, BATCH)?;
    let mut layers = runner.plan.layers.iter();
    let end = layers.position(|layer| layer == BEHIND).unwrap_or(1);
    let input = runner.input()?;
    let writes = runner.plan.ops[end - 1].writes();
    let last = writes.first().copied().unwrap_or(input);
    let mut pixels = Vec::with_capacity(images.len() / size * moved);
    for (batch, images) in images.chunks(runner.plan.batch * size).enumerate() {
        runner.key = Key::of_step(seed, batch as u64 + 1);
        runner.write(input, images)?;
        let count = images.len() / size;
        runner.run(1..end, count)?;
        let values = runner.read(last)?;
        pixels.extend(&values[..count * moved]);
    }
    Ok(AugmentedImages { shape, pixels })
}
