//! Convolutions with 3x3 kernels and stride 1 by Winograd's minimal filtering F(2x2, 3x3).
//!
//! Each 4x4 patch `d` of the input gives a 2x2 tile of the output, with 16 multiplications per pair
//! of channels in place of 36:
//!
//! `y = Aᵀ [ Σ_ic (G g Gᵀ) ⊙ (Bᵀ d B) ] A`
//!
//! The sums over the channels are 16 matrix products, one for each point of the transformed tile,
//! computed by [`tile`](super::tile). Both gradients are the adjoint of this map, with the same
//! tiles and as few multiplications: with `m = A dy Aᵀ`,
//! - `dx = B [ Σ_oc (G g Gᵀ) ⊙ m ] Bᵀ`, added up where patches overlap;
//! - `dg = Gᵀ [ Σ (Bᵀ d B) ⊙ m ] G`, summed over all tiles.
//!
//! All constants are 1, -1 and 1/2, so the result is about as exact as a direct sum. A NaN reaches
//! the outputs whose windows contain it, as in a direct sum. An infinite input makes NaNs of outputs
//! that would be infinite.
//!
//! Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015,
//! arXiv:1509.09308.

mod contract;
mod expand;
mod kernel_gradient;
mod pack;
mod points;
mod product;
mod tiles;

use pulp::Arch;

use self::contract::{InputGradients, Outputs, PooledOutputs};
use self::expand::{Gradients, Patches, PoolGradients};
use self::kernel_gradient::{TransformedKernelGradient, gradient_scratch};
use self::pack::split_packed;
pub(super) use self::pack::{pack_backward, pack_forward};
use self::points::{Contract, Expand};
use self::product::{TransformedProduct, product_scratch};
use self::tiles::Tiles;
use super::pool_gradient::PoolGradient;
use super::pooled_forward::PooledForward;
use super::scratch;
use crate::plan::ConvShape;

/// Minimum channels on either side: with fewer, the transforms cost more than they save.
const MIN_CHANNELS: usize = 12;

/// Minimum number of tiles in an image: with fewer, reading the transformed kernel, which is larger,
/// costs more than is saved.
const MIN_TILES: usize = 9;

/// Whether convolutions of this shape are computed here.
pub(super) fn applies(shape: &ConvShape) -> bool {
    let w = &shape.window;
    shape.is_plain()
        && (w.kh, w.kw, w.sh, w.sw) == (3, 3, 1, 1)
        && shape.ic.min(shape.oc) >= MIN_CHANNELS
        && Tiles::new(w).per_sample() >= MIN_TILES
}

/// `y = x ⋆ w + bias` for some samples, after ReLU if `relu`.
pub(super) fn forward(
    arch: Arch,
    shape: &ConvShape,
    x: &[f32],
    packed: &[f32],
    relu: bool,
    y: &mut [f32],
) {
    let tiles = Tiles::new(&shape.window);
    let (packed, bias) = split_packed(arch, shape, packed);
    let to = Outputs {
        tiles,
        channels: shape.oc,
        bias,
        relu,
        y,
    };
    forward_to(arch, shape, tiles, x, packed, to);
}

/// The same and a max pool; see [`PooledForward`].
pub(super) fn forward_pooled(arch: Arch, of: PooledForward<'_>) {
    let tiles = Tiles::grid(&of.shape.window, of.windows);
    let (packed, bias) = split_packed(arch, of.shape, of.packed);
    let to = PooledOutputs {
        outputs: Outputs {
            tiles,
            channels: of.shape.oc,
            bias,
            relu: of.relu,
            y: of.y,
        },
        argmax: of.argmax,
    };
    forward_to(arch, of.shape, tiles, of.x, packed, to);
}

fn forward_to(
    arch: Arch,
    shape: &ConvShape,
    tiles: Tiles,
    x: &[f32],
    packed: &[f32],
    to: impl Contract,
) {
    let samples = x.len() / (shape.ic * shape.window.ih * shape.window.iw);
    scratch::with(product_scratch(arch, shape.ic), |scratch| {
        let product = TransformedProduct {
            tiles,
            count: samples * tiles.per_sample(),
            from: Patches {
                tiles,
                channels: shape.ic,
                x,
            },
            to,
            packed,
            scratch,
        };
        product.run(arch);
    });
}

/// The gradient of a convolution's output.
pub(super) enum OutputGradient<'a> {
    /// Itself.
    Stored(&'a [f32]),
    /// Of a max pool of the output with 2x2 windows, if nothing else reads the output.
    Pooled(PoolGradient<'a>),
}

impl<'a> From<PoolGradient<'a>> for OutputGradient<'a> {
    fn from(gradient: PoolGradient<'a>) -> Self {
        Self::Pooled(gradient)
    }
}

impl<'a> From<&'a [f32]> for OutputGradient<'a> {
    fn from(gradient: &'a [f32]) -> Self {
        Self::Stored(gradient)
    }
}

/// `dx` for some samples, before any activation.
pub(super) fn backward_input(
    arch: Arch,
    shape: &ConvShape,
    dy: OutputGradient<'_>,
    packed: &[f32],
    dx: &mut [f32],
) {
    let channels = shape.oc;
    match dy {
        OutputGradient::Stored(dy) => {
            let tiles = Tiles::new(&shape.window);
            let from = Gradients {
                tiles,
                channels,
                dy,
            };
            backward_input_from(arch, shape, tiles, from, packed, dx);
        }
        OutputGradient::Pooled(gradient) => {
            let tiles = Tiles::grid(&shape.window, gradient.windows);
            let from = PoolGradients { channels, gradient };
            backward_input_from(arch, shape, tiles, from, packed, dx);
        }
    }
}

fn backward_input_from(
    arch: Arch,
    shape: &ConvShape,
    tiles: Tiles,
    from: impl Expand,
    packed: &[f32],
    dx: &mut [f32],
) {
    let samples = dx.len() / (shape.ic * shape.window.ih * shape.window.iw);
    dx.fill(0.0);
    scratch::with(product_scratch(arch, shape.oc), |scratch| {
        let product = TransformedProduct {
            tiles,
            count: samples * tiles.per_sample(),
            from,
            to: InputGradients {
                tiles,
                channels: shape.ic,
                dx,
            },
            packed,
            scratch,
        };
        product.run(arch);
    });
}

/// Adds some samples' contribution to `dw`.
pub(super) fn backward_weight(
    arch: Arch,
    shape: &ConvShape,
    x: &[f32],
    dy: OutputGradient<'_>,
    dw: &mut [f32],
) {
    let channels = shape.oc;
    match dy {
        OutputGradient::Stored(dy) => {
            let tiles = Tiles::new(&shape.window);
            let dy = Gradients {
                tiles,
                channels,
                dy,
            };
            backward_weight_from(arch, shape, tiles, x, dy, dw);
        }
        OutputGradient::Pooled(gradient) => {
            let tiles = Tiles::grid(&shape.window, gradient.windows);
            let dy = PoolGradients { channels, gradient };
            backward_weight_from(arch, shape, tiles, x, dy, dw);
        }
    }
}

fn backward_weight_from(
    arch: Arch,
    shape: &ConvShape,
    tiles: Tiles,
    x: &[f32],
    dy: impl Expand,
    dw: &mut [f32],
) {
    let samples = x.len() / (shape.ic * shape.window.ih * shape.window.iw);
    let count = samples * tiles.per_sample();
    scratch::with(gradient_scratch(arch, shape, count), |scratch| {
        let product = TransformedKernelGradient {
            tiles,
            count,
            x: Patches {
                tiles,
                channels: shape.ic,
                x,
            },
            dy,
            dw,
            scratch,
        };
        product.run(arch);
    });
}
