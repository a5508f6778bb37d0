//! Row-wise operations, and how rows are assigned to tasks.
//!
//! The batch is divided into groups of rows, one task each. A task processes its group in small
//! blocks, each of which passes through all operations. A task writes only memory of its own: its
//! rows of the buffers, and its sums for the gradients of small kernels and for the metrics. At the
//! end the sums are added in the order of the groups.

mod group;

pub(super) use group::Block;

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::loss::Sum;
use super::scratch;
use super::weights::WeightGradient;
use crate::exec::host::Memory;
use crate::plan::{BufferId, Element, Operation};

/// Number of groups if each has sums of its own. More groups occupy more cores but leave more sums
/// to add.
const GROUPS: usize = 16;

/// Rows per block: enough to use a kernel several times while it is in cache, few enough that their
/// tensors are in cache too.
const BLOCK: usize = 4;

/// Memory reused from step to step.
#[derive(Default)]
pub(super) struct Workspace {
    /// The packed kernel of each operation.
    packed: Vec<Vec<f32>>,
    /// Each operation's gradient sums, group by group.
    sums: Vec<Vec<f32>>,
    /// Images with padding.
    pub frames: Vec<f32>,
    /// Gradients with padded channels.
    pub vectors: Vec<f32>,
}

/// An operation that computes each row of its results by itself.
pub(super) trait RowWise: Operation + Sync {
    /// Packs its kernel, once for all tasks.
    fn pack(&self, _arch: Arch, _memory: &Memory<'_>, _packed: &mut Vec<f32>) {}

    /// Computes some rows of what it writes.
    fn run(&self, block: &mut Block<'_, '_, '_>);
}

/// An operation of a sequence through which tasks take their rows.
pub(super) enum Part<'a> {
    /// Each row by itself.
    Rows(&'a dyn RowWise),
    /// A sum over the rows.
    Weights(WeightGradient),
}

/// Shared by all tasks.
struct Stage<'a> {
    arch: Arch,
    ops: &'a [Part<'a>],
    packed: &'a [Vec<f32>],
    memory: &'a Memory<'a>,
}

/// Owned by one task, by buffer and by operation.
struct Group<'a> {
    /// Its rows in the batch.
    rows: Range<usize>,
    floats: Vec<Option<&'a mut [f32]>>,
    words: Vec<Option<&'a mut [u32]>>,
    sums: Vec<&'a mut [f32]>,
    loss: Sum,
}

/// The buffers of one type that tasks write, taken out of the memory.
struct Taken<T>(Vec<(BufferId, Vec<T>)>);

/// Runs the row-wise operations of `ops`, and sums the gradients of small kernels.
pub(super) fn run(
    arch: Arch,
    workspace: &mut Workspace,
    ops: &[Part<'_>],
    memory: &mut Memory<'_>,
) {
    if ops.is_empty() {
        return;
    }
    let Workspace { packed, sums, .. } = workspace;
    pack(arch, ops, packed, memory);
    let mut floats = Taken(Vec::new());
    let mut words = Taken(Vec::new());
    for id in ops.iter().flat_map(Part::writes_rows) {
        match memory.element(id) {
            Element::F32 => floats.0.push((id, memory.take(id))),
            Element::U32 => words.0.push((id, memory.take_words(id))),
        }
    }
    let by_samples: Vec<_> = ops.iter().map(Part::summed).collect();
    let group = if by_samples.iter().any(Option::is_some) {
        memory.batch.div_ceil(GROUPS)
    } else {
        BLOCK
    };
    let groups = memory.batch.div_ceil(group);
    sums.resize_with(ops.len().max(sums.len()), Vec::new);
    for (sums, gradient) in sums.iter_mut().zip(&by_samples) {
        let len = gradient.map_or(0, |g| g.len_with_bias());
        scratch::resize(sums, groups * len);
    }

    let mut tasks: Vec<Group<'_>> = (0..groups)
        .map(|i| Group {
            rows: i * group..memory.batch.min((i + 1) * group),
            floats: Vec::new(),
            words: Vec::new(),
            sums: Vec::new(),
            loss: Sum::default(),
        })
        .collect();
    floats.deal(memory.batch, group, &mut tasks, |task| &mut task.floats);
    words.deal(memory.batch, group, &mut tasks, |task| &mut task.words);
    for (sums, gradient) in sums.iter_mut().zip(&by_samples) {
        let len = gradient.map_or(0, |g| g.len_with_bias());
        let mut rest = sums.as_mut_slice();
        for task in &mut tasks {
            task.sums
                .push(rest.split_off_mut(..len).unwrap_or_default());
        }
    }
    let stage = Stage {
        arch,
        ops,
        packed,
        memory,
    };
    tasks
        .par_iter_mut()
        .with_max_len(1)
        .for_each(|task| task.run(&stage));
    let losses: Vec<Sum> = tasks.iter().map(|task| task.loss).collect();
    drop(tasks);

    let loss: f64 = losses.iter().map(|l| l.loss).sum();
    memory.metrics.loss_sum += loss as f32;
    memory.metrics.correct += losses.iter().map(|l| l.correct).sum::<u32>();
    for (id, values) in floats.0 {
        memory.put(id, values);
    }
    for (id, values) in words.0 {
        memory.put_words(id, values);
    }
    for (sums, gradient) in sums.iter().zip(by_samples) {
        if let Some(gradient) = gradient {
            add_up(arch, &gradient, sums, memory);
        }
    }
}

impl Part<'_> {
    /// The buffers that it writes row by row.
    fn writes_rows(&self) -> Vec<BufferId> {
        match self {
            Self::Rows(op) => op.writes(),
            Self::Weights(_) => vec![],
        }
    }

    /// The gradient that the tasks sum, if it is one.
    fn summed(&self) -> Option<WeightGradient> {
        match self {
            Self::Rows(_) => None,
            Self::Weights(gradient) => Some(*gradient).filter(WeightGradient::by_samples),
        }
    }
}

/// Packs the kernels, once for all tasks.
fn pack(arch: Arch, ops: &[Part<'_>], packed: &mut Vec<Vec<f32>>, memory: &Memory<'_>) {
    packed.resize_with(ops.len().max(packed.len()), Vec::new);
    packed.par_iter_mut().zip(ops).for_each(|(packed, op)| {
        if let Part::Rows(op) = op {
            op.pack(arch, memory, packed);
        }
    });
}

/// Adds the groups' sums in order into the gradients' buffers.
fn add_up(arch: Arch, gradient: &WeightGradient, sums: &[f32], memory: &mut Memory<'_>) {
    const CHUNK: usize = 2048;
    let len = gradient.len_with_bias();
    let mut set = |id: BufferId, first: usize| {
        let mut total = memory.take(id);
        total
            .par_chunks_mut(CHUNK)
            .enumerate()
            .for_each(|(i, total)| {
                arch.dispatch(|| {
                    total.fill(0.0);
                    for sums in sums.chunks_exact(len) {
                        for (total, sum) in total.iter_mut().zip(&sums[first + i * CHUNK..]) {
                            *total += sum;
                        }
                    }
                });
            });
        memory.put(id, total);
    };
    set(gradient.dw, 0);
    if let Some(dbias) = gradient.dbias {
        set(dbias, gradient.len());
    }
}

impl<T> Taken<T> {
    /// Gives each task `group` rows of each buffer.
    fn deal<'a>(
        &'a mut self,
        batch: usize,
        group: usize,
        tasks: &mut [Group<'a>],
        slots: impl for<'b> Fn(&'b mut Group<'a>) -> &'b mut Vec<Option<&'a mut [T]>>,
    ) {
        for (id, values) in &mut self.0 {
            let row = values.len() / batch;
            for (task, rows) in tasks.iter_mut().zip(values.chunks_mut(group * row)) {
                let slots = slots(task);
                if slots.len() <= id.0 {
                    slots.resize_with(id.0 + 1, || None);
                }
                slots[id.0] = Some(rows);
            }
        }
    }
}
