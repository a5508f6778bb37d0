//! The library's errors as Python's exceptions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cnn_gpu::Error;
use cnn_gpu::data::DataError;
use pyo3::exceptions::{
    PyFloatingPointError, PyMemoryError, PyOSError, PyRuntimeError, PyValueError,
};
use pyo3::prelude::*;

/// The exception for an error of the library.
pub fn exception(error: &Error) -> PyErr {
    let text = one_line(error);
    match error {
        Error::Layer { .. }
        | Error::Model { .. }
        | Error::Argument(_)
        | Error::ModelNeeded { .. } => PyValueError::new_err(text),
        Error::Data(error) => of_data(error),
        Error::File { .. } | Error::RunFolder { .. } => PyOSError::new_err(text),
        Error::OutOfMemory(_) | Error::TooLarge { .. } => PyMemoryError::new_err(text),
        Error::NonFiniteLoss { .. } | Error::NonFiniteWeights { .. } => {
            PyFloatingPointError::new_err(text)
        }
        _ => PyRuntimeError::new_err(text),
    }
}

/// The exception for a data set that cannot be had or used.
pub fn of_data(error: &DataError) -> PyErr {
    let text = one_line(error);
    match error {
        DataError::ImageBytes { .. }
        | DataError::ImageFloats { .. }
        | DataError::NotFinite { .. }
        | DataError::LabelRange { .. }
        | DataError::EmptyShape { .. } => PyValueError::new_err(text),
        _ => PyOSError::new_err(text),
    }
}

/// The message on one line.
fn one_line(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Locks, also after a panic of another thread: what is held is whole between two calls.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The exception that a generator or a callback raised, kept while an error of the library takes it
/// through the training loop.
#[derive(Clone, Default)]
pub struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    /// Keeps an exception, unless there is an earlier one, and returns an error for the library.
    pub fn keep(&self, exception: PyErr) -> Error {
        let text = exception.to_string();
        lock(&self.0).get_or_insert(exception);
        Error::Argument(text)
    }

    /// The kept exception, or that for `error`.
    pub fn or(&self, error: &Error) -> PyErr {
        lock(&self.0).take().unwrap_or_else(|| exception(error))
    }

    /// The kept exception.
    pub fn take(&self) -> Option<PyErr> {
        lock(&self.0).take()
    }
}
