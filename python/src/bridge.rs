//! A callback of the library that Python answers.
//!
//! Training runs in a thread of its own, and this callback in it; what happens goes through a
//! channel to the thread that called `fit`, which alone runs Python. Where Python may change
//! something, training waits for the answer.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};

use cnn_gpu::Error;
use cnn_gpu::error::Result;
use cnn_gpu::state::State;
use cnn_gpu::train::callbacks::{CONTINUE, STOP};
use cnn_gpu::train::{Callback, EpochLogs, Position, Progress, Training, Verdict};

use crate::error::lock;

/// What happened in training.
pub enum Event {
    /// Training is about to begin.
    TrainBegin(Training),
    /// An epoch is about to begin, or an epoch's step, counted from 0.
    EpochBegin(usize),
    /// A step is about to be taken.
    BatchBegin(usize),
    /// Steps were taken: the first one since the last time, and where the epoch is now. Not
    /// answered without hooks for batches.
    Steps(usize, Progress),
    /// A callback of the library reduced the learning rate. Not answered.
    Rate(f32),
    /// An epoch has ended, after so many steps.
    EpochEnd(EpochLogs, usize),
    /// The training thread is done. Not answered.
    Done,
}

/// What Python answers.
#[derive(Clone, Copy, Default)]
pub struct Answer {
    /// Whether training shall stop.
    pub stop: bool,
    /// The learning rate from now on, if Python sets it.
    pub rate: Option<f32>,
}

/// The end of the channel in the training thread.
pub struct Bridge {
    pub events: Sender<Event>,
    /// None after an exception.
    pub answers: Receiver<Option<Answer>>,
    /// Whether Python has hooks for batches.
    pub batches: bool,
    /// The weights after the last epoch.
    pub state: Arc<Mutex<Arc<State>>>,
    /// The learning rate from now on, which Python or a reduction set last.
    pub rate: Arc<Mutex<f32>>,
    /// The rate to which a callback of the library reduced it at the end of this epoch.
    pub reduced: Arc<Mutex<Option<f32>>>,
    /// Steps of this epoch that Python knows of.
    known: usize,
    /// Steps of an epoch.
    steps: usize,
    /// Whether Python asked to stop before the next step, after which training does.
    stops: bool,
    /// Whether this epoch was ended before its last step.
    is_cut: bool,
}

impl Bridge {
    /// A bridge over the two channels, with hooks of batches or without.
    pub fn new(
        (events, answers): (Sender<Event>, Receiver<Option<Answer>>),
        batches: bool,
        state: Arc<Mutex<Arc<State>>>,
    ) -> Self {
        Self {
            events,
            answers,
            batches,
            state,
            rate: Arc::default(),
            reduced: Arc::default(),
            known: 0,
            steps: 0,
            stops: false,
            is_cut: false,
        }
    }

    /// Tells Python of something before a step. If it asks to stop, training stops after the step, as in Keras.
    fn announce(&mut self, event: Event) -> Result<()> {
        self.stops = self.ask(event)?.is_break();
        Ok(())
    }

    /// Python's answer to an event.
    fn ask(&mut self, event: Event) -> Verdict {
        let gone = || Error::Argument("training was interrupted by an exception".into());
        self.events.send(event).map_err(|_| gone())?;
        let answer = self.answers.recv().ok().flatten().ok_or_else(gone)?;
        if let Some(rate) = answer.rate {
            *lock(&self.rate) = rate;
        }
        Ok(match answer.stop {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    }

    /// Tells Python without waiting.
    fn tell(&self, event: Event) {
        // Python may have raised an exception meanwhile; the next question finds out.
        let _ = self.events.send(event);
    }

    fn steps_taken(&mut self, progress: &Progress) -> Verdict {
        if progress.step <= self.known {
            return CONTINUE;
        }
        let event = Event::Steps(self.known, *progress);
        self.known = progress.step;
        if self.batches {
            return self.ask(event);
        }
        self.tell(event);
        CONTINUE
    }
}

impl Callback for Bridge {
    fn name(&self) -> &'static str {
        "Python"
    }

    fn on_train_begin(&mut self, training: &Training) -> Result<()> {
        self.steps = training.steps;
        self.announce(Event::TrainBegin(training.clone()))
    }

    fn on_epoch_begin(&mut self, progress: &Progress) -> Verdict {
        (self.known, self.is_cut) = (0, false);
        self.announce(Event::EpochBegin(progress.epoch - 1))?;
        CONTINUE
    }

    fn learning_rate(&mut self, position: &Position, _rate: f32) -> Result<f32> {
        if self.batches {
            self.announce(Event::BatchBegin(position.step))?;
        }
        Ok(*lock(&self.rate))
    }

    fn watches_batches(&self) -> bool {
        self.batches || self.stops
    }

    fn on_batch_end(&mut self, progress: &Progress) -> Verdict {
        let answer = self.steps_taken(progress)?;
        // A hook of batches may have changed its mind.
        let stops = if self.batches {
            answer.is_break()
        } else {
            self.stops
        };
        self.is_cut = stops && progress.step < progress.steps;
        if stops { STOP } else { CONTINUE }
    }

    fn on_epoch_end(&mut self, logs: &EpochLogs, state: &State) -> Verdict {
        *lock(&self.state) = Arc::new(state.clone());
        let mut stops = false;
        if !self.is_cut {
            let mut last = Progress::default();
            (last.step, last.steps) = (self.steps, self.steps);
            (last.loss, last.accuracy, last.seconds) = (logs.loss, logs.accuracy, logs.seconds);
            stops = self.steps_taken(&last)?.is_break();
        }
        // Python's callbacks see the reduced rate, and may replace it.
        let reduced = lock(&self.reduced).take();
        if let Some(rate) = reduced {
            *lock(&self.rate) = rate;
            self.tell(Event::Rate(rate));
        }
        let verdict = self.ask(Event::EpochEnd(logs.clone(), self.known))?;
        if stops { STOP } else { Ok(verdict) }
    }
}
