//! Fully connected layers.

use super::{Op, Operation, Rounding, Through};
use crate::model::Activation;
use crate::plan::{BufferId, Builder, Plan, Value};

/// `y[n, o] = f(bias[o] + Σ_i x[n, i] * w[i, o])`.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseForward {
    /// Columns of the input.
    pub inputs: usize,
    /// Columns of the output.
    pub outputs: usize,
    /// The input, `[n, inputs]`.
    pub x: BufferId,
    /// The kernel, `[inputs, outputs]`.
    pub w: BufferId,
    /// Added to each column of the output, `[outputs]`.
    pub bias: Option<BufferId>,
    /// The output, `[n, outputs]`.
    pub y: BufferId,
    /// The pointwise activation `f`.
    pub activation: Activation,
}

/// `dx[n, i] = f'(x) * Σ_o dy[n, o] * w[i, o]`.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseBackwardInput {
    /// Columns of the input.
    pub inputs: usize,
    /// Columns of the output.
    pub outputs: usize,
    /// The gradient of the pre-activation output, `[n, outputs]`.
    pub dy: BufferId,
    /// The kernel, `[inputs, outputs]`.
    pub w: BufferId,
    /// The gradient of the input, `[n, inputs]`.
    pub dx: BufferId,
    /// The activation that produced the input.
    pub through: Option<Through>,
}

/// `dw[i, o] = Σ_n x[n, i] * dy[n, o]`, `dbias[o] = Σ_n dy[n, o]`.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseBackwardWeight {
    /// Columns of the input.
    pub inputs: usize,
    /// Columns of the output.
    pub outputs: usize,
    /// The input, `[n, inputs]`.
    pub x: BufferId,
    /// The gradient of the pre-activation output, `[n, outputs]`.
    pub dy: BufferId,
    /// The gradient of the kernel, `[inputs, outputs]`.
    pub dw: BufferId,
    /// The gradient of the bias, `[outputs]`.
    pub dbias: Option<BufferId>,
}

/// Floating-point operations: one multiply-add per row and weight, counted as two.
fn flops(plan: &Plan, inputs: usize, outputs: usize) -> u64 {
    2 * (plan.batch * inputs * outputs) as u64
}

impl Builder {
    /// Adds `f(x w + bias)`.
    pub fn dense(
        &mut self,
        x: Value,
        w: BufferId,
        bias: Option<BufferId>,
        outputs: usize,
        activation: Activation,
    ) -> Value {
        let fused = self.fused(activation);
        let inputs = x.shape.iter().product();
        let y = self.value(vec![outputs], fused);
        self.push(Op::DenseForward(DenseForward {
            inputs,
            outputs,
            x: x.buffer,
            w,
            bias,
            y: y.buffer,
            activation: fused,
        }));
        let trains = self.trains;
        self.record(x, y.buffer, trains, move |b, x, dy, wants_dx| {
            if trains {
                let dw = b.gradient(w);
                let dbias = bias.map(|bias| b.gradient(bias));
                b.push(Op::DenseBackwardWeight(DenseBackwardWeight {
                    inputs,
                    outputs,
                    x: x.buffer,
                    dy,
                    dw,
                    dbias,
                }));
            }
            if !wants_dx {
                return dy;
            }
            let dx = b.gradient_of(x);
            b.push(Op::DenseBackwardInput(DenseBackwardInput {
                inputs,
                outputs,
                dy,
                w,
                dx,
                through: x.through(),
            }));
            dx
        });
        self.unfused(y, activation, fused)
    }
}

impl Operation for DenseForward {
    fn name(&self) -> &'static str {
        "dense_forward"
    }

    fn reads(&self) -> Vec<BufferId> {
        [self.x, self.w].into_iter().chain(self.bias).collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        flops(plan, self.inputs, self.outputs)
    }

    fn rounding(&self) -> Rounding {
        Rounding::of_sum_with(self.activation)
    }
}

impl Operation for DenseBackwardInput {
    fn name(&self) -> &'static str {
        "dense_backward_input"
    }

    fn reads(&self) -> Vec<BufferId> {
        let y = self.through.map(|t| t.y);
        [self.dy, self.w].into_iter().chain(y).collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.dx]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        flops(plan, self.inputs, self.outputs)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Sum
    }
}

impl Operation for DenseBackwardWeight {
    fn name(&self) -> &'static str {
        "dense_backward_weight"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.x, self.dy]
    }

    fn writes(&self) -> Vec<BufferId> {
        [self.dw].into_iter().chain(self.dbias).collect()
    }

    fn flops(&self, plan: &Plan) -> u64 {
        flops(plan, self.inputs, self.outputs)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Sum
    }
}
