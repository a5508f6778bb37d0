//! Vectors of channels.

use pulp::Simd;

/// A vector of channels; a plain load if it is full.
#[inline(always)]
pub(super) fn load<S: Simd>(simd: S, x: &[f32]) -> S::f32s {
    match S::as_simd_f32s(x).0 {
        [whole] => *whole,
        _ => simd.partial_load_f32s(x),
    }
}

/// Stores at most a vector of channels. Full vectors use plain stores: masked stores are slow on
/// some processors.
#[inline(always)]
pub(super) fn store<S: Simd>(simd: S, y: &mut [f32], value: S::f32s) {
    match S::as_mut_simd_f32s(y).0 {
        [whole] => *whole = value,
        _ => simd.partial_store_f32s(y, value),
    }
}

/// As [`store`], for words.
#[inline(always)]
pub(super) fn store_words<S: Simd>(simd: S, y: &mut [u32], value: S::u32s) {
    match S::as_mut_simd_u32s(y).0 {
        [whole] => *whole = value,
        _ => simd.partial_store_u32s(y, value),
    }
}

/// Of the largest values so far and further ones, each with its index: the larger, of two equal
/// ones the earlier. The first NaN is larger than anything.
#[inline(always)]
pub(super) fn larger<S: Simd>(
    simd: S,
    (best, taken): (S::f32s, S::u32s),
    (x, tap): (S::f32s, S::u32s),
) -> (S::f32s, S::u32s) {
    // True for a larger value and for the first NaN: neither `x <= best` nor is `best` NaN.
    let number = simd.equal_f32s(best, best);
    let no_more = simd.less_than_or_equal_f32s(x, best);
    let takes = simd.and_m32s(number, simd.not_m32s(no_more));
    (
        simd.select_f32s(takes, x, best),
        simd.select_u32s(takes, tap, taken),
    )
}

/// Stores the largest of four values, in which a NaN wins, and its index.
#[inline(always)]
pub(super) fn store_largest<S: Simd>(
    simd: S,
    cells: [S::f32s; 4],
    y: &mut [f32],
    argmax: Option<&mut [u32]>,
) {
    let mut best = (cells[0], simd.splat_u32s(0));
    for (tap, cell) in (1..).zip(&cells[1..]) {
        best = larger(simd, best, (*cell, simd.splat_u32s(tap)));
    }
    store(simd, y, best.0);
    if let Some(argmax) = argmax {
        store_words(simd, argmax, best.1);
    }
}
