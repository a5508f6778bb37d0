//! A model with its weights.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use cnn_gpu::interchange::{self, keras};
use cnn_gpu::internal::disk;
use cnn_gpu::model::{Loss, Sequential};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::plan::{Plan, Purpose};
use cnn_gpu::state::{Layout, State};
use cnn_gpu::train::{Callback, Interrupt, Options, Trainer};
use numpy::{IntoPyArray as _, PyArray2, PyArrayDyn, PyArrayMethods as _, PyReadonlyArrayDyn};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::Arrays;
use crate::built_in;
use crate::device::{Opened, current};
use crate::error::{Raised, exception, lock};
use crate::fit::{self, Call};
use crate::source::Source;
use crate::training::attended;

/// A model, its weights and, once compiled, its optimizer. `model` is the library's description in
/// JSON; weights are drawn with `seed`.
///
/// While a call of `fit` runs, the weights are those after its last complete epoch.
#[pyclass(frozen, module = "cnn_gpu._native")]
pub struct Network {
    inner: Mutex<Inner>,
    /// Whether a call of `fit` is running.
    trains: AtomicBool,
}

struct Inner {
    model: Sequential,
    state: Arc<Mutex<Arc<State>>>,
    optimizer: Option<Optimizer>,
    seed: u64,
    /// Calls of `fit` since the weights were made.
    fits: u64,
    /// The last trainer, with its device's number.
    trainer: Option<(u64, Trainer)>,
}

impl Inner {
    fn new(model: Sequential, state: State, optimizer: Option<Optimizer>, seed: u64) -> Self {
        Self {
            model,
            state: Arc::new(Mutex::new(Arc::new(state))),
            optimizer,
            seed,
            fits: 0,
            trainer: None,
        }
    }

    fn state(&self) -> Arc<State> {
        Arc::clone(&lock(&self.state))
    }

    /// The layout follows from a checked model.
    fn set_state(&mut self, state: State) {
        *lock(&self.state) = Arc::new(state);
    }

    /// The last trainer or, if its options must not change so, a new one; with the current weights.
    fn trainer(
        &mut self,
        opened: &Opened,
        options: Option<Options>,
    ) -> cnn_gpu::Result<(u64, Trainer)> {
        let kept = self
            .trainer
            .take()
            .filter(|(number, trainer)| *number == opened.number && *trainer.model() == self.model);
        let kept = kept.and_then(|(number, mut trainer)| {
            let fits = options.clone().map(|options| trainer.set_options(options));
            fits.is_none_or(|set| set.is_ok())
                .then_some((number, trainer))
        });
        let (number, mut trainer) = match kept {
            Some(kept) => kept,
            None => {
                // Without training, its memory need not be there.
                let options = options.unwrap_or_else(|| Options::default().batch_size(1));
                let trainer = Trainer::new(self.model.clone(), &opened.device, options)?;
                (opened.number, trainer)
            }
        };
        trainer.set_state(State::clone(&self.state()))?;
        trainer.set_generator_threads(1);
        Ok((number, trainer))
    }
}

/// Name, class, output shape without the batch, parameters, trainable ones.
type LayerRow = (String, &'static str, Vec<usize>, usize, usize);

/// The network, notes, whether labels are one-hot rows, and the shape of an input.
type Loaded = (Network, Vec<String>, bool, Vec<usize>);

/// Takes back what says that a call of `fit` is running.
struct Turn<'a>(&'a AtomicBool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn sequential(json: &str) -> PyResult<Sequential> {
    let wrong = |e: serde_json::Error| PyValueError::new_err(format!("not a model: {e}"));
    let model: Sequential = serde_json::from_str(json).map_err(wrong)?;
    model.resolve().map_err(|e| exception(&e))?;
    Ok(model)
}

/// The exception for a call while `fit` runs.
fn busy(what: &str) -> PyErr {
    PyRuntimeError::new_err(format!(
        "{what} while the model is being trained: expected fit to have returned"
    ))
}

/// Checks that the last layer suits the loss.
fn suits(model: &Sequential) -> PyResult<()> {
    let plan = Plan::new(model, Purpose::Inference, 1);
    plan.map(drop).map_err(|e| exception(&e))
}

impl Network {
    fn of(inner: Inner) -> Self {
        Self {
            inner: Mutex::new(inner),
            trains: AtomicBool::new(false),
        }
    }

    /// Fails while a call of `fit` is running.
    fn idle(&self, what: &str) -> PyResult<()> {
        match self.trains.load(Ordering::Acquire) {
            true => Err(busy(what)),
            false => Ok(()),
        }
    }

    /// Says that a call of `fit` is running, until the result is dropped.
    fn take_turn(&self) -> PyResult<Turn<'_>> {
        match self.trains.swap(true, Ordering::AcqRel) {
            true => Err(busy("fit was called")),
            false => Ok(Turn(&self.trains)),
        }
    }

    /// Runs `work` with a trainer that has the current weights.
    fn with_trainer<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Trainer, &Interrupt) -> cnn_gpu::Result<T> + Send,
    ) -> PyResult<cnn_gpu::Result<T>> {
        let opened = current(py)?;
        let (number, mut trainer) = py
            .detach(|| lock(&self.inner).trainer(&opened, None))
            .map_err(|e| exception(&e))?;
        let interrupt = Interrupt::new();
        let done = attended(py, &interrupt, || work(&mut trainer, &interrupt));
        let mut inner = lock(&self.inner);
        if done.is_ok() && inner.trainer.is_none() {
            inner.trainer = Some((number, trainer));
        }
        done
    }
}

#[pymethods]
impl Network {
    #[new]
    fn new(model: &str, seed: u64) -> PyResult<Self> {
        let model = sequential(model)?;
        let layout = Layout::new(&model).map_err(|e| exception(&e))?;
        layout.check_memory().map_err(|e| exception(&e))?;
        let state = State::new(layout, seed);
        Ok(Self::of(Inner::new(model, state, None, seed)))
    }

    /// Reads a file of Keras, `.keras` or `.h5`, and returns the network, notes on what was not
    /// taken, whether labels are one-hot rows, and the shape of an input in the file.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf, seed: u64) -> PyResult<Loaded> {
        let import = py.detach(|| keras::read_unchanged(&path, None));
        let import = import.map_err(|e| exception(&e))?;
        let network = import.network;
        let shape = network.input_shape;
        let shape = shape.unwrap_or_else(|| network.model.input_shape.to_vec());
        let inner = Inner::new(network.model, network.state, network.optimizer, seed);
        Ok((Self::of(inner), import.notes, network.one_hot_labels, shape))
    }

    /// Changes the model: a parameter of the same name and shape keeps its values, others are drawn
    /// anew.
    fn rebuild(&self, model: &str) -> PyResult<()> {
        self.idle("the model changed")?;
        let model = sequential(model)?;
        let mut inner = lock(&self.inner);
        let layout = Layout::new(&model).map_err(|e| exception(&e))?;
        let before = inner.state();
        let mut state = State::new(layout, inner.seed);
        for parameter in Arc::clone(&state.layout).parameters.iter() {
            let kept = before.layout.find(&parameter.name);
            let kept = kept.map(|i| &before.layout.parameters[i]);
            if let Some(kept) = kept.filter(|kept| kept.shape == parameter.shape) {
                state.params[parameter.range()].copy_from_slice(&before.params[kept.range()]);
            }
        }
        inner.model = model;
        inner.set_state(state);
        Ok(())
    }

    /// Sets the optimizer and the loss, both in JSON, and forgets the state of an earlier
    /// optimizer.
    fn compile(&self, optimizer: &str, loss: &str) -> PyResult<()> {
        self.idle("compile was called")?;
        let wrong = |e: serde_json::Error| PyValueError::new_err(e.to_string());
        let optimizer: Optimizer = serde_json::from_str(optimizer).map_err(wrong)?;
        optimizer.check().map_err(|e| exception(&e))?;
        let loss: Loss = serde_json::from_str(loss).map_err(wrong)?;
        let mut inner = lock(&self.inner);
        let model = inner.model.clone().loss(loss);
        suits(&model)?;
        let mut state = State::clone(&inner.state());
        (state.m, state.v, state.average) = Default::default();
        state.step = 0;
        inner.model = model;
        inner.optimizer = Some(optimizer);
        inner.set_state(state);
        Ok(())
    }

    /// Sets the loss that inference needs to know the form of the outputs.
    fn set_loss(&self, loss: &str) -> PyResult<()> {
        let wrong = |e: serde_json::Error| PyValueError::new_err(e.to_string());
        let loss: Loss = serde_json::from_str(loss).map_err(wrong)?;
        let mut inner = lock(&self.inner);
        let model = inner.model.clone().loss(loss);
        suits(&model)?;
        inner.model = model;
        Ok(())
    }

    /// The model in JSON.
    fn model(&self) -> PyResult<String> {
        let model = &lock(&self.inner).model;
        serde_json::to_string(model).map_err(|e| PyValueError::new_err(e.to_string()))
    }

    /// The optimizer in JSON, if there is one.
    fn optimizer(&self) -> PyResult<Option<String>> {
        let optimizer = lock(&self.inner).optimizer;
        let json = optimizer.map(|optimizer| serde_json::to_string(&optimizer));
        json.transpose()
            .map_err(|e| PyValueError::new_err(e.to_string()))
    }

    /// Optimizer steps taken.
    fn iterations(&self) -> u64 {
        lock(&self.inner).state().step
    }

    /// Layer by layer: name, class, output shape without the batch, parameters, trainable ones.
    fn layers(&self) -> PyResult<Vec<LayerRow>> {
        let inner = lock(&self.inner);
        let layers = inner.model.resolve().map_err(|e| exception(&e))?;
        let row = |layer: &cnn_gpu::model::ResolvedLayer<'_>| {
            (
                layer.name.clone(),
                layer.layer.spec().kind(),
                layer.output.clone(),
                layer.parameter_count(),
                layer.trainable_count(),
            )
        };
        Ok(layers.iter().map(row).collect())
    }

    /// Name, shape and whether it is trained, of each parameter, in Keras's order.
    fn parameters(&self) -> Vec<(String, Vec<usize>, bool)> {
        let state = lock(&self.inner).state();
        let row = |p: &cnn_gpu::state::Parameter| (p.name.clone(), p.shape.clone(), p.trainable);
        state.layout.parameters.iter().map(row).collect()
    }

    /// The parameters, as copies.
    fn weights<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyArrayDyn<f32>>>> {
        let state = lock(&self.inner).state();
        let parameters = state.layout.parameters.iter();
        let arrays = parameters.map(|p| {
            let values = state.params[p.range()].to_vec().into_pyarray(py);
            values.reshape(p.shape.clone())
        });
        arrays.collect()
    }

    /// Sets the parameters. Their shapes must be those of `parameters`.
    fn set_weights(&self, weights: Vec<PyReadonlyArrayDyn<'_, f32>>) -> PyResult<()> {
        self.idle("weights were set")?;
        let mut inner = lock(&self.inner);
        let mut state = State::clone(&inner.state());
        let layout = Arc::clone(&state.layout);
        if layout.parameters.len() != weights.len() {
            return Err(PyValueError::new_err(format!(
                "expected {} arrays of weights, received {}",
                layout.parameters.len(),
                weights.len()
            )));
        }
        for (parameter, array) in layout.parameters.iter().zip(&weights) {
            let values = array.as_array();
            if values.shape() != parameter.shape {
                return Err(PyValueError::new_err(format!(
                    "expected weights of shape {:?} for `{}`, received {:?}",
                    parameter.shape,
                    parameter.name,
                    values.shape()
                )));
            }
            if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                return Err(PyValueError::new_err(format!(
                    "expected finite weights for `{}`, received {value}",
                    parameter.name
                )));
            }
            let place = state.params[parameter.range()].iter_mut();
            place.zip(values.iter()).for_each(|(to, from)| *to = *from);
        }
        inner.set_state(state);
        Ok(())
    }

    /// Reads the weights of a file: `.weights.h5`, `.h5` or `.keras`. Returns notes.
    fn load_weights(&self, py: Python<'_>, path: PathBuf) -> PyResult<Vec<String>> {
        self.idle("weights were loaded")?;
        let model = lock(&self.inner).model.clone();
        let import = py.detach(|| keras::read_unchanged(&path, Some(&model)));
        let import = import.map_err(|e| exception(&e))?;
        let theirs = import.network.state;
        let mut inner = lock(&self.inner);
        let mut state = State::clone(&inner.state());
        let shapes = |state: &State| -> Vec<Vec<usize>> {
            let parameters = state.layout.parameters.iter();
            parameters.map(|p| p.shape.clone()).collect()
        };
        if shapes(&state) != shapes(&theirs) {
            return Err(PyValueError::new_err(format!(
                "{}: its weights have other shapes than the model's: expected {:?}, received {:?}",
                path.display(),
                shapes(&state),
                shapes(&theirs)
            )));
        }
        let layout = Arc::clone(&state.layout);
        for (to, from) in layout.parameters.iter().zip(&theirs.layout.parameters) {
            state.params[to.range()].copy_from_slice(&theirs.params[from.range()]);
        }
        inner.set_state(state);
        Ok(import.notes)
    }

    /// Writes a `.keras` file, whose inputs have the shape `input_shape`; with the optimizer, at this learning rate,
    /// if there is one, and its loss for labels as one-hot rows or class numbers. Returns what the file does not hold.
    fn save(
        &self,
        py: Python<'_>,
        path: PathBuf,
        rate: Option<f32>,
        one_hot_labels: bool,
        input_shape: Vec<usize>,
    ) -> PyResult<Vec<String>> {
        let network = {
            let inner = lock(&self.inner);
            let state = State::clone(&inner.state());
            let network = interchange::Network::new(inner.model.clone(), state)
                .one_hot_labels(one_hot_labels)
                .input_shape(input_shape);
            match (inner.optimizer, rate) {
                (Some(optimizer), Some(rate)) => {
                    network.optimizer(optimizer.with_learning_rate(rate))
                }
                (Some(optimizer), None) => network.optimizer(optimizer),
                (None, _) => network,
            }
        };
        py.detach(|| {
            let export = keras::to_bytes(&network).map_err(|e| exception(&e))?;
            disk::replace(&path, &export.bytes).map_err(|e| {
                PyOSError::new_err(format!("{}: cannot write the model: {e}", path.display()))
            })?;
            Ok(export.left_behind)
        })
    }

    /// Loss, accuracy, images and seconds.
    fn evaluate(
        &self,
        py: Python<'_>,
        source: Source,
        steps: Option<usize>,
    ) -> PyResult<(f64, f64, u64, f64)> {
        let raised = Raised::default();
        let done = self.with_trainer(py, |trainer, interrupt| {
            source.evaluate(trainer, steps, (&raised, interrupt))
        })?;
        let found = done.map_err(|e| raised.or(&e))?;
        Ok((found.loss, found.accuracy, found.images, found.seconds))
    }

    /// The outputs `(n, classes)`.
    fn predict<'py>(
        &self,
        py: Python<'py>,
        arrays: Py<Arrays>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let data = &arrays.get().data;
        let done = self.with_trainer(py, |trainer, interrupt| {
            let outputs = trainer.outputs(data, interrupt);
            trainer.unload(data)?;
            outputs
        })?;
        let outputs = done.map_err(|e| exception(&e))?;
        let interrupted = || PyRuntimeError::new_err("interrupted");
        let outputs = outputs.ok_or_else(interrupted)?;
        let classes = outputs.len() / data.len();
        outputs.into_pyarray(py).reshape([data.len(), classes])
    }

    /// Trains. `options` are the library's, in JSON, without seed and optimizer; `callbacks` are
    /// classes and settings of the library's callbacks; `hooks` has methods that are called
    /// meanwhile, see `cnn_gpu.keras._training`, of each batch if `batches`.
    ///
    /// Returns how it ended, the restored epoch, the learning rate, and what each callback found.
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn fit<'py>(
        &self,
        py: Python<'py>,
        source: Source,
        validation: Option<Source>,
        options: &str,
        rate: f32,
        callbacks: Vec<(String, String)>,
        hooks: Bound<'py, PyAny>,
        batches: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let wrong = |e: serde_json::Error| PyValueError::new_err(e.to_string());
        let mut options: Options = serde_json::from_str(options).map_err(wrong)?;
        let opened = current(py)?;
        let reduced = Arc::new(Mutex::new(None));
        let own = callbacks
            .iter()
            .map(|(class, settings)| built_in::callback(class, settings, &reduced));
        let mut own: Vec<Box<dyn Callback>> = own.collect::<PyResult<_>>()?;
        let _turn = self.take_turn()?;
        let state = {
            let mut inner = lock(&self.inner);
            let uncompiled = || PyRuntimeError::new_err("the model is not compiled");
            let optimizer = inner.optimizer.ok_or_else(uncompiled)?;
            // The first call has the seed of the library; the next ones shuffle in other orders.
            let turn = inner.fits.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            options = options
                .seed(inner.seed.wrapping_add(turn))
                .optimizer(optimizer);
            inner.fits += 1;
            Arc::clone(&inner.state)
        };
        let wanted = Some(options);
        let (number, mut trainer) = py
            .detach(|| lock(&self.inner).trainer(&opened, wanted))
            .map_err(|e| exception(&e))?;
        let call = Call {
            source: &source,
            validation: validation.as_ref(),
            state,
            rate: Arc::new(Mutex::new(rate)),
            reduced,
            hooks,
            batches,
        };
        let rate = Arc::clone(&call.rate);
        let done = call.run(py, &mut trainer, &mut own)?;
        lock(&self.inner).trainer = Some((number, trainer));
        let history = done?;
        let found = PyDict::new(py);
        found.set_item("ending", fit::ending(history.ending))?;
        found.set_item("restored_epoch", history.restored_epoch)?;
        found.set_item("rate", *lock(&rate))?;
        let of_each = own.iter_mut().map(|own| built_in::found(&mut **own));
        found.set_item("callbacks", of_each.collect::<Vec<_>>())?;
        Ok(found)
    }
}
