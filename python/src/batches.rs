//! Python's iterators as generators of batches.

use cnn_gpu::Error;
use cnn_gpu::data::{Batch, Generator};
use cnn_gpu::error::Result;
use cnn_gpu::train::Interrupt;
use numpy::{PyArray1, PyArray4, PyArrayMethods as _};
use pyo3::prelude::*;

use crate::error::Raised;

/// How long to wait for a batch before looking whether it is still wanted.
const LOOK_EVERY: f64 = 0.05;

/// Batches of labelled images, made by Python while the device computes. `maker.ask(number)` begins to make
/// `(images, labels)` as [`Arrays`](crate::arrays::Arrays) takes them, or `None` after the last one, and returns at once;
/// `maker.answer(seconds)` waits that long at most, and returns `(batch,)` or, if there is none yet, `None`. Batches are
/// asked for in order. `shape` is `(height, width, channels)` of an image, `steps` the number of batches of an epoch, if
/// known.
#[pyclass(frozen, module = "cnn_gpu._native")]
pub struct Batches {
    maker: Py<PyAny>,
    shape: [usize; 3],
    steps: Option<usize>,
    name: String,
}

#[pymethods]
impl Batches {
    #[new]
    fn new(maker: Py<PyAny>, shape: [usize; 3], steps: Option<usize>, name: String) -> Self {
        Self {
            maker,
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

/// The error of what was interrupted, which an exception explains.
pub fn interrupted() -> Error {
    Error::Argument("interrupted".into())
}

impl Made<'_> {
    /// The batch, unless it is no longer wanted: a generator can block for as long as it likes.
    fn wait(&self, number: u64) -> Result<Option<Batch>> {
        let call = |py: Python<'_>| self.batches.maker.call_method1(py, "ask", (number,));
        Python::attach(call).map_err(|e| self.raised.keep(e))?;
        while !self.interrupt.is_raised() {
            let made = Python::attach(|py| self.answer(py));
            if let Some(batch) = made.map_err(|e| self.raised.keep(e))? {
                return Ok(batch);
            }
        }
        Err(interrupted())
    }

    fn answer(&self, py: Python<'_>) -> PyResult<Option<Option<Batch>>> {
        let maker = self.batches.maker.bind(py);
        let made = maker.call_method1("answer", (LOOK_EVERY,))?;
        if made.is_none() {
            return Ok(None);
        }
        let made = made.get_item(0)?;
        if made.is_none() {
            return Ok(Some(None));
        }
        type Given<'py> = (Bound<'py, PyArray4<f32>>, Bound<'py, PyArray1<u8>>);
        let (images, labels): Given<'_> = made.extract()?;
        // A copy: the next call may fill the same array again.
        let images = images.try_readonly()?.as_slice()?.to_vec();
        let labels = labels.try_readonly()?.as_array().to_vec();
        Ok(Some(Some(Batch::from_floats(images, labels))))
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
        self.wait(number)
    }
}
