//! Callbacks of the library, from Keras's arguments.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use cnn_gpu::error::Result;
use cnn_gpu::state::State;
use cnn_gpu::train::callbacks::{
    CallbackState, EarlyStopping, ReduceLROnPlateau, TensorBoard, TerminateOnNaN, callback_states,
};
use cnn_gpu::train::{Callback, EpochLogs, Training, Verdict};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde_json::{Map, Value};

use crate::error::{exception, lock};

/// Passes reductions on at once, to where the bridge to Python finds them: Python may have set
/// another rate before, and may set one afterwards.
struct Reduces {
    callback: ReduceLROnPlateau,
    reduced: Arc<Mutex<Option<f32>>>,
}

impl Callback for Reduces {
    fn name(&self) -> &'static str {
        self.callback.name()
    }

    fn on_train_begin(&mut self, training: &Training) -> Result<()> {
        self.callback.on_train_begin(training)
    }

    fn on_epoch_end(&mut self, logs: &EpochLogs, state: &State) -> Verdict {
        let verdict = self.callback.on_epoch_end(logs, state)?;
        let mut kept = self.callback.state();
        if let Some(rate) = kept.values["rate"].as_f64() {
            *lock(&self.reduced) = Some(rate as f32);
            kept.values["rate"] = Value::Null;
            self.callback.restore(&kept)?;
        }
        Ok(verdict)
    }

    fn state(&self) -> CallbackState {
        self.callback.state()
    }
}

/// A callback from its class and its settings, by the names of the library. Reduced learning rates
/// go to `reduced`.
pub fn callback(
    class: &str,
    settings: &str,
    reduced: &Arc<Mutex<Option<f32>>>,
) -> PyResult<Box<dyn Callback>> {
    let wrong = |e: serde_json::Error| PyValueError::new_err(format!("{class}: {e}"));
    let settings: Value = serde_json::from_str(settings).map_err(wrong)?;
    Ok(match class {
        "EarlyStopping" => {
            let stopping: EarlyStopping = serde_json::from_value(settings).map_err(wrong)?;
            Box::new(stopping)
        }
        "ReduceLROnPlateau" => Box::new(Reduces {
            callback: serde_json::from_value(settings).map_err(wrong)?,
            reduced: Arc::clone(reduced),
        }),
        "TerminateOnNaN" => Box::new(TerminateOnNaN::default()),
        "TensorBoard" => {
            let text = |name: &str| settings[name].as_str().unwrap_or_default();
            let number = |name: &str| settings[name].as_u64().unwrap_or_default();
            let board = TensorBoard::create(&PathBuf::from(text("log_dir")))
                .map_err(|e| exception(&e))?
                .histogram_freq(number("histogram_freq") as usize)
                .write_images(settings["write_images"] == Value::Bool(true));
            Box::new(board)
        }
        _ => {
            let message = format!("the library has no callback {class}");
            return Err(PyValueError::new_err(message));
        }
    })
}

/// What a callback found, as JSON: `best`, `best_epoch`, `wait`, `stopped_epoch`, ...
pub fn found(callback: &mut dyn Callback) -> String {
    let states = callback_states(&[callback]);
    let values = states.into_iter().next().map(|(_, state)| state.values);
    values
        .unwrap_or_else(|| Value::Object(Map::new()))
        .to_string()
}
