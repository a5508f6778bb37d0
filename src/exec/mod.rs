//! Who runs a plan: the GPU, the CPU, the reference, or nobody.
//!
//! An [`Executor`] holds the data set, the parameters and the buffers of the plans that it has
//! compiled, and runs steps; [`Inspect`] is for executors that also run single operations. Each of them matches on [`Op`](crate::plan::Op) without a wildcard, so
//! that the compiler names every place that a new operation needs.
//!
//! - [`mod@reference`]: plain loops with f64 accumulation, written to be read; the oracle for the others.
//! - [`cpu`]: fast, on all cores.
//! - [`gpu`]: WGSL compute shaders through wgpu.
//! - [`null`]: scripted metrics and no arithmetic, for tests of what stands above.
//!
//! [`compare`](crate::check::compare) runs two of them side by side and stops at the first buffer that
//! differs.

pub mod cpu;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod host;
pub mod null;
mod open;
mod peak;
mod profile;
mod recover;
pub mod reference;

use std::ops::Range;
use std::time::Duration;

#[cfg(test)]
pub(crate) use open::test_backend;
pub use open::{Backend, Opened, Selection, open};
pub use peak::Peak;
pub(crate) use profile::median;
pub use profile::{Clock, Part, Profile};
pub use recover::Recovering;

use crate::data::Dataset;
use crate::error::Result;
use crate::optimizer::Rates;
use crate::plan::{BufferId, Plan};
use crate::rng::Key;
use crate::state::State;

/// What runs, in words.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Description {
    /// `cpu`, `reference`, `vulkan`, `metal`, `dx12`, `gl` or `null`.
    pub backend: String,
    /// The adapter's or the processor's name.
    pub adapter: String,
    /// The driver and its version, or empty.
    pub driver: String,
    /// True for a GPU's interface implemented in software.
    pub software: bool,
}

/// A plan that an executor has compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Program(pub usize);

/// A data set that an executor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataId(pub usize);

/// One step to run: which plan, on which rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The plan.
    pub program: Program,
    /// The data set.
    pub data: DataId,
    /// Place of the batch's first row in the data set's order.
    pub offset: usize,
    /// Valid rows, from 1 to the plan's batch.
    pub rows: usize,
    /// What the optimizer multiplies with; see [`crate::optimizer::Optimizer::rates`].
    pub rates: Rates,
    /// The key of the step's draws; see [`Key::of_step`].
    pub key: Key,
}

/// What a step measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepMetrics {
    /// Sum of the losses of the valid rows.
    pub loss_sum: f32,
    /// Valid rows whose largest logit is the label's.
    pub correct: u32,
    /// Valid rows.
    pub rows: u32,
}

/// The contents of a buffer.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Of a [`crate::plan::Element::F32`] buffer.
    F32(Vec<f32>),
    /// Of a [`crate::plan::Element::U32`] buffer.
    U32(Vec<u32>),
}

impl Values {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::U32(v) => v.len(),
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as f64, whatever they are.
    pub fn to_f64(&self) -> Vec<f64> {
        match self {
            Self::F32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Self::U32(v) => v.iter().map(|&x| f64::from(x)).collect(),
        }
    }

    /// The floats of a float buffer; none of another.
    pub fn into_f32(self) -> Vec<f32> {
        match self {
            Self::F32(v) => v,
            Self::U32(_) => Vec::new(),
        }
    }
}

/// Runs plans of one model: what training, evaluation and prediction need. All plans of an executor
/// share its parameters and moments.
pub trait Executor: Send {
    /// What runs.
    fn describe(&self) -> Description;

    /// Whether there is room for plans of one model side by side, before anything is made of them. By
    /// default there is.
    ///
    /// # Errors
    /// [`Error::TooLarge`](crate::Error::TooLarge), which says what is, without what would fit.
    fn fits(&self, _plans: &[&Plan]) -> Result<()> {
        Ok(())
    }

    /// The bytes that plans of one model take side by side on the device, weights included; `None` where the
    /// executor keeps no count.
    ///
    /// # Errors
    /// [`Error::TooLarge`](crate::Error::TooLarge), as with [`Executor::fits`].
    fn needs(&self, _plans: &[&Plan]) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Prepares a plan: buffers, pipelines, everything that a step should not have to make.
    ///
    /// # Errors
    /// The device cannot run it, or lacks the memory.
    fn compile(&mut self, plan: &Plan) -> Result<Program>;

    /// Sets parameters, moments and average.
    ///
    /// # Errors
    /// The device failed.
    fn upload(&mut self, state: &State) -> Result<()>;

    /// Copies parameters and moments into `state`, and the average if it has one, after all steps
    /// enqueued so far.
    ///
    /// # Errors
    /// The device failed.
    fn download(&mut self, state: &mut State) -> Result<()>;

    /// Takes a data set, in its own order.
    ///
    /// # Errors
    /// It does not fit the device.
    fn load(&mut self, data: &Dataset) -> Result<DataId>;

    /// Puts other samples, in their own order, where a data set was loaded: no more of them, and of
    /// the same shape. Steps enqueued before still see the samples before, and those enqueued after
    /// see the new ones; nobody has to wait for that.
    ///
    /// # Errors
    /// There are more samples than were loaded, or the device failed.
    fn reload(&mut self, data: DataId, samples: &Dataset) -> Result<()>;

    /// Sets the order in which steps walk through a data set.
    ///
    /// # Errors
    /// The device failed.
    fn order(&mut self, data: DataId, order: &[u32]) -> Result<()>;

    /// Releases a data set and its memory, once the steps enqueued before have run. Its number is not given
    /// to another.
    ///
    /// # Errors
    /// The data set is not loaded, or the device failed.
    fn unload(&mut self, data: DataId) -> Result<()>;

    /// Runs a step now or soon; waits only while too many are under way.
    ///
    /// # Errors
    /// The device failed, now or in an earlier step.
    fn enqueue(&mut self, step: &Step) -> Result<()>;

    /// Starts whatever is enqueued and waits to be joined by more: for a caller who is about to wait
    /// for something else. Default nothing, for a device that starts every step at once.
    ///
    /// # Errors
    /// The device failed.
    fn start(&mut self) -> Result<()> {
        Ok(())
    }

    /// The metrics of steps that have finished since the last call, in order; of all steps
    /// enqueued if `wait`.
    ///
    /// # Errors
    /// The device failed.
    fn completed(&mut self, wait: bool) -> Result<Vec<StepMetrics>>;

    /// The predictions for the rows of an inference plan's last step, `[batch, classes]`, after all steps
    /// enqueued so far.
    ///
    /// # Errors
    /// The plan makes none, or the device failed.
    fn predictions(&mut self, program: Program) -> Result<Vec<f32>>;

    /// This executor, if it can run single operations. Training asks for it after a loss that is not
    /// finite, to name the operation where that began.
    fn inspect(&mut self) -> Option<&mut dyn Inspect> {
        None
    }
}

/// An executor that runs single operations and opens its buffers: for tests, comparison and profiles.
pub trait Inspect: Executor {
    /// Runs some operations of a plan, and waits for them.
    ///
    /// # Errors
    /// The device failed.
    fn run(&mut self, ops: Range<usize>, step: &Step) -> Result<()>;

    /// Times the parts of a step of `plan`, each the median of as many runs as fit in about `budget` for all
    /// of them, at least one; this trains the weights. Unless an executor can do better, the parts are
    /// the operations, each run by itself.
    ///
    /// # Errors
    /// The device failed.
    fn profile(&mut self, plan: &Plan, step: &Step, budget: Duration) -> Result<Profile> {
        Profile::of_operations(self, plan, step, budget)
    }

    /// Sets a buffer.
    ///
    /// # Errors
    /// The values have another type or number than the buffer.
    fn write(&mut self, program: Program, buffer: BufferId, values: &Values) -> Result<()>;

    /// The contents of a buffer, after all steps enqueued so far.
    ///
    /// # Errors
    /// The device failed.
    fn read(&mut self, program: Program, buffer: BufferId) -> Result<Values>;

    /// For each operation of a plan the one in whose kernels a step does it; empty where each has kernels of
    /// its own.
    fn fused_into(&self, _program: Program) -> Vec<Option<usize>> {
        Vec::new()
    }

    /// Whether everything that ran kept to the buffers of its plan. Rust's own checks see to that
    /// where it runs in Rust.
    ///
    /// # Errors
    /// Something was written outside; or the device failed.
    fn intact(&mut self, _program: Program) -> Result<()> {
        Ok(())
    }
}

/// All plans of an executor must be of one model.
fn check_layout(layout: &crate::state::Layout, plan: &Plan) -> Result<()> {
    if *layout == *plan.layout {
        return Ok(());
    }
    Err(crate::Error::Device(format!(
        "plan `{}` has other parameters than the executor's model",
        plan.name
    )))
}

/// A data set among those that an executor holds.
fn loaded<T>(held: &[Option<T>], id: DataId) -> Result<&T> {
    let data = held.get(id.0).and_then(Option::as_ref);
    data.ok_or_else(|| not_loaded(id))
}

fn loaded_mut<T>(held: &mut [Option<T>], id: DataId) -> Result<&mut T> {
    let data = held.get_mut(id.0).and_then(Option::as_mut);
    data.ok_or_else(|| not_loaded(id))
}

fn not_loaded(id: DataId) -> crate::Error {
    crate::Error::Argument(format!("data set {} is not loaded", id.0))
}

/// Samples must fit where others were loaded.
fn check_reload(room: [usize; 2], samples: &Dataset) -> Result<()> {
    let given = [samples.images().len(), samples.len()];
    if given[0] <= room[0] && given[1] <= room[1] {
        return Ok(());
    }
    Err(crate::Error::Argument(format!(
        "{} samples of {} bytes do not fit where {} of {} bytes were loaded",
        given[1], given[0], room[1], room[0]
    )))
}

/// Values must have their buffer's type and number.
fn check_values(buffer: &crate::plan::Buffer, values: &Values) -> Result<()> {
    use crate::plan::Element;
    let same_type = matches!(
        (buffer.element, values),
        (Element::F32, Values::F32(_)) | (Element::U32, Values::U32(_))
    );
    if same_type && buffer.len() == values.len() {
        return Ok(());
    }
    Err(crate::Error::Argument(format!(
        "buffer `{}` holds {} elements of {:?} ({}), received {} values",
        buffer.name,
        buffer.len(),
        buffer.element,
        crate::shape::dims(&buffer.shape),
        values.len()
    )))
}
