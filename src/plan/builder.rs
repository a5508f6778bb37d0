//! From layers to operations: the forward list, and from its record the backward one.
//!
//! A layer's lowering calls the methods here as it would call an eager library. In training each
//! call also leaves a note on the tape; after the loss, [`Builder::backward`] reads the tape from
//! its end. The gradient that travels backwards is always the one by a value's *pre-activation*:
//! whoever makes a gradient sends it through the activation that made the value (see [`Through`]).

mod activation;
mod end;
mod layers;
mod normalization;

use std::sync::Arc;

use super::{
    BatchNorm, Buffer, BufferId, ConvShape, DropoutMask, Element, Gather, Op, Plan, PoolShape,
    Purpose, Role, Through,
};
use crate::error::{Error, Result};
use crate::model::{Activation, Sequential};
use crate::optimizer::Optimizer;
use crate::state::Layout;

/// A tensor on its way through the layers.
#[derive(Clone, Debug)]
pub struct Value {
    buffer: BufferId,
    /// Shape of one sample.
    pub shape: Vec<usize>,
    /// The pointwise activation that made it.
    activation: Activation,
    /// What that activation's derivative is a function of: the tensor itself, or what it was made
    /// from where [`Activation::keeps_input`].
    kept: BufferId,
}

impl Value {
    /// The same tensor with all axes of a sample made one.
    pub fn flattened(mut self) -> Self {
        self.shape = vec![self.shape.iter().product()];
        self
    }

    fn through(&self) -> Option<Through> {
        match self.activation {
            Activation::Linear => None,
            activation => Some(Through {
                y: self.kept,
                activation,
            }),
        }
    }
}

/// A note on the tape, and the layer that left it.
struct Note {
    layer: String,
    entry: Tape,
}

/// What the backward pass has to know of one forward operation.
enum Tape {
    Conv2d {
        shape: ConvShape,
        x: Value,
        w: BufferId,
        bias: Option<BufferId>,
    },
    Pool2d {
        shape: PoolShape,
        x: Value,
        argmax: Option<BufferId>,
    },
    Dense {
        x: Value,
        w: BufferId,
        bias: Option<BufferId>,
        outputs: usize,
    },
    Activation {
        x: Value,
    },
    Softmax {
        x: Value,
        y: BufferId,
        width: usize,
    },
    Dropout {
        mask: DropoutMask,
        x: Value,
    },
    Rescale {
        scale: f32,
        x: Value,
    },
    BatchNorm(Box<NormTape>),
}

/// What the backward pass has to know of a batch normalization.
struct NormTape {
    norm: BatchNorm,
    x: Value,
    mean: BufferId,
    variance: BufferId,
    gamma: Option<BufferId>,
    beta: Option<BufferId>,
}

/// Makes a [`Plan`], operation by operation.
pub struct Builder {
    plan: Plan,
    optimizer: Option<Optimizer>,
    input_gradient: bool,
    /// The layer that is being lowered, or whose gradients are being made.
    layer: String,
    tape: Vec<Note>,
    /// Dropouts so far.
    dropouts: u32,
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
            },
            optimizer,
            input_gradient,
            layer: String::new(),
            tape: Vec::new(),
            dropouts: 0,
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

    /// Adds an operation of the current layer.
    fn push(&mut self, op: Op) {
        self.plan.ops.push(op);
        self.plan.layers.push(self.layer.clone());
    }

    /// Leaves a note of the current layer on the tape.
    fn note(&mut self, entry: Tape) {
        self.tape.push(Note {
            layer: self.layer.clone(),
            entry,
        });
    }

    /// The current layer's parameter `kernel` or `bias`.
    ///
    /// # Errors
    /// The layer did not list such a parameter.
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
        while let Some(Note { layer, entry }) = self.tape.pop() {
            // Nothing before the first parameters wants a gradient.
            let mut before = self.tape.iter().map(|note| &note.entry);
            let wants_dx = self.input_gradient || before.any(Tape::has_parameters);
            if !wants_dx && !entry.has_parameters() {
                break;
            }
            self.layer = layer;
            dy = match entry {
                Tape::Conv2d { shape, x, w, bias } => {
                    self.conv2d_backward(dy, (shape, x, w, bias), wants_dx)
                }
                Tape::Pool2d { shape, x, argmax } => self.pool2d_backward(dy, (shape, x, argmax)),
                Tape::Dense {
                    x,
                    w,
                    bias,
                    outputs,
                } => self.dense_backward(dy, (x, w, bias, outputs), wants_dx),
                Tape::Activation { x } => self.activation_backward(dy, &x),
                Tape::Softmax { x, y, width } => self.softmax_backward(dy, (x, y, width)),
                Tape::Dropout { mask, x } => self.dropout_backward(dy, mask, &x),
                Tape::Rescale { scale, x } => self.rescale_backward(dy, scale, &x),
                Tape::BatchNorm(tape) => self.batch_norm_backward(dy, *tape, wants_dx),
            };
        }
        if self.input_gradient {
            // Without a layer that makes one of its own, the input's gradient is the last one.
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

    fn value(&mut self, shape: Vec<usize>, activation: Activation) -> Value {
        self.value_named(self.layer.clone(), shape, activation)
    }

    fn value_named(&mut self, name: String, shape: Vec<usize>, activation: Activation) -> Value {
        let batched = self.batched(&shape);
        let buffer = self.buffer(name, batched, Element::F32, Role::Intermediate);
        Value {
            buffer,
            shape,
            activation,
            kept: buffer,
        }
    }

    /// The buffer for the gradient by `x`'s pre-activation.
    fn gradient_of(&mut self, x: &Value) -> BufferId {
        let of = self.plan.buffer(x.buffer);
        let (name, shape) = (format!("d {}", of.name), of.shape.clone());
        self.buffer(name, shape, Element::F32, Role::Intermediate)
    }

    /// The buffer for a parameter's gradient.
    fn gradient(&mut self, parameter: BufferId) -> BufferId {
        let role = Role::Gradient(parameter.0);
        if let Some(i) = self.plan.buffers.iter().position(|b| b.role == role) {
            return BufferId(i);
        }
        let of = self.plan.buffer(parameter);
        let (name, shape) = (format!("d {}", of.name), of.shape.clone());
        self.buffer(name, shape, Element::F32, role)
    }

    fn buffer(
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

    fn batched(&self, shape: &[usize]) -> Vec<usize> {
        [&[self.plan.batch], shape].concat()
    }
}

impl Tape {
    fn has_parameters(&self) -> bool {
        match self {
            Self::Conv2d { .. } | Self::Dense { .. } => true,
            Self::BatchNorm(tape) => tape.gamma.is_some() || tape.beta.is_some(),
            Self::Pool2d { .. }
            | Self::Activation { .. }
            | Self::Softmax { .. }
            | Self::Dropout { .. }
            | Self::Rescale { .. } => false,
        }
    }
}
