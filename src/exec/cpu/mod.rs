//! The fast CPU path.
//!
//! This module is internal: it may change in any version.
//!
//! [`Cpu`] does not run each operation over the whole batch before the next. It divides the batch
//! into groups of rows, and each task takes its group through all operations of the step, so that
//! the output of one operation is still in cache when the next one reads it; see `rows`. Large
//! kernel gradients are divided by their own elements instead; see `weights`.
//!
//! Convolutions with 3x3 kernels and enough channels use Winograd's filtering; see `winograd`. In a
//! whole step, a convolution and the max pool of its output run together, and the output is not
//! stored; see `conv2d_pool`.
//!
//! The division depends on shapes alone, and the tasks' sums are added in a fixed order, so any
//! number of threads gives the same bytes. So does any vector length, since vectors run along the
//! results and never along the terms of a sum. Only processors without fused multiply-add differ.

mod activation;
mod activation_rows;
mod adjust;
mod affine;
mod batch_norm;
mod clip;
mod conv2d;
mod conv2d_grouped;
mod conv2d_pool;
mod conv2d_rows;
mod cpu_peak;
mod dense;
mod dropout;
mod elastic;
mod erase;
mod gather;
mod loss;
mod loss_sum;
mod merge;
mod mix;
mod noise;
mod pool2d;
mod pool_gradient;
mod pooled_forward;
mod regularize;
mod rescale;
mod resize;
mod rows;
mod scratch;
mod softmax;
mod tile;
mod update;
mod vectors;
mod weights;
mod winograd;

#[cfg(test)]
mod tests;

use pulp::Arch;
use rayon::ThreadPool;

use self::conv2d_pool::{PooledBackwardInput, PooledConv, absorbed};
use self::pool_gradient::UnpoolBuffers;
use self::rows::{RowWise, SequenceOp};
use self::weights::KernelGradient;
use super::Description;
use super::host::{HostExecutor, Kernels, Memory};
use crate::error::{Error, Result};
use crate::plan::{Op, Operation, Plan, Pool2dBackward, Pool2dForward};
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

    fn run_works<'a>(
        &mut self,
        works: impl IntoIterator<Item = Work<'a>> + Send,
        memory: &mut Memory<'_>,
    ) {
        let (arch, workspace) = (self.arch, &mut self.workspace);
        match &self.pool {
            Some(pool) => pool.install(|| run_all(arch, workspace, works, memory)),
            None => run_all(arch, workspace, works, memory),
        }
    }

    fn threads(&self) -> usize {
        let pool = self.pool.as_ref();
        pool.map_or_else(rayon::current_num_threads, ThreadPool::current_num_threads)
    }
}

/// How the work of an operation is divided among tasks.
enum Work<'a> {
    /// By the rows of the batch, in sequence with its neighbours.
    Sequence(SequenceOp<'a>),
    /// In some other way, because it needs the results of every row.
    Batch(&'a dyn BatchWise),
}

impl<'a> Work<'a> {
    fn rows(op: &'a (impl RowWise + Operation)) -> Self {
        Self::Sequence(SequenceOp::rows(op, op.writes()))
    }

    fn weights(gradient: impl Into<KernelGradient>) -> Self {
        Self::Sequence(SequenceOp::Weights(gradient.into()))
    }
}

/// An operation that needs the results of every row before it.
trait BatchWise: Sync {
    /// Runs it on the whole batch.
    fn run(&self, arch: Arch, memory: &mut Memory<'_>);
}

fn work(op: &Op) -> Work<'_> {
    match op {
        Op::Gather(op) => Work::rows(op),
        Op::DrawMaps(op) => Work::rows(op),
        Op::AffineTransform(op) => Work::rows(op),
        Op::DrawNoise(op) => Work::rows(op),
        Op::BlurNoise(op) => Work::rows(op),
        Op::DisplacePixels(op) => Work::rows(op),
        Op::AdjustContrast(op) => Work::rows(op),
        Op::AdjustBrightness(op) => Work::rows(op),
        Op::Erase(op) => Work::rows(op),
        Op::AddNoise(op) => Work::rows(op),
        Op::ResizeForward(op) => Work::rows(op),
        Op::ResizeBackward(op) => Work::rows(op),
        Op::DrawMixes(op) => Work::Batch(op),
        Op::MixRows(op) => Work::Batch(op),
        Op::Conv2dForward(op) => Work::rows(op),
        Op::Conv2dBackwardInput(op) => Work::rows(op),
        Op::Conv2dBackwardWeight(op) => Work::weights(op),
        Op::Pool2dForward(op) => Work::rows(op),
        Op::Pool2dBackward(op) => Work::rows(op),
        Op::DenseForward(op) => Work::rows(op),
        Op::DenseBackwardInput(op) => Work::rows(op),
        Op::DenseBackwardWeight(op) => Work::weights(op),
        Op::ActivationForward(op) => Work::rows(op),
        Op::ActivationBackward(op) => Work::rows(op),
        Op::SoftmaxForward(op) => Work::rows(op),
        Op::SoftmaxBackward(op) => Work::rows(op),
        Op::Loss(op) => Work::rows(op),
        Op::Dropout(op) => Work::rows(op),
        Op::Rescale(op) => Work::rows(op),
        Op::Add(op) => Work::rows(op),
        Op::ConcatenateForward(op) => Work::rows(op),
        Op::ConcatenateBackward(op) => Work::rows(op),
        Op::BatchNormStatistics(op) => Work::Batch(op),
        Op::BatchNormMove(op) => Work::Batch(op),
        Op::BatchNormForward(op) => Work::rows(op),
        Op::BatchNormBackwardWeight(op) => Work::Batch(op),
        Op::BatchNormBackwardInput(op) => Work::rows(op),
        Op::Regularize(op) => Work::Batch(op),
        Op::ClipGradients(op) => Work::Batch(op),
        Op::Update(op) => Work::Batch(op),
    }
}

/// The work of a whole step, in which convolutions and their pools run together where possible.
fn step(plan: &Plan) -> Vec<Work<'_>> {
    let ops = &plan.ops;
    let mut pools: Vec<&Pool2dForward> = Vec::new();
    let mut unpools: Vec<UnpoolBuffers> = Vec::new();
    let mut works = Vec::new();
    for (i, op) in ops.iter().enumerate() {
        let sequence_op = match op {
            Op::Conv2dForward(_) => PooledConv::find(plan, &ops[i..]).map(|conv| {
                pools.push(conv.pool);
                SequenceOp::rows(conv, conv.pool.writes())
            }),
            Op::Pool2dForward(op) if pools.contains(&op) => continue,
            Op::Pool2dBackward(op) if is_fused(&pools, op) => match absorbed(plan, op) {
                Some(unpool) => {
                    unpools.push(unpool);
                    continue;
                }
                None => None,
            },
            Op::Conv2dBackwardWeight(op) => unpools.iter().find(|u| u.dx == op.dy).map(|unpool| {
                SequenceOp::Weights(KernelGradient {
                    unpool: Some(*unpool),
                    ..op.into()
                })
            }),
            Op::Conv2dBackwardInput(op) => unpools.iter().find(|u| u.dx == op.dy).map(|unpool| {
                let unpool = *unpool;
                SequenceOp::rows(PooledBackwardInput { op, unpool }, op.writes())
            }),
            _ => None,
        };
        works.push(sequence_op.map_or_else(|| work(op), Work::Sequence));
    }
    works
}

/// The operation with which each operation of a step runs.
fn fused_into(plan: &Plan) -> Vec<Option<usize>> {
    let ops = &plan.ops;
    let mut into: Vec<_> = (0..ops.len()).map(Some).collect();
    let mut pools = Vec::new();
    for (i, op) in ops.iter().enumerate() {
        match op {
            Op::Conv2dForward(_) => {
                if let Some(conv) = PooledConv::find(plan, &ops[i..]) {
                    pools.push(conv.pool);
                    into[i + 1] = Some(i);
                }
            }
            Op::Pool2dBackward(op) if is_fused(&pools, op) && absorbed(plan, op).is_some() => {
                into[i] = ops
                    .iter()
                    .position(|reader| reader.reads().contains(&op.dx));
            }
            _ => {}
        }
    }
    into
}

/// Whether the pool of this backward pass runs with its convolution.
fn is_fused(pools: &[&Pool2dForward], op: &Pool2dBackward) -> bool {
    op.argmax.is_some() && pools.iter().any(|pool| pool.argmax == op.argmax)
}

/// Runs each sequence of operations whose work is divided by rows, and the operations between them
/// that need the whole batch.
fn run_all<'a>(
    arch: Arch,
    workspace: &mut Workspace,
    works: impl IntoIterator<Item = Work<'a>>,
    memory: &mut Memory<'_>,
) {
    let mut sequence = Vec::new();
    for work in works {
        match work {
            Work::Sequence(op) => sequence.push(op),
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
        self.run_works(ops.iter().map(work), memory);
    }

    fn run_step(&mut self, plan: &Plan, memory: &mut Memory<'_>) {
        self.run_works(step(plan), memory);
    }

    fn fused_into(&self, plan: &Plan) -> Vec<Option<usize>> {
        fused_into(plan)
    }
}
