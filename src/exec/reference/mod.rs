//! The definition of every operation: plain loops, written to be read.
//!
//! Sums are computed in f64, and each element is rounded to f32 once, when it is stored. The fast
//! executors are checked against this one, so nothing here is optimised. Each file holds one family of
//! operations, forward and backward together; a kernel takes slices and returns new tensors.

mod activation;
mod batch_norm;
mod clip;
mod conv2d;
mod dense;
mod dropout;
mod gather;
mod loss;
mod pool2d;
mod softmax;
mod update;

use std::sync::Arc;

use self::batch_norm::Normal;
use self::loss::Rule;
use super::Description;
use super::host::{HostExecutor, Kernels, Memory};
use crate::plan::{
    ActivationBackward, ActivationForward, BatchNormBackwardInput, BatchNormBackwardWeight,
    BatchNormForward, BatchNormStatistics, BufferId, ClipGradients, Conv2dBackwardInput,
    Conv2dBackwardWeight, Conv2dForward, DenseBackwardInput, DenseBackwardWeight, DenseForward,
    Dropout, Gather, LossOp, Op, Pool2dBackward, Pool2dForward, Regularize, Rescale,
    SoftmaxBackward, SoftmaxForward, Through, Update,
};
use crate::state::Layout;

/// The executor that checks the others.
pub type ReferenceExecutor = HostExecutor<Reference>;

/// Plain arithmetic.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference;

impl ReferenceExecutor {
    /// A reference executor for models with this layout, with all parameters zero.
    pub fn reference(layout: Arc<Layout>) -> Self {
        Self::new(Reference, layout)
    }
}

impl Kernels for Reference {
    fn describe(&self) -> Description {
        Description {
            backend: "reference".into(),
            adapter: "plain loops in f64".into(),
            driver: String::new(),
            software: true,
        }
    }

    fn run(&mut self, op: &Op, m: &mut Memory<'_>) {
        match op {
            Op::Gather(Gather { x, labels }) => {
                let (pixels, classes) = gather::gather(m.samples(), m.batch, m.floats(*x).len());
                m.put(*x, pixels);
                m.put_words(*labels, classes);
            }
            Op::Conv2dForward(Conv2dForward {
                shape,
                x,
                w,
                bias,
                y,
                activation,
            }) => {
                let (x, w, bias) = (m.floats(*x), m.floats(*w), optional(m, bias));
                let out = conv2d::forward(m.batch, shape, x, w, bias, *activation);
                m.put(*y, out);
            }
            Op::Conv2dBackwardInput(Conv2dBackwardInput {
                shape,
                dy,
                w,
                dx,
                through,
            }) => {
                let out = conv2d::backward_input(m.batch, shape, m.floats(*dy), m.floats(*w));
                put_gradient(m, *dx, out, through.as_ref());
            }
            Op::Conv2dBackwardWeight(Conv2dBackwardWeight {
                shape,
                x,
                dy,
                dw,
                dbias,
            }) => {
                let (x, dy) = (m.floats(*x), m.floats(*dy));
                let kernel = conv2d::backward_weight(m.batch, shape, x, dy);
                let bias = dense::backward_bias(dy, shape.oc);
                put_gradients(m, (*dw, kernel), (*dbias, bias));
            }
            Op::Pool2dForward(Pool2dForward {
                shape,
                x,
                y,
                argmax,
            }) => {
                let (out, taken) = pool2d::forward(m.batch, shape, m.floats(*x));
                m.put(*y, out);
                if let Some(argmax) = argmax {
                    m.put_words(*argmax, taken);
                }
            }
            Op::Pool2dBackward(Pool2dBackward {
                shape,
                dy,
                argmax,
                dx,
                through,
            }) => {
                let argmax = argmax.map_or(&[][..], |id| m.words(id));
                let out = pool2d::backward(m.batch, shape, m.floats(*dy), argmax);
                put_gradient(m, *dx, out, through.as_ref());
            }
            Op::DenseForward(DenseForward {
                inputs,
                outputs,
                x,
                w,
                bias,
                y,
                activation,
            }) => {
                let (x, w, bias) = (m.floats(*x), m.floats(*w), optional(m, bias));
                let out = dense::forward(*inputs, *outputs, x, w, bias, *activation);
                m.put(*y, out);
            }
            Op::DenseBackwardInput(DenseBackwardInput {
                inputs,
                outputs,
                dy,
                w,
                dx,
                through,
            }) => {
                let out = dense::backward_input(*inputs, *outputs, m.floats(*dy), m.floats(*w));
                put_gradient(m, *dx, out, through.as_ref());
            }
            Op::DenseBackwardWeight(DenseBackwardWeight {
                inputs,
                outputs,
                x,
                dy,
                dw,
                dbias,
            }) => {
                let (x, dy) = (m.floats(*x), m.floats(*dy));
                let kernel = dense::backward_weight(*inputs, *outputs, x, dy);
                let bias = dense::backward_bias(dy, *outputs);
                put_gradients(m, (*dw, kernel), (*dbias, bias));
            }
            Op::ActivationForward(ActivationForward { activation, x, y }) => {
                let out = activation::forward(*activation, m.floats(*x));
                m.put(*y, out);
            }
            Op::ActivationBackward(ActivationBackward { through, dy, dx }) => {
                let out = m.floats(*dy).iter().map(|&d| f64::from(d)).collect();
                put_gradient(m, *dx, out, Some(through));
            }
            Op::SoftmaxForward(SoftmaxForward { width, x, y }) => {
                let out = softmax::forward(*width, m.floats(*x));
                m.put(*y, out);
            }
            Op::SoftmaxBackward(SoftmaxBackward {
                width,
                dy,
                y,
                dx,
                through,
            }) => {
                let out = softmax::backward(*width, m.floats(*dy), m.floats(*y));
                put_gradient(m, *dx, out, through.as_ref());
            }
            Op::Loss(LossOp {
                loss,
                width,
                x,
                labels,
                predictions,
                dx,
                class_weights,
            }) => {
                let (x, labels) = (m.floats(*x), m.words(*labels));
                let rule = Rule {
                    loss: *loss,
                    width: *width,
                    class_weights: class_weights.as_deref(),
                };
                let batch = rule.batch(m.rows, x, labels);
                m.metrics.loss_sum = batch.sum;
                m.metrics.correct = batch.correct;
                m.put(*predictions, batch.predictions);
                if let Some(dx) = dx {
                    m.put(*dx, batch.dx);
                }
            }
            Op::Dropout(Dropout {
                mask,
                x,
                y,
                through,
            }) => {
                let out = dropout::apply(mask, m.key, m.floats(*x));
                put_gradient(m, *y, out, through.as_ref());
            }
            Op::Rescale(Rescale {
                scale,
                offset,
                x,
                y,
                through,
            }) => {
                let cell = |&x: &f32| f64::from(x) * f64::from(*scale) + f64::from(*offset);
                let out = m.floats(*x).iter().map(cell).collect();
                put_gradient(m, *y, out, through.as_ref());
            }
            Op::BatchNormStatistics(BatchNormStatistics {
                norm,
                x,
                mean,
                variance,
                moving,
                momentum,
            }) => {
                let now = batch_norm::statistics(norm, valid(m, *x));
                let ids = [*mean, *variance].into_iter().zip(moving);
                for ((id, &moving), now) in ids.zip(now) {
                    let moved = batch_norm::moved(*momentum, m.floats(moving), &now);
                    m.put(moving, moved);
                    m.put(id, rounded(now));
                }
            }
            Op::BatchNormForward(BatchNormForward {
                norm,
                x,
                mean,
                variance,
                gamma,
                beta,
                y,
            }) => {
                let normal = Normal {
                    norm: *norm,
                    x: m.floats(*x),
                    mean: m.floats(*mean),
                    variance: m.floats(*variance),
                };
                let out = normal.forward(optional(m, gamma), optional(m, beta));
                m.put(*y, out);
            }
            Op::BatchNormBackwardWeight(BatchNormBackwardWeight {
                norm,
                x,
                dy,
                mean,
                variance,
                dgamma,
                dbeta,
            }) => {
                let normal = Normal {
                    norm: *norm,
                    x: valid(m, *x),
                    mean: m.floats(*mean),
                    variance: m.floats(*variance),
                };
                let [gamma, beta] = normal.backward_weight(m.floats(*dy));
                m.put(*dgamma, rounded(gamma));
                m.put(*dbeta, rounded(beta));
            }
            Op::BatchNormBackwardInput(BatchNormBackwardInput {
                norm,
                x,
                dy,
                mean,
                variance,
                gamma,
                dgamma,
                dbeta,
                dx,
            }) => {
                let normal = Normal {
                    norm: *norm,
                    x: valid(m, *x),
                    mean: m.floats(*mean),
                    variance: m.floats(*variance),
                };
                let sums = [*dgamma, *dbeta].map(|id| m.floats(id));
                let mut out = normal.backward_input(m.floats(*dy), optional(m, gamma), sums);
                out.resize(m.floats(*x).len(), 0.0);
                m.put(*dx, rounded(out));
            }
            Op::Regularize(Regularize { penalties }) => {
                for penalty in penalties {
                    let rule = penalty.regularizer;
                    let w: Vec<f64> = m.floats(penalty.w).iter().map(|&w| w.into()).collect();
                    let cost = m.rows as f64 * rule.penalty(w.iter().copied());
                    m.metrics.loss_sum = (f64::from(m.metrics.loss_sum) + cost) as f32;
                    if let Some(id) = penalty.gradient {
                        let pairs = m.floats(id).iter().zip(w);
                        let sums = pairs.map(|(&g, w)| f64::from(g) + rule.gradient(w));
                        let sums = rounded(sums.collect());
                        m.put(id, sums);
                    }
                }
            }
            Op::ClipGradients(ClipGradients {
                clip,
                gradients,
                norms,
            }) => {
                let all: Vec<&[f32]> = gradients.iter().map(|&g| m.floats(g)).collect();
                let (clipped, found) = clip::apply(*clip, &all);
                for (&id, values) in gradients.iter().zip(clipped) {
                    m.put(id, rounded(values));
                }
                if let Some(norms) = norms {
                    m.put(*norms, rounded(found));
                }
            }
            Op::Update(Update {
                optimizer,
                params,
                gradients,
            }) => {
                for (&w, &g) in params.iter().zip(gradients) {
                    let Some(i) = m.parameter(w) else { continue };
                    let mut weights = m.take(w);
                    let mut moments = std::mem::take(&mut m.moments[i]);
                    update::step(optimizer, m.rates, &mut weights, &mut moments, m.floats(g));
                    m.moments[i] = moments;
                    m.put(w, weights);
                }
            }
        }
    }
}

/// The valid rows of a tensor.
fn valid<'a>(m: &'a Memory<'_>, id: BufferId) -> &'a [f32] {
    let all = m.floats(id);
    &all[..all.len() / m.batch * m.rows]
}

fn optional<'a>(m: &'a Memory<'_>, id: &Option<BufferId>) -> Option<&'a [f32]> {
    id.map(|id| m.floats(id))
}

/// Stores a gradient, multiplied by the derivative of the activation that produced its tensor.
fn put_gradient(m: &mut Memory<'_>, dx: BufferId, values: Vec<f64>, through: Option<&Through>) {
    let values = match through {
        Some(Through { y, activation }) => activation::backward(*activation, m.floats(*y), &values),
        None => values,
    };
    m.put(dx, rounded(values));
}

fn put_gradients(
    m: &mut Memory<'_>,
    (dw, kernel): (BufferId, Vec<f64>),
    (dbias, bias): (Option<BufferId>, Vec<f64>),
) {
    m.put(dw, rounded(kernel));
    if let Some(dbias) = dbias {
        m.put(dbias, rounded(bias));
    }
}

/// The only place where a sum is rounded.
fn rounded(values: Vec<f64>) -> Vec<f32> {
    values.into_iter().map(|v| v as f32).collect()
}

/// Index of a cell in an array of four axes.
fn at([_, b, c, d]: [usize; 4], [i, j, k, l]: [usize; 4]) -> usize {
    ((i * b + j) * c + k) * d + l
}
