//! What a network sees of its training images.

use super::op_runner::OpRunner;
use crate::error::{Error, Result};
use crate::exec::Device;
use crate::model::{Activation, Dense, GlobalAveragePooling2D, Sequential};
use crate::optimizer::Optimizer;
use crate::plan::{BufferId, DrawMixes, Mixing, Op, Purpose};
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

/// Checks that a model starts with augmentation.
///
/// # Errors
/// It does not.
pub fn check_augmentation(model: &Sequential) -> Result<()> {
    match model.leading_augmentation() {
        [] => Err(model.error("it does not start with augmentation".into())),
        _ => Ok(()),
    }
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
    check_augmentation(model)?;
    let mut front = Front::new(device, model, Purpose::Training(Optimizer::sgd()), BATCH)?;
    let in_batch = front.runner.plan.batch * front.size;
    let mut pixels = Vec::with_capacity(images.len() / front.size * front.moved());
    for (batch, images) in images.chunks(in_batch).enumerate() {
        pixels.extend(front.run(images, Key::of_step(seed, batch as u64 + 1))?);
    }
    Ok(AugmentedImages {
        shape: front.shape,
        pixels,
    })
}

/// An image as training mixes it with another.
#[derive(Clone, Debug, PartialEq)]
pub struct MixedImage {
    /// Height, width and channels behind the model's augmentation.
    pub shape: [usize; 3],
    /// The pixels, `[h, w, c]`.
    pub pixels: Vec<f32>,
    /// The index of the other image; its own if it is not mixed.
    pub partner: usize,
    /// The share of its own label.
    pub share: f32,
}

/// These images (`[n, h, w, c]`, pixels divided by 255) as a step of training with MixUp or `CutMix`
/// makes them, behind the model's augmentation if it starts with some: as step `step` of a run with
/// this seed, whose batch they are.
///
/// # Errors
/// The model is invalid; so many images do not fit the device, or it fails.
pub fn mixed(
    device: &Device,
    model: &Sequential,
    mixing: Mixing,
    images: &[f32],
    (seed, step): (u64, u64),
) -> Result<Vec<MixedImage>> {
    let size: usize = model.input_shape.iter().product();
    let n = images.len() / size;
    let purpose = Purpose::MixedTraining(Optimizer::sgd(), mixing);
    let mut front = Front::new(device, model, purpose, n)?;
    if front.runner.plan.batch < n {
        let allowed = front.runner.plan.batch;
        return Err(Error::Argument(format!(
            "{n} images do not fit the device at once; mix at most {allowed}"
        )));
    }
    let key = Key::of_step(seed, step);
    let seen = front.run(images, key)?;
    let mut draws = front
        .runner
        .plan
        .ops
        .iter()
        .filter_map(Op::downcast::<DrawMixes>);
    let draw = draws.next().map(|draw| (draw, draw.step(key, n)));
    let rows = seen.chunks_exact(front.moved()).enumerate();
    let mixed = rows.map(|(row, pixels)| {
        let mixed = draw.as_ref().map(|(draw, step)| draw.row(key, step, row));
        MixedImage {
            shape: front.shape,
            pixels: pixels.to_vec(),
            partner: mixed.as_ref().map_or(row, |mixed| mixed.partner),
            share: mixed.map_or(1.0, |mixed| mixed.share()),
        }
    });
    Ok(mixed.collect())
}

/// The layers of a model that vary images, and nothing behind them.
struct Front {
    runner: OpRunner,
    /// Elements of an image.
    size: usize,
    /// Height, width and channels of what becomes of an image.
    shape: [usize; 3],
    /// The operations that vary images are those from 1 to this one.
    end: usize,
    input: BufferId,
    /// What the last of them writes.
    last: BufferId,
}

impl Front {
    fn new(device: &Device, model: &Sequential, purpose: Purpose, batch: usize) -> Result<Self> {
        let mut front = Sequential::new(model.input_shape).name(model.name.as_str());
        front.layers = model.leading_augmentation().to_vec();
        // Only training augments, and it needs a loss.
        let front = front
            .add(GlobalAveragePooling2D::new().name(BEHIND))
            .add(Dense::new(2).activation(Activation::Softmax));
        let behind = front.resolve()?.into_iter().find(|l| l.name == BEHIND);
        let shape = behind.and_then(|layer| layer.input.try_into().ok());
        let shape = shape.unwrap_or(model.input_shape);
        let state = State::new(Layout::new(&front)?, 0);
        let runner = OpRunner::new(device, (&front, &state), purpose, batch)?;
        let mut layers = runner.plan.layers.iter();
        let end = layers.position(|layer| layer == BEHIND).unwrap_or(1);
        let input = runner.input()?;
        let writes = runner.plan.ops[end - 1].writes();
        Ok(Self {
            size: model.input_shape.iter().product(),
            shape,
            end,
            input,
            last: writes.first().copied().unwrap_or(input),
            runner,
        })
    }

    /// Elements of what becomes of an image.
    fn moved(&self) -> usize {
        self.shape.iter().product()
    }

    /// What becomes of a batch.
    fn run(&mut self, images: &[f32], key: Key) -> Result<Vec<f32>> {
        let count = images.len() / self.size;
        self.runner.key = key;
        self.runner.write(self.input, images)?;
        self.runner.run(1..self.end, count)?;
        let mut values = self.runner.read(self.last)?;
        values.truncate(count * self.moved());
        Ok(values)
    }
}
