//! Row-wise operations, and how rows are assigned to tasks.
//!
//! The batch is divided into groups of rows, one task each. A task processes its group in small
//! blocks, each of which passes through all operations. A task writes only memory of its own: its
//! rows of the buffers, and its sums for the gradients of small kernels and for the metrics. At the
//! end the sums are added in the order of the groups.

mod group;

pub(super) use group::{RowBlock, RowWise, SequenceOp};

use group::{BLOCK, RowGroup, Stage};
use pulp::Arch;
use rayon::prelude::*;

use super::loss_sum::LossSum;
use super::scratch;
use super::weights::KernelGradient;
use crate::exec::host::Memory;
use crate::plan::{BufferId, Element};

/// Number of groups if each has sums of its own. More groups occupy more cores but leave more sums
/// to add.
const GROUPS: usize = 16;

/// Memory reused from step to step.
#[derive(Default)]
pub(super) struct RowsWorkspace {
    /// The packed kernel of each operation.
    packed: Vec<Vec<f32>>,
    /// Each operation's gradient sums, group by group.
    sums: Vec<Vec<f32>>,
}

/// The buffers of one type that tasks write, taken out of the memory.
struct Taken<T>(Vec<(BufferId, Vec<T>)>);

/// Runs the row-wise operations of `ops`, and sums the gradients of small kernels.
pub(super) fn run(
    arch: Arch,
    workspace: &mut RowsWorkspace,
    ops: &[SequenceOp<'_>],
    memory: &mut Memory<'_>,
) {
    if ops.is_empty() {
        return;
    }
    let RowsWorkspace { packed, sums } = workspace;
    pack(arch, ops, packed, memory);
    let mut floats = Taken(Vec::new());
    let mut words = Taken(Vec::new());
    for &id in ops.iter().flat_map(SequenceOp::writes_rows) {
        match memory.element(id) {
            Element::F32 => floats.0.push((id, memory.take(id))),
            Element::U32 => words.0.push((id, memory.take_words(id))),
        }
    }
    let by_samples: Vec<_> = ops.iter().map(SequenceOp::summed).collect();
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

    let mut tasks: Vec<RowGroup<'_>> = (0..groups)
        .map(|i| RowGroup {
            rows: i * group..memory.batch.min((i + 1) * group),
            floats: Vec::new(),
            words: Vec::new(),
            sums: Vec::new(),
            loss: LossSum::default(),
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
    let losses: Vec<LossSum> = tasks.iter().map(|task| task.loss).collect();
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

/// Packs the kernels, once for all tasks.
fn pack(arch: Arch, ops: &[SequenceOp<'_>], packed: &mut Vec<Vec<f32>>, memory: &Memory<'_>) {
    packed.resize_with(ops.len().max(packed.len()), Vec::new);
    packed.par_iter_mut().zip(ops).for_each(|(packed, op)| {
        op.pack(arch, memory, packed);
    });
}

/// Adds the groups' sums in order into the gradients' buffers.
fn add_up(arch: Arch, gradient: &KernelGradient, sums: &[f32], memory: &mut Memory<'_>) {
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
        tasks: &mut [RowGroup<'a>],
        slots: impl for<'b> Fn(&'b mut RowGroup<'a>) -> &'b mut Vec<Option<&'a mut [T]>>,
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
