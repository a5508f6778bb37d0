//! An executor that survives the loss of its device.
//!
//! Devices are lost after a driver reset, a suspend or an update, or when an external GPU is
//! unplugged, and everything on them with them. [`Recovering`] remembers what was uploaded, the
//! last known state, and the steps enqueued since. It reopens the device, restores all this and
//! repeats the steps. As every step is a function of the state and of what is remembered, the
//! result has the same bytes.

use std::collections::HashMap;

use super::{
    DataId, Description, Executor, GradientSum, Inspect, MemoryUse, Program, Step, StepMetrics,
};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::plan::{Plan, PlanPart};
use crate::state::State;

/// Reopens the device.
type Reopen = Box<dyn FnMut() -> Result<Box<dyn Executor>> + Send>;
/// Called with the reason for the loss before the device is reopened.
type Listener = Box<dyn FnMut(&str) + Send>;

/// Bytes of samples in the journal at which the state is fetched, so that the journal can be
/// cleared.
const MAX_HELD: usize = 256 << 20;
/// Number of calls in the journal at which the same happens.
const MAX_ENTRIES: usize = 1 << 16;

/// An executor that reopens its device when it is lost, at most once between two downloads of the
/// state. It keeps the data sets in main memory for that. After [`Executor::inspect`] the steps
/// cannot be repeated, and a loss is an error until the state is known again by an upload or a
/// download.
pub struct Recovering {
    executor: Box<dyn Executor>,
    reopen: Reopen,
    listener: Listener,
    plans: Vec<Plan>,
    /// The data sets by number; none where one was unloaded.
    data: Vec<Option<Dataset>>,
    base: Base,
    /// The calls since then.
    journal: Vec<Entry>,
    /// Bytes of samples in the journal.
    held: usize,
    max_held: usize,
    max_entries: usize,
    /// Number of steps in the journal whose metrics have been fetched.
    fetched: usize,
    /// Fetched metrics to return first.
    ready: Vec<StepMetrics>,
    /// Whether the device holds gradients that later steps need: a state does not include them.
    holds_gradients: bool,
    /// Whether the next loss can be recovered from; once false, it stays so until the state is
    /// known again.
    able: bool,
}

/// The contents of the device when its state was last known.
#[derive(Default)]
struct Base {
    state: Option<State>,
    /// Samples that replaced those loaded first.
    samples: HashMap<DataId, Dataset>,
    orders: HashMap<DataId, Vec<u32>>,
}

/// A call that can be repeated.
enum Entry {
    Reload(DataId, Dataset),
    Order(DataId, Vec<u32>),
    Unload(DataId),
    Enqueue(Step),
    SetGradients(Vec<f32>, GradientSum),
}

impl Recovering {
    /// Wraps `executor`. When its device is lost, calls `listener` with the reason and continues
    /// with the executor that `reopen` returns: one for the same model on the same device.
    pub fn new(
        executor: Box<dyn Executor>,
        reopen: impl FnMut() -> Result<Box<dyn Executor>> + Send + 'static,
        listener: impl FnMut(&str) + Send + 'static,
    ) -> Self {
        Self {
            executor,
            reopen: Box::new(reopen),
            listener: Box::new(listener),
            plans: Vec::new(),
            data: Vec::new(),
            base: Base::default(),
            journal: Vec::new(),
            held: 0,
            max_held: MAX_HELD,
            max_entries: MAX_ENTRIES,
            fetched: 0,
            ready: Vec::new(),
            holds_gradients: false,
            able: true,
        }
    }

    /// Sets after how many bytes of samples or calls the state is fetched, which waits for the
    /// device. By default 256 MiB and 65,536.
    #[must_use]
    pub(crate) fn repeating_at_most(mut self, bytes: usize, calls: usize) -> Self {
        (self.max_held, self.max_entries) = (bytes, calls);
        self
    }

    /// Makes a call, and repeats it after recovering a lost device.
    fn call<T>(&mut self, mut call: impl FnMut(&mut dyn Executor) -> Result<T>) -> Result<T> {
        match call(&mut *self.executor) {
            Err(Error::DeviceLost(why)) if self.able => {
                self.recover(&why)?;
                call(&mut *self.executor)
            }
            result => result,
        }
    }

    fn recover(&mut self, why: &str) -> Result<()> {
        self.able = false;
        (self.listener)(why);
        let mut executor = (self.reopen)()
            .map_err(|e| Error::DeviceLost(format!("{why}; reopening it failed: {e}")))?;
        for plan in &self.plans {
            executor.compile(plan)?;
        }
        for data in &self.data {
            if let Some(data) = data {
                executor.load(data)?;
            } else {
                // Keeps the later handles as they were.
                let nothing = Dataset::new("unloaded", "nowhere", [1; 3], 1, vec![], vec![])?;
                let id = executor.load(&nothing)?;
                executor.unload(id)?;
            }
        }
        if let Some(state) = &self.base.state {
            executor.upload(state)?;
        }
        for (data, samples) in &self.base.samples {
            executor.reload(*data, samples)?;
        }
        for (data, order) in &self.base.orders {
            executor.order(*data, order)?;
        }
        let metrics = self.repeat(&mut *executor)?;
        self.ready.extend(metrics.into_iter().skip(self.fetched));
        self.fetched = self.steps();
        self.executor = executor;
        Ok(())
    }

    /// Repeats the calls in the journal and waits for them.
    fn repeat(&self, executor: &mut dyn Executor) -> Result<Vec<StepMetrics>> {
        let mut metrics = Vec::new();
        for entry in &self.journal {
            match entry {
                Entry::Reload(data, samples) => executor.reload(*data, samples)?,
                Entry::Order(data, order) => executor.order(*data, order)?,
                Entry::Unload(data) => executor.unload(*data)?,
                Entry::SetGradients(values, sum) => executor.set_gradients(values, *sum)?,
                Entry::Enqueue(step) => {
                    executor.enqueue(step)?;
                    // Keeps the number in flight bounded.
                    metrics.extend(executor.completed(false)?);
                }
            }
        }
        metrics.extend(executor.completed(true)?);
        Ok(metrics)
    }

    fn steps(&self) -> usize {
        let is_step = |entry: &&Entry| matches!(entry, Entry::Enqueue(_));
        self.journal.iter().filter(is_step).count()
    }

    /// Clears the journal, as the state is now known.
    fn begin_anew(&mut self, state: State) {
        self.base.state = Some(state);
        for entry in self.journal.drain(..) {
            match entry {
                Entry::Reload(data, samples) => {
                    // Replaced samples start in their own order.
                    self.base.orders.remove(&data);
                    self.base.samples.insert(data, samples);
                }
                Entry::Order(data, order) => {
                    self.base.orders.insert(data, order);
                }
                Entry::Unload(data) => {
                    self.base.orders.remove(&data);
                    self.base.samples.remove(&data);
                    self.data[data.0] = None;
                }
                Entry::Enqueue(_) | Entry::SetGradients(..) => {}
            }
        }
        self.held = 0;
        self.fetched = 0;
        self.able = true;
    }

    /// Fetches the state if the journal is long, which bounds its memory and the time to repeat it.
    fn keep_short(&mut self) -> Result<()> {
        let is_short = self.held < self.max_held && self.journal.len() < self.max_entries;
        if is_short || self.holds_gradients {
            return Ok(());
        }
        let Some(mut state) = self.base.state.clone() else {
            return Ok(());
        };
        self.settle()?;
        self.call(|e| e.download(&mut state))?;
        self.begin_anew(state);
        Ok(())
    }

    /// Fetches the metrics of the steps in the journal before it is cleared.
    fn settle(&mut self) -> Result<()> {
        let metrics = self.call(|e| e.completed(true))?;
        self.fetched += metrics.len();
        self.ready.extend(metrics);
        Ok(())
    }
}

impl Executor for Recovering {
    fn describe(&self) -> Description {
        self.executor.describe()
    }

    fn fits(&self, plans: &[&Plan]) -> Result<()> {
        self.executor.fits(plans)
    }

    fn needs(&self, plans: &[&Plan]) -> Result<Option<MemoryUse>> {
        self.executor.needs(plans)
    }

    fn budget(&self) -> Option<u64> {
        self.executor.budget()
    }

    fn compile(&mut self, plan: &Plan) -> Result<Program> {
        let program = self.call(|e| e.compile(plan))?;
        self.plans.push(plan.clone());
        Ok(program)
    }

    fn upload(&mut self, state: &State) -> Result<()> {
        self.settle()?;
        self.call(|e| e.upload(state))?;
        self.begin_anew(state.clone());
        Ok(())
    }

    fn download(&mut self, state: &mut State) -> Result<()> {
        self.settle()?;
        self.call(|e| e.download(state))?;
        self.begin_anew(state.clone());
        Ok(())
    }

    fn load(&mut self, data: &Dataset) -> Result<DataId> {
        let id = self.call(|e| e.load(data))?;
        self.data.push(Some(data.clone()));
        Ok(id)
    }

    fn reload(&mut self, data: DataId, samples: &Dataset) -> Result<()> {
        self.call(|e| e.reload(data, samples))?;
        self.held += samples.pixels().memory().len();
        self.journal.push(Entry::Reload(data, samples.clone()));
        self.keep_short()
    }

    fn order(&mut self, data: DataId, order: &[u32]) -> Result<()> {
        self.call(|e| e.order(data, order))?;
        self.held += size_of_val(order);
        self.journal.push(Entry::Order(data, order.to_vec()));
        self.keep_short()
    }

    fn unload(&mut self, data: DataId) -> Result<()> {
        self.call(|e| e.unload(data))?;
        // Steps in the journal may still need the samples.
        let samples = self.data.get(data.0).and_then(Option::as_ref);
        self.held += samples.map_or(0, |samples| samples.pixels().memory().len());
        self.journal.push(Entry::Unload(data));
        self.keep_short()
    }

    fn enqueue(&mut self, step: &Step) -> Result<()> {
        self.call(|e| e.enqueue(step))?;
        self.journal.push(Entry::Enqueue(*step));
        let plan = self.plans.get(step.program.0);
        self.holds_gradients =
            plan.is_some_and(|plan| matches!(plan.part, PlanPart::Gradients { .. }));
        self.keep_short()
    }

    fn start(&mut self) -> Result<()> {
        self.call(|e| e.start())
    }

    fn completed(&mut self, wait: bool) -> Result<Vec<StepMetrics>> {
        let metrics = self.call(|e| e.completed(wait))?;
        self.fetched += metrics.len();
        let mut all = std::mem::take(&mut self.ready);
        all.extend(metrics);
        Ok(all)
    }

    fn predictions(&mut self, program: Program) -> Result<Vec<f32>> {
        self.call(|e| e.predictions(program))
    }

    fn gradients(&mut self) -> Result<Vec<f32>> {
        self.call(|e| e.gradients())
    }

    fn set_gradients(&mut self, values: &[f32], sum: GradientSum) -> Result<()> {
        self.call(|e| e.set_gradients(values, sum))?;
        self.held += size_of_val(values);
        self.journal.push(Entry::SetGradients(values.to_vec(), sum));
        self.holds_gradients = true;
        Ok(())
    }

    fn inspect(&mut self) -> Option<&mut dyn Inspect> {
        // Calls on the inner executor are not recorded.
        self.able = false;
        self.executor.inspect()
    }
}
