//! A call that takes long: the work runs in a thread of its own, while the calling thread serves
//! Python, whose callbacks run there, and looks for Ctrl-C.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use cnn_gpu::train::{EpochLogs, Interrupt, Progress};
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::bridge::{Answer, Event};
use crate::error::{Raised, lock};

/// How often to look for Ctrl-C.
pub const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often to show progress.
const SHOW_EVERY: Duration = Duration::from_millis(100);

/// Runs `work` in a thread, without the interpreter, and raises `interrupt` on Ctrl-C.
///
/// # Errors
/// `KeyboardInterrupt`, or the work panicked.
pub fn attended<T: Send>(
    py: Python<'_>,
    interrupt: &Interrupt,
    work: impl FnOnce() -> T + Send,
) -> PyResult<T> {
    let (events, received) = std::sync::mpsc::channel();
    let raised = Raised::default();
    let done = thread::scope(|scope| {
        let worker = scope.spawn(move || {
            let _done = Done(&events);
            work()
        });
        Attendant::new(received, interrupt, &raised).serve(py, None);
        py.detach(|| worker.join())
    });
    match raised.take() {
        Some(exception) => Err(exception),
        None => done.map_err(|panic| panicked(&*panic)),
    }
}

/// Says that the work is done, also if it panics.
pub struct Done<'a>(pub &'a Sender<Event>);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        // Nobody may be listening any more.
        let _ = self.0.send(Event::Done);
    }
}

/// The exception for a panic, which is a bug of the library.
pub fn panicked(panic: &(dyn std::any::Any + Send)) -> PyErr {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("for an unknown reason");
    PyRuntimeError::new_err(format!("cnn_gpu failed, which is a bug in it: {text}"))
}

/// The Python object that answers events, and where answers go.
pub struct Hooks<'a, 'py> {
    pub object: Bound<'py, PyAny>,
    pub answers: &'a Sender<Option<Answer>>,
    /// Whether it wants to know of each batch.
    pub batches: bool,
}

/// Serves Python while another thread works.
pub struct Attendant<'a> {
    // A receiver cannot be shared, which code without the interpreter must be able to.
    events: Mutex<Receiver<Event>>,
    interrupt: &'a Interrupt,
    raised: &'a Raised,
    shown: Instant,
}

impl<'a> Attendant<'a> {
    pub fn new(events: Receiver<Event>, interrupt: &'a Interrupt, raised: &'a Raised) -> Self {
        Self {
            events: Mutex::new(events),
            interrupt,
            raised,
            shown: Instant::now(),
        }
    }

    /// Until the other thread is done. The first exception stops it: `KeyboardInterrupt` after its
    /// step, any other one with an error.
    pub fn serve(&mut self, py: Python<'_>, hooks: Option<&Hooks<'_, '_>>) {
        // What questions are answered with after the first exception.
        let mut last_word: Option<Option<Answer>> = None;
        loop {
            let event = py.detach(|| lock(&self.events).recv_timeout(LOOK_EVERY));
            // Also between events that come fast.
            if let Err(exception) = py.check_signals() {
                last_word.get_or_insert(self.stop(py, exception));
            }
            match event {
                Ok(Event::Done) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
                Ok(event) => {
                    let Some(hooks) = hooks else { continue };
                    let is_question = event.is_question(hooks.batches);
                    let answer = match last_word {
                        Some(answer) => answer,
                        None => match self.answer(py, hooks, event) {
                            Ok(answer) => Some(answer.unwrap_or_default()),
                            Err(exception) => *last_word.insert(self.stop(py, exception)),
                        },
                    };
                    if is_question {
                        // The other thread may have failed meanwhile.
                        let _ = hooks.answers.send(answer);
                    }
                }
            }
        }
    }

    /// Keeps an exception and asks the work to stop. Returns the answer to questions from now on:
    /// after Ctrl-C training goes on to the end of its step, so that the steps taken count.
    fn stop(&self, py: Python<'_>, exception: PyErr) -> Option<Answer> {
        let is_ctrl_c = exception.is_instance_of::<PyKeyboardInterrupt>(py);
        self.raised.keep(exception);
        self.interrupt.raise();
        is_ctrl_c.then(Answer::default)
    }

    fn answer(
        &mut self,
        py: Python<'_>,
        hooks: &Hooks<'_, '_>,
        event: Event,
    ) -> PyResult<Option<Answer>> {
        let object = &hooks.object;
        let answer = match event {
            Event::TrainBegin(training) => object.call_method1(
                "train_begin",
                (training.initial_epoch, training.epochs, training.steps),
            ),
            Event::EpochBegin(epoch) => object.call_method1("epoch_begin", (epoch,)),
            Event::BatchBegin(step) => object.call_method1("batch_begin", (step,)),
            Event::Steps(first, progress) => {
                let last = progress.step >= progress.steps;
                if !(hooks.batches || last || self.shown.elapsed() >= SHOW_EVERY) {
                    return Ok(None);
                }
                self.shown = Instant::now();
                object.call_method1("steps", (first, progress_of(py, &progress)?))
            }
            Event::Rate(rate) => object.call_method1("rate", (rate,)),
            Event::EpochEnd(logs, steps) => {
                object.call_method1("epoch_end", (logs_of(py, &logs)?, steps))
            }
            Event::Done => return Ok(None),
        }?;
        if answer.is_none() {
            return Ok(None);
        }
        let (stop, rate): (bool, Option<f32>) = answer.extract()?;
        Ok(Some(Answer { stop, rate }))
    }
}

impl Event {
    /// Whether the training thread waits for an answer.
    fn is_question(&self, batches: bool) -> bool {
        match self {
            Self::TrainBegin(_)
            | Self::EpochBegin(_)
            | Self::BatchBegin(_)
            | Self::EpochEnd(..) => true,
            Self::Steps(..) => batches,
            Self::Rate(_) | Self::Done => false,
        }
    }
}

fn progress_of<'py>(py: Python<'py>, progress: &Progress) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("step", progress.step)?;
    dict.set_item("steps", progress.steps)?;
    dict.set_item("loss", progress.loss)?;
    dict.set_item("accuracy", progress.accuracy)?;
    dict.set_item("seconds", progress.seconds)?;
    Ok(dict)
}

fn logs_of<'py>(py: Python<'py>, logs: &EpochLogs) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("epoch", logs.epoch - 1)?;
    dict.set_item("loss", logs.loss)?;
    dict.set_item("accuracy", logs.accuracy)?;
    dict.set_item("val_loss", logs.val_loss)?;
    dict.set_item("val_accuracy", logs.val_accuracy)?;
    dict.set_item("learning_rate", logs.learning_rate)?;
    dict.set_item("seconds", logs.seconds)?;
    Ok(dict)
}
