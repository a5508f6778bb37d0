//! The device that networks run on.

use std::sync::{Arc, Mutex};

use cnn_gpu::exec::{self, Backend, Description, Device, Selection};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::{exception, lock};

/// Names the backend, as `set_device` does.
const BACKEND: &str = "CNN_GPU_BACKEND";
/// Names the adapter.
const ADAPTER: &str = "CNN_GPU_ADAPTER";

/// The device in use, with a number that tells it from earlier ones.
static CURRENT: Mutex<Option<Opened>> = Mutex::new(None);

/// A device in use.
#[derive(Clone)]
pub struct Opened {
    /// Differs from device to device.
    pub number: u64,
    /// The device.
    pub device: Arc<Device>,
    description: Description,
}

/// Opens a device and makes it the current one.
fn open(py: Python<'_>, selection: &Selection, requested: &str) -> PyResult<Opened> {
    let device = py
        .detach(|| exec::open(selection))
        .map_err(|e| exception(&e))?;
    let description = device.describe();
    let mut current = lock(&CURRENT);
    let opened = Opened {
        number: current.as_ref().map_or(0, |before| before.number + 1),
        device: Arc::new(device),
        description,
    };
    *current = Some(opened.clone());
    drop(current);
    let said = format!(
        "cnn_gpu: device: {} ({}), {requested}: {}\n",
        opened.description.adapter, opened.description.backend, opened.device.reason
    );
    // Notebooks show Python's streams only.
    py.import("sys")?
        .getattr("stderr")?
        .call_method1("write", (said,))?;
    Ok(opened)
}

/// The current device; opens one at first use.
pub fn current(py: Python<'_>) -> PyResult<Opened> {
    let current = lock(&CURRENT).clone();
    if let Some(opened) = current {
        return Ok(opened);
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let backend = variable(BACKEND);
    let requested = match &backend {
        Some(backend) => format!("requested by {BACKEND}={backend}"),
        None => "chosen automatically".into(),
    };
    let selection = selection(backend.as_deref().unwrap_or("auto"), variable(ADAPTER))?;
    open(py, &selection, &requested)
}

fn selection(backend: &str, adapter: Option<String>) -> PyResult<Selection> {
    let backend: Backend = backend.parse().map_err(|e| exception(&e))?;
    let selection = Selection::new(backend);
    Ok(match adapter {
        Some(adapter) => selection.adapter(adapter),
        None => selection,
    })
}

/// Sets the device for all networks: `auto`, `vulkan`, `metal`, `dx12`, `gl` or `cpu`, and an
/// adapter by its index or a part of its name.
#[pyfunction]
#[pyo3(signature = (backend, adapter = None))]
pub fn set_device(py: Python<'_>, backend: &str, adapter: Option<String>) -> PyResult<()> {
    let selection = selection(backend, adapter)?;
    open(py, &selection, "requested by set_device").map(drop)
}

/// Describes the current device: `backend`, `adapter`, `driver`, `software`, `reason`.
#[pyfunction]
pub fn device(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let opened = current(py)?;
    let described = described(py, &opened.description)?;
    described.set_item("reason", &opened.device.reason)?;
    Ok(described)
}

/// The adapters of this machine, and its CPU.
#[pyfunction]
pub fn devices(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let adapters = py.detach(|| exec::gpu::adapters(Backend::Auto));
    let cpu = exec::open(&Selection::new(Backend::Cpu)).map_err(|e| exception(&e))?;
    let dicts = adapters.into_iter().map(|adapter| {
        let dict = PyDict::new(py);
        dict.set_item("backend", adapter.backend)?;
        dict.set_item("adapter", adapter.name)?;
        dict.set_item("driver", adapter.driver)?;
        dict.set_item("software", adapter.software)?;
        Ok(dict)
    });
    dicts.chain([described(py, &cpu.describe())]).collect()
}

fn described<'py>(py: Python<'py>, description: &Description) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("backend", &description.backend)?;
    dict.set_item("adapter", &description.adapter)?;
    dict.set_item("driver", &description.driver)?;
    dict.set_item("software", description.software)?;
    Ok(dict)
}
