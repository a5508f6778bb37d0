//! The inner loop of all products: a tile of at most 6 rows by two vectors of columns (12 rows for
//! long sums on processors with 32 vector registers), kept in registers while it walks its
//! operands.
//!
//! `c[r, j] = Σ_{s, i, k} a[row(r) + s * a0 + i * a1 + k * a2] * b[column + s * b0 + i * b1 + k *
//! b2 + j]`
//!
//! A row is an offset into `a`, not a row of a matrix, so a convolution reads its image in place:
//! row `(oy, ox)` starts at the window's corner, `i` runs over the window's rows and `k` over the
//! `kw * ic` contiguous floats of one. There is no im2col copy. The vectors run along the columns
//! of `b` and `c`, which are channels.

#![expect(
    unsafe_code,
    reason = "the innermost loop of all, where a check of each place would cost half the speed"
)]

use pulp::{Arch, Simd, WithSimd};

/// Rows of the largest tile with 16 registers, or for short sums.
const FEW_ROWS: usize = 6;

/// Rows of the largest tile with 32 registers.
pub(super) const MOST_ROWS: usize = 12;

/// Rows of the largest tile: with two vectors of columns and their operands, 6 rows fill 16
/// registers and 12 rows fill 28 of 32.
pub(super) const fn max_rows<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 {
        MOST_ROWS
    } else {
        FEW_ROWS
    }
}

/// Evaluates an expression with the number of rows as a constant, one of all or of those given:
/// `with_rows!(S, m, M => f::<M>())` and `with_rows!(S, m of 4 8 12, M => f::<M>())`.
macro_rules! with_rows {
    ($simd:ty, $rows:tt, $constant:ident => $call:expr) => {
        $crate::exec::cpu::tile::with_rows!(
            $simd, $rows of 1 2 3 4 5 6 7 8 9 10 11 12, $constant => $call
        )
    };
    ($simd:ty, $rows:tt of $($height:literal)*, $constant:ident => $call:expr) => {
        match $rows {
            // The second condition drops heights that this processor never uses.
            $($height if $height <= $crate::exec::cpu::tile::max_rows::<$simd>() => {
                const $constant: usize = $height;
                $call
            })*
            rows => unreachable!("{rows} rows"),
        }
    };
}
pub(super) use with_rows;

/// Minimum number of terms for which a taller tile pays: it reads the columns less often, but costs
/// more to start and finish.
const LONG: usize = 256;

/// The three loops over the terms of a sum, outermost first, with their strides in the operands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    pub counts: [usize; 3],
    pub a: [usize; 3],
    pub b: [usize; 3],
}

impl Walk {
    /// How far past its first element a walk reads.
    fn reach(counts: [usize; 3], steps: [usize; 3]) -> usize {
        (0..3).map(|i| (counts[i] - 1) * steps[i]).sum()
    }
}

/// The operand whose columns the vectors run along.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns<'a> {
    /// The data. Walks read whole vectors, so columns are padded to a multiple of the vector
    /// length.
    pub data: &'a [f32],
    /// Stride from one pair of vectors to the next.
    pub panel: usize,
    /// Number of columns without padding.
    pub count: usize,
}

/// Where a row of the result reads in `a` and where it is stored in `c`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowOffsets {
    pub a: usize,
    pub c: usize,
}

impl RowOffsets {
    #[inline(always)]
    pub fn step(&mut self, a: usize, c: usize) {
        self.a += a;
        self.c += c;
    }
}

/// How a finished sum is stored.
pub(super) trait Finish: Copy {
    /// The initial value of a column's sum; zero by default.
    #[inline(always)]
    fn start<S: Simd>(self, simd: S, _column: usize) -> S::f32s {
        simd.splat_f32s(0.0)
    }

    /// The value to store, given the sum and the current value.
    fn finish<S: Simd>(self, simd: S, sum: S::f32s, old: S::f32s) -> S::f32s;
}

/// Adds the sum to the current value.
#[derive(Clone, Copy)]
pub(super) struct AddTo;

impl Finish for AddTo {
    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, sum: S::f32s, old: S::f32s) -> S::f32s {
        simd.add_f32s(old, sum)
    }
}

/// Stores the sum.
#[derive(Clone, Copy)]
pub(super) struct Set;

impl Finish for Set {
    #[inline(always)]
    fn finish<S: Simd>(self, _simd: S, sum: S::f32s, _old: S::f32s) -> S::f32s {
        sum
    }
}

/// Adds a bias per column and, if `relu`, applies ReLU.
#[derive(Clone, Copy)]
pub(super) struct Bias<'a> {
    /// Padded like the columns.
    pub bias: &'a [f32],
    pub relu: bool,
}

impl Finish for Bias<'_> {
    #[inline(always)]
    fn start<S: Simd>(self, _simd: S, column: usize) -> S::f32s {
        S::as_simd_f32s(&self.bias[column..column + S::F32_LANES]).0[0]
    }

    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, sum: S::f32s, _old: S::f32s) -> S::f32s {
        if !self.relu {
            return sum;
        }
        let zero = simd.splat_f32s(0.0);
        // Not a maximum: NaN is not less than zero, and stays.
        simd.select_f32s(simd.less_than_f32s(sum, zero), zero, sum)
    }
}

/// Floats in a vector on this processor.
pub(super) fn lanes(arch: Arch) -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _simd: S) -> usize {
            S::F32_LANES
        }
    }
    arch.dispatch(Lanes)
}

/// Rows of the largest tile on this processor.
pub(super) fn most_rows(arch: Arch) -> usize {
    struct MaxRows;
    impl WithSimd for MaxRows {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _simd: S) -> usize {
            max_rows::<S>()
        }
    }
    arch.dispatch(MaxRows)
}

/// A product of every row with every column.
pub(super) struct Product<'a, R, F> {
    pub a: &'a [f32],
    pub b: Columns<'a>,
    pub c: &'a mut [f32],
    pub walk: Walk,
    /// The `count` rows.
    pub rows: R,
    pub count: usize,
    pub finish: F,
}

impl<R: Iterator<Item = RowOffsets> + Clone, F: Finish> WithSimd for Product<'_, R, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        if self.walk.counts.contains(&0) {
            return;
        }
        for first in (0..self.b.count).step_by(2 * S::F32_LANES) {
            if self.b.count - first > S::F32_LANES {
                self.panel::<S, 2>(simd, first);
            } else {
                self.panel::<S, 1>(simd, first);
            }
        }
    }
}

impl<R: Iterator<Item = RowOffsets> + Clone, F: Finish> Product<'_, R, F> {
    /// All rows with `V` vectors of columns.
    #[inline(always)]
    fn panel<S: Simd, const V: usize>(&mut self, simd: S, first: usize) {
        let terms: usize = self.walk.counts.iter().product();
        let most = if terms < LONG {
            FEW_ROWS
        } else {
            max_rows::<S>()
        };
        let mut rows = self.rows.clone();
        let mut left = self.count;
        while left > 0 {
            // Divide the rows evenly: 9 rows as 5 and 4, not 6 and 3.
            let m = left.div_ceil(left.div_ceil(most));
            with_rows!(S, m, M => self.tile::<S, M, V>(simd, first, &mut rows));
            left -= m;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(
        &mut self,
        simd: S,
        first: usize,
        rows: &mut R,
    ) {
        let rows: [RowOffsets; M] = std::array::from_fn(|_| rows.next().unwrap_or_default());
        let b = &self.b.data[first / (2 * S::F32_LANES) * self.b.panel..];
        let start = std::array::from_fn(|v| self.finish.start(simd, first + v * S::F32_LANES));
        let sums = accumulate::<S, M, V>(simd, self.a, rows.map(|r| r.a), b, &self.walk, start);
        for (row, sums) in rows.iter().zip(sums) {
            for (v, sum) in sums.into_iter().enumerate() {
                let column = first + v * S::F32_LANES;
                let count = (self.b.count - column).min(S::F32_LANES);
                let c = &mut self.c[row.c + column..][..count];
                if count == S::F32_LANES {
                    let c: &mut S::f32s = &mut S::as_mut_simd_f32s(c).0[0];
                    *c = self.finish.finish(simd, sum, *c);
                } else {
                    let old = simd.partial_load_f32s(c);
                    simd.partial_store_f32s(c, self.finish.finish(simd, sum, old));
                }
            }
        }
    }
}

/// `M` rows with `V` vectors.
#[inline(always)]
pub(super) fn accumulate<S: Simd, const M: usize, const V: usize>(
    simd: S,
    a: &[f32],
    rows: [usize; M],
    b: &[f32],
    walk: &Walk,
    start: [S::f32s; V],
) -> [[S::f32s; V]; M] {
    let Walk {
        counts,
        a: a_steps,
        b: b_steps,
    } = *walk;
    let last = rows.into_iter().fold(0, usize::max);
    assert!(!counts.contains(&0));
    assert!(last + Walk::reach(counts, a_steps) < a.len());
    assert!(Walk::reach(counts, b_steps) + V * S::F32_LANES <= b.len());
    let mut sums = [start; M];
    for s in 0..counts[0] {
        for i in 0..counts[1] {
            // SAFETY: `s < counts[0]` and `i < counts[1]`, so both places lie within the reach that
            // was checked above.
            let (a, mut b) = unsafe {
                (
                    a.as_ptr().add(s * a_steps[0] + i * a_steps[1]),
                    b.as_ptr().add(s * b_steps[0] + i * b_steps[1]),
                )
            };
            // SAFETY: as above, for the largest of the rows and so for all.
            let rows = rows.map(|row| unsafe { a.add(row) });
            for k in 0..counts[2] {
                // SAFETY: `b` has moved `k` steps, `k < counts[2]`: within the reach checked above,
                // which leaves room for `V` vectors. A vector has the alignment of a float.
                let vectors: [S::f32s; V] = std::array::from_fn(|v| unsafe {
                    b.add(v * S::F32_LANES).cast::<S::f32s>().read_unaligned()
                });
                for (row, sums) in rows.iter().zip(&mut sums) {
                    // SAFETY: within the reach checked above.
                    let x = simd.splat_f32s(unsafe { *row.add(k * a_steps[2]) });
                    for (sum, vector) in sums.iter_mut().zip(vectors) {
                        *sum = simd.mul_add_e_f32s(x, vector, *sum);
                    }
                }
                b = b.wrapping_add(b_steps[2]);
            }
        }
    }
    sums
}
