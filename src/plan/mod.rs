//! Plans: what one step does, as a list of operations over named buffers.
//!
//! This module is internal: it may change in any version.
//!
//! A plan is built from a model once per purpose (training or inference) and batch size. It lists
//! the calls that one would write by hand for this network; `cnn-gpu plan` prints it. There are no
//! rewrite passes: a layer's lowering does all fusion, through the [`Builder`].

mod builder;
mod check;
mod cost;
mod op;
mod print;

use std::sync::Arc;

pub use builder::{Builder, Value};
pub use op::*;

use crate::distributed::most_waiting;
use crate::error::{Error, Result};
use crate::model::Sequential;
use crate::optimizer::Optimizer;
use crate::state::{ARENAS, Layout};

/// A buffer's index in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub usize);

/// What a buffer is for, which decides where it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The batch's images and labels: filled from the data set, or by hand in tests.
    Input,
    /// The parameter with this index in the layout.
    Parameter(usize),
    /// The gradient of the parameter with this index.
    Gradient(usize),
    /// Written by one operation and read by others.
    Intermediate,
}

/// The type of a buffer's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// 32-bit floating point.
    F32,
    /// 32-bit unsigned integer: labels, and the cells selected by a max pool.
    U32,
}

/// A tensor that operations read and write.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// A readable name, such as `conv2d/kernel`; also the buffer's label on the device.
    pub name: String,
    /// The shape, including the batch.
    pub shape: Vec<usize>,
    /// The type of the elements.
    pub element: Element,
    /// What the buffer is for.
    pub role: Role,
}

impl Buffer {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True if it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The operations of one step, in order, and the buffers they work on.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The model's name and the purpose.
    pub name: String,
    /// Rows in a batch. A short batch runs the same plan with fewer valid rows.
    pub batch: usize,
    /// Height, width and channels of one input image.
    pub input_shape: [usize; 3],
    /// Number of classes.
    pub classes: usize,
    /// Where the parameters are stored.
    pub layout: Arc<Layout>,
    /// The buffers; a [`BufferId`] indexes them.
    pub buffers: Vec<Buffer>,
    /// The operations.
    pub ops: Vec<Op>,
    /// The name of each operation's layer; empty for operations outside any layer.
    pub layers: Vec<String>,
    /// The output of each layer, for [`Purpose::Outputs`]; otherwise empty. A layer that changes
    /// nothing, such as a dropout, has the output of the layer before it.
    pub layer_outputs: Vec<BufferId>,
    /// Which part of a step it is.
    pub part: PlanPart,
}

/// Which part of a step a plan is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlanPart {
    /// All of it.
    #[default]
    Whole,
    /// Forward and backward on a micro-batch: it ends with gradients, which are summed over the
    /// micro-batches of a batch.
    Gradients {
        /// The most partial sums that wait at a time.
        waiting: usize,
    },
    /// What follows once for each batch: moving statistics, penalties, clipping and update, from the
    /// sums of the gradients.
    Update,
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Purpose {
    /// Forward, loss, backward and update.
    Training(Optimizer),
    /// As training, on images that are mixed in pairs behind the model's augmentation.
    MixedTraining(Optimizer, Mixing),
    /// As training, and with the gradient of the input, which fixtures compare; without image
    /// augmentation, which has no gradient.
    Gradients(Optimizer),
    /// Forward, probabilities and loss.
    Inference,
    /// Forward through every layer as written, its activation included; no loss, so that any last
    /// layer will do.
    Outputs,
}

impl Plan {
    /// Lowers `model` for `purpose` at this batch size.
    ///
    /// # Errors
    /// As [`Sequential::check`], or for outputs as [`Sequential::resolve`]; a last layer that does
    /// not suit the loss; a batch size of zero,
    /// or one so large that a tensor exceeds 2^31 elements.
    pub fn new(model: &Sequential, purpose: Purpose, batch: usize) -> Result<Self> {
        let layout = Layout::new(model)?;
        if purpose != Purpose::Outputs {
            model.check()?;
        }
        let largest = largest_tensor(model)?;
        let limit = ((1usize << 31) - 1) / largest;
        if batch == 0 || batch > limit {
            return Err(Error::Argument(format!(
                "batch size {batch} is out of range for model `{}`: expected 1 to {limit}",
                model.name
            )));
        }
        Self::build(
            Builder::new(model, layout, purpose, batch, PlanPart::Whole),
            model,
        )
    }

    /// Lowers `model` to the two parts of a training step on batches of `batch` rows that are cut into
    /// micro-batches of `rows`: [`PlanPart::Gradients`] and [`PlanPart::Update`].
    ///
    /// # Errors
    /// As [`Plan::new`], at the size of a micro-batch.
    pub fn parts(
        model: &Sequential,
        purpose: Purpose,
        (rows, batch): (usize, usize),
    ) -> Result<[Self; 2]> {
        let waiting = most_waiting(batch.div_ceil(rows.max(1)));
        // Checks the arguments.
        let layout = Self::new(model, purpose, rows)?.layout;
        let part = |part, rows| {
            let builder = Builder::new(model, Arc::clone(&layout), purpose, rows, part);
            Self::build(builder, model)
        };
        Ok([
            part(PlanPart::Gradients { waiting }, rows)?,
            part(PlanPart::Update, batch)?,
        ])
    }

    fn build(builder: Builder, model: &Sequential) -> Result<Self> {
        let plan = builder.build(model)?;
        plan.check()?;
        Ok(plan)
    }

    /// Weights each sample's loss and gradient by a constant for its class.
    ///
    /// # Errors
    /// The number of weights differs from the number of classes, or a weight is negative or not
    /// finite.
    pub fn weigh_classes(&mut self, weights: &[f32]) -> Result<()> {
        if weights.len() != self.classes {
            return Err(Error::Argument(format!(
                "expected {} class weights, one per class, received {}",
                self.classes,
                weights.len()
            )));
        }
        if let Some(class) = weights.iter().position(|w| !(0.0..=f32::MAX).contains(w)) {
            return Err(Error::Argument(format!(
                "class weights must be finite numbers of at least 0, received {} for class {class}",
                weights[class]
            )));
        }
        for op in &mut self.ops {
            if let Op::Loss(op) = op {
                op.class_weights = Some(weights.to_vec());
            }
        }
        Ok(())
    }

    /// The width of the last layer: the number of classes, or 1 for a single sigmoid.
    pub(crate) fn outputs(&self) -> usize {
        self.loss().map_or(self.classes, |op| op.width)
    }

    /// The operation that computes the loss.
    pub fn loss(&self) -> Option<&LossOp> {
        let mut ops = self.ops.iter();
        ops.find_map(|op| {
            if let Op::Loss(op) = op {
                Some(op)
            } else {
                None
            }
        })
    }

    /// The buffer that the loss of an inference plan writes: `[batch, classes]`.
    ///
    /// # Errors
    /// The plan has no loss.
    pub(crate) fn predictions(&self) -> Result<BufferId> {
        let found = self.ops.iter().rev().find_map(|op| match op {
            Op::Loss(LossOp { predictions, .. }) => Some(*predictions),
            _ => None,
        });
        found.ok_or_else(|| Error::Argument(format!("plan `{}` makes no predictions", self.name)))
    }

    /// The bytes of the partial sums of gradients.
    pub(crate) fn sums_bytes(&self) -> u64 {
        let waiting = match self.part {
            PlanPart::Gradients { waiting } => waiting,
            PlanPart::Whole | PlanPart::Update => 0,
        };
        4 * (waiting * self.layout.len) as u64
    }

    /// The bytes of all tensors outside the arenas, and of partial sums of gradients.
    pub(crate) fn own_bytes(&self) -> u64 {
        let is_own = |role| matches!(role, Role::Input | Role::Intermediate);
        let own = self.buffers.iter().filter(|buffer| is_own(buffer.role));
        let own: u64 = own.map(|buffer| 4 * buffer.len() as u64).sum();
        own + self.sums_bytes()
    }

    /// The bytes of all tensors and arenas, whether or not an executor stores each tensor.
    pub(crate) fn all_bytes(&self) -> u64 {
        self.own_bytes() + (4 * ARENAS * self.layout.len) as u64
    }

    /// The buffer with this index.
    pub fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.0]
    }

    /// The index of the buffer with this name.
    ///
    /// # Errors
    /// No buffer has this name.
    pub fn find(&self, name: &str) -> Result<BufferId> {
        let found = self.buffers.iter().position(|b| b.name == name);
        found
            .map(BufferId)
            .ok_or_else(|| Error::Argument(format!("plan `{}` has no buffer `{name}`", self.name)))
    }
}

/// The number of elements per sample of the largest tensor.
fn largest_tensor(model: &Sequential) -> Result<usize> {
    let input = model.input_shape.iter().product();
    let layers = model.resolve()?;
    let outputs = layers.iter().map(|l| l.output.iter().product::<usize>());
    Ok(outputs.fold(input, usize::max).max(1))
}
