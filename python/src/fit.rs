//! A call of `fit`: a thread that trains, while the calling one serves Python.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use cnn_gpu::state::State;
use cnn_gpu::train::{Callback, Ending, History, Interrupt, Trainer};
use pyo3::prelude::*;

use crate::bridge::Bridge;
use crate::error::{Raised, exception, lock};
use crate::source::Source;
use crate::training::{Attendant, Done, Hooks, panicked};

/// What a call of `fit` is given.
pub struct Call<'a, 'py> {
    pub source: &'a Source,
    pub validation: Option<&'a Source>,
    /// The weights after the last epoch.
    pub state: Arc<Mutex<Arc<State>>>,
    /// The learning rate, which changes.
    pub rate: Arc<Mutex<f32>>,
    /// The rate to which a callback of the library reduced it.
    pub reduced: Arc<Mutex<Option<f32>>>,
    /// Whose methods are called meanwhile, of each batch if `batches`.
    pub hooks: Bound<'py, PyAny>,
    pub batches: bool,
}

impl Call<'_, '_> {
    /// Trains with callbacks of the library's and those of Python. Returns how training ended.
    ///
    /// # Errors
    /// The trainer cannot be used any more.
    pub fn run(
        self,
        py: Python<'_>,
        trainer: &mut Trainer,
        own: &mut [Box<dyn Callback>],
    ) -> PyResult<PyResult<History>> {
        let interrupt = Interrupt::new();
        trainer.set_interrupt(interrupt.clone());
        let (events, received) = mpsc::channel();
        let (answers, answered) = mpsc::channel();
        let state = Arc::clone(&self.state);
        let mut bridge = Bridge::new((events.clone(), answered), self.batches, self.state);
        bridge.rate = self.rate;
        bridge.reduced = self.reduced;
        let raised = Raised::default();
        let hooks = Hooks {
            object: self.hooks,
            answers: &answers,
            batches: self.batches,
        };
        let (source, validation) = (self.source, self.validation);
        let done = thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let _done = Done(&events);
                let own = own.iter_mut().map(|own| &mut **own as &mut dyn Callback);
                let mut all: Vec<&mut dyn Callback> = own.collect();
                all.push(&mut bridge);
                let trained = source.fit(trainer, validation, &mut all, (&raised, &interrupt));
                *lock(&state) = Arc::new(trainer.state().clone());
                trained
            });
            Attendant::new(received, &interrupt, &raised).serve(py, Some(&hooks));
            py.detach(|| worker.join())
        });
        let trained = done.map_err(|panic| panicked(&*panic))?;
        Ok(match raised.take() {
            Some(exception) => Err(exception),
            None => trained.map_err(|e| exception(&e)),
        })
    }
}

/// The name of how training ended.
pub fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::Finished => "finished",
        Ending::Stopped => "stopped",
        Ending::Interrupted => "interrupted",
        _ => "failed",
    }
}
