//! Batch normalization, channel by channel.

use super::{Op, Operation, Rounding};
use crate::model::Activation;
use crate::plan::{BufferId, Builder, Element, Plan, PlanPart, Role, Value};

/// The sizes of a batch normalization.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// Channels, the last axis.
    pub c: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

/// Over the `m` cells of the valid rows: `mean = Σ x / m`, `variance = Σ (x - mean)² / m`, and what
/// [`Moving`] says of the moving statistics.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormStatistics {
    /// The sizes.
    pub norm: BatchNorm,
    /// The input, `[n, .., c]`.
    pub x: BufferId,
    /// The batch's mean, `[c]`.
    pub mean: BufferId,
    /// The batch's variance, `[c]`.
    pub variance: BufferId,
    /// What follows for the moving statistics.
    pub moving: Moving,
}

/// What the statistics of a step's rows mean for the moving ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moving {
    /// `moving = momentum * moving + (1 - momentum) * (mean, variance)`.
    Move {
        /// The moving mean and variance, `[c]` each.
        moving: [BufferId; 2],
        /// The fraction of the moving statistics that is kept.
        momentum: f64,
    },
    /// The rows are a micro-batch, `rows` of the batch's `of`:
    /// `parts = rows / of * (mean, variance)`, whose sums over the micro-batches [`BatchNormMove`]
    /// takes.
    Parts([BufferId; 2]),
}

impl Moving {
    /// The two buffers that are written.
    pub fn written(&self) -> [BufferId; 2] {
        match *self {
            Self::Move { moving, .. } => moving,
            Self::Parts(parts) => parts,
        }
    }
}

/// `moving = momentum * moving + (1 - momentum) * now`: a moving statistic after a batch in parts.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormMove {
    /// The moving mean or variance, `[c]`.
    pub moving: BufferId,
    /// The mean of the micro-batches' statistics, weighted by their rows, `[c]`; see
    /// [`Moving::Parts`].
    pub now: BufferId,
    /// The fraction of the moving statistic that is kept.
    pub momentum: f64,
}

/// `y = gamma * x̂ + beta` with `x̂ = (x - mean) / sqrt(variance + epsilon)`. A missing gamma
/// counts as 1, a missing beta as 0.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormForward {
    /// The sizes.
    pub norm: BatchNorm,
    /// The input, `[n, .., c]`.
    pub x: BufferId,
    /// The batch's mean in training, the moving one in inference, `[c]`.
    pub mean: BufferId,
    /// The variance, likewise, `[c]`.
    pub variance: BufferId,
    /// The factor, `[c]`.
    pub gamma: Option<BufferId>,
    /// The offset, `[c]`.
    pub beta: Option<BufferId>,
    /// The output, `[n, .., c]`.
    pub y: BufferId,
}

/// Over the cells of the valid rows: `dgamma = Σ dy * x̂`, `dbeta = Σ dy`.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormBackwardWeight {
    /// The sizes.
    pub norm: BatchNorm,
    /// The input, `[n, .., c]`.
    pub x: BufferId,
    /// The gradient of the output, `[n, .., c]`.
    pub dy: BufferId,
    /// The batch's mean, `[c]`.
    pub mean: BufferId,
    /// The batch's variance, `[c]`.
    pub variance: BufferId,
    /// The gradient of gamma, `[c]`.
    pub dgamma: BufferId,
    /// The gradient of beta, `[c]`.
    pub dbeta: BufferId,
}

/// `dx = gamma / sqrt(variance + epsilon) * (dy - dbeta / m - x̂ * dgamma / m)` in the `m` cells of
/// the valid rows, 0 in the others. If the statistics are constants rather than those of the batch,
/// `dx = gamma / sqrt(variance + epsilon) * dy` there.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormBackwardInput {
    /// The sizes.
    pub norm: BatchNorm,
    /// The input, `[n, .., c]`.
    pub x: BufferId,
    /// The gradient of the output, `[n, .., c]`.
    pub dy: BufferId,
    /// The batch's mean, `[c]`.
    pub mean: BufferId,
    /// The batch's variance, `[c]`.
    pub variance: BufferId,
    /// The factor, `[c]`.
    pub gamma: Option<BufferId>,
    /// The gradients of gamma and beta, `[c]` each; `None` if the statistics are constants.
    pub sums: Option<[BufferId; 2]>,
    /// The gradient of the input, `[n, .., c]`.
    pub dx: BufferId,
}

impl Builder {
    /// Adds a batch normalization. Training uses the batch's statistics and updates the `moving`
    /// ones with `momentum`; inference and a frozen layer use the moving ones.
    pub fn batch_norm(
        &mut self,
        x: Value,
        norm: BatchNorm,
        (gamma, beta): (Option<BufferId>, Option<BufferId>),
        (moving, momentum): ([BufferId; 2], f64),
    ) -> Value {
        let mut statistics = moving;
        let trains = self.trains;
        if self.optimizer.is_some() && trains {
            statistics = ["mean", "variance"].map(|what| self.per_channel(what, norm.c));
            let moving = match self.plan.part {
                PlanPart::Gradients { .. } => {
                    Moving::Parts(moving.map(|moving| self.gradient(moving)))
                }
                PlanPart::Whole | PlanPart::Update => Moving::Move { moving, momentum },
            };
            self.push(Op::BatchNormStatistics(BatchNormStatistics {
                norm,
                x: x.buffer,
                mean: statistics[0],
                variance: statistics[1],
                moving,
            }));
        }
        let [mean, variance] = statistics;
        let y = self.value(x.shape.clone(), Activation::Linear);
        let forward = BatchNormForward {
            norm,
            x: x.buffer,
            mean,
            variance,
            gamma,
            beta,
            y: y.buffer,
        };
        self.push(Op::BatchNormForward(forward.clone()));
        let has_parameters = trains && (gamma.is_some() || beta.is_some());
        self.record(x, y.buffer, has_parameters, move |b, x, dy, wants_dx| {
            let sums = trains.then(|| b.batch_norm_backward_weight(&forward, dy));
            match wants_dx {
                true => b.batch_norm_backward_input(&forward, x, dy, sums),
                false => dy,
            }
        });
        y
    }

    /// Returns the gradients of gamma and beta.
    fn batch_norm_backward_weight(
        &mut self,
        forward: &BatchNormForward,
        dy: BufferId,
    ) -> [BufferId; 2] {
        let BatchNormForward {
            norm,
            x,
            mean,
            variance,
            gamma,
            beta,
            ..
        } = *forward;
        // The input's gradient needs the sums even without parameters to train.
        let mut sums = |parameter: Option<BufferId>, what| match parameter {
            Some(parameter) => self.gradient(parameter),
            None => self.per_channel(what, norm.c),
        };
        let (dgamma, dbeta) = (sums(gamma, "d gamma"), sums(beta, "d beta"));
        self.push(Op::BatchNormBackwardWeight(BatchNormBackwardWeight {
            norm,
            x,
            dy,
            mean,
            variance,
            dgamma,
            dbeta,
        }));
        [dgamma, dbeta]
    }

    fn batch_norm_backward_input(
        &mut self,
        forward: &BatchNormForward,
        x: &Value,
        dy: BufferId,
        sums: Option<[BufferId; 2]>,
    ) -> BufferId {
        let BatchNormForward {
            norm,
            mean,
            variance,
            gamma,
            ..
        } = *forward;
        let name = format!("d {} normalized", self.plan.buffer(x.buffer).name);
        let dx = match x.through() {
            Some(_) => {
                let shape = self.batched(&x.shape);
                self.buffer(name, shape, Element::F32, Role::Intermediate)
            }
            None => self.gradient_of(x),
        };
        self.push(Op::BatchNormBackwardInput(BatchNormBackwardInput {
            norm,
            x: x.buffer,
            dy,
            mean,
            variance,
            gamma,
            sums,
            dx,
        }));
        self.activation_backward(dx, x)
    }

    fn per_channel(&mut self, what: &str, c: usize) -> BufferId {
        let name = format!("{} {what}", self.layer);
        self.buffer(name, vec![c], Element::F32, Role::Intermediate)
    }
}

impl Operation for BatchNormStatistics {
    fn name(&self) -> &'static str {
        "batch_norm_statistics"
    }

    fn reads(&self) -> Vec<BufferId> {
        match self.moving {
            Moving::Move { moving, .. } => vec![self.x, moving[0], moving[1]],
            Moving::Parts(_) => vec![self.x],
        }
    }

    fn writes(&self) -> Vec<BufferId> {
        let [mean, variance] = self.moving.written();
        vec![self.mean, self.variance, mean, variance]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        4 * plan.elements(self.x)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Sum
    }
}

impl Operation for BatchNormMove {
    fn name(&self) -> &'static str {
        "batch_norm_move"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.moving, self.now]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.moving]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        3 * plan.elements(self.moving)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Few
    }

    fn works_in_place(&self) -> bool {
        true
    }
}

impl Operation for BatchNormForward {
    fn name(&self) -> &'static str {
        "batch_norm_forward"
    }

    fn reads(&self) -> Vec<BufferId> {
        let learnt = self.gamma.into_iter().chain(self.beta);
        let inputs = [self.x, self.mean, self.variance];
        inputs.into_iter().chain(learnt).collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        2 * plan.elements(self.y)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Sum
    }
}

impl Operation for BatchNormBackwardWeight {
    fn name(&self) -> &'static str {
        "batch_norm_backward_weight"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.x, self.dy, self.mean, self.variance]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.dgamma, self.dbeta]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        5 * plan.elements(self.x)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Sum
    }
}

impl Operation for BatchNormBackwardInput {
    fn name(&self) -> &'static str {
        "batch_norm_backward_input"
    }

    fn reads(&self) -> Vec<BufferId> {
        let inputs = [self.x, self.dy, self.mean, self.variance];
        let sums = self.sums.into_iter().flatten();
        inputs.into_iter().chain(sums).chain(self.gamma).collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.dx]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        6 * plan.elements(self.x)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Sum
    }
}
