//! The definition of every operation: plain loops, written to be read.
//!
//! This module is internal: it may change in any version.
//!
//! Sums are computed in f64, and each element is rounded to f32 once, when it is stored. The fast
//! executors are checked against this one, so nothing here is optimised. Each file holds one family
//! of operations, forward and backward together; a kernel takes slices and returns new tensors.

mod activation;
mod adjust;
mod affine;
mod batch_norm;
mod clip;
mod conv2d;
mod dense;
mod dropout;
mod elastic;
mod erase;
mod gather;
mod loss;
mod merge;
mod mix;
mod noise;
mod pool2d;
mod regularize;
mod rescale;
mod resize;
mod softmax;
mod update;

use std::sync::Arc;

use super::Description;
use super::host::{HostExecutor, Kernels, Memory};
use crate::model::Activation;
use crate::plan::{BufferId, Op, Through, each_operation};
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

/// The arithmetic of one operation.
trait Definition {
    /// Computes everything that the operation writes.
    fn run(&self, m: &mut Memory<'_>);
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
        each_operation!(op, op => op.run(m))
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
        Some(Through { y, activation }) => through_activation(*activation, m.floats(*y), &values),
        None => values,
    };
    m.put(dx, rounded(values));
}

/// `dx = f'(x) * dy`, the derivative as a function of `y = f(x)`.
fn through_activation(f: Activation, y: &[f32], dy: &[f64]) -> Vec<f64> {
    let cells = y.iter().zip(dy);
    cells
        .map(|(&y, &dy)| f.derivative(f64::from(y)) * dy)
        .collect()
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
