//! Ctrl-C: the first lets training finish the current step, the second exits immediately.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use cnn_gpu::train::Interrupt;

use super::exit::Exit;
use super::output::say_after_interrupt;

/// Signals this close to the first count as the same one: `timeout` and some shells signal both the
/// process and its group.
const TOGETHER: Duration = Duration::from_millis(200);

/// Handles Ctrl-C, SIGTERM and SIGHUP.
#[derive(Clone)]
pub struct Handler {
    /// Raised by the first signal while training.
    pub interrupt: Interrupt,
    /// Whether training is in progress.
    training: Arc<AtomicBool>,
    /// The message of an immediate exit.
    exit_message: Arc<Mutex<String>>,
}

impl Handler {
    /// The process's handler, which the first call installs.
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
        let exit_message = Arc::new(Mutex::new(String::new()));
        let handler = Self {
            interrupt: interrupt.clone(),
            training: Arc::clone(&training),
            exit_message: Arc::clone(&exit_message),
        };
        let mut first = None;
        ctrlc::set_handler(move || {
            if first.is_some_and(|first: Instant| first.elapsed() < TOGETHER) {
                return;
            }
            if !training.load(Ordering::Relaxed) || interrupt.is_raised() {
                let message = exit_message.lock().unwrap_or_else(PoisonError::into_inner);
                if !message.is_empty() {
                    say_after_interrupt(&format!("interrupted: {message}"));
                }
                std::process::exit(Exit::Interrupted as i32);
            }
            interrupt.raise();
            first = Some(Instant::now());
            say_after_interrupt(
                "interrupted: saving the weights; interrupt again to exit immediately",
            );
        })
        .context("cannot watch for Ctrl-C")?;
        Ok(handler)
    }

    /// Sets the message of an immediate exit.
    pub fn set_exit_message(&self, message: String) {
        let mut exit_message = self.exit_message.lock();
        **exit_message
            .as_mut()
            .unwrap_or_else(|poisoned| poisoned.get_mut()) = message;
    }

    /// Runs `training`, which the interrupt can end.
    pub fn while_training<T>(&self, training: impl FnOnce() -> T) -> T {
        self.training.store(true, Ordering::Relaxed);
        let result = training();
        self.training.store(false, Ordering::Relaxed);
        result
    }
}
