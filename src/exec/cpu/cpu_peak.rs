//! The processor's peak rates, on the threads that training uses.

use std::hint::black_box;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{Cpu, tile};
use crate::error::Result;
use crate::exec::Peak;
use crate::exec::peak::best_rate;

/// Independent sums: enough to hide the latency of multiply-adds in two units, few enough for 16
/// registers.
const SUMS: usize = 12;
/// Multiply-adds per sum in one call.
const ROUNDS: usize = 1 << 16;

/// `sum = sum * m + c` for [`SUMS`] vectors, repeatedly.
struct MultiplyAdds;

impl WithSimd for MultiplyAdds {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let m = simd.splat_f32s(black_box(0.999));
        let c = simd.splat_f32s(black_box(0.001));
        let mut sums = [simd.splat_f32s(0.0); SUMS];
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = simd.splat_f32s(i as f32);
        }
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, m, c);
            }
        }
        let total = sums.into_iter().fold(c, |a, b| simd.add_f32s(a, b));
        simd.reduce_sum_f32s(total)
    }
}

impl Cpu {
    /// Measures multiply-adds and copies on all threads of this executor.
    ///
    /// # Errors
    /// Never; only a GPU's measurement can fail.
    pub fn peak(&self) -> Result<Peak> {
        match &self.pool {
            Some(pool) => pool.install(|| self.measure()),
            None => self.measure(),
        }
    }

    fn measure(&self) -> Result<Peak> {
        let threads = self.threads();
        let calls = best_rate(|n| {
            rayon::broadcast(|_| {
                for _ in 0..n {
                    black_box(self.arch.dispatch(MultiplyAdds));
                }
            });
            Ok(())
        })?;
        let flops = 2 * threads * SUMS * ROUNDS * tile::lanes(self.arch);

        let from = vec![1u8; Peak::COPIED];
        let mut to = vec![0u8; Peak::COPIED];
        let share = Peak::COPIED.div_ceil(threads);
        let copies = best_rate(|n| {
            for _ in 0..n {
                let parts = to.par_chunks_mut(share).zip(from.par_chunks(share));
                parts.for_each(|(to, from)| to.copy_from_slice(from));
                black_box(&to);
            }
            Ok(())
        })?;
        Ok(Peak {
            gflops: calls * flops as f64 / 1e9,
            gbytes_per_second: copies * 2.0 * Peak::COPIED as f64 / 1e9,
        })
    }
}
