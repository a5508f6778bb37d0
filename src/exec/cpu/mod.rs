//! The fast CPU path.
//!
//! This module is internal: it may change in any version.
//!
//! [`Cpu`] does not run each operation over the whole batch before the next. It divides the batch
//! into groups of rows, and each task takes its group through all operations of the step, so that
//! the output of one operation is still in cache when the next one reads it; see `rows`. Large
//! kernel gradients are divided by their own elements instead; see `weights`.
//!
//! The division depends on shapes alone, and the tasks' sums are added in a fixed order, so any
//! number of threads gives the same bytes. So does any vector length, since vectors run along the
//! results and never along the terms of a sum. Only processors without fused multiply-add differ.

mod activation;
mod activation_rows;
mod batch_norm;
mod clip;
mod conv2d;
mod conv2d_grouped;
mod conv2d_rows;
mod cpu_peak;
mod dense;
mod dropout;
mod gather;
mod loss;
mod loss_sum;
mod pool2d;
mod regularize;
mod rescale;
mod rows;
mod scratch;
mod softmax;
mod tile;
mod update;
mod weights;

#[cfg(test)]
mod tests;

use pulp::Arch;
use rayon::ThreadPool;

use self::rows::{RowWise, SequenceOp};
use self::weights::KernelGradient;
use super::Description;
use super::host::{HostExecutor, Kernels, Memory};
use crate::error::{Error, Result};
use crate::plan::Op;
use crate::words::counted;

/// An executor on the CPU.
pub type CpuExecutor = HostExecutor<Cpu>;

/// The fast kernels, on all cores.
pub struct Cpu {
    /// The processor's vector instructions.
    arch: Arch,
    /// `None` is rayon's global pool.
    pool: Option<ThreadPool>,
    workspace: Workspace,
}

/// Memory reused from step to step.
#[derive(Default)]
struct Workspace {
    rows: rows::RowsWorkspace,
    weights: weights::WeightsWorkspace,
}

impl Default for Cpu {
    fn default() -> Self {
        Self::new()
    }
}

impl Cpu {
    /// On all cores.
    pub fn new() -> Self {
        Self {
            arch: Arch::new(),
            pool: None,
            workspace: Workspace::default(),
        }
    }

    /// On this many threads. The results do not depend on it.
    ///
    /// # Errors
    /// The system cannot start the threads.
    pub fn with_threads(threads: usize) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|e| {
            Error::device(format!("cannot start {threads} threads: {e}")).caused_by(e)
        })?;
        Ok(Self {
            pool: Some(pool),
            ..Self::new()
        })
    }

    fn threads(&self) -> usize {
        let pool = self.pool.as_ref();
        pool.map_or_else(rayon::current_num_threads, ThreadPool::current_num_threads)
    }
}

/// How the work of an operation is divided among tasks.
enum Work<'a> {
    /// By the rows of the batch.
    Rows(&'a dyn RowWise),
    /// By samples or by the rows of the kernel, whichever is cheaper.
    Weights(KernelGradient),
    /// In some other way, because it needs the results of every row.
    Batch(&'a dyn BatchWise),
}

/// An operation that needs the results of every row before it.
trait BatchWise {
    /// Runs it on the whole batch.
    fn run(&self, arch: Arch, memory: &mut Memory<'_>);
}

fn work(op: &Op) -> Work<'_> {
    match op {
        Op::Gather(op) => Work::Rows(op),
        Op::Conv2dForward(op) => Work::Rows(op),
        Op::Conv2dBackwardInput(op) => Work::Rows(op),
        Op::Conv2dBackwardWeight(op) => Work::Weights(op.into()),
        Op::Pool2dForward(op) => Work::Rows(op),
        Op::Pool2dBackward(op) => Work::Rows(op),
        Op::DenseForward(op) => Work::Rows(op),
        Op::DenseBackwardInput(op) => Work::Rows(op),
        Op::DenseBackwardWeight(op) => Work::Weights(op.into()),
        Op::ActivationForward(op) => Work::Rows(op),
        Op::ActivationBackward(op) => Work::Rows(op),
        Op::SoftmaxForward(op) => Work::Rows(op),
        Op::SoftmaxBackward(op) => Work::Rows(op),
        Op::Loss(op) => Work::Rows(op),
        Op::Dropout(op) => Work::Rows(op),
        Op::Rescale(op) => Work::Rows(op),
        Op::BatchNormStatistics(op) => Work::Batch(op),
        Op::BatchNormForward(op) => Work::Rows(op),
        Op::BatchNormBackwardWeight(op) => Work::Batch(op),
        Op::BatchNormBackwardInput(op) => Work::Rows(op),
        Op::Regularize(op) => Work::Batch(op),
        Op::ClipGradients(op) => Work::Batch(op),
        Op::Update(op) => Work::Batch(op),
    }
}

/// Runs each sequence of operations whose work is divided by rows, and the operations between them
/// that need the whole batch.
fn run_all(arch: Arch, workspace: &mut Workspace, ops: &[Op], memory: &mut Memory<'_>) {
    let mut sequence = Vec::new();
    for op in ops {
        match work(op) {
            Work::Rows(op) => sequence.push(SequenceOp::Rows(op)),
            Work::Weights(gradient) => sequence.push(SequenceOp::Weights(gradient)),
            Work::Batch(op) => {
                run_sequence(arch, workspace, &mut sequence, memory);
                op.run(arch, memory);
            }
        }
    }
    run_sequence(arch, workspace, &mut sequence, memory);
}

/// Runs a sequence and empties it.
fn run_sequence(
    arch: Arch,
    workspace: &mut Workspace,
    sequence: &mut Vec<SequenceOp<'_>>,
    memory: &mut Memory<'_>,
) {
    rows::run(arch, &mut workspace.rows, sequence, memory);
    let gradients = sequence.iter().filter_map(SequenceOp::gradient);
    weights::run(arch, &mut workspace.weights, gradients, memory);
    sequence.clear();
}

impl Kernels for Cpu {
    fn describe(&self) -> Description {
        Description {
            backend: "cpu".into(),
            adapter: format!(
                "{}, {}, vectors of {}",
                std::env::consts::ARCH,
                counted(self.threads(), "thread"),
                tile::lanes(self.arch)
            ),
            driver: String::new(),
            software: false,
        }
    }

    fn run(&mut self, op: &Op, memory: &mut Memory<'_>) {
        self.run_all(std::slice::from_ref(op), memory);
    }

    fn run_all(&mut self, ops: &[Op], memory: &mut Memory<'_>) {
        let (arch, workspace) = (self.arch, &mut self.workspace);
        match &self.pool {
            Some(pool) => pool.install(|| run_all(arch, workspace, ops, memory)),
            None => run_all(arch, workspace, ops, memory),
        }
    }
}
