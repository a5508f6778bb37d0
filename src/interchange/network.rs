//! What travels between programs.

use crate::model::Sequential;
use crate::optimizer::Optimizer;
use crate::state::State;
use crate::words::one_line;

/// A trained network.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Network {
    /// The model. Its inputs are pixels divided by 255, as everywhere in this crate.
    pub model: Sequential,
    /// The weights; with the optimizer's moments and steps if they are known.
    pub state: State,
    /// The optimizer that the moments belong to.
    pub optimizer: Option<Optimizer>,
    /// The names of the classes in the order of the outputs; empty if they have none.
    pub class_names: Vec<String>,
    /// Whether a format that is compiled with the loss takes labels as one-hot rows, Keras's
    /// `categorical_crossentropy`, and not as class indices, as this crate does. Default false.
    pub one_hot_labels: bool,
    /// The shape of an input in files of Keras, if it is not [`Sequential::input_shape`]: `[n]` for vectors of
    /// features, which are images of 1x1xn here, `[h, w]` for images of hxwx1 that a `Flatten` takes.
    pub input_shape: Option<Vec<usize>>,
}

impl Network {
    /// A model and its weights, without moments and class names.
    pub fn new(model: Sequential, state: State) -> Self {
        Self {
            model,
            state,
            optimizer: None,
            class_names: Vec::new(),
            one_hot_labels: false,
            input_shape: None,
        }
    }

    /// The network with class names.
    pub fn class_names(mut self, names: Vec<String>) -> Self {
        self.class_names = names;
        self
    }

    /// The network with labels as one-hot rows or class indices.
    pub fn one_hot_labels(mut self, one_hot: bool) -> Self {
        self.one_hot_labels = one_hot;
        self
    }

    /// The network whose inputs have this shape in files of Keras.
    pub fn input_shape(mut self, shape: Vec<usize>) -> Self {
        self.input_shape = Some(shape);
        self
    }

    /// The network with the optimizer whose moments its state holds.
    pub fn optimizer(mut self, optimizer: Optimizer) -> Self {
        self.optimizer = Some(optimizer);
        self
    }

    /// What a format for inference leaves behind: it has no place for the optimizer, which the
    /// description does not hold either.
    pub(super) fn optimizer_left_behind(&self) -> Vec<String> {
        let moments: Vec<&str> = self.state.moments().map(|(name, _)| name).collect();
        let settings = (self.optimizer).map(|_| "the settings of the optimizer".to_owned());
        let moments = (!moments.is_empty()).then(|| {
            let moments = moments.join(", ");
            format!("the state of the optimizer ({moments}): training restarts without it")
        });
        settings.into_iter().chain(moments).collect()
    }
}

/// A network as the contents of a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Export {
    /// The file's contents.
    pub bytes: Vec<u8>,
    /// What the file does not hold, one line each.
    pub left_behind: Vec<String>,
}

impl Export {
    /// Contents that hold everything.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            left_behind: Vec::new(),
        }
    }
}

/// A network that was read from a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Import {
    /// The network.
    pub network: Network,
    /// Which tensor of the file became which parameter.
    pub matches: Vec<Match>,
    /// What was assumed and what the file holds but was not taken, one line each.
    pub notes: Vec<String>,
}

/// A tensor of a file and the parameter that it became.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Match {
    /// The tensor's name in the file, on one line.
    pub theirs: String,
    /// Its shape in the file.
    pub shape: Vec<usize>,
    /// The parameter: `LAYER/kernel`.
    pub ours: String,
}

impl Match {
    /// The tensor `theirs` of this shape became the parameter `ours`.
    pub fn new(theirs: impl Into<String>, shape: Vec<usize>, ours: impl Into<String>) -> Self {
        Self {
            theirs: one_line(&theirs.into()),
            shape,
            ours: ours.into(),
        }
    }
}
