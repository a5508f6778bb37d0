//! Callbacks of the library, from Keras's arguments.

use std::path::PathBuf;

use cnn_gpu::train::Callback;
use cnn_gpu::train::callbacks::{
    EarlyStopping, ReduceLROnPlateau, TensorBoard, TerminateOnNaN, callback_states,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde_json::{Map, Value};

use crate::error::exception;

/// A callback from its class and its settings, by the names of the library.
pub fn callback(class: &str, settings: &str) -> PyResult<Box<dyn Callback>> {
    let wrong = |e: serde_json::Error| PyValueError::new_err(format!("{class}: {e}"));
    let settings: Value = serde_json::from_str(settings).map_err(wrong)?;
    Ok(match class {
        "EarlyStopping" => {
            let stopping: EarlyStopping = serde_json::from_value(settings).map_err(wrong)?;
            Box::new(stopping)
        }
        "ReduceLROnPlateau" => {
            let reduce: ReduceLROnPlateau = serde_json::from_value(settings).map_err(wrong)?;
            Box::new(reduce)
        }
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
