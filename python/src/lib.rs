//! The Python module `cnn_gpu._native`: Keras's calls, translated to those of the library.
//!
//! Everything that computes, loads or trains is in the library; the Python package on top has
//! Keras's names, arguments and errors. The stubs are `cnn_gpu/_native.pyi`.
//!
//! | module | what it translates |
//! |---|---|
//! | `arrays` | NumPy's arrays to data sets, without a copy |
//! | `source` | either kind of data, for training and evaluation |
//! | `batches` | Python's iterators to generators of batches |
//! | `network` | a model with its weights: training, evaluation, prediction, files |
//! | `fit` | a call of `fit` |
//! | `training` | calls that take long: a thread that works, while this one serves Python |
//! | `bridge` | callbacks that Python answers |
//! | `built_in` | callbacks of the library |
//! | `device`, `datasets`, `error` | the device, published data sets, exceptions |

mod arrays;
mod batches;
mod bridge;
mod built_in;
mod datasets;
mod device;
mod error;
mod fit;
mod network;
mod source;
mod training;

use pyo3::prelude::*;

/// The functions and classes of the module.
#[pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::arrays::Arrays;
    #[pymodule_export]
    use super::batches::Batches;
    #[pymodule_export]
    use super::datasets::load_data;
    #[pymodule_export]
    use super::device::{device, devices, set_device};
    #[pymodule_export]
    use super::network::Network;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("FEATURES", cnn_gpu::interchange::keras::FEATURES)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
