//! Published data sets.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;

use cnn_gpu::data::{self, DataError, Dataset, DatasetSpec, Event, Splits};
use numpy::{IntoPyArray as _, PyArray1, PyArray4, PyArrayMethods as _};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::error::{lock, of_data};
use crate::training::LOOK_EVERY;

/// Held while data are loaded.
static LOADING: Mutex<()> = Mutex::new(());

/// Images `(n, height, width, channels)` and their labels `(n,)`.
type Labelled<'py> = (Bound<'py, PyArray4<u8>>, Bound<'py, PyArray1<u8>>);

/// The training and the test samples of a data set: `mnist`, `fashion-mnist`, `kmnist`, `digits`,
/// `cifar10:FOLDER` and others; see the library's `DatasetSpec`. `event(line, is_progress)` is told
/// what happens. Returns `((x_train, y_train), (x_test, y_test))`.
#[pyfunction]
pub fn load_data<'py>(
    py: Python<'py>,
    spec: &str,
    data_dir: Option<PathBuf>,
    event: &Bound<'py, PyAny>,
) -> PyResult<(Labelled<'py>, Labelled<'py>)> {
    let spec: DatasetSpec = spec.parse().map_err(|e| of_data(&e))?;
    let (told, events) = mpsc::channel();
    // A receiver cannot be shared, which code without the interpreter must be able to.
    let events = Mutex::new(events);
    thread::spawn(move || load(spec, data_dir.as_deref(), &told));
    let splits = loop {
        py.check_signals()?;
        match py.detach(|| lock(&events).recv_timeout(LOOK_EVERY)) {
            Ok(Told::Event(text, is_progress)) => drop(event.call1((text, is_progress))?),
            Ok(Told::Loaded(loaded)) => break (*loaded).map_err(|e| of_data(&e))?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let problem = "cnn_gpu failed to load data, which is a bug in it";
                return Err(PyRuntimeError::new_err(problem));
            }
        }
    };
    Ok((arrays(py, &splits.train)?, arrays(py, &splits.test)?))
}

/// What the loading thread tells.
enum Told {
    /// A line, and whether it replaces the one before.
    Event(String, bool),
    Loaded(Box<Result<Splits, DataError>>),
}

/// Loads, and tells of it. If nobody listens any more, after Ctrl-C, it ends at the next event: a server that does not
/// answer is not waited for.
fn load(spec: DatasetSpec, data_dir: Option<&Path>, told: &Sender<Told>) {
    // One at a time: those that end late would remove the files of others.
    let _turn = lock(&LOADING);
    let loaded = data::load(spec, data_dir, &mut |happened| {
        let is_progress = matches!(happened, Event::Progress { .. });
        if told
            .send(Told::Event(happened.to_string(), is_progress))
            .is_err()
        {
            // Events cannot be answered with an error. This is not a panic, and ends the thread in silence; partial
            // files are removed.
            resume_unwind(Box::new(()));
        }
    });
    // Nobody may be listening.
    let _ = told.send(Told::Loaded(Box::new(loaded)));
}

fn arrays<'py>(py: Python<'py>, data: &Dataset) -> PyResult<Labelled<'py>> {
    let [h, w, c] = data.shape();
    let images = data.images().to_vec().into_pyarray(py);
    let labels = data.labels().to_vec().into_pyarray(py);
    Ok((images.reshape([data.len(), h, w, c])?, labels))
}
