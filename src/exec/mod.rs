//! Executors, which run plans: the GPU, the CPU, the reference, and one that computes nothing.
//!
//! An [`Executor`] holds data sets, parameters and the buffers of its compiled plans, and runs
//! steps; [`Inspect`] is for executors that also run single operations. Each executor matches on
//! [`Op`](crate::plan::Op) without a wildcard, so that the compiler names every place that a new
//! operation needs. Code that looks for certain operations, such as fusion, asks for them by
//! [`Op::downcast`](crate::plan::Op::downcast) and leaves all others alone.
//!
//! - [`mod@reference`]: plain loops with f64 accumulation, written to be read; the others are
//!   checked against it.
//! - [`cpu`]: fast, on all cores.
//! - [`gpu`]: WGSL compute shaders through wgpu.
//! - `null`: scripted metrics and no arithmetic, for tests of the trainer.
//!
//! [`compare`](crate::check::compare) runs two executors side by side and stops at the first buffer
//! that differs.

mod backend;
mod batch_part;
pub mod cpu;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod host;
mod kernel_choice;
pub(crate) mod null;
mod open;
mod peak;
mod profile;
mod recover;
pub mod reference;

use std::ops::Range;
use std::time::Duration;

pub use backend::Backend;
#[cfg(all(test, feature = "gpu"))]
pub(crate) use backend::test_backend;
pub use batch_part::{BatchPart, GradientSum};
pub use kernel_choice::KernelChoice;
pub use open::{Device, Selection, open};
pub use peak::Peak;
pub(crate) use profile::median;
pub use profile::{Clock, Profile, ProfileEntry};
pub use recover::Recovering;

use crate::data::Dataset;
use crate::error::Result;
use crate::optimizer::Rates;
use crate::plan::{BufferId, Plan};
use crate::rng::Key;
use crate::state::State;

/// A description of a device.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Description {
    /// `cpu`, `reference`, `vulkan`, `metal`, `dx12`, `gl` or `null`.
    pub backend: String,
    /// The adapter's or the processor's name.
    pub adapter: String,
    /// The driver and its version, or empty.
    pub driver: String,
    /// True for a GPU emulated in software.
    pub software: bool,
}

/// Handle of a compiled plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Program(pub usize);

/// Handle of a loaded data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataId(pub usize);

/// One step: a plan and the rows to run it on.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// The plan.
    pub program: Program,
    /// The data set.
    pub data: DataId,
    /// Position of the batch's first row in the data set's order.
    pub offset: usize,
    /// Valid rows, from 1 to the plan's batch.
    pub rows: usize,
    /// The optimizer's rates; see [`crate::optimizer::Optimizer::rates`].
    pub rates: Rates,
    /// The key of the step's random draws; see [`Key::of_step`].
    pub key: Key,
    /// Which rows of the batch these are.
    pub part: BatchPart,
    /// What becomes of the gradients.
    pub sum: GradientSum,
}

impl Step {
    /// A step on these rows of the data set's order, which are a whole batch.
    pub fn new(program: Program, data: DataId, rows: Range<usize>, rates: Rates, key: Key) -> Self {
        Self {
            program,
            data,
            offset: rows.start,
            rows: rows.len(),
            rates,
            key,
            part: BatchPart::whole(rows.len()),
            sum: GradientSum::default(),
        }
    }
}

/// The metrics of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StepMetrics {
    /// Sum of the losses of the valid rows.
    pub loss_sum: f32,
    /// Number of valid rows whose largest logit is the label's.
    pub correct: u32,
    /// Number of valid rows.
    pub rows: u32,
}

impl StepMetrics {
    /// The metrics of a step on `rows` valid rows.
    pub fn new(loss_sum: f32, correct: u32, rows: u32) -> Self {
        Self {
            loss_sum,
            correct,
            rows,
        }
    }
}

/// The device memory of plans, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct MemoryUse {
    /// The tensors that steps bind, and the parameters, gradients, moments and average.
    pub tensors: u64,
    /// Partial sums of kernels.
    pub partial_sums: u64,
    /// Copies of tensors in images, which software adapters read faster.
    pub image_copies: u64,
}

impl MemoryUse {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.tensors + self.partial_sums + self.image_copies
    }
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

    /// The elements as f64, of either type.
    pub fn to_f64(&self) -> Vec<f64> {
        match self {
            Self::F32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Self::U32(v) => v.iter().map(|&x| f64::from(x)).collect(),
        }
    }

    /// The floats of a float buffer; empty for words.
    pub fn into_f32(self) -> Vec<f32> {
        match self {
            Self::F32(v) => v,
            Self::U32(_) => Vec::new(),
        }
    }
}

/// Runs plans of one model: everything that training, evaluation and prediction need. All plans of
/// an executor share its parameters and moments.
pub trait Executor: Send {
    /// Describes the device.
    fn describe(&self) -> Description;

    /// Checks that the plans of one model fit on the device side by side, before allocating
    /// anything. The default accepts all.
    ///
    /// # Errors
    /// [`Error::TooLarge`](crate::Error::TooLarge), which names what is too large but not what
    /// would fit.
    fn fits(&self, _plans: &[&Plan]) -> Result<()> {
        Ok(())
    }

    /// The device memory of plans of one model side by side, weights included; `None` if the
    /// executor keeps no count.
    ///
    /// # Errors
    /// [`Error::TooLarge`](crate::Error::TooLarge), as with [`Executor::fits`].
    fn needs(&self, _plans: &[&Plan]) -> Result<Option<MemoryUse>> {
        Ok(None)
    }

    /// The bytes of device memory available to plans, if known. [`Executor::fits`] keeps to it.
    fn budget(&self) -> Option<u64> {
        None
    }

    /// Prepares a plan: allocates buffers, compiles pipelines, and does all other work that steps
    /// should not repeat.
    ///
    /// # Errors
    /// The device cannot run the plan or lacks the memory.
    fn compile(&mut self, plan: &Plan) -> Result<Program>;

    /// Sets the parameters, moments and moving average.
    ///
    /// # Errors
    /// The device failed.
    fn upload(&mut self, state: &State) -> Result<()>;

    /// Copies the parameters and moments, and the moving average if `state` has one, into `state`
    /// after all steps enqueued so far.
    ///
    /// # Errors
    /// The device failed.
    fn download(&mut self, state: &mut State) -> Result<()>;

    /// Loads a data set, in its own order.
    ///
    /// # Errors
    /// The data set does not fit the device.
    fn load(&mut self, data: &Dataset) -> Result<DataId>;

    /// Replaces the samples of a loaded data set by others of the same shape, in their own order,
    /// and at most as many. Steps enqueued earlier still see the old samples and later ones the
    /// new; the caller need not wait.
    ///
    /// # Errors
    /// More samples than were loaded, or the device failed.
    fn reload(&mut self, data: DataId, samples: &Dataset) -> Result<()>;

    /// Sets the order in which steps read a data set.
    ///
    /// # Errors
    /// The device failed.
    fn order(&mut self, data: DataId, order: &[u32]) -> Result<()>;

    /// Releases a data set and its memory once the steps enqueued earlier have run. Its handle is
    /// not reused.
    ///
    /// # Errors
    /// The data set is not loaded, or the device failed.
    fn unload(&mut self, data: DataId) -> Result<()>;

    /// Enqueues a step, to run now or soon; waits only while too many are in flight.
    ///
    /// # Errors
    /// The device failed, now or in an earlier step.
    fn enqueue(&mut self, step: &Step) -> Result<()>;

    /// Submits steps that are held back to be submitted together, for a caller about to wait for
    /// something other than the device. By default nothing, for executors that start every step at
    /// once.
    ///
    /// # Errors
    /// The device failed.
    fn start(&mut self) -> Result<()> {
        Ok(())
    }

    /// The metrics of the steps that have finished since the last call, in order; of all enqueued
    /// steps if `wait`.
    ///
    /// # Errors
    /// The device failed.
    fn completed(&mut self, wait: bool) -> Result<Vec<StepMetrics>>;

    /// The predictions for the rows of an inference plan's last step, `[batch, classes]`, after all
    /// steps enqueued so far.
    ///
    /// # Errors
    /// The plan has no predictions, or the device failed.
    fn predictions(&mut self, program: Program) -> Result<Vec<f32>>;

    /// The gradients, or sums of them, in the layout's arena, after all steps enqueued so far.
    ///
    /// # Errors
    /// The executor does not share them, which is the default, or the device failed.
    fn gradients(&mut self) -> Result<Vec<f32>> {
        Err(crate::Error::device(
            "this executor does not share its gradients",
        ))
    }

    /// Replaces the gradients by those of another process, and does with them as after a step.
    ///
    /// # Errors
    /// Another number of values than in the layout's arena; the executor does not share its gradients, which
    /// is the default; or the device failed.
    fn set_gradients(&mut self, _values: &[f32], _sum: GradientSum) -> Result<()> {
        Err(crate::Error::device(
            "this executor does not share its gradients",
        ))
    }

    /// This executor, if it can run single operations. After a loss that is not finite, training
    /// uses it to name the operation where the first such value appeared.
    fn inspect(&mut self) -> Option<&mut dyn Inspect> {
        None
    }
}

/// An executor that runs single operations and gives access to its buffers: for tests, comparison
/// and profiles.
pub trait Inspect: Executor {
    /// Runs a range of operations of a plan and waits for them.
    ///
    /// # Errors
    /// The device failed.
    fn run(&mut self, ops: Range<usize>, step: &Step) -> Result<()>;

    /// Times the parts of a step of `plan` within about `budget` in total: each the median of as
    /// many runs as fit, at least one. The runs train the weights. By default the parts are the
    /// operations, each run by itself.
    ///
    /// # Errors
    /// The device failed.
    fn profile(&mut self, plan: &Plan, step: &Step, budget: Duration) -> Result<Profile> {
        Profile::of_operations(self, plan, step, budget)
    }

    /// Sets the contents of a buffer.
    ///
    /// # Errors
    /// The type or number of the values differs from the buffer's.
    fn write(&mut self, program: Program, buffer: BufferId, values: &Values) -> Result<()>;

    /// The contents of a buffer, after all steps enqueued so far. A whole step need not store tensors
    /// between operations that it fuses; see [`Inspect::fused_into`].
    ///
    /// # Errors
    /// The device failed.
    fn read(&mut self, program: Program, buffer: BufferId) -> Result<Values>;

    /// For each operation of a plan, the operation whose kernels compute it in a step; empty if
    /// each has its own kernels.
    fn fused_into(&self, _program: Program) -> Vec<Option<usize>> {
        Vec::new()
    }

    /// Checks that nothing was written outside the plan's buffers. By default does nothing:
    /// executors in safe Rust are checked by the language.
    ///
    /// # Errors
    /// Something was written outside, or the device failed.
    fn intact(&mut self, _program: Program) -> Result<()> {
        Ok(())
    }
}

/// Checks that a plan belongs to the executor's model.
fn check_layout(layout: &crate::state::Layout, plan: &Plan) -> Result<()> {
    if *layout == *plan.layout {
        return Ok(());
    }
    Err(crate::Error::device(format!(
        "plan `{}` has other parameters than the executor's model",
        plan.name
    )))
}

/// Checks the number of gradients from another process.
fn check_gradients(layout: &crate::state::Layout, values: &[f32]) -> Result<()> {
    if values.len() == layout.len {
        return Ok(());
    }
    Err(crate::Error::Argument(format!(
        "expected {} gradients, the length of the arena, received {}",
        layout.len,
        values.len()
    )))
}

/// The loaded data set with this handle.
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

/// Checks that samples fit in the place of those loaded first.
fn check_reload(room: [usize; 2], samples: &Dataset) -> Result<()> {
    let given = [samples.pixels().memory().len(), samples.len()];
    if given[0] <= room[0] && given[1] <= room[1] {
        return Ok(());
    }
    Err(crate::Error::Argument(format!(
        "{} samples of {} bytes do not fit where {} of {} bytes were loaded",
        given[1], given[0], room[1], room[0]
    )))
}

/// Checks that values have the buffer's type and number.
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
