//! Transformed kernels, packed for the products.

use pulp::{Arch, Simd, WithSimd};

use super::points::{POINTS, load};
use crate::exec::cpu::scratch;
use crate::exec::cpu::tile::lanes;
use crate::plan::ConvShape;

/// Packs the kernel for [`forward`](super::forward), followed by the bias, padded with zeros.
pub fn pack_forward(
    arch: Arch,
    shape: &ConvShape,
    w: &[f32],
    bias: Option<&[f32]>,
    packed: &mut Vec<f32>,
) {
    let columns = shape.oc.next_multiple_of(2 * lanes(arch));
    let kernel = POINTS * shape.ic * columns;
    let packed = scratch::resize(packed, kernel + columns);
    let (kernel, padded_bias) = packed.split_at_mut(kernel);
    if columns > shape.oc {
        kernel.fill(0.0);
    }
    padded_bias.fill(0.0);
    if let Some(bias) = bias {
        padded_bias[..shape.oc].copy_from_slice(bias);
    }
    arch.dispatch(TransformKernel {
        w,
        ic: shape.ic,
        oc: shape.oc,
        transposed: false,
        packed: kernel,
    });
}

/// Packs the kernel for [`backward_input`](super::backward_input).
pub fn pack_backward(arch: Arch, shape: &ConvShape, w: &[f32], packed: &mut Vec<f32>) {
    let columns = shape.ic.next_multiple_of(2 * lanes(arch));
    let packed = scratch::resize(packed, POINTS * shape.oc * columns);
    if columns > shape.ic {
        packed.fill(0.0);
    }
    arch.dispatch(TransformKernel {
        w,
        ic: shape.ic,
        oc: shape.oc,
        transposed: true,
        packed,
    });
}

/// The kernel and the bias that [`pack_forward`] packed.
pub(super) fn split_packed<'a>(
    arch: Arch,
    shape: &ConvShape,
    packed: &'a [f32],
) -> (&'a [f32], &'a [f32]) {
    let columns = shape.oc.next_multiple_of(2 * lanes(arch));
    packed.split_at(POINTS * shape.ic * columns)
}

/// Transforms a kernel, `G g Gᵀ`, and packs it for a [`TransformedProduct`](super::product::TransformedProduct).
struct TransformKernel<'a> {
    w: &'a [f32],
    ic: usize,
    oc: usize,
    /// For the input gradient: rows are output channels, columns input channels.
    transposed: bool,
    packed: &'a mut [f32],
}

impl WithSimd for TransformKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (ic, oc) = (self.ic, self.oc);
        let width = 2 * S::F32_LANES;
        let half = simd.splat_f32s(0.5);
        // With the output channels outermost, all that the transposed stores touch stays in cache.
        for o in (0..oc).step_by(S::F32_LANES) {
            for i in 0..ic {
                let mut t = [[simd.splat_f32s(0.0); 3]; 4];
                for column in 0..3 {
                    let mut g = [simd.splat_f32s(0.0); 3];
                    for (row, g) in g.iter_mut().enumerate() {
                        *g = load(simd, self.w, oc, (row * 3 + column) * ic + i, o);
                    }
                    for (t, u) in t.iter_mut().zip(expand_kernel(simd, half, g)) {
                        t[column] = u;
                    }
                }
                for (row, g) in t.into_iter().enumerate() {
                    let u = expand_kernel(simd, half, g);
                    for (column, u) in u.into_iter().enumerate() {
                        let point = row * 4 + column;
                        if !self.transposed {
                            let panel = o / width * POINTS + point;
                            let at = (panel * ic + i) * width + o % width;
                            S::as_mut_simd_f32s(&mut self.packed[at..][..S::F32_LANES]).0[0] = u;
                            continue;
                        }
                        let panel = i / width * POINTS + point;
                        let u = bytemuck::bytes_of(&u);
                        let u = bytemuck::cast_slice::<u8, f32>(u).iter().take(oc - o);
                        for (o, u) in (o..).zip(u) {
                            self.packed[(panel * oc + o) * width + i % width] = *u;
                        }
                    }
                }
            }
        }
    }
}

/// `G g`.
#[inline(always)]
fn expand_kernel<S: Simd>(simd: S, half: S::f32s, [a, b, c]: [S::f32s; 3]) -> [S::f32s; 4] {
    let ends = simd.add_f32s(a, c);
    [
        a,
        simd.mul_f32s(half, simd.add_f32s(ends, b)),
        simd.mul_f32s(half, simd.sub_f32s(ends, b)),
        c,
    ]
}
