//! The fast CPU path.
//!
//! [`Cpu`] does not run each operation over the whole batch before the next. It divides the batch
//! into groups of rows, and each task takes its group through all operations of the step, so that the
//! output of one operation is still in cache when the next one reads it; see `rows`. Large kernel
//! gradients are divided by their own elements instead; see `weights`.
//!
//! The division depends on shapes alone, and the tasks' sums are added in a fixed order, so any
//! number of threads gives the same bytes. So does any vector length, since vectors run along the
//! results and never along the terms of a sum. Only processors without fused multiply-add differ.

mod activation;
mod batch_norm;
mod clip;
mod conv2d;
mod conv2d_grouped;
mod dense;
mod dropout;
mod gather;
mod loss;
mod peak;
mod pool2d;
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

use super::Description;
use super::host::{HostExecutor, Kernels, Memory};
use crate::error::{Error, Result};
use crate::optimizer::Optimizer;
use crate::plan::{BufferId, ClipGradients, Op, Penalty, Regularize, Update};
use crate::words::counted;

/// An executor on the CPU.
pub type CpuExecutor = HostExecutor<Cpu>;

/// The fast kernels, on all cores.
pub struct Cpu {
    /// The processor's vector instructions.
    arch: Arch,
    /// `None` is rayon's global pool.
    pool: Option<ThreadPool>,
    workspace: rows::Workspace,
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
            workspace: rows::Workspace::default(),
        }
    }

    /// On this many threads. The results do not depend on it.
    ///
    /// # Errors
    /// The system cannot start the threads.
    pub fn with_threads(threads: usize) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool =
            pool.map_err(|e| Error::Device(format!("cannot start {threads} threads: {e}")))?;
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

/// Runs each sequence of row-wise operations, and the operations between them that need the whole
/// batch.
fn run_all(arch: Arch, workspace: &mut rows::Workspace, ops: &[Op], memory: &mut Memory<'_>) {
    for ops in ops.split_inclusive(needs_all_rows) {
        let (whole, by_rows) = match ops.split_last() {
            Some((op, before)) if needs_all_rows(op) => (Some(op), before),
            _ => (None, ops),
        };
        rows::run(arch, workspace, by_rows, memory);
        weights::run(arch, workspace, by_rows, memory);
        match whole {
            Some(Op::Update(Update {
                optimizer,
                params,
                gradients,
            })) => run_update(arch, optimizer, params, gradients, memory),
            Some(Op::Regularize(Regularize { penalties })) => regularize(penalties, memory),
            Some(Op::ClipGradients(ClipGradients {
                clip,
                gradients,
                norms,
            })) => clip::run(*clip, gradients, *norms, memory),
            Some(op) => batch_norm::run(op, memory),
            None => {}
        }
    }
}

/// Whether an operation needs the results of every row.
fn needs_all_rows(op: &Op) -> bool {
    matches!(
        op,
        Op::Update(_)
            | Op::Regularize(_)
            | Op::ClipGradients(_)
            | Op::BatchNormStatistics(_)
            | Op::BatchNormBackwardWeight(_)
    )
}

fn regularize(penalties: &[Penalty], memory: &mut Memory<'_>) {
    for penalty in penalties {
        let rule = penalty.regularizer;
        let w = memory.floats(penalty.w);
        let cost = rule.penalty(w.iter().map(|&w| w.into()));
        memory.metrics.loss_sum += (memory.rows as f64 * cost) as f32;
        if let Some(id) = penalty.gradient {
            let mut gradient = memory.take(id);
            for (g, &w) in gradient.iter_mut().zip(memory.floats(penalty.w)) {
                *g += rule.gradient(w.into()) as f32;
            }
            memory.put(id, gradient);
        }
    }
}

fn run_update(
    arch: Arch,
    optimizer: &Optimizer,
    params: &[BufferId],
    gradients: &[BufferId],
    memory: &mut Memory<'_>,
) {
    for (&param, &gradient) in params.iter().zip(gradients) {
        let Some(number) = memory.parameter(param) else {
            continue;
        };
        let mut w = memory.take(param);
        let mut moments = std::mem::take(&mut memory.moments[number]);
        update::update(
            arch,
            optimizer,
            memory.rates,
            (&mut w, memory.floats(gradient)),
            &mut moments,
        );
        memory.moments[number] = moments;
        memory.put(param, w);
    }
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
