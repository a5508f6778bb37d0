//! Learning-rate schedules.

use std::f64::consts::PI;
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::train::Position;
use crate::words::{counted, short};

/// A learning-rate schedule: factors of the optimizer's rate over a run. `s` is the number of steps
/// before this one and `S` the number of steps in the run, both counted from the first epoch.
///
/// As text: `constant`, `step:EPOCHS[:FACTOR]`, `exponential:RATE`,
/// `cosine[:WARMUP_EPOCHS[:ALPHA]]`, `one-cycle[:WARMUP_SHARE]` and
/// `triangular[:START[:PEAK_SHARE[:END]]]`.
///
/// ```
/// use cnn_gpu::train::Position;
/// use cnn_gpu::train::callbacks::Schedule;
/// let schedule: Schedule = "step:2:0.5".parse()?;
/// let rates = [1, 2, 3, 5].map(|epoch| {
///     let mut position = Position::default();
///     (position.epoch, position.epochs, position.steps) = (epoch, 6, 10);
///     schedule.factor(&position)
/// });
/// assert_eq!(rates, [1.0, 1.0, 0.5, 0.25]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Schedule {
    /// Always 1.
    Constant,
    /// `factor^k` after `k * epochs` epochs; changes between epochs.
    Step {
        /// Epochs between two changes.
        epochs: usize,
        /// Default 0.1.
        factor: f64,
    },
    /// `decay_rate^(epochs so far)`; changes with every step, also within an epoch:
    /// Keras's `ExponentialDecay` with `decay_steps` of one epoch.
    Exponential {
        /// Factor per epoch.
        decay_rate: f64,
    },
    /// Keras's `CosineDecay`; changes with every step. `s / W` during the `W` steps of the warm-up,
    /// then `(1 - alpha) (1 + cos(π (s - W) / (S - W))) / 2 + alpha`.
    Cosine {
        /// Epochs of the warm-up, not necessarily whole. It must end before the run does.
        /// Default 0.
        warmup_epochs: f64,
        /// The factor at the end. Default 0.
        alpha: f64,
    },
    /// Smith's one-cycle policy as in PyTorch's `OneCycleLR`; changes with every step: along half a
    /// cosine from 1/25 up to 1 at `s = pct_start * S - 1`, and along another down to 1/250,000 in
    /// the last step. If `pct_start * S` is below 1, the rate falls from the first step on.
    OneCycle {
        /// Default 0.3.
        pct_start: f64,
    },
    /// A triangle, as in airbench (Jordan, 2024); changes with every step: in a straight line from
    /// `start` at `s = 0` up to 1 at `s = P = floor(peak_share * S)`, and in another down to `end`
    /// at `s = S`, which the last step, `s = S - 1`, does not quite reach. If `P` is 0, the rate
    /// falls from the first step on.
    Triangular {
        /// The factor at the start. Default 0.
        start: f64,
        /// The share of the run's steps before the peak. Default 0.5.
        peak_share: f64,
        /// The factor at the end. Default 0.
        end: f64,
    },
}

impl Schedule {
    /// The factor of the optimizer's rate.
    pub fn factor(&self, at: &Position) -> f64 {
        let (step, all) = (at.steps_before() as f64, at.all_steps() as f64);
        match *self {
            Self::Constant => 1.0,
            Self::Step { epochs, factor } => factor.powf(((at.epoch - 1) / epochs) as f64),
            Self::Exponential { decay_rate } => decay_rate.powf(step / at.steps as f64),
            Self::Cosine {
                warmup_epochs,
                alpha,
            } => {
                let warmup = warmup_steps(warmup_epochs, at.steps);
                if step < warmup {
                    return step / warmup;
                }
                let done = ((step - warmup) / (all - warmup).max(1.0)).min(1.0);
                between(1.0, alpha, done)
            }
            Self::OneCycle { pct_start } => {
                let (first, last) = (1.0 / 25.0, 1.0 / 25.0 / 1e4);
                // As in PyTorch, the peak may lie between two steps, or before the first one.
                let (top, end) = (pct_start * all - 1.0, all - 1.0);
                if step <= top && top > 0.0 {
                    between(first, 1.0, step / top)
                } else {
                    // PyTorch divides by zero if the peak is at the first step.
                    between(1.0, last, (step - top) / (end - top))
                }
            }
            Self::Triangular {
                start,
                peak_share,
                end,
            } => {
                let peak = (peak_share * all).floor();
                match step < peak {
                    true => start + (1.0 - start) * step / peak,
                    false => 1.0 + (end - 1.0) * ((step - peak) / (all - peak).max(1.0)).min(1.0),
                }
            }
        }
    }

    /// The step of a run of `all` steps, counted from 0, at which the rate begins to fall, if that is
    /// not the first step of an epoch or the last one.
    #[must_use]
    pub fn turning_step(&self, all: usize) -> Option<usize> {
        match *self {
            Self::Triangular { peak_share, .. } => Some((peak_share * all as f64) as usize),
            _ => None,
        }
    }

    /// Checks that the warm-up ends within a run of `epochs` epochs of `steps` steps. A warm-up is
    /// rounded to whole steps.
    ///
    /// # Errors
    /// The warm-up is at least as long as the run.
    pub fn check_length(&self, epochs: usize, steps: usize) -> Result<()> {
        let all = epochs.saturating_mul(steps);
        match *self {
            Self::Cosine { warmup_epochs, .. }
                if warmup_steps(warmup_epochs, steps) >= all as f64 =>
            {
                let (warmup, run) = if warmup_epochs < epochs as f64 {
                    (
                        short(warmup_steps(warmup_epochs, steps)),
                        counted(all, "step"),
                    )
                } else {
                    (short(warmup_epochs), counted(epochs, "epoch"))
                };
                Err(Error::Argument(format!(
                    "learning-rate schedule `{self}`: its warm-up takes {warmup} of the run's {run} and never \
                     ends; expected a shorter one, such as cosine:{}",
                    short(epochs as f64 / 10.0)
                )))
            }
            _ => Ok(()),
        }
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// A parameter is out of range.
    pub fn check(&self) -> Result<()> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let wrong = match *self {
            Self::Step { epochs: 0, .. } => Some("epochs must be at least 1".to_owned()),
            Self::Step { factor, .. } if !positive(factor) => {
                Some(format!("factor {} must be above 0", short(factor)))
            }
            Self::Exponential { decay_rate } if !positive(decay_rate) => {
                Some(format!("rate {} must be above 0", short(decay_rate)))
            }
            Self::Cosine { warmup_epochs, .. } if !(0.0..=1e6).contains(&warmup_epochs) => {
                Some(format!(
                    "warm-up {} must be a number of epochs, 0 or more",
                    short(warmup_epochs)
                ))
            }
            Self::Cosine { alpha, .. } if !(0.0..=1.0).contains(&alpha) => {
                Some(format!("alpha {} must lie in [0, 1]", short(alpha)))
            }
            Self::OneCycle { pct_start } if !(0.0..1.0).contains(&pct_start) => Some(format!(
                "warm-up share {} must lie in [0, 1)",
                short(pct_start)
            )),
            Self::Triangular {
                start,
                peak_share,
                end,
            } => [("start", start), ("peak share", peak_share), ("end", end)]
                .into_iter()
                .find(|(_, value)| !(0.0..=1.0).contains(value))
                .map(|(name, value)| format!("{name} {} must lie in [0, 1]", short(value))),
            _ => None,
        };
        match wrong {
            Some(wrong) => Err(Error::Argument(format!(
                "learning-rate schedule `{self}`: {wrong}"
            ))),
            None => Ok(()),
        }
    }
}

fn warmup_steps(epochs: f64, steps: usize) -> f64 {
    (epochs * steps as f64).round()
}

/// From `a` to `b` along half a cosine.
fn between(a: f64, b: f64, done: f64) -> f64 {
    b + (a - b) * 0.5 * (1.0 + (PI * done).cos())
}

impl Display for Schedule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Constant => write!(f, "constant"),
            Self::Step { epochs, factor } => write!(f, "step:{epochs}:{}", short(factor)),
            Self::Exponential { decay_rate } => write!(f, "exponential:{}", short(decay_rate)),
            Self::Cosine {
                warmup_epochs,
                alpha,
            } => write!(f, "cosine:{}:{}", short(warmup_epochs), short(alpha)),
            Self::OneCycle { pct_start } => write!(f, "one-cycle:{}", short(pct_start)),
            Self::Triangular {
                start,
                peak_share,
                end,
            } => {
                let [start, peak, end] = [start, peak_share, end].map(short);
                write!(f, "triangular:{start}:{peak}:{end}")
            }
        }
    }
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let number = |i: usize, default: Option<f64>| match parts.get(i) {
            Some(part) => part.parse().ok().filter(|x: &f64| x.is_finite()),
            None => default,
        };
        let most = |n: usize| (parts.len() <= n).then_some(());
        let read = || match parts[0] {
            "constant" => most(1).map(|()| Self::Constant),
            "step" => most(3).and(Some(Self::Step {
                epochs: parts.get(1)?.parse().ok()?,
                factor: number(2, Some(0.1))?,
            })),
            "exponential" => most(2).and(Some(Self::Exponential {
                decay_rate: number(1, None)?,
            })),
            "cosine" => most(3).and(Some(Self::Cosine {
                warmup_epochs: number(1, Some(0.0))?,
                alpha: number(2, Some(0.0))?,
            })),
            "one-cycle" => most(2).and(Some(Self::OneCycle {
                pct_start: number(1, Some(0.3))?,
            })),
            "triangular" => most(4).and(Some(Self::Triangular {
                start: number(1, Some(0.0))?,
                peak_share: number(2, Some(0.5))?,
                end: number(3, Some(0.0))?,
            })),
            _ => None,
        };
        let schedule = read().ok_or_else(|| {
            Error::Argument(format!(
                "no learning-rate schedule `{text}`: expected constant, step:EPOCHS[:FACTOR], exponential:RATE, \
                 cosine[:WARMUP_EPOCHS[:ALPHA]], one-cycle[:WARMUP_SHARE] or \
                 triangular[:START[:PEAK_SHARE[:END]]]"
            ))
        })?;
        schedule.check()?;
        Ok(schedule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(schedule: Schedule, steps: [usize; 7], epochs: usize, per_epoch: usize) -> Vec<f64> {
        let at = |s| Position {
            follows: true,
            epoch: s / per_epoch + 1,
            epochs,
            step: s % per_epoch,
            steps: per_epoch,
        };
        steps.map(|s| schedule.factor(&at(s)) * 0.01).to_vec()
    }

    fn close(found: &[f64], expected: &[f64]) {
        let off = |(a, b): (&f64, &f64)| (a - b).abs() > 1e-8;
        assert!(!found.iter().zip(expected).any(off), "{found:?}");
    }

    /// The steps at which Keras 3.15 computed the expected rates, from an optimizer's rate of 0.01.
    const STEPS: [usize; 7] = [0, 1, 4, 5, 7, 13, 19];

    #[test]
    fn exponential_decay_is_keras_s() {
        let found = factors(Schedule::Exponential { decay_rate: 0.5 }, STEPS, 2, 10);
        #[rustfmt::skip]
        close(&found, &[0.01, 0.00933033, 0.00757858, 0.00707107, 0.00615572, 0.00406126, 0.00267943]);
        let found = factors(
            Schedule::Step {
                epochs: 1,
                factor: 0.5,
            },
            STEPS,
            2,
            10,
        );
        close(&found, &[0.01, 0.01, 0.01, 0.01, 0.01, 0.005, 0.005]);
    }

    #[test]
    fn cosine_decay_and_its_warm_up_are_keras_s() {
        let plain = "cosine".parse().unwrap();
        #[rustfmt::skip]
        close(
            &factors(plain, STEPS, 2, 10),
            &[0.01, 0.00993844, 0.00904508, 0.00853553, 0.00726995, 0.00273005, 0.0000615582],
        );
        let warm = "cosine:0.5:0.1".parse().unwrap();
        #[rustfmt::skip]
        close(
            &factors(warm, STEPS, 2, 10),
            &[0.0, 0.002, 0.008, 0.01, 0.00961095, 0.00502962, 0.00109834],
        );
    }

    #[test]
    fn one_cycle_goes_up_to_the_rate_and_down_below_its_start() {
        let found = factors("one-cycle".parse().unwrap(), STEPS, 2, 10);
        assert!((found[0] - 0.0004).abs() < 1e-9 && (found[3] - 0.01).abs() < 1e-9);
        assert!(found[1] < found[2] && found[4] > found[5]);
        assert!((found[6] - 4e-8).abs() < 1e-12, "{found:?}");
    }

    /// What PyTorch's `OneCycleLR` gives for a `max_lr` of 0.01 over `expected.len()` steps.
    #[track_caller]
    fn is_pytorchs_one_cycle(pct_start: f64, expected: &[f64]) {
        let at = |step| Position {
            follows: true,
            epoch: 1,
            epochs: 1,
            step,
            steps: expected.len(),
        };
        let schedule = Schedule::OneCycle { pct_start };
        for (step, rate) in expected.iter().enumerate() {
            let found = 0.01 * schedule.factor(&at(step));
            assert!((found / rate - 1.0).abs() < 1e-8, "{step}: {found}");
        }
    }

    #[test]
    fn one_cycle_is_pytorch_s_where_the_fall_is_shorter_than_a_step() {
        #[rustfmt::skip]
        is_pytorchs_one_cycle(
            0.9,
            &[0.0004, 0.002207248951, 0.006268100483, 0.009524650566, 4e-8],
        );
        #[rustfmt::skip]
        is_pytorchs_one_cycle(
            0.95,
            &[0.0004, 0.00112309564, 0.003074521184, 0.005666331922, 0.008117641585,
              0.009689895452, 4e-8],
        );
    }

    #[test]
    fn one_cycle_is_pytorch_s_where_the_rise_is_shorter_than_a_step() {
        is_pytorchs_one_cycle(0.3, &[0.009944154355, 0.004626371027, 4e-8]);
        #[rustfmt::skip]
        is_pytorchs_one_cycle(0.0, &[0.008535539764, 0.00500002, 0.001464500236, 4e-8]);
        is_pytorchs_one_cycle(0.3, &[4e-8]);
    }

    #[test]
    fn a_triangle_is_numpys_interpolation() {
        // 0.01 * np.interp(STEPS, [0, 4, 20], [0.2, 1, 0.07]), of which the peak is floor(0.23 * 20).
        let found = factors("triangular:0.2:0.23:0.07".parse().unwrap(), STEPS, 2, 10);
        #[rustfmt::skip]
        close(&found, &[0.002, 0.004, 0.01, 0.00941875, 0.00825625, 0.00476875, 0.00128125]);
        let falling = factors("triangular:0.2:0:0".parse().unwrap(), STEPS, 2, 10);
        close(&falling[..2], &[0.01, 0.0095]);
        let rising = factors("triangular:0:1".parse().unwrap(), STEPS, 2, 10);
        close(&rising[5..], &[0.0065, 0.0095]);
        let one_step = factors("triangular".parse().unwrap(), [0; 7], 1, 1);
        close(&one_step[..1], &[0.01]);
    }

    #[test]
    fn a_warm_up_must_end_before_the_run() {
        let length = |text: &str, epochs, steps| {
            let schedule: Schedule = text.parse().unwrap();
            schedule.check_length(epochs, steps)
        };
        for (text, epochs, steps) in [
            ("cosine:2", 2, 10),
            ("cosine:7", 2, 10),
            ("cosine:0.9", 1, 3),
        ] {
            let message = length(text, epochs, steps).unwrap_err().to_string();
            assert!(message.contains("never ends"), "{message}");
        }
        for text in ["cosine:1.9", "cosine", "one-cycle:0.99", "step:5"] {
            length(text, 2, 10).unwrap();
        }
    }

    #[test]
    fn invalid_schedules_are_refused_in_one_line() {
        let wrong = [
            "",
            "linear",
            "step",
            "step:0",
            "step:x",
            "step:2:-1",
            "exponential",
            "exponential:0",
            "cosine:-1",
            "cosine:1:2",
            "cosine:nan",
            "one-cycle:1",
            "constant:1",
            "step:1:0.5:2",
            "triangular:-0.1",
            "triangular:0:1.5",
            "triangular:0:0.5:nan",
            "triangular:0:0.5:0:1",
        ];
        for text in wrong {
            let message = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(
                message.contains(text) && !message.contains('\n'),
                "{message}"
            );
        }
        for text in [
            "constant",
            "step:2:0.5",
            "exponential:0.9",
            "cosine:1:0.1",
            "one-cycle:0.25",
            "triangular:0.2:0.23:0.07",
        ] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
    }
}
