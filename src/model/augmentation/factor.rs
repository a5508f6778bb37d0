//! The range of a random number.

use serde::{Deserialize, Serialize};

use crate::words::short;

/// The range that a layer draws from: one number `f` for -f to f, or two for a range. Where a layer
/// accepts no negative numbers, one number is the range from 0 to f.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number or two of them, like 0.1 or [-0.2, 0.1]"
)]
pub enum Factor {
    /// From -f to f, or from 0 to f.
    Single(f64),
    /// From the smaller to the larger.
    Between([f64; 2]),
}

impl From<f64> for Factor {
    fn from(f: f64) -> Self {
        Self::Single(f)
    }
}

impl From<[f64; 2]> for Factor {
    fn from(ends: [f64; 2]) -> Self {
        Self::Between(ends)
    }
}

impl From<(f64, f64)> for Factor {
    fn from((a, b): (f64, f64)) -> Self {
        Self::Between([a, b])
    }
}

impl Factor {
    /// The lower and the upper end, if every number given lies within `allowed`; one number extends
    /// down to -f, though not below `lowest`.
    pub(crate) fn bounds(
        self,
        name: &str,
        allowed: [f64; 2],
        lowest: f64,
    ) -> Result<[f64; 2], String> {
        let [least, most] = allowed;
        let check = |f: f64| {
            if (least..=most).contains(&f) {
                Ok(f)
            } else {
                Err(format!(
                    "{name} {} must lie in [{}, {}]",
                    short(f),
                    short(least),
                    short(most)
                ))
            }
        };
        Ok(match self {
            Self::Single(f) => {
                let f = check(f)?.abs();
                [(-f).max(lowest), f]
            }
            Self::Between([a, b]) => {
                let (a, b) = (check(a)?, check(b)?);
                [a.min(b), a.max(b)]
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_is_a_range_around_zero_and_two_are_its_ends() {
        let bounds = |factor: Factor| factor.bounds("factor", [-1.0, 1.0], -1.0);
        assert_eq!(bounds(0.25.into()), Ok([-0.25, 0.25]));
        assert_eq!(bounds((-0.25).into()), Ok([-0.25, 0.25]));
        assert_eq!(bounds([0.5, -0.25].into()), Ok([-0.25, 0.5]));
        let positive = Factor::from(0.5).bounds("factor", [0.0, 1.0], 0.0);
        assert_eq!(positive, Ok([0.0, 0.5]));
        for wrong in [1.5.into(), f64::NAN.into(), Factor::from([0.0, 2.0])] {
            let message = bounds(wrong).unwrap_err();
            assert!(message.contains("must lie in [-1, 1]"), "{message}");
        }
    }
}
