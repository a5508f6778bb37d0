//! An executor that goes on when its device is lost.
//!
//! Drivers take devices away: after a reset, a suspend, an update, or when somebody pulls the plug of
//! an external GPU. All that is on the device is gone then. [`Recovering`] remembers what was put
//! there, the last state that came back, and the steps enqueued since. It opens the device again,
//! puts everything back and takes the steps once more. As every step is a function of the state and
//! of what is remembered, that leads to the same bytes.

use std::collections::HashMap;

use super::{DataId, Description, Executor, Inspect, Program, Step, StepMetrics};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::state::State;

/// Opens the device again.
type Reopen = Box<dyn FnMut() -> Result<Box<dyn Executor>> + Send>;
/// Hears why the device was lost, before it is opened again.
type Listener = Box<dyn FnMut(&str) + Send>;

/// Bytes of samples that the journal may hold before the state is fetched, so that it can begin anew.
const MOST_HELD: usize = 256 << 20;
/// Calls in the journal likewise.
const MOST_ENTRIES: usize = 1 << 16;

/// An executor that opens its device again when it is lost, once between one download of the state
/// and the next. Data sets are kept in main memory for that. After [`Executor::inspect`]
/// there is nothing to repeat, and a loss is an error as ever, until the state is known again by an
/// upload or a download.
pub struct Recovering {
    executor: Box<dyn Executor>,
    reopen: Reopen,
    listener: Listener,
    plans: Vec<Plan>,
    /// The data sets by number; none where one was unloaded.
    data: Vec<Option<Dataset>>,
    base: Base,
    /// What was done since.
    journal: Vec<Entry>,
    /// Bytes of samples in it.
    held: usize,
    most_held: usize,
    most_entries: usize,
    /// How many steps of the journal have had their metrics fetched.
    fetched: usize,
    /// Metrics that were fetched, and that the caller is to have first.
    ready: Vec<StepMetrics>,
    /// Whether another loss can be made good; if not, then not before the state is known again.
    able: bool,
}

/// What the device held when its state was last known.
#[derive(Default)]
struct Base {
    state: Option<State>,
    /// What has taken the place of loaded samples.
    samples: HashMap<DataId, Dataset>,
    orders: HashMap<DataId, Vec<u32>>,
}

/// Something that can be done again.
enum Entry {
    Reload(DataId, Dataset),
    Order(DataId, Vec<u32>),
    Unload(DataId),
    Enqueue(Step),
}

impl Recovering {
    /// An executor that is `executor` until its device is lost, and then what `reopen` makes: another
    /// for the same model on the same device. `listener` is told.
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
            most_held: MOST_HELD,
            most_entries: MOST_ENTRIES,
            fetched: 0,
            ready: Vec::new(),
            able: true,
        }
    }

    /// Fetches the state once so many bytes of samples are kept, or so many calls would have to be made
    /// again. By default 256 MiB and 65,536: fetching waits for the device.
    #[must_use]
    pub fn repeating_at_most(mut self, bytes: usize, calls: usize) -> Self {
        (self.most_held, self.most_entries) = (bytes, calls);
        self
    }

    /// Makes a call, once more if the device is lost and can be had again.
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
            .map_err(|e| Error::DeviceLost(format!("{why}; it cannot be opened again: {e}")))?;
        for plan in &self.plans {
            executor.compile(plan)?;
        }
        for data in &self.data {
            if let Some(data) = data {
                executor.load(data)?;
            } else {
                // Something has to take its number.
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

    /// Does what is in the journal, and waits for it.
    fn repeat(&self, executor: &mut dyn Executor) -> Result<Vec<StepMetrics>> {
        let mut metrics = Vec::new();
        for entry in &self.journal {
            match entry {
                Entry::Reload(data, samples) => executor.reload(*data, samples)?,
                Entry::Order(data, order) => executor.order(*data, order)?,
                Entry::Unload(data) => executor.unload(*data)?,
                Entry::Enqueue(step) => {
                    executor.enqueue(step)?;
                    // Or they would pile up.
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

    /// The state is known: the journal begins anew.
    fn begin_anew(&mut self, state: State) {
        self.base.state = Some(state);
        for entry in self.journal.drain(..) {
            match entry {
                Entry::Reload(data, samples) => {
                    // They come in their own order.
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
                Entry::Enqueue(_) => {}
            }
        }
        self.held = 0;
        self.fetched = 0;
        self.able = true;
    }

    /// Fetches the state when the journal has become long, so that it takes bounded memory and is soon
    /// repeated.
    fn keep_short(&mut self) -> Result<()> {
        if self.held < self.most_held && self.journal.len() < self.most_entries {
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

    /// Fetches what the steps in the journal measured, before that is forgotten.
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

    fn needs(&self, plans: &[&Plan]) -> Result<Option<u64>> {
        self.executor.needs(plans)
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
        self.held += samples.images().len();
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
        self.held += samples.map_or(0, |samples| samples.images().len());
        self.journal.push(Entry::Unload(data));
        self.keep_short()
    }

    fn enqueue(&mut self, step: &Step) -> Result<()> {
        self.call(|e| e.enqueue(step))?;
        self.journal.push(Entry::Enqueue(*step));
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

    fn inspect(&mut self) -> Option<&mut dyn Inspect> {
        // What is done there cannot be repeated.
        self.able = false;
        self.executor.inspect()
    }
}
