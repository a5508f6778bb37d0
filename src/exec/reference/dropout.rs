//! Dropout, for both the forward and the backward pass; see [`Dropout`].

use super::{Definition, put_gradient};
use crate::exec::host::Memory;
use crate::plan::{Dropout, DropoutMask};
use crate::rng::Key;

impl Definition for Dropout {
    fn run(&self, m: &mut Memory<'_>) {
        let Self {
            mask,
            x,
            y,
            through,
        } = self;
        let out = apply(mask, (m.key, m.part.first), m.floats(*x));
        put_gradient(m, *y, out, through.as_ref());
    }
}

/// For the rows from `first` on of a batch: `y = x / (1 - rate)` where a draw keeps the cell, else 0.
pub(super) fn apply(mask: &DropoutMask, (key, first): (Key, usize), x: &[f32]) -> Vec<f64> {
    let cells = x.iter().zip(first * mask.size..);
    cells
        .map(|(&x, i)| {
            if mask.keeps(key, i) {
                f64::from(x) * mask.scale()
            } else {
                0.0
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(rate: f64, width: usize, key: Key) -> Vec<f64> {
        let mask = DropoutMask {
            rate,
            number: 3,
            size: 1000,
            width,
        };
        apply(&mask, (key, 0), &[1.0; 20_000])
    }

    #[test]
    fn drops_the_share_and_keeps_the_expected_sum() {
        for rate in [0.1, 0.5, 0.9] {
            let y = kept(rate, 1000, Key::of_step(1, 1));
            let dropped = y.iter().filter(|&&y| y == 0.0).count() as f64 / 2e4;
            assert!((dropped - rate).abs() < 0.01, "{dropped}");
            assert!(y.iter().all(|&y| y == 0.0 || y == 1.0 / (1.0 - rate)));
        }
        assert_eq!(kept(0.0, 1000, Key::of_step(1, 1)), vec![1.0; 20_000]);
    }

    #[test]
    fn other_steps_seeds_and_samples_draw_otherwise() {
        let y = kept(0.5, 1000, Key::of_step(1, 1));
        assert_ne!(y, kept(0.5, 1000, Key::of_step(1, 2)));
        assert_ne!(y, kept(0.5, 1000, Key::of_step(2, 1)));
        assert_ne!(y[..1000], y[1000..2000]);
    }

    #[test]
    fn a_draw_for_each_channel_serves_all_its_pixels() {
        let y = kept(0.5, 10, Key::of_step(1, 1));
        for sample in y.chunks(1000) {
            assert!(sample.chunks(10).all(|pixel| *pixel == sample[..10]));
        }
        assert_ne!(y[..10], y[1000..1010]);
    }
}
