//! Layers that act in training only, or differently there, forward and backward.

use super::{Builder, NormTape, Tape, Value};
use crate::model::Activation;
use crate::plan::{
    BatchNorm, BatchNormBackwardInput, BatchNormBackwardWeight, BatchNormForward,
    BatchNormStatistics, BufferId, Dropout, DropoutMask, Element, Op, Rescale, Role,
};

impl Builder {
    /// Drops cells in training; `width` draws serve a sample. Nothing in inference.
    pub fn dropout(&mut self, x: Value, rate: f64, width: usize) -> Value {
        if self.optimizer.is_none() || rate == 0.0 {
            return x;
        }
        let mask = DropoutMask {
            rate,
            number: self.dropouts,
            size: x.shape.iter().product(),
            width,
        };
        self.dropouts += 1;
        let y = self.value(x.shape.clone(), Activation::Linear);
        self.push(Op::Dropout(Dropout {
            mask,
            x: x.buffer,
            y: y.buffer,
            through: None,
        }));
        self.note(Tape::Dropout { mask, x });
        y
    }

    pub(super) fn dropout_backward(
        &mut self,
        dy: BufferId,
        mask: DropoutMask,
        x: &Value,
    ) -> BufferId {
        let dx = self.gradient_of(x);
        self.push(Op::Dropout(Dropout {
            mask,
            x: dy,
            y: dx,
            through: x.through(),
        }));
        dx
    }

    /// `scale * x + offset`.
    pub fn rescale(&mut self, x: Value, scale: f32, offset: f32) -> Value {
        let y = self.value(x.shape.clone(), Activation::Linear);
        self.push(Op::Rescale(Rescale {
            scale,
            offset,
            x: x.buffer,
            y: y.buffer,
            through: None,
        }));
        self.note(Tape::Rescale { scale, x });
        y
    }

    pub(super) fn rescale_backward(&mut self, dy: BufferId, scale: f32, x: &Value) -> BufferId {
        let dx = self.gradient_of(x);
        self.push(Op::Rescale(Rescale {
            scale,
            offset: 0.0,
            x: dy,
            y: dx,
            through: x.through(),
        }));
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
            self.push(Op::BatchNormStatistics(BatchNormStatistics {
                norm,
                x: x.buffer,
                mean: statistics[0],
                variance: statistics[1],
                moving,
                momentum,
            }));
        }
        let [mean, variance] = statistics;
        let y = self.value(x.shape.clone(), Activation::Linear);
        self.push(Op::BatchNormForward(BatchNormForward {
            norm,
            x: x.buffer,
            mean,
            variance,
            gamma,
            beta,
            y: y.buffer,
        }));
        self.note(Tape::BatchNorm(Box::new(NormTape {
            norm,
            x,
            mean,
            variance,
            gamma,
            beta,
        })));
        y
    }

    pub(super) fn batch_norm_backward(
        &mut self,
        dy: BufferId,
        tape: NormTape,
        wants_dx: bool,
    ) -> BufferId {
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
        self.push(Op::BatchNormBackwardWeight(BatchNormBackwardWeight {
            norm,
            x: x.buffer,
            dy,
            mean,
            variance,
            dgamma,
            dbeta,
        }));
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
        self.push(Op::BatchNormBackwardInput(BatchNormBackwardInput {
            norm,
            x: x.buffer,
            dy,
            mean,
            variance,
            gamma,
            dgamma,
            dbeta,
            dx,
        }));
        self.activation_backward(dx, &x)
    }

    fn per_channel(&mut self, what: &str, c: usize) -> BufferId {
        let name = format!("{} {what}", self.layer);
        self.buffer(name, vec![c], Element::F32, Role::Intermediate)
    }
}
