//! The end of a plan: loss, penalties and update.

use super::{Builder, LossLabels, Value};
use crate::error::{Error, Result};
use crate::model::{Activation, Layer, Loss, ResolvedLayer, Sequential};
use crate::optimizer::{Clip, Optimizer};
use crate::plan::{
    BatchNormMove, BufferId, ClipGradients, Element, LossOp, Op, Penalty, Regularize, Role, Update,
};

impl Builder {
    /// Adds the loss of the last layer's output and returns the value that it starts from and the
    /// value's gradient. A cross-entropy removes
    /// the last activation from the plan and starts from the logits, which stays exact where
    /// probabilities would round to 0 or 1.
    pub(super) fn loss(
        &mut self,
        loss: Loss,
        y: Value,
        LossLabels { labels, targets }: LossLabels,
    ) -> Result<Option<(BufferId, BufferId)>, String> {
        let &[width] = y.shape.as_slice() else {
            return Err(format!(
                "the loss needs a flat last layer, such as Dense(10); this one gives {}: \
                 put a Flatten before it",
                crate::shape::dims(&y.shape)
            ));
        };
        let x = match loss {
            Loss::CategoricalCrossentropy { .. } => self.before_softmax(width),
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
        self.push(Op::Loss(LossOp {
            loss,
            width,
            x: x.buffer,
            labels,
            targets,
            predictions: predictions.buffer,
            dx,
            class_weights: None,
        }));
        // The softmax may follow a pointwise activation, as in `relu` before a softmax layer.
        Ok(dx.map(|dx| (x.buffer, self.activation_backward(dx, &x))))
    }

    /// Removes the softmax over the whole row at the end of the last layer and returns its input;
    /// `None` if there is no such softmax.
    fn before_softmax(&mut self, row: usize) -> Option<Value> {
        match self.plan.ops.last()? {
            Op::SoftmaxForward(softmax) if softmax.width == row => {}
            _ => return None,
        }
        let x = self.take_from_tape()?;
        self.undo();
        Some(x)
    }

    /// Removes the sigmoid that produced `y` and returns its input; `None` if there is none.
    fn before_sigmoid(&mut self, y: &Value) -> Option<Value> {
        if y.activation != Activation::Sigmoid {
            return None;
        }
        let linear = Activation::Linear;
        match self.plan.ops.last_mut()? {
            Op::DenseForward(op) => op.activation = linear,
            Op::Conv2dForward(op) => op.activation = linear,
            Op::ActivationForward(_) => {
                let x = self.take_from_tape()?;
                self.undo();
                return Some(x);
            }
            _ => return None,
        }
        Some(Value {
            activation: linear,
            ..y.clone()
        })
    }

    /// Removes the last operation and its output buffer.
    fn undo(&mut self) {
        self.plan.ops.pop();
        self.plan.layers.pop();
        self.plan.buffers.pop();
    }

    /// Adds the moves of the moving statistics of batch normalizations towards those of the
    /// micro-batches.
    pub(super) fn move_statistics(&mut self, model: &Sequential) -> Result<()> {
        for layer in model.resolve()? {
            if let Layer::BatchNormalization(norm) = layer.layer
                && layer.trainable
            {
                self.layer.clone_from(&layer.name);
                for name in ["moving_mean", "moving_variance"] {
                    let moving = self.parameter(name);
                    let moving = moving.map_err(|message| Error::layer(&layer.name, message))?;
                    let now = self.gradient(moving);
                    self.push(Op::BatchNormMove(BatchNormMove {
                        moving,
                        now,
                        momentum: norm.momentum,
                    }));
                }
            }
        }
        self.layer.clear();
        Ok(())
    }

    pub(super) fn regularize(&mut self, model: &Sequential) -> Result<()> {
        let mut penalties = Vec::new();
        for layer in model.resolve()? {
            for spec in layer.parameters() {
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
            self.push(Op::Regularize(Regularize { penalties }));
        }
        Ok(())
    }

    pub(super) fn update(&mut self, model: &Sequential, optimizer: Optimizer) -> Result<()> {
        let layers = model.resolve()?;
        // In the layout's order.
        let specs = layers
            .iter()
            .flat_map(ResolvedLayer::parameters)
            .enumerate();
        let trained = specs.filter(|(_, spec)| spec.trainable);
        let (params, factors): (Vec<BufferId>, Vec<f32>) = trained
            .map(|(i, spec)| (BufferId(i), spec.learning_rate_factor))
            .unzip();
        if params.is_empty() {
            return Ok(());
        }
        let gradients: Vec<BufferId> = params.iter().map(|&p| self.gradient(p)).collect();
        if let Some(clip) = optimizer.clip {
            let norms = (!matches!(clip, Clip::Value(_))).then(|| {
                let (name, shape) = ("norms of gradients".into(), vec![gradients.len()]);
                self.buffer(name, shape, Element::F32, Role::Intermediate)
            });
            self.push(Op::ClipGradients(ClipGradients {
                clip,
                gradients: gradients.clone(),
                norms,
            }));
        }
        self.push(Op::Update(Update {
            optimizer,
            params,
            gradients,
            factors,
        }));
        Ok(())
    }
}

fn wrong_last_layer(loss: Loss, width: usize) -> String {
    let (wanted, example) = match loss {
        Loss::CategoricalCrossentropy { .. } => ("a softmax over classes", "Dense(10, softmax)"),
        Loss::BinaryCrossentropy { .. } => ("a sigmoid", "Dense(1, sigmoid)"),
        Loss::MeanSquaredError => ("at least 2 outputs, one per class,", "Dense(2)"),
    };
    format!(
        "the loss {} needs {wanted} in the last layer, such as {example}; this one gives {}",
        loss.name(),
        match width {
            1 => "one output".into(),
            _ => format!("{width} outputs without it"),
        }
    )
}
