//! What training changes: parameters, optimizer moments and averaged weights, in flat arenas.
//!
//! All parameters are stored in one array, each at an aligned offset, so that an optimizer step is
//! one dispatch, a checkpoint is one copy, and moving to another device means uploading the state.

use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::model::{Initializer, Sequential};
use crate::rng::{Key, Stream};

/// Parameters start at multiples of this many floats: 256 bytes, the strictest alignment that
/// WebGPU requires for a binding.
const ALIGNMENT: usize = 64;

/// Arenas in an executor: parameters, gradients, two moments and an average.
pub(crate) const ARENAS: usize = 5;

/// The location of one parameter in the arenas.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Parameter {
    /// `LAYER/kernel` or `LAYER/bias`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Offset of its first element, in floats.
    pub offset: usize,
    /// How it is initialised.
    pub initializer: Initializer,
    /// Whether the optimizer updates it; it does not update moving statistics.
    pub trainable: bool,
}

impl Parameter {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True if it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its elements in an arena.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// The locations of all parameters of a model.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Layout {
    /// In the order of the layers, kernel before bias.
    pub parameters: Vec<Parameter>,
    /// Floats taken by trainable parameters, including padding; they come first in an arena.
    pub trainable: usize,
    /// Floats in an arena, including padding.
    pub len: usize,
}

impl Layout {
    /// Lays out the parameters of `model`, without allocating memory for them.
    ///
    /// # Errors
    /// As [`Sequential::resolve`].
    pub fn new(model: &Sequential) -> Result<Arc<Self>> {
        let mut layout = Self::default();
        for layer in model.resolve()? {
            for spec in layer.parameters() {
                let name = format!("{}/{}", layer.name, spec.name);
                layout.add(name, spec.shape, spec.initializer, spec.trainable);
            }
        }
        layout.place();
        if layout.len >= 1 << 31 {
            return Err(model.error("has more than 2^31 parameters".into()));
        }
        Ok(Arc::new(layout))
    }

    /// Checks whether memory for the parameters, their gradients and two moments can be allocated.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]
    pub fn check_memory(&self) -> Result<()> {
        check_memory("parameters and moments", ARENAS * self.len)
    }

    /// Appends a trainable parameter and returns its index.
    pub fn push(&mut self, name: String, shape: Vec<usize>, initializer: Initializer) -> usize {
        self.add(name, shape, initializer, true);
        self.place();
        self.parameters.len() - 1
    }

    fn add(&mut self, name: String, shape: Vec<usize>, initializer: Initializer, trainable: bool) {
        self.parameters.push(Parameter {
            name,
            shape,
            offset: 0,
            initializer,
            trainable,
        });
    }

    /// Gives each parameter its offset, trainable ones first.
    fn place(&mut self) {
        self.len = 0;
        for trainable in [true, false] {
            for p in &mut self.parameters {
                if p.trainable == trainable {
                    p.offset = self.len;
                    self.len += p.len().next_multiple_of(ALIGNMENT);
                }
            }
            if trainable {
                self.trainable = self.len;
            }
        }
    }

    /// The index of the parameter with this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.parameters.iter().position(|p| p.name == name)
    }
}

/// Parameters, moments, average and step counter of a model in training.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct State {
    /// The location of each parameter in the arenas.
    pub layout: Arc<Layout>,
    /// The weights.
    pub params: Vec<f32>,
    /// First moment (Adam) or momentum. Empty before training, which means zeros.
    pub m: Vec<f32>,
    /// Second moment. Likewise.
    pub v: Vec<f32>,
    /// The averaged weights if the optimizer keeps them, otherwise empty.
    pub average: Vec<f32>,
    /// Optimizer steps taken.
    pub step: u64,
}

impl State {
    /// Freshly initialised weights: parameter `i` is drawn from stream `Init`, coordinate `i`.
    pub fn new(layout: Arc<Layout>, seed: u64) -> Self {
        let mut params = vec![0.0; layout.len];
        for (i, p) in layout.parameters.iter().enumerate() {
            let key = Key::new(seed).stream(Stream::Init, i as u32);
            params[p.range()].copy_from_slice(&p.initializer.fill(&p.shape, key));
        }
        Self {
            m: Vec::new(),
            v: Vec::new(),
            average: Vec::new(),
            params,
            step: 0,
            layout,
        }
    }

    /// The non-empty arenas other than the weights, by name.
    pub fn moments(&self) -> impl Iterator<Item = (&'static str, &Vec<f32>)> {
        let all = [("m", &self.m), ("v", &self.v), ("average", &self.average)];
        all.into_iter().filter(|(_, arena)| !arena.is_empty())
    }

    /// The values of one parameter.
    ///
    /// # Errors
    /// No parameter has this name.
    pub fn parameter(&self, name: &str) -> Result<&[f32]> {
        let p = self.entry(name)?;
        Ok(&self.params[p.range()])
    }

    /// Sets the values of one parameter.
    ///
    /// # Errors
    /// No parameter has this name, or it has another number of elements.
    pub fn set_parameter(&mut self, name: &str, values: &[f32]) -> Result<()> {
        let p = self.entry(name)?;
        if p.len() != values.len() {
            return Err(Error::Argument(format!(
                "parameter `{name}` has {} elements ({}), received {}",
                p.len(),
                crate::shape::dims(&p.shape),
                values.len()
            )));
        }
        let range = p.range();
        self.params[range].copy_from_slice(values);
        Ok(())
    }

    /// Copies the weights of `other` whose name and shape one of these parameters has. Returns the
    /// indices of the parameters that keep their values.
    pub fn copy_fitting(&mut self, other: &State) -> Vec<usize> {
        let mut kept = Vec::new();
        for (index, ours) in self.layout.parameters.iter().enumerate() {
            let found = other.layout.find(&ours.name);
            let theirs = found.map(|found| &other.layout.parameters[found]);
            match theirs.filter(|theirs| theirs.shape == ours.shape) {
                Some(theirs) => {
                    self.params[ours.range()].copy_from_slice(&other.params[theirs.range()]);
                }
                None => kept.push(index),
            }
        }
        kept
    }

    fn entry(&self, name: &str) -> Result<&Parameter> {
        let found = self.layout.find(name);
        found
            .map(|i| &self.layout.parameters[i])
            .ok_or_else(|| Error::Argument(format!("the model has no parameter `{name}`")))
    }

    /// Allocates the moments, unless they exist.
    pub(crate) fn make_moments(&mut self) {
        for moment in [&mut self.m, &mut self.v] {
            moment.resize(self.params.len(), 0.0);
        }
    }

    /// Allocates the moments and, if the optimizer keeps one, the average, unless they exist. The
    /// average starts with the current weights.
    pub(crate) fn begin_training(&mut self, averages: bool) {
        self.make_moments();
        if averages && self.average.is_empty() {
            self.average.clone_from(&self.params);
        }
    }

    /// Replaces the trainable weights by their average.
    pub(crate) fn take_average(&mut self) {
        let trainable = ..self.layout.trainable;
        self.params[trainable].copy_from_slice(&self.average[trainable]);
    }

    /// SHA-256 of the weights' little-endian bytes, parameter by parameter: equal hashes mean
    /// bit-identical weights.
    pub fn weights_hash(&self) -> String {
        let mut hasher = Sha256::new();
        for p in &self.layout.parameters {
            for value in &self.params[p.range()] {
                hasher.update(value.to_le_bytes());
            }
        }
        hex(&hasher.finalize())
    }
}

/// Checks whether memory for this many floats can be allocated. Called before it is allocated in
/// pieces, where a failure would abort the process.
pub(crate) fn check_memory(what: &str, floats: usize) -> Result<()> {
    let mut probe = Vec::<f32>::new();
    let reserved = probe.try_reserve_exact(floats);
    // Otherwise the compiler would remove the unused allocation.
    std::hint::black_box(&probe);
    reserved.map_err(|_| {
        let gib = floats as f64 * 4.0 / f64::from(1 << 30);
        Error::OutOfMemory(format!("{what} take {gib:.1} GiB"))
    })
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
