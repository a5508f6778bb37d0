//! The interface common to all layers.

use serde::{Deserialize, Serialize};

use super::{
    ActivationLayer, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D, Dense,
    DepthwiseConv2D, Dropout, Flatten, GaussianNoise, GlobalAveragePooling2D, GlobalMaxPooling2D,
    Initializer, MaxPooling2D, RandomBrightness, RandomContrast, RandomCrop,
    RandomElasticTransform, RandomErasing, RandomFlip, RandomRotation, RandomShear,
    RandomTranslation, RandomZoom, Regularizer, Rescaling, SpatialDropout2D, SumPooling2D,
    ZeroPadding2D,
};
use crate::plan::{Builder, Value};

/// A parameter that a layer needs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ParameterSpec {
    /// `kernel`, `bias`, `gamma`, ...
    pub name: &'static str,
    /// Kernels of convolutions are `[kh, kw, in, out]`, of dense layers `[in, out]`.
    pub shape: Vec<usize>,
    /// How it is initialised.
    pub initializer: Initializer,
    /// Whether the optimizer updates it.
    pub trainable: bool,
    /// The penalty on it, added to the loss.
    pub regularizer: Regularizer,
    /// What its learning rate is multiplied by.
    pub learning_rate_factor: f32,
}

impl ParameterSpec {
    /// A trainable parameter.
    pub fn new(name: &'static str, shape: Vec<usize>, initializer: Initializer) -> Self {
        Self {
            name,
            shape,
            initializer,
            trainable: true,
            regularizer: Regularizer::default(),
            learning_rate_factor: 1.0,
        }
    }

    /// Whether it is added to what a layer computes: `bias` or `beta`.
    pub(crate) fn is_bias(&self) -> bool {
        ["bias", "beta"].contains(&self.name)
    }

    /// This parameter with a penalty.
    pub fn regularized(self, regularizer: Regularizer) -> Self {
        Self {
            regularizer,
            ..self
        }
    }

    /// This parameter, excluded from the optimizer's updates.
    pub fn not_trainable(self) -> Self {
        Self {
            trainable: false,
            ..self
        }
    }
}

/// The interface common to all layers. Shapes are those of one sample: `[h, w, c]` or `[features]`.
pub trait LayerSpec {
    /// The Keras class name, which is also `type` in a model file.
    fn kind(&self) -> &'static str;

    /// The user's name for the layer, if any.
    fn given_name(&self) -> Option<&str>;

    /// The shape of the output.
    ///
    /// # Errors
    /// The layer does not accept an input of this shape; the message says what was expected and
    /// what was received.
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String>;

    /// The parameters, in the order in which Keras lists them.
    fn parameters(&self, input: &[usize]) -> Vec<ParameterSpec>;

    /// Adds the layer's operations to a plan.
    ///
    /// # Errors
    /// As [`LayerSpec::output_shape`].
    fn lower(&self, b: &mut Builder, x: Value) -> Result<Value, String>;

    /// The shape of the output of a layer with any number of inputs.
    ///
    /// # Errors
    /// As [`LayerSpec::output_shape`]; several inputs, unless the layer merges them.
    fn merged_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        match inputs {
            [input] => self.output_shape(input),
            _ => Err(one_input(inputs.len())),
        }
    }

    /// As [`LayerSpec::lower`], for any number of inputs.
    ///
    /// # Errors
    /// As [`LayerSpec::merged_shape`].
    fn lower_merged(&self, b: &mut Builder, inputs: Vec<Value>) -> Result<Value, String> {
        match <[Value; 1]>::try_from(inputs) {
            Ok([input]) => self.lower(b, input),
            Err(inputs) => Err(one_input(inputs.len())),
        }
    }
}

/// One layer of a [`super::Sequential`] model. In a model file it is a table with a `type`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(strum::EnumCount))]
#[serde(tag = "type")]
#[expect(missing_docs, reason = "each variant is documented at its type")]
#[non_exhaustive]
pub enum Layer {
    Conv2D(Conv2D),
    MaxPooling2D(MaxPooling2D),
    AveragePooling2D(AveragePooling2D),
    SumPooling2D(SumPooling2D),
    Flatten(Flatten),
    Dense(Dense),
    Activation(ActivationLayer),
    GlobalAveragePooling2D(GlobalAveragePooling2D),
    GlobalMaxPooling2D(GlobalMaxPooling2D),
    ZeroPadding2D(ZeroPadding2D),
    Rescaling(Rescaling),
    Dropout(Dropout),
    SpatialDropout2D(SpatialDropout2D),
    BatchNormalization(BatchNormalization),
    DepthwiseConv2D(DepthwiseConv2D),
    RandomFlip(RandomFlip),
    RandomRotation(RandomRotation),
    RandomTranslation(RandomTranslation),
    RandomZoom(RandomZoom),
    RandomShear(RandomShear),
    RandomContrast(RandomContrast),
    RandomBrightness(RandomBrightness),
    RandomErasing(RandomErasing),
    RandomElasticTransform(RandomElasticTransform),
    RandomCrop(RandomCrop),
    GaussianNoise(GaussianNoise),
    Add(Add),
    Concatenate(Concatenate),
}

impl Layer {
    /// The layer as its common interface.
    pub fn spec(&self) -> &dyn LayerSpec {
        match self {
            Self::Conv2D(l) => l,
            Self::MaxPooling2D(l) => l,
            Self::AveragePooling2D(l) => l,
            Self::SumPooling2D(l) => l,
            Self::Flatten(l) => l,
            Self::Dense(l) => l,
            Self::Activation(l) => l,
            Self::GlobalAveragePooling2D(l) => l,
            Self::GlobalMaxPooling2D(l) => l,
            Self::ZeroPadding2D(l) => l,
            Self::Rescaling(l) => l,
            Self::Dropout(l) => l,
            Self::SpatialDropout2D(l) => l,
            Self::BatchNormalization(l) => l,
            Self::DepthwiseConv2D(l) => l,
            Self::RandomFlip(l) => l,
            Self::RandomRotation(l) => l,
            Self::RandomTranslation(l) => l,
            Self::RandomZoom(l) => l,
            Self::RandomShear(l) => l,
            Self::RandomContrast(l) => l,
            Self::RandomBrightness(l) => l,
            Self::RandomErasing(l) => l,
            Self::RandomElasticTransform(l) => l,
            Self::RandomCrop(l) => l,
            Self::GaussianNoise(l) => l,
            Self::Add(l) => l,
            Self::Concatenate(l) => l,
        }
    }

    /// Whether it varies training images. Such layers have no backward pass, so that none may follow
    /// a trained one.
    pub(crate) fn is_image_augmentation(&self) -> bool {
        matches!(
            self,
            Self::RandomFlip(_)
                | Self::RandomRotation(_)
                | Self::RandomTranslation(_)
                | Self::RandomZoom(_)
                | Self::RandomShear(_)
                | Self::RandomContrast(_)
                | Self::RandomBrightness(_)
                | Self::RandomErasing(_)
                | Self::RandomElasticTransform(_)
                | Self::RandomCrop(_)
        )
    }
}

macro_rules! into_layer {
    ($($variant:ident($type:ty)),*) => {
        $(
            impl From<$type> for Layer {
                fn from(layer: $type) -> Self {
                    Self::$variant(layer)
                }
            }
        )*

        impl Layer {
            /// The layer with this name.
            pub(crate) fn named(self, name: impl Into<String>) -> Self {
                match self {
                    $(Self::$variant(layer) => Self::$variant(layer.name(name)),)*
                }
            }
        }
    };
}

into_layer!(
    Conv2D(Conv2D),
    MaxPooling2D(MaxPooling2D),
    AveragePooling2D(AveragePooling2D),
    SumPooling2D(SumPooling2D),
    Flatten(Flatten),
    Dense(Dense),
    Activation(ActivationLayer),
    GlobalAveragePooling2D(GlobalAveragePooling2D),
    GlobalMaxPooling2D(GlobalMaxPooling2D),
    ZeroPadding2D(ZeroPadding2D),
    Rescaling(Rescaling),
    Dropout(Dropout),
    SpatialDropout2D(SpatialDropout2D),
    BatchNormalization(BatchNormalization),
    DepthwiseConv2D(DepthwiseConv2D),
    RandomFlip(RandomFlip),
    RandomRotation(RandomRotation),
    RandomTranslation(RandomTranslation),
    RandomZoom(RandomZoom),
    RandomShear(RandomShear),
    RandomContrast(RandomContrast),
    RandomBrightness(RandomBrightness),
    RandomErasing(RandomErasing),
    RandomElasticTransform(RandomElasticTransform),
    RandomCrop(RandomCrop),
    GaussianNoise(GaussianNoise),
    Add(Add),
    Concatenate(Concatenate)
);

fn one_input(received: usize) -> String {
    format!(
        "`from` has {received} names; expected one, because only Add and Concatenate merge layers"
    )
}

/// The first of several inputs.
pub(super) fn several<'a>(inputs: &[&'a [usize]]) -> Result<&'a [usize], String> {
    match inputs {
        [first, _, ..] => Ok(*first),
        _ => Err("expected the names of at least two layers in `from`".into()),
    }
}

/// The height, width and channels of an image input.
pub(super) fn image(input: &[usize]) -> Result<[usize; 3], String> {
    input.try_into().map_err(|_| {
        format!(
            "expected an input of height x width x channels, received {}",
            crate::shape::dims(input)
        )
    })
}

/// `default = "yes"` for serde.
pub(super) fn yes() -> bool {
    true
}
