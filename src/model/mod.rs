//! Models: a [`Sequential`] list of layers, with Keras's names and defaults, in which a layer may name
//! earlier ones as its inputs.
//!
//! Each layer has its own file with its documentation, output shape, parameters and *lowering*,
//! which shows the operations that it becomes. A model knows nothing about devices and holds no
//! weights: [`crate::plan`] is derived from it, and [`crate::state`] holds what training changes.

mod activation;
mod add;
mod augmentation;
mod batch_normalization;
mod concatenate;
mod conv2d;
mod dense;
mod depthwise_conv2d;
mod dropout;
mod flatten;
mod global_pooling2d;
mod initializer;
mod layer;
mod layer_names;
mod loss;
mod placed_layer;
mod pooling2d;
mod presets;
mod regularizer;
mod rescaling;
mod resolved_layer;
mod sequential;
mod summary;
mod zero_padding2d;

pub use activation::{Activation, ActivationLayer};
pub use add::Add;
pub use augmentation::{
    AUGMENTATIONS, Factor, FillMode, FlipMode, GaussianNoise, RandomBrightness, RandomContrast,
    RandomCrop, RandomElasticTransform, RandomErasing, RandomFlip, RandomRotation, RandomShear,
    RandomTranslation, RandomZoom, Resampling, Sampling, augmentation,
};
pub use batch_normalization::BatchNormalization;
pub use concatenate::Concatenate;
pub use conv2d::Conv2D;
pub use dense::Dense;
pub use depthwise_conv2d::DepthwiseConv2D;
pub use dropout::{Dropout, SpatialDropout2D};
pub use flatten::Flatten;
pub use global_pooling2d::{GlobalAveragePooling2D, GlobalMaxPooling2D, GlobalPooling2D};
pub use initializer::Initializer;
pub use layer::{Layer, LayerSpec, ParameterSpec};
pub use loss::Loss;
pub use placed_layer::{LayerSources, PlacedLayer};
pub use pooling2d::{AveragePooling2D, MaxPooling2D, PoolKind, Pooling2D, SumPooling2D};
pub use presets::{PRESETS, preset};
pub use regularizer::Regularizer;
pub use rescaling::Rescaling;
pub use resolved_layer::ResolvedLayer;
pub use sequential::Sequential;
pub use zero_padding2d::{Margins, ZeroPadding2D};
