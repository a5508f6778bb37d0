//! The trainer: a model, its state and an executor.

use std::collections::HashMap;
use std::sync::Arc;

use super::pending_batches::PendingBatches;
use super::rank_group::RankGroup;
use super::residents::Residents;
use super::room::Plans;
use super::{Interrupt, Keeper, Options, Snapshot, room};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::exec::{DataId, Description, Device, Executor, Program};
use crate::model::Sequential;
use crate::plan::Plan;
use crate::shape::dims;
use crate::state::{Layout, State};
use crate::words::counted;

/// Trains, evaluates and applies one model on one executor; see the [module](super) for an example.
pub struct Trainer<E: Executor + ?Sized = dyn Executor> {
    pub(super) model: Sequential,
    pub(super) options: Options,
    pub(super) state: State,
    pub(super) interrupt: Interrupt,
    pub(super) keeper: Option<Box<dyn Keeper>>,
    /// Where the next `fit` continues.
    pub(super) resumed: Option<Snapshot>,
    /// Completed epochs.
    pub(super) epochs_done: usize,
    training: Plan,
    /// The end of a step, if batches are cut into micro-batches, on which `training` then is.
    update: Option<Plan>,
    inference: Plan,
    /// The other ranks, if there are any.
    pub(super) ranks: Option<RankGroup>,
    /// Training steps under way.
    pub(super) pending: PendingBatches,
    programs: HashMap<Pass, Program>,
    /// The data sets held by the executor.
    pub(super) data: Residents,
    /// The data set into which images to predict are copied, once there is one.
    pub(super) predicted: Option<DataId>,
    /// The number of threads that run generators, if set.
    pub(super) generator_threads: Option<usize>,
    pub(super) executor: Box<E>,
}

/// The trainer's plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pass {
    /// Forward, backward and update; on micro-batches without the update.
    Training,
    /// The update after micro-batches.
    Update,
    /// Forward only.
    Inference,
}

impl Trainer {
    /// A trainer on this device, with freshly initialised weights.
    ///
    /// # Errors
    /// Options out of range, an invalid model, a batch or images too large for the device, or a
    /// device failure.
    pub fn new(model: Sequential, device: &Device, options: Options) -> Result<Self> {
        options.check()?;
        let layout = Layout::new(&model)?;
        layout.check_memory()?;
        let executor = device.executor(layout);
        Self::with_executor(model, executor, options)
    }
}

impl<E: Executor + ?Sized> Trainer<E> {
    /// A trainer on a custom executor.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn with_executor(model: Sequential, executor: Box<E>, options: Options) -> Result<Self> {
        options.check()?;
        let purpose = options.purpose()?;
        let Plans {
            mut training,
            update,
            inference,
        } = room::plans(&*executor, &model, purpose, &options)?;
        if let Some(weights) = options.class_weights(training.classes)? {
            training.weigh_classes(&weights)?;
        }
        training.layout.check_memory()?;
        let state = State::new(Arc::clone(&training.layout), options.seed);
        let mut trainer = Self {
            model,
            options,
            interrupt: Interrupt::new(),
            keeper: None,
            resumed: None,
            epochs_done: 0,
            training,
            update,
            inference,
            ranks: None,
            pending: PendingBatches::default(),
            programs: HashMap::new(),
            data: Residents::default(),
            predicted: None,
            generator_threads: None,
            executor,
            state,
        };
        trainer.executor.upload(&trainer.state)?;
        Ok(trainer)
    }

    /// Describes the device that runs the training.
    pub fn describe(&self) -> Description {
        self.executor.describe()
    }

    /// The model.
    pub fn model(&self) -> &Sequential {
        &self.model
    }

    /// The weights and everything else that training changes.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Replaces the options for the following calls. What the compiled steps depend on must stay: the
    /// batch size, the optimizer apart from its learning rate, class weights, MixUp and `CutMix`.
    ///
    /// # Errors
    /// Options out of range, or one of these would change.
    ///
    /// ```
    /// use cnn_gpu::exec::{self, Backend, Selection};
    /// use cnn_gpu::model::preset;
    /// use cnn_gpu::train::{Options, Trainer};
    /// # let Some(model) = preset("mnist-mlp") else { return Ok(()) };
    /// let device = exec::open(&Selection::new(Backend::Cpu))?;
    /// let mut trainer = Trainer::new(model, &device, Options::default())?;
    /// trainer.set_options(Options::default().epochs(2).shuffle(false))?;
    /// assert_eq!(trainer.options().epochs, 2);
    /// assert!(trainer.set_options(Options::default().batch_size(8)).is_err());
    /// # Ok::<(), cnn_gpu::Error>(())
    /// ```
    pub fn set_options(&mut self, options: Options) -> Result<()> {
        options.check()?;
        let rate = self.options.optimizer.learning_rate();
        let [ours, theirs] = [&self.options, &options];
        let changed = [
            ("batch size", ours.batch_size != theirs.batch_size),
            (
                "optimizer",
                ours.optimizer != theirs.optimizer.with_learning_rate(rate),
            ),
            ("class weights", ours.class_weight != theirs.class_weight),
            (
                "mixing of images",
                (ours.mixup, ours.cutmix) != (theirs.mixup, theirs.cutmix),
            ),
        ];
        if let Some((what, _)) = changed.iter().find(|(_, changed)| *changed) {
            return Err(Error::Argument(format!(
                "a trainer keeps its {what}: make a new one with these options"
            )));
        }
        self.options = options;
        Ok(())
    }

    /// The executor.
    pub fn executor(&self) -> &E {
        &self.executor
    }

    /// Replaces the state, for example with weights from a file.
    ///
    /// # Errors
    /// The state belongs to another model, or the device fails.
    pub fn set_state(&mut self, state: State) -> Result<()> {
        if *state.layout != *self.state.layout {
            return Err(self.error("the weights are those of another model".into()));
        }
        self.executor.upload(&state)?;
        self.state = state;
        Ok(())
    }

    /// Sets the flag that stops [`Trainer::fit`] between two steps.
    pub fn set_interrupt(&mut self, interrupt: Interrupt) {
        self.interrupt = interrupt;
    }

    /// Sets the keeper, which receives a snapshot during [`Trainer::fit`] whenever it asks for one,
    /// after each epoch, and after an interrupt.
    pub fn set_keeper(&mut self, keeper: Box<dyn Keeper>) {
        self.keeper = Some(keeper);
    }

    /// Makes the next [`Trainer::fit`] continue where `snapshot` was taken, up to the run's
    /// original last epoch. With the same data, options, callbacks and device, the result has the
    /// same bytes as that of a run that was never stopped.
    ///
    /// # Errors
    /// The snapshot belongs to another model, or the device fails.
    pub fn resume(&mut self, snapshot: Snapshot) -> Result<()> {
        self.set_state(snapshot.state.clone())?;
        self.epochs_done = snapshot.epochs_done;
        self.resumed = Some(snapshot);
        Ok(())
    }

    pub(super) fn plan(&self, pass: Pass) -> &Plan {
        match pass {
            Pass::Training => &self.training,
            // Without micro-batches, training includes the update.
            Pass::Update => self.update.as_ref().unwrap_or(&self.training),
            Pass::Inference => &self.inference,
        }
    }

    /// The rows of a micro-batch, if batches are cut.
    pub(super) fn rows_of_parts(&self) -> Option<usize> {
        self.update.as_ref().map(|_| self.training.batch)
    }

    /// The compiled plan; compiles it at first use.
    pub(super) fn program(&mut self, pass: Pass) -> Result<Program> {
        if let Some(program) = self.programs.get(&pass) {
            return Ok(*program);
        }
        let plan = match (pass, &self.update) {
            (Pass::Update, None) => return self.program(Pass::Training),
            (Pass::Training, _) => &self.training,
            (Pass::Update, Some(update)) => update,
            (Pass::Inference, _) => &self.inference,
        };
        let program = self.executor.compile(plan)?;
        self.programs.insert(pass, program);
        Ok(program)
    }

    /// The loaded data set; checks and loads it at first use.
    pub(super) fn load(&mut self, data: &Dataset) -> Result<DataId> {
        self.check(data)?;
        self.resident(&data.key(), || Ok(data.clone()))
    }

    /// The loaded data set of this name; builds and loads it at first use, in place of the least
    /// recently used one if there are too many.
    pub(super) fn resident(
        &mut self,
        name: &str,
        data: impl FnOnce() -> Result<Dataset>,
    ) -> Result<DataId> {
        if let Some(id) = self.data.find(name) {
            return Ok(id);
        }
        if let Some(unused) = self.data.make_room() {
            self.executor.unload(unused)?;
        }
        let id = self.executor.load(&data()?)?;
        self.data.insert(name, id);
        Ok(id)
    }

    /// Checks a data set and uploads it, as [`Trainer::fit`] and [`Trainer::evaluate`] do at first
    /// use. Call it to find out earlier whether the data set fits.
    ///
    /// # Errors
    /// Those of [`Trainer::check`]; a data set that does not fit the device.
    pub fn prepare(&mut self, data: &Dataset) -> Result<()> {
        self.load(data).map(drop)
    }

    /// Releases the device memory of a data set, if the device holds it. The next use uploads it
    /// again.
    ///
    /// Otherwise up to four data sets stay on the device, so that the next epoch or evaluation need
    /// not upload them again; the least recently used one is released first.
    ///
    /// # Errors
    /// The device failed.
    pub fn unload(&mut self, data: &Dataset) -> Result<()> {
        match self.data.remove(&data.key()) {
            Some(id) => self.executor.unload(id),
            None => Ok(()),
        }
    }

    /// Checks that a data set fits the model, as [`Trainer::fit`] and [`Trainer::evaluate`] do.
    ///
    /// # Errors
    /// The data set is empty, has images of another shape, or has labels without an output in the
    /// model.
    pub fn check(&self, data: &Dataset) -> Result<()> {
        if data.is_empty() {
            return Err(self.error(format!("data set `{}` contains no images", data.name)));
        }
        let what = format!("data set `{}`", data.name);
        self.check_images(&what, data.shape(), &data.class_names)?;
        let classes = self.training.classes;
        let label = data.labels().iter().max().map_or(0, |&l| usize::from(l));
        if label >= classes {
            return Err(self.error(format!(
                "expected labels below {classes}, the classes of the last layer, received data set \
                 `{}` with label {label}",
                data.name
            )));
        }
        Ok(())
    }

    /// Checks the shape of the images and, if the classes have names, their number.
    pub(super) fn check_images(
        &self,
        what: &str,
        shape: [usize; 3],
        class_names: &[String],
    ) -> Result<()> {
        if shape != self.model.input_shape {
            return Err(self.error(format!(
                "expected images of {}, received {what} with images of {}",
                dims(&self.model.input_shape),
                dims(&shape)
            )));
        }
        let (known, given) = (self.classes(), class_names.len());
        if given != 0 && given != known {
            return Err(self.error(format!(
                "expected {}, one per unit of the last layer, received {what} with {given} ({}); give the last \
                 layer {}",
                counted(known, "class"),
                abridged(class_names),
                counted(given, "unit")
            )));
        }
        Ok(())
    }

    /// The number of classes that the model distinguishes.
    pub(super) fn classes(&self) -> usize {
        self.training.classes
    }

    fn error(&self, message: String) -> Error {
        Error::Model {
            model: self.model.name.clone(),
            message,
            source: None,
        }
    }
}

/// The first names of a possibly long list.
fn abridged(names: &[String]) -> String {
    const MOST: usize = 4;
    let more = if names.len() > MOST { ", ..." } else { "" };
    names[..names.len().min(MOST)].join(", ") + more
}
