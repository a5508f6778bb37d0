//! What a name in a graph stands for.

use std::rc::Rc;

use super::nd_array::NdArray;
use super::view::AxisView;

/// A value while a graph is read.
#[derive(Clone, Debug)]
pub(super) enum GraphValue {
    /// Floats that are the same for every image, such as weights.
    Floats(Floats),
    /// Integers, such as shapes; `None` is the number of images.
    Integers(NdArray<Option<i64>>),
    /// A value that depends on the images.
    Flow(Flow),
}

/// Constant numbers.
#[derive(Clone, Debug)]
pub(super) struct Floats {
    pub array: NdArray<f32>,
    /// The tensors of the file that they come from.
    pub origins: Vec<Rc<TensorOrigin>>,
}

/// A tensor of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TensorOrigin {
    pub name: String,
    pub dims: Vec<usize>,
}

/// A value that depends on the images: a function of each element of a layer's output.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    /// The number of the output; 0 is the input.
    pub output: usize,
    /// What its axes are.
    pub view: AxisView,
    /// The function, as the number of a term.
    pub term: usize,
}

impl GraphValue {
    /// The number of constants.
    pub fn constants(&self) -> usize {
        match self {
            Self::Floats(numbers) => numbers.array.len(),
            Self::Integers(integers) => integers.len(),
            Self::Flow(_) => 0,
        }
    }
}

impl Floats {
    /// Floats that come from no tensor.
    pub fn new(array: NdArray<f32>) -> Self {
        Self {
            array,
            origins: Vec::new(),
        }
    }

    /// Floats that were computed from these ones.
    pub fn derived(&self, array: NdArray<f32>) -> Self {
        Self {
            array,
            origins: self.origins.clone(),
        }
    }
}

/// The most origins that are kept of one constant.
const MOST_ORIGINS: usize = 16;

/// All origins, each once.
pub(super) fn merged(parts: &[&[Rc<TensorOrigin>]]) -> Vec<Rc<TensorOrigin>> {
    let mut all: Vec<Rc<TensorOrigin>> = Vec::new();
    for origin in parts.iter().copied().flatten() {
        if all.len() < MOST_ORIGINS && !all.contains(origin) {
            all.push(origin.clone());
        }
    }
    all
}
