//! What one step does: a list of operations over named buffers.
//!
//! A plan is made from a model once per purpose (training or inference) and batch size. Read it as
//! the calls that one would write by hand for this network, written down; `cnn-gpu plan` prints it.
//! There are no rewrite passes: what is fused is fused in the layer's lowering, through the
//! [`Builder`].

mod builder;
mod check;
mod cost;
mod op;
mod print;

use std::sync::Arc;

pub use builder::{Builder, Value};
pub use op::*;

use crate::error::{Error, Result};
use crate::model::Sequential;
use crate::optimizer::Optimizer;
use crate::state::Layout;

/// A buffer's number in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub usize);

/// Where a buffer lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Filled from the data set, or by hand in tests: the batch's images and labels.
    Input,
    /// The parameter of this number in the layout.
    Parameter(usize),
    /// The gradient of the parameter of this number.
    Gradient(usize),
    /// Made by one operation and read by others.
    Intermediate,
}

/// What a buffer's elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// 32-bit floating point.
    F32,
    /// 32-bit unsigned: labels, and which cell a max pool took.
    U32,
}

/// A tensor that operations read and write.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// A name a person would say; also its label on the device.
    pub name: String,
    /// Its shape, batch included.
    pub shape: Vec<usize>,
    /// What its elements are.
    pub element: Element,
    /// Where it lives.
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
    /// The parameters' places.
    pub layout: Arc<Layout>,
    /// The buffers; a [`BufferId`] indexes them.
    pub buffers: Vec<Buffer>,
    /// The operations.
    pub ops: Vec<Op>,
    /// The layer that each operation belongs to, by name; empty for those of no layer.
    pub layers: Vec<String>,
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Purpose {
    /// Forward, loss, backward and update.
    Training(Optimizer),
    /// As training, with the gradient of the input as well: what fixtures compare.
    Gradients(Optimizer),
    /// Forward, probabilities and loss.
    Inference,
}

impl Plan {
    /// Lowers `model` for `purpose` at this batch size.
    ///
    /// # Errors
    /// As [`Sequential::resolve`]; a last layer that does not suit the loss; a batch of zero, or
    /// one so large that a tensor exceeds 2^31 elements.
    pub fn new(model: &Sequential, purpose: Purpose, batch: usize) -> Result<Self> {
        let layout = Layout::new(model)?;
        let largest = largest_tensor(model)?;
        let limit = ((1usize << 31) - 1) / largest;
        if batch == 0 || batch > limit {
            return Err(Error::Argument(format!(
                "batch size {batch} is impossible for model `{}`: expected 1 to {limit}",
                model.name
            )));
        }
        let plan = Builder::new(model, layout, purpose, batch).build(model)?;
        plan.check()?;
        Ok(plan)
    }

    /// Weighs each sample's loss and its gradient by the weight of its class, a constant of the
    /// plan.
    ///
    /// # Errors
    /// Not one weight per class, or one that is negative or not a number.
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
                "class weights must be numbers from 0 on, received {} for class {class}",
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

    /// The width of the last layer: the number of classes, or 1 for two of them.
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

    /// The buffer of this number.
    pub fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.0]
    }

    /// The buffer of this name.
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

/// Elements per sample of the largest tensor.
fn largest_tensor(model: &Sequential) -> Result<usize> {
    let input = model.input_shape.iter().product();
    let layers = model.resolve()?;
    let outputs = layers.iter().map(|l| l.output.iter().product::<usize>());
    Ok(outputs.fold(input, usize::max).max(1))
}
