//! A program of `plan.json`: the dispatches of one plan.

use serde::Serialize;

use super::tables::Tables;
use crate::error::Result;
use crate::exec::gpu::{RecordedDispatch, Recording};
use crate::plan::{BufferId, Op, Plan};

/// A program; its numbers are indices of buffers and kernels.
#[derive(Serialize)]
pub struct PageProgram {
    batch: usize,
    images: Option<usize>,
    labels: Option<usize>,
    metrics: Option<usize>,
    layers: Vec<usize>,
    logits: Option<usize>,
    predictions: Option<usize>,
    dispatches: Vec<PageDispatch>,
}

#[derive(Serialize)]
struct PageDispatch {
    kernel: usize,
    grid: [usize; 2],
    bindings: Vec<PageBinding>,
}

#[derive(Serialize)]
struct PageBinding {
    buffer: usize,
    offset: u64,
    size: u64,
}

/// The buffers before the last softmax or sigmoid and after it, of a plan with a loss or of one
/// that ends with its last layer.
fn results(plan: &Plan) -> (Option<BufferId>, Option<BufferId>) {
    if let Some(loss) = plan.loss() {
        return (Some(loss.x), Some(loss.predictions));
    }
    let last = plan.layer_outputs.last().copied();
    match plan.ops.last() {
        Some(Op::SoftmaxForward(softmax)) if Some(softmax.y) == last => (Some(softmax.x), last),
        _ => (None, last),
    }
}

impl PageProgram {
    /// Records a plan. One with the outputs of layers stores all of them.
    ///
    /// # Errors
    /// As [`Recording::new`].
    pub fn new(name: &str, plan: &Plan, tables: &mut Tables) -> Result<Self> {
        let recording = Recording::new(plan, !plan.layer_outputs.is_empty())?;
        let (logits, predictions) = results(plan);
        let tensor = |id: BufferId| recording.tensor(id);
        let layers = plan.layer_outputs.iter();
        let layers: Vec<_> = layers.filter_map(|id| tensor(*id)).collect();
        let [logits, predictions] = [logits, predictions].map(|id| id.and_then(tensor));
        let (images, labels) = (recording.images(), recording.labels());
        let metrics = recording.metrics();
        let buffers: Vec<usize> = (recording.buffers.into_iter())
            .map(|buffer| tables.buffer(name, plan, buffer))
            .collect();
        let at = |index: Option<usize>| index.map(|i| buffers[i]);
        let dispatches = recording.dispatches.into_iter();
        Ok(Self {
            batch: plan.batch,
            images: at(images),
            labels: at(labels),
            metrics: at(metrics),
            layers: layers.into_iter().map(|i| buffers[i]).collect(),
            logits: at(logits),
            predictions: at(predictions),
            dispatches: dispatches
                .map(|dispatch| PageDispatch::new(dispatch, &buffers, tables))
                .collect(),
        })
    }
}

impl PageDispatch {
    fn new(dispatch: RecordedDispatch, buffers: &[usize], tables: &mut Tables) -> Self {
        let bindings = dispatch.bindings.iter().map(|binding| PageBinding {
            buffer: buffers[binding.buffer],
            offset: binding.offset,
            size: binding.size,
        });
        Self {
            grid: dispatch.grid,
            bindings: bindings.collect(),
            kernel: tables.kernel(dispatch),
        }
    }
}
