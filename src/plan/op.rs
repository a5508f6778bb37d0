//! The operations: what is computed, never how.
//!
//! Each family has a file with its operations' formulas, buffers and costs, and with the
//! [`Builder`](super::Builder) methods that add them to a plan. `n` is the batch size, images are
//! `[n, h, w, c]`, kernels `[kh, kw, ic, oc]` or `[in, out]`. `dx`, the gradient of `x`, is the
//! derivative of the loss with respect to `x`.
//!
//! A batch may have fewer valid rows than the plan: the other rows contain zeros on entry, and the
//! loss gives them a zero gradient. Only batch normalization, which takes its statistics over the
//! valid rows, and the penalties depend on the number of valid rows.

mod activation;
mod adjust;
mod affine;
mod batch_norm;
mod beta;
mod clip;
mod conv2d;
mod dense;
mod draws;
mod dropout;
mod elastic;
mod erase;
mod gather;
mod loss;
mod merge;
mod mix;
mod noise;
mod pool2d;
mod regularize;
mod rescale;
mod resize;
mod softmax;
mod update;

pub use activation::{ActivationBackward, ActivationForward};
pub use adjust::{AdjustBrightness, AdjustContrast};
pub use affine::{AffineMap, AffinePart, AffineTransform, DrawMaps, MapDraw};
pub use batch_norm::{
    BatchNorm, BatchNormBackwardInput, BatchNormBackwardWeight, BatchNormForward, BatchNormMove,
    BatchNormStatistics, Moving,
};
pub use beta::{EXPONENTIAL, MOST_CONCENTRATED, SHARE_ONE, SINE};
pub use clip::ClipGradients;
pub use conv2d::{Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward, ConvShape};
pub use dense::{DenseBackwardInput, DenseBackwardWeight, DenseForward};
pub use draws::RowDraws;
pub use dropout::{Dropout, DropoutMask};
pub use elastic::{BlurNoise, DisplacePixels, DrawNoise, ElasticStrength};
pub use erase::{Erase, EraseAreas};
pub use gather::Gather;
pub use loss::LossOp;
pub use merge::{AddOp, ConcatenateBackward, ConcatenateForward};
pub use mix::{DrawMixes, MixRows, MixedLabel, MixedRow, Mixing, RowLabels, StepMix};
pub use noise::AddNoise;
pub use pool2d::{Pool2dBackward, Pool2dForward, PoolShape};
pub use regularize::{Penalty, Regularize};
pub use rescale::Rescale;
pub use resize::{ResizeBackward, ResizeForward, ResizeShape};
pub use softmax::{SoftmaxBackward, SoftmaxForward};
pub use update::Update;

use std::any::Any;

use super::{BufferId, Plan};
use crate::model::Activation;

/// Propagates a gradient through an activation: multiplies it by the activation's derivative, a
/// function of `y`. This is fused into the operation that computes the gradient, so a layer's
/// backward pass starts at its own pre-activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Through {
    /// A buffer with the gradient's shape: the activation's output, or its input if
    /// [`Activation::keeps_input`].
    pub y: BufferId,
    /// A pointwise activation, never linear.
    pub activation: Activation,
}

/// What plans, their checks and their printout need to know about an operation.
pub trait Operation: Any {
    /// The name shared by the kernel, the pipeline, the test and the benchmark's row.
    fn name(&self) -> &'static str;

    /// The buffers that the operation reads.
    fn reads(&self) -> Vec<BufferId>;

    /// The buffers that the operation writes.
    fn writes(&self) -> Vec<BufferId>;

    /// Floating-point operations at the full batch size; see [`Plan::flops`].
    fn flops(&self, plan: &Plan) -> u64;

    /// Bytes that it moves in addition to the buffers that it reads and writes.
    fn extra_bytes(&self, _plan: &Plan) -> u64 {
        0
    }

    /// How much two correct implementations may differ.
    fn rounding(&self) -> Rounding;

    /// Whether it modifies buffers that it also reads.
    fn works_in_place(&self) -> bool {
        false
    }

    /// Whether it adds to the step's loss and its count of correct rows.
    fn adds_to_metrics(&self) -> bool {
        false
    }

    /// Whether it updates the optimizer's moments.
    fn changes_moments(&self) -> bool {
        false
    }

    /// What it reads, in words, if the list of buffers would be long or incomplete.
    fn reads_summary(&self) -> Option<String> {
        None
    }

    /// What it writes, in words, if the list of buffers would be long.
    fn writes_summary(&self) -> Option<String> {
        None
    }
}

/// The kind of arithmetic, which determines how much two correct f32 implementations may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// No arithmetic: results are bit-identical.
    None,
    /// A handful of roundings.
    Few,
    /// Sums of up to a few thousand terms, in any order.
    Sum,
    /// Exponentials and hyperbolic tangents.
    Exponential,
    /// Quotients and roots.
    Quotient,
    /// Means of pixels at places that were computed: an error in a place counts as much as the
    /// pixels around it differ.
    Place,
}

impl Rounding {
    /// The rounding of a sum followed by an activation.
    fn of_sum_with(activation: Activation) -> Self {
        match activation {
            Activation::Linear | Activation::Relu | Activation::LeakyRelu => Self::Sum,
            _ => Self::Exponential,
        }
    }

    /// The rounding of a sum multiplied by an activation's derivative.
    fn of_sum_through(through: Option<Through>) -> Self {
        match Self::through(through) {
            Self::Few => Self::Sum,
            other => other,
        }
    }

    /// The rounding of a gradient multiplied by an activation's derivative.
    fn through(through: Option<Through>) -> Self {
        match through.map(|t| t.activation) {
            // Their derivatives contain an exponential.
            Some(Activation::Gelu | Activation::Silu | Activation::Softplus) => Self::Exponential,
            _ => Self::Few,
        }
    }
}

/// Declares [`Op`] from the list of operations, and a macro for matches with identical arms.
macro_rules! operations {
    // The token `$` is passed first, because the inner macro has variables of its own.
    ($d:tt, $($(#[$doc:meta])* $name:ident($payload:ident),)+) => {
        /// One operation.
        ///
        /// [`OpKind`] is the operation without its payload, and [`OpKind::VARIANTS`] lists all
        /// kinds. The variants of [`Op`] are the only list of operations.
        ///
        /// [`OpKind::VARIANTS`]: strum::VariantArray::VARIANTS
        #[derive(Clone, Debug, PartialEq, strum::EnumDiscriminants)]
        #[strum_discriminants(name(OpKind), derive(Hash, strum::VariantArray))]
        #[strum_discriminants(doc = "The kind of an [`Op`].")]
        pub enum Op {
            $($(#[$doc])* $name($payload),)+
        }

        /// A `match` with the same arm for every operation: `each_operation!(op, op => op.name())`.
        macro_rules! each_operation {
            ($d op:expr, $d held:ident => $d arm:expr) => {
                match $d op {
                    $($crate::plan::Op::$name($d held) => $d arm,)+
                }
            };
        }
        pub(crate) use each_operation;
    };
}

// Where the arms differ, executors match without a wildcard, so that the compiler reports every
// place to extend for a new operation.
operations! { $,
    /// Copies the batch from the data set.
    Gather(Gather),
    /// Draws how each image is moved.
    DrawMaps(DrawMaps),
    /// Moves the pixels of images.
    AffineTransform(AffineTransform),
    /// Draws noise for each pixel.
    DrawNoise(DrawNoise),
    /// Makes displacements of it.
    BlurNoise(BlurNoise),
    /// Displaces pixels.
    DisplacePixels(DisplacePixels),
    /// A random contrast.
    AdjustContrast(AdjustContrast),
    /// A random brightness.
    AdjustBrightness(AdjustBrightness),
    /// Erases a part of images.
    Erase(Erase),
    /// Normal noise.
    AddNoise(AddNoise),
    /// Resizes a window of images.
    ResizeForward(ResizeForward),
    /// The gradient of its input.
    ResizeBackward(ResizeBackward),
    /// Draws how images are mixed in pairs.
    DrawMixes(DrawMixes),
    /// Mixes images in pairs.
    MixRows(MixRows),
    /// A convolution.
    Conv2dForward(Conv2dForward),
    /// The gradient of a convolution's input.
    Conv2dBackwardInput(Conv2dBackwardInput),
    /// The gradients of a convolution's kernel and bias.
    Conv2dBackwardWeight(Conv2dBackwardWeight),
    /// A pool.
    Pool2dForward(Pool2dForward),
    /// The gradient of a pool's input.
    Pool2dBackward(Pool2dBackward),
    /// A fully connected layer.
    DenseForward(DenseForward),
    /// The gradient of its input.
    DenseBackwardInput(DenseBackwardInput),
    /// The gradients of its kernel and bias.
    DenseBackwardWeight(DenseBackwardWeight),
    /// A pointwise activation.
    ActivationForward(ActivationForward),
    /// The gradient of its input.
    ActivationBackward(ActivationBackward),
    /// A softmax.
    SoftmaxForward(SoftmaxForward),
    /// The gradient of its input.
    SoftmaxBackward(SoftmaxBackward),
    /// The loss, its metrics and its gradient.
    Loss(LossOp),
    /// A dropout, forward or backward.
    Dropout(Dropout),
    /// A rescaling, forward or backward.
    Rescale(Rescale),
    /// A sum of two values or of two gradients.
    Add(AddOp),
    /// A concatenation.
    ConcatenateForward(ConcatenateForward),
    /// The gradient of one of its inputs.
    ConcatenateBackward(ConcatenateBackward),
    /// The batch's statistics, and the update of the moving ones.
    BatchNormStatistics(BatchNormStatistics),
    /// The update of moving statistics after a batch in parts.
    BatchNormMove(BatchNormMove),
    /// A batch normalization.
    BatchNormForward(BatchNormForward),
    /// The gradients of its gamma and beta.
    BatchNormBackwardWeight(BatchNormBackwardWeight),
    /// The gradient of its input.
    BatchNormBackwardInput(BatchNormBackwardInput),
    /// The penalties and their gradients.
    Regularize(Regularize),
    /// Gradient clipping.
    ClipGradients(ClipGradients),
    /// The optimizer's step.
    Update(Update),
}

impl Op {
    /// The variant's payload as the interface common to all operations.
    pub fn operation(&self) -> &dyn Operation {
        each_operation!(self, op => op)
    }

    /// What the variant holds, if it holds a `T`: for code that looks for one kind of operation,
    /// such as fusion, and has nothing to do with any other.
    pub fn downcast<T: Operation>(&self) -> Option<&T> {
        let held: &dyn Any = self.operation();
        held.downcast_ref()
    }

    /// The name shared by the kernel, the pipeline, the test and the benchmark's row.
    pub fn name(&self) -> &'static str {
        self.operation().name()
    }

    /// The buffers that the operation reads.
    pub fn reads(&self) -> Vec<BufferId> {
        self.operation().reads()
    }

    /// The buffers that the operation writes.
    pub fn writes(&self) -> Vec<BufferId> {
        self.operation().writes()
    }
}
