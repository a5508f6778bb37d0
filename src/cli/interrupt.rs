//! Ctrl-C: the first one lets training finish its step, any other stops at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use cnn_gpu::train::Interrupt;

use super::exit::Exit;
use super::output::say;

/// Signals within this time of the first are the same one: `timeout` and some shells send it to the
/// process and to its group.
const TOGETHER: Duration = Duration::from_millis(200);

/// What Ctrl-C, SIGTERM and SIGHUP do.
#[derive(Clone)]
pub struct Handler {
    /// Raised by the first signal while training.
    pub interrupt: Interrupt,
    /// Whether there is something to finish.
    training: Arc<AtomicBool>,
    /// What to say when stopped at once.
    last_words: Arc<Mutex<String>>,
}

impl Handler {
    /// The process's handler, installed when it is first asked for.
    pub fn install() -> anyhow::Result<Self> {
        static INSTALLED: Mutex<Option<Handler>> = Mutex::new(None);
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        match &*installed {
            Some(handler) => Ok(handler.clone()),
            None => Ok(installed.insert(Self::new()?).clone()),
        }
    }

    fn new() -> anyhow::Result<Self> {
        let interrupt = Interrupt::new();
        let training = Arc::new(AtomicBool::new(false));
        let last_words = Arc::new(Mutex::new(String::new()));
        let handler = Self {
            interrupt: interrupt.clone(),
            training: Arc::clone(&training),
            last_words: Arc::clone(&last_words),
        };
        let mut first = None;
        ctrlc::set_handler(move || {
            if first.is_some_and(|first: Instant| first.elapsed() < TOGETHER) {
                return;
            }
            if !training.load(Ordering::Relaxed) || interrupt.is_raised() {
                let words = last_words.lock().unwrap_or_else(PoisonError::into_inner);
                if !words.is_empty() {
                    say(&format!("\ninterrupted: {words}"));
                }
                std::process::exit(Exit::Interrupted as i32);
            }
            interrupt.raise();
            first = Some(Instant::now());
            say("\ninterrupted: saving the weights; once more stops at once");
        })
        .context("cannot watch for Ctrl-C")?;
        Ok(handler)
    }

    /// What to say from now on when the program is stopped at once.
    pub fn set_last_words(&self, words: String) {
        let mut last_words = self.last_words.lock();
        **last_words
            .as_mut()
            .unwrap_or_else(|poisoned| poisoned.get_mut()) = words;
    }

    /// Runs `training`, which the interrupt can end.
    pub fn while_training<T>(&self, training: impl FnOnce() -> T) -> T {
        self.training.store(true, Ordering::Relaxed);
        let result = training();
        self.training.store(false, Ordering::Relaxed);
        result
    }
}
