//! Lowers layers to operations: builds the forward pass and derives the backward pass from a tape.
//!
//! A layer's lowering calls the methods here as it would call an eager library. In training, each
//! call also records its backward pass on the tape, which is replayed in reverse after the loss.
//! The gradient passed backwards is always that of a value's *pre-activation*: the operation that
//! computes a gradient also multiplies it by the derivative of the activation that produced the
//! value (see [`Through`]). The builder method for an operation is in the operation's file, in
//! `op`.

mod end;

use std::sync::Arc;

use super::{Buffer, BufferId, Element, Gather, Op, Plan, Purpose, Role, RowDraws, Through};
use crate::error::{Error, Result};
use crate::model::{Activation, Sequential};
use crate::optimizer::Optimizer;
use crate::state::Layout;

/// A tensor passed from layer to layer.
#[derive(Clone, Debug)]
pub struct Value {
    pub(super) buffer: BufferId,
    /// Shape of one sample.
    pub shape: Vec<usize>,
    /// The pointwise activation that produced it.
    pub(super) activation: Activation,
    /// The buffer from which the activation's derivative is computed: the activation's output, or
    /// its input if [`Activation::keeps_input`].
    pub(super) kept: BufferId,
}

impl Value {
    /// The same tensor with the axes of a sample merged into one.
    pub fn flattened(mut self) -> Self {
        self.shape = vec![self.shape.iter().product()];
        self
    }

    pub(super) fn through(&self) -> Option<Through> {
        match self.activation {
            Activation::Linear => None,
            activation => Some(Through {
                y: self.kept,
                activation,
            }),
        }
    }
}

/// The backward pass of one forward operation: takes the gradient of the operation's output and
/// returns the gradient of its input `x`, if the flag requests it.
type BackwardFn = Box<dyn FnOnce(&mut Builder, &Value, BufferId, bool) -> BufferId>;

/// An entry of the tape: what the backward pass needs from one forward operation.
struct Record {
    /// The layer that the operation belongs to.
    layer: String,
    /// The operation's input.
    x: Value,
    has_parameters: bool,
    backward: BackwardFn,
}

/// Builds a [`Plan`], operation by operation.
pub struct Builder {
    pub(super) plan: Plan,
    pub(super) optimizer: Option<Optimizer>,
    input_gradient: bool,
    /// Whether the plan ends with the last layer's output.
    without_loss: bool,
    /// The layer whose forward or backward pass is being built.
    pub(super) layer: String,
    tape: Vec<Record>,
    /// The number of the next series of random draws.
    series: u32,
}

impl Builder {
    pub(super) fn new(
        model: &Sequential,
        layout: Arc<Layout>,
        purpose: Purpose,
        batch: usize,
    ) -> Self {
        let (optimizer, input_gradient, what) = match purpose {
            Purpose::Training(optimizer) => (Some(optimizer), false, "training"),
            Purpose::Gradients(optimizer) => (Some(optimizer), true, "gradients"),
            Purpose::Inference => (None, false, "inference"),
            Purpose::Outputs => (None, false, "outputs"),
        };
        let buffers = (layout.parameters.iter().enumerate())
            .map(|(i, p)| Buffer {
                name: p.name.clone(),
                shape: p.shape.clone(),
                element: Element::F32,
                role: Role::Parameter(i),
            })
            .collect();
        Self {
            plan: Plan {
                name: format!("{} {what}", model.name),
                batch,
                input_shape: model.input_shape,
                classes: 0,
                layout,
                buffers,
                ops: Vec::new(),
                layers: Vec::new(),
                layer_outputs: Vec::new(),
            },
            optimizer,
            input_gradient,
            without_loss: purpose == Purpose::Outputs,
            layer: String::new(),
            tape: Vec::new(),
            series: 0,
        }
    }

    pub(super) fn build(mut self, model: &Sequential) -> Result<Plan> {
        let mut value = self.input(model.input_shape);
        let labels = self.labels();
        self.push(Op::Gather(Gather {
            x: value.buffer,
            labels,
        }));
        for layer in model.resolve()? {
            self.layer.clone_from(&layer.name);
            value = (layer.layer.spec().lower(&mut self, value))
                .map_err(|message| Error::layer(&layer.name, message))?;
            if self.without_loss {
                self.plan.layer_outputs.push(value.buffer);
            }
        }
        if self.without_loss {
            return Ok(self.plan);
        }
        let gradient = self.loss(model.loss, value, labels);
        let gradient = gradient.map_err(|message| Error::layer(&self.layer, message))?;
        if let Some(dy) = gradient {
            self.backward(dy);
        }
        self.layer.clear();
        self.regularize(model)?;
        if let Some(optimizer) = self.optimizer {
            self.update(optimizer);
        }
        Ok(self.plan)
    }

    /// Whether image augmentation acts: in training, but not for the gradient of the input, which is
    /// that of the network behind it.
    pub(super) fn augments(&self) -> bool {
        self.optimizer.is_some() && !self.input_gradient
    }

    /// A series of random draws that no other layer has.
    pub(super) fn row_draws(&mut self) -> RowDraws {
        let number = self.series;
        self.series += 1;
        RowDraws { number }
    }

    /// Adds an operation of the current layer.
    pub(super) fn push(&mut self, op: Op) {
        self.plan.ops.push(op);
        self.plan.layers.push(self.layer.clone());
    }

    /// Records the backward pass of the operation that was just added: `backward` adds the
    /// operations that compute the gradients of the parameters and of the input `x`, and returns
    /// the latter.
    pub(super) fn record(
        &mut self,
        x: Value,
        has_parameters: bool,
        backward: impl FnOnce(&mut Self, &Value, BufferId, bool) -> BufferId + 'static,
    ) {
        self.tape.push(Record {
            layer: self.layer.clone(),
            x,
            has_parameters,
            backward: Box::new(backward),
        });
    }

    /// The current layer's parameter of this name, such as `kernel` or `bias`.
    ///
    /// # Errors
    /// The layer does not declare such a parameter.
    pub fn parameter(&self, name: &str) -> Result<BufferId, String> {
        let full = format!("{}/{name}", self.layer);
        let found = self.plan.layout.find(&full);
        // Parameters are the first buffers, in the layout's order.
        found
            .map(BufferId)
            .ok_or_else(|| format!("the layer has no parameter `{name}`"))
    }

    fn backward(&mut self, dy: BufferId) {
        let mut dy = dy;
        while let Some(record) = self.tape.pop() {
            // No gradient is needed before the first layer with parameters.
            let mut before = self.tape.iter();
            let wants_dx = self.input_gradient || before.any(|record| record.has_parameters);
            if !wants_dx && !record.has_parameters {
                break;
            }
            self.layer = record.layer;
            dy = (record.backward)(self, &record.x, dy, wants_dx);
        }
        if self.input_gradient {
            // The last gradient computed is the input's, whichever layer named its buffer.
            self.plan.buffers[dy.0].name = "d input".into();
        }
    }

    // Buffers.

    fn input(&mut self, shape: [usize; 3]) -> Value {
        let buffer = self.buffer(
            "input".into(),
            self.batched(&shape),
            Element::F32,
            Role::Input,
        );
        Value {
            buffer,
            shape: shape.to_vec(),
            activation: Activation::Linear,
            kept: buffer,
        }
    }

    fn labels(&mut self) -> BufferId {
        let shape = vec![self.plan.batch];
        self.buffer("labels".into(), shape, Element::U32, Role::Input)
    }

    pub(super) fn value(&mut self, shape: Vec<usize>, activation: Activation) -> Value {
        self.value_named(self.layer.clone(), shape, activation)
    }

    pub(super) fn value_named(
        &mut self,
        name: String,
        shape: Vec<usize>,
        activation: Activation,
    ) -> Value {
        let batched = self.batched(&shape);
        let buffer = self.buffer(name, batched, Element::F32, Role::Intermediate);
        Value {
            buffer,
            shape,
            activation,
            kept: buffer,
        }
    }

    /// Adds the buffer for the gradient of `x`'s pre-activation.
    pub(super) fn gradient_of(&mut self, x: &Value) -> BufferId {
        let of = self.plan.buffer(x.buffer);
        let (name, shape) = (format!("d {}", of.name), of.shape.clone());
        self.buffer(name, shape, Element::F32, Role::Intermediate)
    }

    /// The buffer for a parameter's gradient, added at first use.
    pub(super) fn gradient(&mut self, parameter: BufferId) -> BufferId {
        let role = Role::Gradient(parameter.0);
        if let Some(i) = self.plan.buffers.iter().position(|b| b.role == role) {
            return BufferId(i);
        }
        let of = self.plan.buffer(parameter);
        let (name, shape) = (format!("d {}", of.name), of.shape.clone());
        self.buffer(name, shape, Element::F32, role)
    }

    pub(super) fn buffer(
        &mut self,
        name: String,
        shape: Vec<usize>,
        element: Element,
        role: Role,
    ) -> BufferId {
        self.plan.buffers.push(Buffer {
            name,
            shape,
            element,
            role,
        });
        BufferId(self.plan.buffers.len() - 1)
    }

    pub(super) fn batched(&self, shape: &[usize]) -> Vec<usize> {
        [&[self.plan.batch], shape].concat()
    }
}
