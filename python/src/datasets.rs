//! Published data sets.

use std::path::PathBuf;

use cnn_gpu::data::{self, Dataset, DatasetSpec, Event};
use numpy::{IntoPyArray as _, PyArray1, PyArray4, PyArrayMethods as _};
use pyo3::prelude::*;

use crate::error::of_data;

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
    let (event, mut raised) = (event.clone().unbind(), None);
    let loaded = py.detach(|| {
        data::load(spec, data_dir.as_deref(), &mut |happened| {
            let is_progress = matches!(happened, Event::Progress { .. });
            let told = Python::attach(|py| {
                py.check_signals()?;
                event
                    .call1(py, (happened.to_string(), is_progress))
                    .map(drop)
            });
            raised = raised.take().or(told.err());
        })
    });
    if let Some(raised) = raised {
        return Err(raised);
    }
    let splits = loaded.map_err(|e| of_data(&e))?;
    Ok((arrays(py, &splits.train)?, arrays(py, &splits.test)?))
}

fn arrays<'py>(py: Python<'py>, data: &Dataset) -> PyResult<Labelled<'py>> {
    let [h, w, c] = data.shape();
    let images = data.images().to_vec().into_pyarray(py);
    let labels = data.labels().to_vec().into_pyarray(py);
    Ok((images.reshape([data.len(), h, w, c])?, labels))
}
