//! Gradients of large kernels, divided by the kernel's rows.
//!
//! Others are sums over the rows of each task; see [`rows`](super::rows).
//!
//! Dividing a sum over the batch by samples needs a copy of the gradient per task and a pass that
//! adds the copies. For a large kernel it is cheaper if each task computes some rows of the
//! gradient over the whole batch.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::pool_gradient::UnpoolBuffers;
use super::winograd::OutputGradient;
use super::{conv2d, conv2d_grouped, dense, scratch, winograd};
use crate::exec::host::Memory;
use crate::plan::{BufferId, Conv2dBackwardWeight, ConvShape, DenseBackwardWeight};

/// Memory reused from step to step.
#[derive(Default)]
pub(super) struct WeightsWorkspace {
    /// Images with padding.
    frames: Vec<f32>,
    /// Gradients with padded channels.
    vectors: Vec<f32>,
}

/// A kernel gradient of a convolution, or of a dense layer as a convolution.
#[derive(Clone, Copy)]
pub(super) struct KernelGradient {
    pub shape: ConvShape,
    pub x: BufferId,
    pub dy: BufferId,
    pub dw: BufferId,
    pub dbias: Option<BufferId>,
    /// What stands for `dy`, which is not stored.
    pub unpool: Option<UnpoolBuffers>,
}

/// Gradients of kernels with more elements are divided by rows, others by samples.
const SMALL: usize = 24 * 1024;

/// The same, where Winograd's filtering makes a division by samples cheaper than a direct sum by
/// rows: up to this size, the groups' copies take 10 MB.
const SMALL_TRANSFORMED: usize = 160 * 1024;

/// Kernel rows per task: four or eight tiles.
const ROWS: usize = 48;

/// Samples that a task processes before its next rows: small ones stay in cache.
const SAMPLES: usize = 8;

impl From<&Conv2dBackwardWeight> for KernelGradient {
    fn from(op: &Conv2dBackwardWeight) -> Self {
        Self {
            shape: op.shape,
            x: op.x,
            dy: op.dy,
            dw: op.dw,
            dbias: op.dbias,
            unpool: None,
        }
    }
}

impl From<&DenseBackwardWeight> for KernelGradient {
    fn from(op: &DenseBackwardWeight) -> Self {
        Self {
            shape: dense::shape(op.inputs, op.outputs),
            x: op.x,
            dy: op.dy,
            dw: op.dw,
            dbias: op.dbias,
            unpool: None,
        }
    }
}

impl KernelGradient {
    /// Elements of the kernel.
    pub fn len(&self) -> usize {
        self.shape.kernel_len()
    }

    /// Whether it is divided by samples.
    pub fn by_samples(&self) -> bool {
        let small = if winograd::applies(&self.shape) {
            SMALL_TRANSFORMED
        } else {
            SMALL
        };
        self.len() <= small || !self.shape.is_plain()
    }

    /// Number of elements of kernel and bias.
    pub fn len_with_bias(&self) -> usize {
        self.len() + self.dbias.map_or(0, |_| self.shape.oc)
    }

    /// Adds some samples' contribution to `sums`: the kernel, followed by the bias.
    pub fn add(&self, arch: Arch, x: &[f32], dy: OutputGradient<'_>, sums: &mut [f32]) {
        let shape = &self.shape;
        let (dw, dbias) = sums.split_at_mut(self.len());
        if !dbias.is_empty() {
            match &dy {
                OutputGradient::Stored(dy) => conv2d::backward_bias(arch, dy, dbias),
                OutputGradient::Pooled(gradient) => gradient.add_bias(arch, dbias),
            }
        }
        if winograd::applies(shape) {
            return winograd::backward_weight(arch, shape, x, dy, dw);
        }
        let unpooled = match &dy {
            OutputGradient::Stored(_) => 0,
            OutputGradient::Pooled(gradient) => gradient.unpooled_len(shape),
        };
        let samples = x.len() / (shape.window.ih * shape.window.iw * shape.ic);
        let outputs = samples * shape.window.oh * shape.window.ow * shape.oc;
        let (frames, vectors) = if shape.is_plain() {
            let vectors = conv2d::whole_vectors_len(arch, shape, outputs);
            (conv2d::framed_len(shape, samples), vectors)
        } else {
            (0, 0)
        };
        scratch::with(unpooled + frames + vectors, |copy| {
            let (unpooled, copy) = copy.split_at_mut(unpooled);
            let dy = match dy {
                OutputGradient::Stored(dy) => dy,
                OutputGradient::Pooled(gradient) => {
                    gradient.unpool(arch, shape, unpooled);
                    unpooled
                }
            };
            if !shape.is_plain() {
                return conv2d_grouped::backward_weight(arch, shape, x, dy, dw);
            }
            let (frames, vectors) = copy.split_at_mut(frames);
            let x = conv2d::framed(shape, x, frames);
            let dy = conv2d::whole_vectors(arch, shape, dy, vectors);
            let rows = 0..self.len() / shape.oc;
            conv2d::backward_weight(arch, shape, x, dy, rows, dw);
        });
    }

    /// Computes the gradient over the whole batch.
    fn run(&self, arch: Arch, workspace: &mut WeightsWorkspace, memory: &mut Memory<'_>) {
        debug_assert!(self.unpool.is_none(), "only sums by samples read pools");
        let mut dw = memory.take(self.dw);
        let mut dbias = self.dbias.map(|id| memory.take(id));
        let (x, dy) = (memory.floats(self.x), memory.floats(self.dy));
        if let Some(dbias) = &mut dbias {
            dbias.fill(0.0);
            conv2d::backward_bias(arch, dy, dbias);
        }
        let shape = &self.shape;
        let frames = conv2d::framed_len(shape, memory.batch);
        let vectors = conv2d::whole_vectors_len(arch, shape, dy.len());
        let x = conv2d::framed(shape, x, scratch::resize(&mut workspace.frames, frames));
        let copy = scratch::resize(&mut workspace.vectors, vectors);
        let dy = conv2d::whole_vectors(arch, shape, dy, copy);
        let parts = dw.par_chunks_mut(ROWS * shape.oc).enumerate();
        parts.for_each(|(i, dw)| {
            let rows = i * ROWS..i * ROWS + dw.len() / shape.oc;
            self.kernel_rows(arch, (x, dy), memory.batch, rows, dw);
        });
        memory.put(self.dw, dw);
        if let (Some(id), Some(dbias)) = (self.dbias, dbias) {
            memory.put(id, dbias);
        }
    }

    /// Computes some rows of the kernel's gradient.
    fn kernel_rows(
        &self,
        arch: Arch,
        (x, dy): (&[f32], &[f32]),
        batch: usize,
        rows: Range<usize>,
        dw: &mut [f32],
    ) {
        dw.fill(0.0);
        let (x_len, dy_len) = (x.len() / batch, dy.len() / batch);
        let blocks = x.chunks(SAMPLES * x_len).zip(dy.chunks(SAMPLES * dy_len));
        for (x, dy) in blocks {
            conv2d::backward_weight(arch, &self.shape, x, dy, rows.clone(), dw);
        }
    }
}

/// Computes those of the gradients that are divided by the kernel's rows.
pub(super) fn run(
    arch: Arch,
    workspace: &mut WeightsWorkspace,
    gradients: impl Iterator<Item = KernelGradient>,
    memory: &mut Memory<'_>,
) {
    for gradient in gradients.filter(|gradient| !gradient.by_samples()) {
        gradient.run(arch, workspace, memory);
    }
}
