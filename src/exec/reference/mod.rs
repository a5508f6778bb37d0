//! The definition of every operation: plain loops, written to be read.
//!
//! Sums are made in f64 and each element of a tensor is rounded to f32 once, when it is stored. The
//! fast executors are checked against this one, so nothing here is done for speed. One file per
//! family of operations, forward and backward together; a kernel takes slices and returns the
//! tensors that it makes.

mod activation;
mod conv2d;
mod dense;
mod gather;
mod pool2d;
mod softmax;
mod update;

use std::sync::Arc;

use super::Description;
use super::host::{HostExecutor, Kernels, Memory};
use crate::plan::{BufferId, Op, Through};
use crate::state::Layout;

/// The executor that checks the others.
pub type ReferenceExecutor = HostExecutor<Reference>;

/// Plain arithmetic.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference;

impl ReferenceExecutor {
    /// A reference for models with this layout, with all parameters zero.
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
            Op::Gather { x, labels } => {
                let (pixels, classes) = gather::gather(m.samples(), m.batch, m.floats(*x).len());
                m.put(*x, pixels);
                m.put_words(*labels, classes);
            }
            Op::Conv2dForward {
                shape,
                x,
                w,
                bias,
                y,
                activation,
            } => {
                let (x, w, bias) = (m.floats(*x), m.floats(*w), optional(m, bias));
                let out = conv2d::forward(m.batch, shape, x, w, bias, *activation);
                m.put(*y, out);
            }
            Op::Conv2dBackwardInput {
                shape,
                dy,
                w,
                dx,
                through,
            } => {
                let out = conv2d::backward_input(m.batch, shape, m.floats(*dy), m.floats(*w));
                put_gradient(m, *dx, out, through.as_ref());
            }
            Op::Conv2dBackwardWeight {
                shape,
                x,
                dy,
                dw,
                dbias,
            } => {
                let (x, dy) = (m.floats(*x), m.floats(*dy));
                let kernel = conv2d::backward_weight(m.batch, shape, x, dy);
                let bias = dense::backward_bias(dy, shape.oc);
                put_gradients(m, (*dw, kernel), (*dbias, bias));
            }
            Op::Pool2dForward {
                shape,
                x,
                y,
                argmax,
            } => {
                let (out, taken) = pool2d::forward(m.batch, shape, m.floats(*x));
                m.put(*y, out);
                if let Some(argmax) = argmax {
                    m.put_words(*argmax, taken);
                }
            }
            Op::Pool2dBackward {
                shape,
                dy,
                argmax,
                dx,
                through,
            } => {
                let argmax = argmax.map_or(&[][..], |id| m.words(id));
                let out = pool2d::backward(m.batch, shape, m.floats(*dy), argmax);
                put_gradient(m, *dx, out, through.as_ref());
            }
            Op::DenseForward {
                inputs,
                outputs,
                x,
                w,
                bias,
                y,
                activation,
            } => {
                let (x, w, bias) = (m.floats(*x), m.floats(*w), optional(m, bias));
                let out = dense::forward(*inputs, *outputs, x, w, bias, *activation);
                m.put(*y, out);
            }
            Op::DenseBackwardInput {
                inputs,
                outputs,
                dy,
                w,
                dx,
                through,
            } => {
                let out = dense::backward_input(*inputs, *outputs, m.floats(*dy), m.floats(*w));
                put_gradient(m, *dx, out, through.as_ref());
            }
            Op::DenseBackwardWeight {
                inputs,
                outputs,
                x,
                dy,
                dw,
                dbias,
            } => {
                let (x, dy) = (m.floats(*x), m.floats(*dy));
                let kernel = dense::backward_weight(*inputs, *outputs, x, dy);
                let bias = dense::backward_bias(dy, *outputs);
                put_gradients(m, (*dw, kernel), (*dbias, bias));
            }
            Op::ActivationForward { activation, x, y } => {
                let out = activation::forward(*activation, m.floats(*x));
                m.put(*y, out);
            }
            Op::ActivationBackward { through, dy, dx } => {
                let out = m.floats(*dy).iter().map(|&d| f64::from(d)).collect();
                put_gradient(m, *dx, out, Some(through));
            }
            Op::SoftmaxForward { width, x, y } => {
                let out = softmax::forward(*width, m.floats(*x));
                m.put(*y, out);
            }
            Op::SoftmaxBackward {
                width,
                dy,
                y,
                dx,
                through,
            } => {
                let out = softmax::backward(*width, m.floats(*dy), m.floats(*y));
                put_gradient(m, *dx, out, through.as_ref());
            }
            Op::SoftmaxCrossEntropy {
                classes,
                logits,
                labels,
                probabilities,
                dlogits,
                class_weights,
            } => {
                let (x, labels) = (m.floats(*logits), m.words(*labels));
                let weights = class_weights.as_deref();
                let loss = softmax::cross_entropy(*classes, m.rows, x, labels, weights);
                m.metrics.loss_sum = loss.sum;
                m.metrics.correct = loss.correct;
                m.put(*probabilities, loss.probabilities);
                if let Some(dlogits) = dlogits {
                    m.put(*dlogits, loss.dlogits);
                }
            }
            Op::Update {
                optimizer,
                params,
                gradients,
            } => {
                // The operation names all parameters in the layout's order, as the moments lie.
                for (i, (&w, &g)) in params.iter().zip(gradients).enumerate() {
                    let mut weights = m.take(w);
                    let mut moments = std::mem::take(&mut m.moments[i]);
                    update::step(optimizer, m.rate, &mut weights, &mut moments, m.floats(g));
                    m.moments[i] = moments;
                    m.put(w, weights);
                }
            }
        }
    }
}

fn optional<'a>(m: &'a Memory<'_>, id: &Option<BufferId>) -> Option<&'a [f32]> {
    id.map(|id| m.floats(id))
}

/// Stores a gradient, sent through the activation that made the tensor it belongs to.
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

/// The one place where a sum loses its precision.
fn rounded(values: Vec<f64>) -> Vec<f32> {
    values.into_iter().map(|v| v as f32).collect()
}

/// Place of a cell in an array of four axes.
fn at([_, b, c, d]: [usize; 4], [i, j, k, l]: [usize; 4]) -> usize {
    ((i * b + j) * c + k) * d + l
}
