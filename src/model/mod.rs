//! What the user wrote: a [`Sequential`] list of layers, with Keras's names and defaults.
//!
//! A layer lives in one file: its documentation, its output shape, its parameters, and its
//! *lowering*, where a reader sees which operations it becomes. The model knows nothing of devices
//! and holds no numbers; [`crate::plan`] is made from it, and [`crate::state`] holds what training
//! changes.

mod activation;
mod conv2d;
mod dense;
mod flatten;
mod initializer;
mod layer;
mod pooling2d;
mod presets;
mod sequential;
mod summary;

pub use activation::{Activation, ActivationLayer};
pub use conv2d::Conv2D;
pub use dense::Dense;
pub use flatten::Flatten;
pub use initializer::Initializer;
pub use layer::{Layer, LayerSpec, ParameterSpec};
pub use pooling2d::{AveragePooling2D, MaxPooling2D, PoolKind, Pooling2D, SumPooling2D};
pub use presets::{PRESETS, preset};
pub use sequential::{ResolvedLayer, Sequential};
