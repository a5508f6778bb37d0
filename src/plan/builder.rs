//! From layers to operations: the forward list, and from its record the backward one.
//!
//! A layer's lowering calls the methods here as it would call an eager library. In training each
//! call also leaves a note on the tape; after the loss, [`Builder::backward`] reads the tape from
//! its end. The gradient that travels backwards is always the one by a value's *pre-activation*:
//! whoever makes a gradient sends it through the activation that made the value (see [`Through`]).

use std::sync::Arc;

use super::{
    BatchNorm, Buffer, BufferId, ConvShape, Dropout, Element, Op, Penalty, Plan, PoolShape,
    Purpose, Role, Through,
};
use crate::error::{Error, Result};
use crate::model::{Activation, Loss, PoolKind, Sequential};
use crate::optimizer::{Clip, Optimizer};
use crate::shape::Window;
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
        dropout: Dropout,
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
    layer: String,
    tape: Vec<Tape>,
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
        self.plan.ops.push(Op::Gather {
            x: value.buffer,
            labels,
        });
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
        self.regularize(model)?;
        if let Some(optimizer) = self.optimizer {
            self.update(optimizer);
        }
        Ok(self.plan)
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

    // Convolution, forward and backward.

    /// `f(x ⋆ w + bias)`.
    pub fn conv2d(
        &mut self,
        x: Value,
        w: BufferId,
        bias: Option<BufferId>,
        shape: ConvShape,
        activation: Activation,
    ) -> Value {
        let fused = self.fused(activation);
        let window = &shape.window;
        let y = self.value(vec![window.oh, window.ow, shape.oc], fused);
        self.plan.ops.push(Op::Conv2dForward {
            shape,
            x: x.buffer,
            w,
            bias,
            y: y.buffer,
            activation: fused,
        });
        self.tape.push(Tape::Conv2d { shape, x, w, bias });
        self.unfused(y, activation, fused)
    }

    fn conv2d_backward(
        &mut self,
        dy: BufferId,
        (shape, x, w, bias): (ConvShape, Value, BufferId, Option<BufferId>),
        wants_dx: bool,
    ) -> BufferId {
        let dw = self.gradient(w);
        let dbias = bias.map(|b| self.gradient(b));
        self.plan.ops.push(Op::Conv2dBackwardWeight {
            shape,
            x: x.buffer,
            dy,
            dw,
            dbias,
        });
        if !wants_dx {
            return dy;
        }
        let dx = self.gradient_of(&x);
        self.plan.ops.push(Op::Conv2dBackwardInput {
            shape,
            dy,
            w,
            dx,
            through: x.through(),
        });
        dx
    }

    // Pooling, forward and backward.

    /// Max, average or sum pooling.
    pub fn pool2d(&mut self, x: Value, window: Window, kind: PoolKind) -> Value {
        let c = x.shape.last().copied().unwrap_or(0);
        let shape = PoolShape { window, c, kind };
        let y = self.value(vec![window.oh, window.ow, c], Activation::Linear);
        let training = self.optimizer.is_some();
        let argmax = (kind == PoolKind::Max && training).then(|| {
            let shape = self.plan.buffer(y.buffer).shape.clone();
            let name = format!("{} argmax", self.layer);
            self.buffer(name, shape, Element::U32, Role::Intermediate)
        });
        self.plan.ops.push(Op::Pool2dForward {
            shape,
            x: x.buffer,
            y: y.buffer,
            argmax,
        });
        self.tape.push(Tape::Pool2d { shape, x, argmax });
        y
    }

    fn pool2d_backward(
        &mut self,
        dy: BufferId,
        (shape, x, argmax): (PoolShape, Value, Option<BufferId>),
    ) -> BufferId {
        let dx = self.gradient_of(&x);
        self.plan.ops.push(Op::Pool2dBackward {
            shape,
            dy,
            argmax,
            dx,
            through: x.through(),
        });
        dx
    }

    // Dense layers, forward and backward.

    /// `f(x w + bias)`.
    pub fn dense(
        &mut self,
        x: Value,
        w: BufferId,
        bias: Option<BufferId>,
        units: usize,
        activation: Activation,
    ) -> Value {
        let fused = self.fused(activation);
        let y = self.value(vec![units], fused);
        self.plan.ops.push(Op::DenseForward {
            inputs: x.shape.iter().product(),
            outputs: units,
            x: x.buffer,
            w,
            bias,
            y: y.buffer,
            activation: fused,
        });
        self.tape.push(Tape::Dense {
            x,
            w,
            bias,
            outputs: units,
        });
        self.unfused(y, activation, fused)
    }

    fn dense_backward(
        &mut self,
        dy: BufferId,
        (x, w, bias, outputs): (Value, BufferId, Option<BufferId>, usize),
        wants_dx: bool,
    ) -> BufferId {
        let inputs = x.shape.iter().product();
        let dw = self.gradient(w);
        let dbias = bias.map(|b| self.gradient(b));
        self.plan.ops.push(Op::DenseBackwardWeight {
            inputs,
            outputs,
            x: x.buffer,
            dy,
            dw,
            dbias,
        });
        if !wants_dx {
            return dy;
        }
        let dx = self.gradient_of(&x);
        self.plan.ops.push(Op::DenseBackwardInput {
            inputs,
            outputs,
            dy,
            w,
            dx,
            through: x.through(),
        });
        dx
    }

    // Activations, forward and backward.

    /// `f(x)`.
    pub fn activation(&mut self, x: Value, activation: Activation) -> Value {
        match activation {
            Activation::Linear => x,
            Activation::Softmax => self.softmax(x),
            _ => {
                let name = self.layer.clone();
                self.pointwise(name, x, activation)
            }
        }
    }

    fn pointwise(&mut self, name: String, x: Value, activation: Activation) -> Value {
        let mut y = self.value_named(name, x.shape.clone(), activation);
        if activation.keeps_input() {
            y.kept = x.buffer;
        }
        self.plan.ops.push(Op::ActivationForward {
            activation,
            x: x.buffer,
            y: y.buffer,
        });
        self.tape.push(Tape::Activation { x });
        y
    }

    /// What of an activation can be applied where its argument is made: not a softmax, which needs
    /// a whole row, and in training none that [`Activation::keeps_input`].
    fn fused(&self, activation: Activation) -> Activation {
        let training = self.optimizer.is_some();
        match activation {
            Activation::Softmax => Activation::Linear,
            other if training && other.keeps_input() => Activation::Linear,
            other => other,
        }
    }

    /// Applies the activation unless it was `fused`.
    fn unfused(&mut self, y: Value, activation: Activation, fused: Activation) -> Value {
        match activation {
            _ if activation == fused => y,
            Activation::Softmax => self.softmax(y),
            _ => {
                let name = format!("{} {}", self.layer, activation.name());
                self.pointwise(name, y, activation)
            }
        }
    }

    /// `dy` is already by the pre-activation, that is by `x`: only the activation that made `x`
    /// is left to pass.
    fn activation_backward(&mut self, dy: BufferId, x: &Value) -> BufferId {
        let Some(through) = x.through() else {
            return dy;
        };
        let dx = self.gradient_of(x);
        self.plan
            .ops
            .push(Op::ActivationBackward { through, dy, dx });
        dx
    }

    fn softmax(&mut self, x: Value) -> Value {
        let width = x.shape.last().copied().unwrap_or(0);
        let y = self.value_named(
            format!("{} softmax", self.layer),
            x.shape.clone(),
            Activation::Linear,
        );
        self.plan.ops.push(Op::SoftmaxForward {
            width,
            x: x.buffer,
            y: y.buffer,
        });
        self.tape.push(Tape::Softmax {
            x,
            y: y.buffer,
            width,
        });
        y
    }

    fn softmax_backward(
        &mut self,
        dy: BufferId,
        (x, y, width): (Value, BufferId, usize),
    ) -> BufferId {
        let dx = self.gradient_of(&x);
        self.plan.ops.push(Op::SoftmaxBackward {
            width,
            dy,
            y,
            dx,
            through: x.through(),
        });
        dx
    }

    // Layers that act in training only, or differently.

    /// Drops cells in training; `width` draws serve a sample. Nothing in inference.
    pub fn dropout(&mut self, x: Value, rate: f64, width: usize) -> Value {
        if self.optimizer.is_none() || rate == 0.0 {
            return x;
        }
        let dropout = Dropout {
            rate,
            number: self.dropouts,
            size: x.shape.iter().product(),
            width,
        };
        self.dropouts += 1;
        let y = self.value(x.shape.clone(), Activation::Linear);
        self.plan.ops.push(Op::Dropout {
            dropout,
            x: x.buffer,
            y: y.buffer,
            through: None,
        });
        self.tape.push(Tape::Dropout { dropout, x });
        y
    }

    fn dropout_backward(&mut self, dy: BufferId, dropout: Dropout, x: &Value) -> BufferId {
        let dx = self.gradient_of(x);
        self.plan.ops.push(Op::Dropout {
            dropout,
            x: dy,
            y: dx,
            through: x.through(),
        });
        dx
    }

    /// `scale * x + offset`.
    pub fn rescale(&mut self, x: Value, scale: f32, offset: f32) -> Value {
        let y = self.value(x.shape.clone(), Activation::Linear);
        self.plan.ops.push(Op::Rescale {
            scale,
            offset,
            x: x.buffer,
            y: y.buffer,
            through: None,
        });
        self.tape.push(Tape::Rescale { scale, x });
        y
    }

    fn rescale_backward(&mut self, dy: BufferId, scale: f32, x: &Value) -> BufferId {
        let dx = self.gradient_of(x);
        self.plan.ops.push(Op::Rescale {
            scale,
            offset: 0.0,
            x: dy,
            y: dx,
            through: x.through(),
        });
        dx
    }

    /// Batch normalization: by the batch's own statistics in training, which also move the `moving`
    /// ones by `momentum`, and by the moving ones in inference.
    pub fn batch_norm(
        &mut self,
        x: Value,
        norm: BatchNorm,
        (gamma, beta): (Option<BufferId>, Option<BufferId>),
        (moving, momentum): ([BufferId; 2], f64),
    ) -> Value {
        let mut statistics = moving;
        if self.optimizer.is_some() {
            statistics = ["mean", "variance"].map(|what| self.per_channel(what, norm.c));
            self.plan.ops.push(Op::BatchNormStatistics {
                norm,
                x: x.buffer,
                mean: statistics[0],
                variance: statistics[1],
                moving,
                momentum,
            });
        }
        let [mean, variance] = statistics;
        let y = self.value(x.shape.clone(), Activation::Linear);
        self.plan.ops.push(Op::BatchNormForward {
            norm,
            x: x.buffer,
            mean,
            variance,
            gamma,
            beta,
            y: y.buffer,
        });
        self.tape.push(Tape::BatchNorm(Box::new(NormTape {
            norm,
            x,
            mean,
            variance,
            gamma,
            beta,
        })));
        y
    }

    fn batch_norm_backward(&mut self, dy: BufferId, tape: NormTape, wants_dx: bool) -> BufferId {
        let NormTape {
            norm,
            x,
            mean,
            variance,
            gamma,
            beta,
        } = tape;
        // The input's gradient needs the sums, whether or not there are parameters to learn.
        let mut sums = |parameter: Option<BufferId>, what| match parameter {
            Some(parameter) => self.gradient(parameter),
            None => self.per_channel(what, norm.c),
        };
        let (dgamma, dbeta) = (sums(gamma, "d gamma"), sums(beta, "d beta"));
        self.plan.ops.push(Op::BatchNormBackwardWeight {
            norm,
            x: x.buffer,
            dy,
            mean,
            variance,
            dgamma,
            dbeta,
        });
        if !wants_dx {
            return dy;
        }
        let name = format!("d {} normalized", self.plan.buffer(x.buffer).name);
        let dx = match x.through() {
            Some(_) => {
                let shape = self.batched(&x.shape);
                self.buffer(name, shape, Element::F32, Role::Intermediate)
            }
            None => self.gradient_of(&x),
        };
        self.plan.ops.push(Op::BatchNormBackwardInput {
            norm,
            x: x.buffer,
            dy,
            mean,
            variance,
            gamma,
            dgamma,
            dbeta,
            dx,
        });
        self.activation_backward(dx, &x)
    }

    fn per_channel(&mut self, what: &str, c: usize) -> BufferId {
        let name = format!("{} {what}", self.layer);
        self.buffer(name, vec![c], Element::F32, Role::Intermediate)
    }

    // Loss and update.

    /// The loss of the last layer's output. A cross-entropy takes the last activation back and starts
    /// from the logits: exact where probabilities would round to 0 or 1.
    fn loss(&mut self, loss: Loss, y: Value, labels: BufferId) -> Result<Option<BufferId>, String> {
        let &[width] = y.shape.as_slice() else {
            return Err(format!(
                "the last layer must give a row of outputs for the loss, as Dense(10) does; this one gives {}: \
                 put a Flatten before it",
                crate::shape::dims(&y.shape)
            ));
        };
        let x = match loss {
            Loss::CategoricalCrossentropy { .. } => self.before_softmax(),
            Loss::BinaryCrossentropy { .. } => self.before_sigmoid(&y),
            Loss::MeanSquaredError if width == 1 => None,
            Loss::MeanSquaredError => Some(y),
        };
        let x = x.ok_or_else(|| wrong_last_layer(loss, width))?;
        let classes = loss.classes(width);
        self.plan.classes = classes;
        let predictions = self.value_named("predictions".into(), vec![classes], Activation::Linear);
        let dx = self.optimizer.map(|_| {
            let shape = self.batched(&[width]);
            let name = match loss {
                Loss::MeanSquaredError => "d outputs",
                _ => "dlogits",
            };
            self.buffer(name.into(), shape, Element::F32, Role::Intermediate)
        });
        self.plan.ops.push(Op::Loss {
            loss,
            width,
            x: x.buffer,
            labels,
            predictions: predictions.buffer,
            dx,
            class_weights: None,
        });
        // A pointwise activation just before (`relu` and then a softmax layer) has to be passed.
        Ok(dx.map(|dx| self.activation_backward(dx, &x)))
    }

    /// What went into the softmax that the last layer ends with, if it does. The softmax is undone.
    fn before_softmax(&mut self) -> Option<Value> {
        let Tape::Softmax { x, .. } = self.tape.pop_if(|last| last.is_softmax())? else {
            return None;
        };
        self.undo();
        Some(x)
    }

    /// What went into the sigmoid that made `y`, if one did. The sigmoid is undone.
    fn before_sigmoid(&mut self, y: &Value) -> Option<Value> {
        if y.activation != Activation::Sigmoid {
            return None;
        }
        match self.plan.ops.last_mut()? {
            Op::DenseForward { activation, .. } | Op::Conv2dForward { activation, .. } => {
                *activation = Activation::Linear;
                let activation = Activation::Linear;
                return Some(Value {
                    activation,
                    ..y.clone()
                });
            }
            _ => {}
        }
        match self.tape.pop()? {
            Tape::Activation { x } => {
                self.undo();
                Some(x)
            }
            _ => None,
        }
    }

    /// Takes back the last operation and the buffer that was made for it.
    fn undo(&mut self) {
        self.plan.ops.pop();
        self.plan.buffers.pop();
    }

    fn backward(&mut self, dy: BufferId) {
        let mut dy = dy;
        while let Some(entry) = self.tape.pop() {
            // Nothing before the first parameters wants a gradient.
            let wants_dx = self.input_gradient || self.tape.iter().any(Tape::has_parameters);
            if !wants_dx && !entry.has_parameters() {
                break;
            }
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
                Tape::Dropout { dropout, x } => self.dropout_backward(dy, dropout, &x),
                Tape::Rescale { scale, x } => self.rescale_backward(dy, scale, &x),
                Tape::BatchNorm(tape) => self.batch_norm_backward(dy, *tape, wants_dx),
            };
        }
        if self.input_gradient {
            // Without a layer that makes one of its own, the input's gradient is the last one.
            self.plan.buffers[dy.0].name = "d input".into();
        }
    }

    fn regularize(&mut self, model: &Sequential) -> Result<()> {
        let mut penalties = Vec::new();
        for layer in model.resolve()? {
            for spec in layer.layer.spec().parameters(&layer.input) {
                let name = format!("{}/{}", layer.name, spec.name);
                let number = self.plan.layout.find(&name);
                let penalized = number.filter(|_| !spec.regularizer.is_none());
                if let Some(w) = penalized.map(BufferId) {
                    penalties.push(Penalty {
                        w,
                        gradient: self.optimizer.map(|_| self.gradient(w)),
                        regularizer: spec.regularizer,
                    });
                }
            }
        }
        if !penalties.is_empty() {
            self.plan.ops.push(Op::Regularize { penalties });
        }
        Ok(())
    }

    fn update(&mut self, optimizer: Optimizer) {
        let numbered = self.plan.layout.parameters.iter().enumerate();
        let params: Vec<BufferId> = numbered
            .filter(|(_, p)| p.trainable)
            .map(|(i, _)| BufferId(i))
            .collect();
        if params.is_empty() {
            return;
        }
        let gradients: Vec<BufferId> = params.iter().map(|&p| self.gradient(p)).collect();
        if let Some(clip) = optimizer.clip {
            let squares = (!matches!(clip, Clip::Value(_))).then(|| {
                let (name, shape) = ("squares of gradients".into(), vec![gradients.len()]);
                self.buffer(name, shape, Element::F32, Role::Intermediate)
            });
            self.plan.ops.push(Op::ClipGradients {
                clip,
                gradients: gradients.clone(),
                squares,
            });
        }
        self.plan.ops.push(Op::Update {
            optimizer,
            params,
            gradients,
        });
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

fn wrong_last_layer(loss: Loss, width: usize) -> String {
    let (wanted, example) = match loss {
        Loss::CategoricalCrossentropy { .. } => ("a softmax over classes", "Dense(10, softmax)"),
        Loss::BinaryCrossentropy { .. } => ("a sigmoid", "Dense(1, sigmoid)"),
        Loss::MeanSquaredError => ("an output for each of at least 2 classes", "Dense(2)"),
    };
    format!(
        "the last layer must give {wanted} for the loss {}, as {example} does; this one gives {width} \
         outputs without it",
        loss.name()
    )
}

impl Tape {
    fn is_softmax(&self) -> bool {
        matches!(self, Self::Softmax { .. })
    }

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
