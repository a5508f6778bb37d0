//! Python's iterators as generators of batches.

use cnn_gpu::Error;
use cnn_gpu::data::{Batch, Generator};
use cnn_gpu::error::Result;
use cnn_gpu::train::Interrupt;
use numpy::{PyArray1, PyArray4, PyArrayMethods as _};
use pyo3::prelude::*;

use crate::error::Raised;

/// Batches of labelled images, made by Python while the device computes. `batch(number)` returns
/// `(images, labels)` as [`Arrays`](crate::arrays::Arrays) takes them, or `None` after the last
/// one; it is called in one thread, in order. `shape` is `(height, width, channels)` of an image,
/// `steps` the number of batches of an epoch, if known.
#[pyclass(frozen, module = "cnn_gpu._native")]
pub struct Batches {
    batch: Py<PyAny>,
    shape: [usize; 3],
    steps: Option<usize>,
    name: String,
}

#[pymethods]
impl Batches {
    #[new]
    fn new(batch: Py<PyAny>, shape: [usize; 3], steps: Option<usize>, name: String) -> Self {
        Self {
            batch,
            shape,
            steps,
            name,
        }
    }
}

/// The batches, where an exception of theirs is kept, and whether they are still wanted.
pub struct Made<'a> {
    pub batches: &'a Batches,
    pub raised: Raised,
    pub interrupt: Interrupt,
}

impl Made<'_> {
    fn call(&self, py: Python<'_>, number: u64) -> PyResult<Option<Batch>> {
        let made = self.batches.batch.bind(py).call1((number,))?;
        if made.is_none() {
            return Ok(None);
        }
        type Given<'py> = (Bound<'py, PyArray4<f32>>, Bound<'py, PyArray1<u8>>);
        let (images, labels): Given<'_> = made.extract()?;
        // A copy: the next call may fill the same array again.
        let images = images.try_readonly()?.as_slice()?.to_vec();
        let labels = labels.try_readonly()?.as_array().to_vec();
        Ok(Some(Batch::from_floats(images, labels)))
    }
}

impl Generator for Made<'_> {
    fn name(&self) -> String {
        self.batches.name.clone()
    }

    fn shape(&self) -> [usize; 3] {
        self.batches.shape
    }

    fn gives_floats(&self) -> bool {
        true
    }

    fn steps(&self) -> Option<usize> {
        self.batches.steps
    }

    fn batch(&self, number: u64) -> Result<Option<Batch>> {
        if self.interrupt.is_raised() {
            return Err(Error::Argument("interrupted".into()));
        }
        Python::attach(|py| self.call(py, number).map_err(|e| self.raised.keep(e)))
    }
}
