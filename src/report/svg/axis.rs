//! Axes: from values to places, and round numbers on the way.

use crate::report::text::{significant, trimmed};

/// An axis from one value to another, linear or logarithmic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct AxisScale {
    low: f64,
    high: f64,
    /// The places of `low` and `high`.
    from: f64,
    to: f64,
    logarithmic: bool,
}

impl AxisScale {
    /// From `low` at `from` to `high` at `to`. Equal or infinite limits are moved apart.
    pub fn linear([low, high]: [f64; 2], [from, to]: [f64; 2]) -> Self {
        let [low, high] = match low < high && (high - low).is_finite() {
            true => [low, high],
            false if low.abs() < 1e15 => [low - 0.5, low + 0.5],
            false => [0.0, 1.0],
        };
        Self {
            low,
            high,
            from,
            to,
            logarithmic: false,
        }
    }

    /// The same with a logarithmic axis, if all values are positive.
    pub fn logarithmic(limits: [f64; 2], places: [f64; 2]) -> Self {
        let [low, high] = limits;
        let logarithmic = low > 0.0 && low < high && high.is_finite();
        Self {
            logarithmic,
            ..Self::linear(limits, places)
        }
    }

    /// The place of a value.
    pub fn at(&self, value: f64) -> f64 {
        let of = |v: f64| if self.logarithmic { v.ln() } else { v };
        let share = (of(value) - of(self.low)) / (of(self.high) - of(self.low));
        self.from + share * (self.to - self.from)
    }

    /// Round values on the axis, about `count`, with their labels.
    pub fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        if self.logarithmic {
            return self.powers(count);
        }
        let step = step(self.high - self.low, count);
        let digits = usize::try_from(-step.log10().floor() as i32).unwrap_or(0);
        let [first, last] = [
            (self.low / step - 1e-9).ceil(),
            (self.high / step + 1e-9).floor(),
        ];
        let values = (0..=(last - first).max(0.0) as usize).map(|i| (first + i as f64) * step);
        let label = |value: f64| match step {
            1e-5..1e7 => trimmed(value, digits),
            _ => significant(value),
        };
        values.map(|value| (value, label(value))).collect()
    }

    /// Whole numbers on the axis, about `count`.
    pub fn whole_ticks(&self, count: usize) -> Vec<(f64, String)> {
        let mut ticks = self.ticks(count);
        ticks.retain(|(value, _)| (value - value.round()).abs() < 1e-9);
        ticks
    }

    /// Powers of ten, and their multiples if there are few.
    fn powers(&self, count: usize) -> Vec<(f64, String)> {
        let [first, last] = [
            self.low.log10().floor() as i32,
            self.high.log10().ceil() as i32,
        ];
        let decades = usize::try_from(last - first).unwrap_or(1).max(1);
        let factors: &[f64] = if decades <= 2 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0]
        };
        let every = decades.div_ceil(count.max(1)).max(1);
        let values = (first..=last).step_by(every).flat_map(|power| {
            let ten = 10.0_f64.powi(power);
            factors.iter().map(move |factor| factor * ten)
        });
        let within = |value: &f64| (self.low * 0.999..=self.high * 1.001).contains(value);
        values
            .filter(within)
            .map(|value| (value, significant(value)))
            .collect()
    }
}

/// The round step (1, 2 or 5 times a power of ten) that divides `range` into about `count` parts.
fn step(range: f64, count: usize) -> f64 {
    let rough = range / count.max(1) as f64;
    let power = 10.0_f64.powi(rough.log10().floor() as i32);
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|f| f * power >= 0.999 * rough);
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &AxisScale, count: usize) -> Vec<String> {
        scale
            .ticks(count)
            .into_iter()
            .map(|(_, label)| label)
            .collect()
    }

    #[test]
    fn ticks_are_round() {
        let places = [0.0, 100.0];
        assert_eq!(
            labels(&AxisScale::linear([0.0, 1.0], places), 5),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        assert_eq!(
            labels(&AxisScale::linear([0.93, 0.991], places), 4),
            ["0.94", "0.96", "0.98"]
        );
        assert_eq!(
            labels(&AxisScale::linear([1.0, 5.0], places), 4),
            ["1", "2", "3", "4", "5"]
        );
        assert_eq!(
            labels(&AxisScale::linear([-20.0, 35.0], places), 3),
            ["-20", "0", "20"]
        );
        assert_eq!(
            labels(&AxisScale::linear([0.0, 3e-7], places), 3),
            ["0", "1e-7", "2e-7", "3e-7"]
        );
        let powers = AxisScale::logarithmic([1e-5, 1e-2], places);
        assert_eq!(labels(&powers, 4), ["1e-5", "0.0001", "0.001", "0.01"]);
        assert_eq!(
            labels(&AxisScale::logarithmic([0.001, 0.02], places), 4),
            ["0.001", "0.002", "0.005", "0.01", "0.02"]
        );
    }

    #[test]
    fn values_have_places() {
        let scale = AxisScale::linear([10.0, 20.0], [100.0, 0.0]);
        assert_eq!([10.0, 15.0, 20.0].map(|v| scale.at(v)), [100.0, 50.0, 0.0]);
        let scale = AxisScale::logarithmic([1.0, 100.0], [0.0, 10.0]);
        assert!((scale.at(10.0) - 5.0).abs() < 1e-9);
    }

    #[test]
    fn no_limits_break_an_axis() {
        for limits in [
            [1.0, 1.0],
            [0.0, 0.0],
            [2.0, 1.0],
            [f64::NAN, 1.0],
            [0.0, f64::INFINITY],
            [f64::INFINITY; 2],
            [-f64::MAX, f64::MAX],
        ] {
            for scale in [
                AxisScale::linear(limits, [0.0, 1.0]),
                AxisScale::logarithmic(limits, [0.0, 1.0]),
            ] {
                assert!(scale.at(0.5).is_finite(), "{limits:?}");
                assert!(scale.ticks(4).len() < 20, "{limits:?}");
            }
        }
    }
}
