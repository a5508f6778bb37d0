//! What a few steps compute, to compare kernels by.

use crate::bench::Workload;
use crate::error::Result;
use crate::exec::StepMetrics;
use crate::state::{Layout, Parameter, State};

/// Steps that are compared: later ones read what the first has written. They move the weights so little that the
/// gradients stay those of the same weights: those of noise are small sums of large terms, and soon go their own ways.
const STEPS: usize = 3;
/// The largest relative difference of a loss.
const LOSS: f64 = 0.02;
/// The largest difference of a layer's moments, relative to their norm. Sums of another order differ by some 1e-6;
/// where a pool or a ReLU decides between numbers that are equal but for that, gradients of single images take
/// another way, which adds up to a few thousandths. A product that is left out changes far more.
const MOMENTS: f64 = 0.1;
/// The same for the change of the weights, to which Adam gives the same size whatever the gradient.
const WEIGHTS: f64 = 0.5;
/// The same for moving statistics.
const STATISTICS: f64 = 0.01;
/// The share of the norm of all layers below which a layer's values are rounding.
const NOISE: f64 = 1e-4;

/// What the first steps of a workload compute.
pub(super) struct FirstSteps {
    metrics: Vec<StepMetrics>,
    before: State,
    after: State,
}

/// Values of a layer in two states.
struct Compared {
    what: &'static str,
    allowed: f64,
    of: fn(&FirstSteps, &Parameter) -> Vec<f64>,
}

/// A parameter's values in an arena; none if the arena is empty.
fn values(arena: &[f32], parameter: &Parameter) -> Vec<f64> {
    let values = arena.get(parameter.range()).unwrap_or_default();
    values.iter().map(|value| f64::from(*value)).collect()
}

const TRAINED: [Compared; 3] = [
    Compared {
        what: "gradient",
        allowed: MOMENTS,
        of: |steps, parameter| values(&steps.after.m, parameter),
    },
    Compared {
        what: "second moment",
        allowed: 2.0 * MOMENTS,
        of: |steps, parameter| values(&steps.after.v, parameter),
    },
    Compared {
        what: "update",
        allowed: WEIGHTS,
        of: |steps, parameter| {
            let [before, after] =
                [&steps.before, &steps.after].map(|s| values(&s.params, parameter));
            after.iter().zip(&before).map(|(a, b)| a - b).collect()
        },
    },
];

const MOVING: [Compared; 1] = [Compared {
    what: "moving statistics",
    allowed: STATISTICS,
    of: |steps, parameter| values(&steps.after.params, parameter),
}];

impl FirstSteps {
    /// Runs the first steps.
    ///
    /// # Errors
    /// The device fails.
    pub fn of(workload: &mut Workload) -> Result<Self> {
        let before = workload.state()?;
        let metrics = workload.observed(STEPS)?;
        let after = workload.state()?;
        Ok(Self {
            metrics,
            before,
            after,
        })
    }

    /// How they differ from the same steps with other kernels by more than rounding, if they do.
    pub fn difference(&self, expected: &Self) -> Option<String> {
        let losses = self
            .metrics
            .iter()
            .zip(&expected.metrics)
            .find_map(|(found, wanted)| {
                let [found, wanted] = [found, wanted].map(|step| f64::from(step.loss_sum));
                let is_right = found == wanted || (found - wanted).abs() <= LOSS * wanted.abs();
                (!is_right).then(|| format!("the loss is {found}, expected {wanted}"))
            });
        losses
            .or_else(|| self.differing(expected, true, &TRAINED))
            .or_else(|| self.differing(expected, false, &MOVING))
    }

    /// The first layer whose trainable or other parameters differ.
    fn differing(&self, expected: &Self, trainable: bool, compared: &[Compared]) -> Option<String> {
        let layers = layers(&self.after.layout, trainable);
        compared.iter().find_map(|Compared { what, allowed, of }| {
            let pairs = layers.iter().map(|(layer, parameters)| {
                let all = |steps: &Self| -> Vec<f64> {
                    parameters
                        .iter()
                        .flat_map(|parameter| of(steps, parameter))
                        .collect()
                };
                (layer, all(self), all(expected))
            });
            let pairs: Vec<_> = pairs.collect();
            let noise = NOISE
                * norm(
                    pairs
                        .iter()
                        .flat_map(|(_, _, wanted)| wanted.iter().copied()),
                );
            pairs.iter().find_map(|(layer, found, wanted)| {
                let difference = norm(found.iter().zip(wanted).map(|(a, b)| a - b));
                let allowed = allowed * norm(wanted.iter().copied()) + noise;
                // Not true of a NaN either.
                let is_right = found.len() == wanted.len() && difference <= allowed;
                (!is_right).then(|| {
                    let share = 100.0 * difference / norm(wanted.iter().copied());
                    format!("the {what} of `{layer}` differs by {share:.0} % of its norm")
                })
            })
        })
    }
}

/// The layers with parameters of this kind, by name.
fn layers(layout: &Layout, trainable: bool) -> Vec<(&str, Vec<&Parameter>)> {
    let mut layers: Vec<(&str, Vec<&Parameter>)> = Vec::new();
    for parameter in layout
        .parameters
        .iter()
        .filter(|p| p.trainable == trainable)
    {
        let layer = parameter.name.split('/').next().unwrap_or_default();
        match layers.last_mut() {
            Some((last, parameters)) if *last == layer => parameters.push(parameter),
            _ => layers.push((layer, vec![parameter])),
        }
    }
    layers
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::preset;

    fn steps(change: impl FnOnce(&mut FirstSteps)) -> FirstSteps {
        let layout = Layout::new(&preset("mnist-mlp").unwrap()).unwrap();
        let before = State::new(layout, 1);
        let mut after = before.clone();
        after.m = before.params.clone();
        after.v = before.params.iter().map(|m| m * m).collect();
        after
            .params
            .iter_mut()
            .zip(&before.params)
            .for_each(|(weight, m)| *weight -= 1e-3 * m.signum());
        let metrics = vec![StepMetrics::new(2.5, 1, 8); 3];
        let mut steps = FirstSteps {
            metrics,
            before,
            after,
        };
        change(&mut steps);
        steps
    }

    #[test]
    fn only_more_than_rounding_is_a_difference() {
        let expected = steps(|_| {});
        let difference = |change: fn(&mut FirstSteps)| steps(change).difference(&expected);
        assert_eq!(difference(|_| {}), None);
        assert_eq!(difference(|steps| steps.after.m[3] += 1e-4), None);
        // Biases begin at zero here, and so do their gradients: noise is no difference.
        let bias = |steps: &FirstSteps| steps.after.layout.parameters[1].range().start;
        assert_eq!(
            steps(|s| {
                let at = bias(s);
                s.after.m[at] = 1e-5;
            })
            .difference(&expected),
            None
        );
        let wrong =
            difference(|steps| steps.after.m.iter_mut().take(20_000).for_each(|m| *m = 0.0));
        // A fifth of the weights.
        let wrong = wrong.unwrap();
        assert!(
            wrong.starts_with("the gradient of `dense` differs by 4"),
            "{wrong}"
        );
        let wrong = difference(|steps| {
            let range = steps.after.layout.parameters[2].range();
            let before = steps.before.params[range.clone()].to_vec();
            steps.after.params[range].copy_from_slice(&before);
        });
        assert_eq!(
            wrong.as_deref(),
            Some("the update of `dense_1` differs by 100 % of its norm")
        );
        for change in [
            (|steps: &mut FirstSteps| steps.after.m[0] = f32::NAN) as fn(&mut FirstSteps),
            |steps| steps.after.v.clear(),
            |steps| steps.metrics[2].loss_sum = f32::NAN,
            |steps| steps.metrics[1].loss_sum = 2.0,
        ] {
            assert!(steps(change).difference(&expected).is_some());
        }
    }
}
