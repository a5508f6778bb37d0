//! A layer in its model.

use super::{Layer, ParameterSpec, PlacedLayer, Regularizer};

/// A layer with its name and shapes resolved.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResolvedLayer<'a> {
    /// Unique in the model.
    pub name: String,
    /// The layer.
    pub layer: &'a Layer,
    /// The indices of the layers whose outputs it takes; `None` is the model's input.
    pub from: Vec<Option<usize>>,
    /// See [`PlacedLayer::trainable`].
    pub trainable: bool,
    /// The layer in the model's list.
    pub(super) placed: &'a PlacedLayer,
    /// Shape of one input sample; of the first input if there are several.
    pub input: Vec<usize>,
    /// Shape of one output sample.
    pub output: Vec<usize>,
}

impl ResolvedLayer<'_> {
    /// Whether it takes the output of the layer before it and nothing else, if this is its index.
    pub(crate) fn follows(&self, index: usize) -> bool {
        self.from == [index.checked_sub(1)]
    }

    /// The names of the layers of a model, or [`PlacedLayer::INPUT`], whose outputs this one takes.
    pub fn source_names<'a>(&self, layers: &'a [ResolvedLayer<'_>]) -> Vec<&'a str> {
        let name = |source: &Option<usize>| match source {
            Some(index) => layers.get(*index).map_or("", |layer| &layer.name),
            None => PlacedLayer::INPUT,
        };
        self.from.iter().map(name).collect()
    }

    /// Its parameters: those of a layer that is not trainable are neither trained nor penalized.
    pub fn parameters(&self) -> Vec<ParameterSpec> {
        let specs = self.layer.spec().parameters(&self.input).into_iter();
        let specs = specs.map(|spec| ParameterSpec {
            learning_rate_factor: self.placed.factor_of(&spec),
            ..spec
        });
        match self.trainable {
            true => specs.collect(),
            false => specs
                .map(|spec| spec.regularized(Regularizer::default()).not_trainable())
                .collect(),
        }
    }

    /// Number of parameters of this layer, trainable or not.
    pub fn parameter_count(&self) -> usize {
        self.count(|_| true)
    }

    /// Number of parameters of this layer that the optimizer updates.
    pub fn trainable_count(&self) -> usize {
        self.count(|p| p.trainable)
    }

    fn count(&self, counts: impl Fn(&ParameterSpec) -> bool) -> usize {
        let parameters = self.parameters();
        let counted = parameters.iter().filter(|p| counts(p));
        counted.map(|p| p.shape.iter().product::<usize>()).sum()
    }
}
