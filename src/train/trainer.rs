//! A model, its state and an executor, put together.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Interrupt, Keeper, Options, Snapshot, room};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::exec::{DataId, Description, Executor, Opened, Program};
use crate::model::Sequential;
use crate::plan::{Plan, Purpose};
use crate::shape::dims;
use crate::state::{Layout, State};

/// Trains, evaluates and applies one model on one executor; see the [module](super) for an example.
pub struct Trainer<E: Executor + ?Sized = dyn Executor> {
    pub(super) model: Sequential,
    pub(super) options: Options,
    pub(super) state: State,
    pub(super) interrupt: Interrupt,
    pub(super) keeper: Option<Box<dyn Keeper>>,
    /// Where the next `fit` goes on.
    pub(super) resumed: Option<Snapshot>,
    /// Whole epochs behind the state.
    pub(super) epochs_done: usize,
    training: Plan,
    inference: Plan,
    programs: HashMap<Pass, Program>,
    /// The data sets that the executor holds, by fingerprint.
    pub(super) data: HashMap<String, DataId>,
    /// Threads that make the batches of generators, if that was said.
    pub(super) generator_threads: Option<usize>,
    pub(super) executor: Box<E>,
}

/// Which of the trainer's plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pass {
    /// Forward, backward and update.
    Training,
    /// Forward only.
    Inference,
}

impl Trainer {
    /// A trainer on this device, with freshly initialised weights.
    ///
    /// # Errors
    /// Options out of range, a model that makes no sense, a batch or images for which the device has
    /// no room, or a device that fails.
    pub fn new(model: Sequential, device: &Opened, options: Options) -> Result<Self> {
        options.check()?;
        let layout = Layout::new(&model)?;
        layout.check_memory()?;
        let executor = device.executor(layout);
        Self::with_executor(model, executor, options)
    }
}

impl<E: Executor + ?Sized> Trainer<E> {
    /// A trainer on an executor of one's own.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn with_executor(model: Sequential, executor: Box<E>, options: Options) -> Result<Self> {
        options.check()?;
        let purpose = Purpose::Training(options.optimizer);
        let [mut training, inference] =
            room::plans(&*executor, &model, purpose, options.batch_size)?;
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
            inference,
            programs: HashMap::new(),
            data: HashMap::new(),
            generator_threads: None,
            executor,
            state,
        };
        trainer.executor.upload(&trainer.state)?;
        Ok(trainer)
    }

    /// What runs.
    pub fn describe(&self) -> Description {
        self.executor.describe()
    }

    /// The model.
    pub fn model(&self) -> &Sequential {
        &self.model
    }

    /// The weights and all else that training changes.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The executor.
    pub fn executor(&self) -> &E {
        &self.executor
    }

    /// Goes on from another state: weights from a file, for instance.
    ///
    /// # Errors
    /// It is the state of another model, or the device failed.
    pub fn set_state(&mut self, state: State) -> Result<()> {
        if *state.layout != *self.state.layout {
            return Err(self.error("the weights are those of another model".into()));
        }
        self.executor.upload(&state)?;
        self.state = state;
        Ok(())
    }

    /// Lets `interrupt` stop [`Trainer::fit`] between two steps.
    pub fn set_interrupt(&mut self, interrupt: Interrupt) {
        self.interrupt = interrupt;
    }

    /// Lets `keeper` keep snapshots of [`Trainer::fit`]: when it says so, after each epoch, and when
    /// the run is interrupted.
    pub fn set_keeper(&mut self, keeper: Box<dyn Keeper>) {
        self.keeper = Some(keeper);
    }

    /// The next [`Trainer::fit`] goes on where `snapshot` was taken, and ends with the epoch that it
    /// would have ended with. With the same data, options and callbacks on the same device it comes
    /// to the same bytes as a run that was never stopped.
    ///
    /// # Errors
    /// It is the snapshot of another model, or the device failed.
    pub fn resume(&mut self, snapshot: Snapshot) -> Result<()> {
        self.set_state(snapshot.state.clone())?;
        self.epochs_done = snapshot.epochs_done;
        self.resumed = Some(snapshot);
        Ok(())
    }

    pub(super) fn plan(&self, pass: Pass) -> &Plan {
        match pass {
            Pass::Training => &self.training,
            Pass::Inference => &self.inference,
        }
    }

    /// The plan as the executor knows it, compiled when it is first needed.
    pub(super) fn program(&mut self, pass: Pass) -> Result<Program> {
        if let Some(program) = self.programs.get(&pass) {
            return Ok(*program);
        }
        let plan = match pass {
            Pass::Training => &self.training,
            Pass::Inference => &self.inference,
        };
        let program = self.executor.compile(plan)?;
        self.programs.insert(pass, program);
        Ok(program)
    }

    /// The data set as the executor knows it, checked, and loaded when it is first seen.
    pub(super) fn load(&mut self, data: &Dataset) -> Result<DataId> {
        self.check(data)?;
        let fingerprint = data.fingerprint();
        if let Some(id) = self.data.get(&fingerprint) {
            return Ok(*id);
        }
        let id = self.executor.load(data)?;
        self.data.insert(fingerprint, id);
        Ok(id)
    }

    /// Checks a data set and puts it on the device, as [`Trainer::fit`] and [`Trainer::evaluate`] do
    /// when they first see it: for who wants to know before that whether there is room.
    ///
    /// # Errors
    /// As [`Trainer::check`]; a data set for which the device has no room.
    pub fn prepare(&mut self, data: &Dataset) -> Result<()> {
        self.load(data).map(drop)
    }

    /// Checks that a data set fits the model, as [`Trainer::fit`] and [`Trainer::evaluate`] do.
    ///
    /// # Errors
    /// It holds no image, images of another shape, or a label that the last layer has no place for.
    pub fn check(&self, data: &Dataset) -> Result<()> {
        if data.is_empty() {
            return Err(self.error(format!("data set `{}` holds no image", data.name)));
        }
        let what = format!("data set `{}`", data.name);
        self.check_images(&what, data.shape, &data.class_names)?;
        let classes = self.training.classes;
        let label = data.labels.iter().max().map_or(0, |&l| usize::from(l));
        if label >= classes {
            return Err(self.error(format!(
                "expected labels below {classes}, the classes of the last layer, received data set \
                 `{}` with label {label}",
                data.name
            )));
        }
        Ok(())
    }

    /// Checks the shape of images, and the number of their classes where these have names.
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
                "expected {known} classes, as the last layer has, received {what} with {given} ({}); \
                 give the last layer {given} units",
                abridged(class_names)
            )));
        }
        Ok(())
    }

    /// The number of classes that the model tells apart.
    pub(super) fn classes(&self) -> usize {
        self.training.classes
    }

    fn error(&self, message: String) -> Error {
        Error::Model {
            model: self.model.name.clone(),
            message,
        }
    }
}

/// The first names of a list that may be long.
fn abridged(names: &[String]) -> String {
    const MOST: usize = 4;
    let more = if names.len() > MOST { ", ..." } else { "" };
    names[..names.len().min(MOST)].join(", ") + more
}
