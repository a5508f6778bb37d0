//! The operations: what is computed, never how.
//!
//! Each family has a file with its operations' formulas, buffers and costs, and with the
//! [`Builder`](super::Builder)'s method that adds them to a plan. `n` is the batch, images are
//! `[n, h, w, c]`, kernels `[kh, kw, ic, oc]` or `[in, out]`; `dx` is the gradient of the loss by
//! `x`. A batch may hold fewer valid rows than the plan has: the others hold zeros on entry, and
//! the loss gives them a zero gradient. So only batch normalization, whose statistics are those of
//! the valid rows, and the penalties depend on the number of valid rows.

mod activation;
mod batch_norm;
mod clip;
mod conv2d;
mod dense;
mod dropout;
mod gather;
mod loss;
mod pool2d;
mod regularize;
mod rescale;
mod softmax;
mod update;

pub use activation::{ActivationBackward, ActivationForward};
pub use batch_norm::{
    BatchNorm, BatchNormBackwardInput, BatchNormBackwardWeight, BatchNormForward,
    BatchNormStatistics,
};
pub use clip::ClipGradients;
pub use conv2d::{Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward, ConvShape};
pub use dense::{DenseBackwardInput, DenseBackwardWeight, DenseForward};
pub use dropout::{Dropout, DropoutMask};
pub use gather::Gather;
pub use loss::LossOp;
pub use pool2d::{Pool2dBackward, Pool2dForward, PoolShape};
pub use regularize::{Penalty, Regularize};
pub use rescale::Rescale;
pub use softmax::{SoftmaxBackward, SoftmaxForward};
pub use update::Update;

use super::{BufferId, Plan};
use crate::model::Activation;

/// A gradient that goes on through an activation: the result is multiplied by the activation's
/// derivative, a function of `y`. It is fused into the operation that makes the gradient, so that a
/// layer's backward pass starts at its own pre-activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Through {
    /// A buffer of the gradient's shape: the activation's output, or its input where
    /// [`Activation::keeps_input`].
    pub y: BufferId,
    /// A pointwise activation other than linear.
    pub activation: Activation,
}

/// What the plan, its checks and its printout ask of an operation.
pub trait Operation {
    /// The name that the kernel, the pipeline, the test and the bench row share.
    fn name(&self) -> &'static str;

    /// The buffers that the operation reads.
    fn reads(&self) -> Vec<BufferId>;

    /// The buffers that the operation writes.
    fn writes(&self) -> Vec<BufferId>;

    /// Floating-point operations at the full batch; see [`Plan::flops`].
    fn flops(&self, plan: &Plan) -> u64;

    /// Bytes that it moves besides the buffers that it reads and writes.
    fn extra_bytes(&self, _plan: &Plan) -> u64 {
        0
    }

    /// How far two correct implementations may differ.
    fn rounding(&self) -> Rounding;

    /// Whether it changes buffers that it also reads.
    fn works_in_place(&self) -> bool {
        false
    }

    /// Whether it adds to the step's loss and its count of correct rows.
    fn adds_to_metrics(&self) -> bool {
        false
    }

    /// Whether it changes the optimizer's moments.
    fn changes_moments(&self) -> bool {
        false
    }

    /// What it reads, in words, where the list of buffers would be long or does not tell.
    fn reads_summary(&self) -> Option<String> {
        None
    }

    /// What it writes, in words, where the list of buffers would be long.
    fn writes_summary(&self) -> Option<String> {
        None
    }
}

/// The kind of arithmetic that decides how far two correct implementations may differ in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Nothing is computed: results are the same to the bit.
    None,
    /// A handful of roundings.
    Few,
    /// Sums of up to some thousand terms, in any order.
    Sum,
    /// Exponentials and hyperbolic tangents.
    Exponential,
    /// Quotients and roots.
    Quotient,
}

impl Rounding {
    /// Of a sum that goes through an activation.
    fn of_sum_with(activation: Activation) -> Self {
        match activation {
            Activation::Linear | Activation::Relu | Activation::LeakyRelu => Self::Sum,
            _ => Self::Exponential,
        }
    }

    /// Of a gradient that goes on through an activation.
    fn through(through: Option<Through>) -> Self {
        match through.map(|t| t.activation) {
            // Derivatives with an exponential in them.
            Some(Activation::Gelu | Activation::Silu | Activation::Softplus) => Self::Exponential,
            _ => Self::Few,
        }
    }
}

/// Declares [`Op`] from the list of operations, and what has the same arm for each of them.
macro_rules! operations {
    // `$` itself comes first, because the inner macro has variables of its own.
    ($d:tt, $($(#[$doc:meta])* $name:ident($payload:ident),)+) => {
        /// One operation.
        ///
        /// [`OpKind`] is the operation without what it holds, and [`OpKind::VARIANTS`] lists all of
        /// them: [`Op`]'s variants are the only list of operations.
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

// Where the arms differ, executors match without a wildcard, so that the compiler names every place
// that a new operation needs.
operations! { $,
    /// Takes the batch out of the data set.
    Gather(Gather),
    /// A convolution.
    Conv2dForward(Conv2dForward),
    /// The gradient by a convolution's input.
    Conv2dBackwardInput(Conv2dBackwardInput),
    /// The gradients by a convolution's kernel and bias.
    Conv2dBackwardWeight(Conv2dBackwardWeight),
    /// A pool.
    Pool2dForward(Pool2dForward),
    /// The gradient by a pool's input.
    Pool2dBackward(Pool2dBackward),
    /// A fully connected layer.
    DenseForward(DenseForward),
    /// The gradient by its input.
    DenseBackwardInput(DenseBackwardInput),
    /// The gradients by its kernel and bias.
    DenseBackwardWeight(DenseBackwardWeight),
    /// A pointwise activation.
    ActivationForward(ActivationForward),
    /// The gradient by its input.
    ActivationBackward(ActivationBackward),
    /// A softmax.
    SoftmaxForward(SoftmaxForward),
    /// The gradient by its input.
    SoftmaxBackward(SoftmaxBackward),
    /// The loss, its metrics and its gradient.
    Loss(LossOp),
    /// A dropout, forward or backward.
    Dropout(Dropout),
    /// A rescaling, forward or backward.
    Rescale(Rescale),
    /// The batch's statistics, and the moving ones.
    BatchNormStatistics(BatchNormStatistics),
    /// A batch normalization.
    BatchNormForward(BatchNormForward),
    /// The gradients by its gamma and beta.
    BatchNormBackwardWeight(BatchNormBackwardWeight),
    /// The gradient by its input.
    BatchNormBackwardInput(BatchNormBackwardInput),
    /// The penalties and their gradients.
    Regularize(Regularize),
    /// Gradient clipping.
    ClipGradients(ClipGradients),
    /// The optimizer's step.
    Update(Update),
}

impl Op {
    /// What the variant holds, as what all operations share.
    pub fn operation(&self) -> &dyn Operation {
        each_operation!(self, op => op)
    }

    /// The name that the kernel, the pipeline, the test and the bench row share.
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
