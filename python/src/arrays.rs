//! NumPy's arrays as data sets.

use std::sync::Arc;

use cnn_gpu::data::Dataset;
use numpy::{PyArray1, PyArray4, PyArrayMethods as _, PyUntypedArrayMethods as _};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::of_data;

/// Labelled images: `images` float32 of the shape `(n, height, width, channels)` in C order, which
/// stays where it is, and `labels` uint8 of the shape `(n,)`, which is copied. Each label is less
/// than `classes`. `name` appears in messages.
#[pyclass(frozen, module = "cnn_gpu._native")]
pub struct Arrays {
    /// The data set, which shares the images' memory.
    pub data: Dataset,
}

/// The floats of an array, which it keeps alive.
struct Floats {
    first: *const f32,
    len: usize,
    /// Owns the memory.
    _array: Py<PyArray4<f32>>,
}

// SAFETY: the memory belongs to the array, which `Floats` keeps alive, and NumPy neither moves nor
// resizes an array that others refer to. `Py` may be sent and shared.
#[expect(unsafe_code, reason = "the memory is NumPy's")]
unsafe impl Send for Floats {}

// SAFETY: as above; it is only read. That nobody writes to it meanwhile is up to the caller, as
// the package's documentation says.
#[expect(unsafe_code, reason = "the memory is NumPy's")]
unsafe impl Sync for Floats {}

impl AsRef<[f32]> for Floats {
    fn as_ref(&self) -> &[f32] {
        // SAFETY: `Floats::new` checked that so many aligned floats lie there in a row.
        #[expect(unsafe_code, reason = "the memory is NumPy's")]
        unsafe {
            std::slice::from_raw_parts(self.first, self.len)
        }
    }
}

impl Floats {
    /// The floats of an array in C order.
    fn new(array: &Bound<'_, PyArray4<f32>>) -> PyResult<Self> {
        if !array.is_c_contiguous() || !(array.data() as usize).is_multiple_of(align_of::<f32>()) {
            return Err(PyValueError::new_err(
                "expected images in C order, aligned: pass numpy.ascontiguousarray(images)",
            ));
        }
        Ok(Self {
            first: match array.len() {
                // A pointer must not be null, even to nothing.
                0 => std::ptr::NonNull::dangling().as_ptr(),
                _ => array.data(),
            },
            len: array.len(),
            _array: array.clone().unbind(),
        })
    }
}

#[pymethods]
impl Arrays {
    #[new]
    fn new(
        py: Python<'_>,
        images: &Bound<'_, PyArray4<f32>>,
        labels: &Bound<'_, PyArray1<u8>>,
        classes: usize,
        name: &str,
    ) -> PyResult<Self> {
        let &[_, h, w, c] = images.shape() else {
            return Err(PyValueError::new_err("expected images of rank 4"));
        };
        let labels = labels.try_readonly()?.as_array().to_vec();
        let floats = Arc::new(Floats::new(images)?);
        let data =
            py.detach(|| Dataset::from_floats(name, name, [h, w, c], classes, floats, labels));
        Ok(Self {
            data: data.map_err(|e| of_data(&e))?,
        })
    }
}
