//! Optimizer steps; see [`Optimizer`] for the formulas.

use super::Definition;
use crate::exec::host::{Memory, Moments};
use crate::optimizer::{Optimizer, Rates, UpdateRule};
use crate::plan::Update;

impl Definition for Update {
    fn run(&self, m: &mut Memory<'_>) {
        let Self {
            optimizer,
            params,
            gradients,
            factors,
        } = self;
        for ((&w, &g), &factor) in params.iter().zip(gradients).zip(factors) {
            let Some(i) = m.parameter(w) else { continue };
            let mut weights = m.take(w);
            let mut moments = std::mem::take(&mut m.moments[i]);
            let factor = f64::from(factor);
            step(
                (optimizer, factor),
                m.rates,
                &mut weights,
                &mut moments,
                m.floats(g),
            );
            m.moments[i] = moments;
            m.put(w, weights);
        }
    }
}

/// One step of one parameter with this factor of the rule's rate; `rates` are
/// [`Optimizer::rates`] of the step.
pub(super) fn step(
    (optimizer, factor): (&Optimizer, f64),
    rates: Rates,
    weights: &mut [f32],
    moments: &mut Moments,
    gradient: &[f32],
) {
    for (i, w) in weights.iter_mut().enumerate() {
        let [rate, decay, keep] = [rates.rate, rates.decay, rates.keep].map(f64::from);
        let [mut before, m, v, g] = [*w, moments.m[i], moments.v[i], gradient[i]].map(f64::from);
        before -= decay * before;
        let after = apply(&optimizer.rule, factor * rate, [before, m, v, g]);
        [*w, moments.m[i], moments.v[i]] = after.map(|x| x as f32);
        if optimizer.ema_momentum.is_some() {
            let average = f64::from(moments.average[i]);
            moments.average[i] = (keep * average + (1.0 - keep) * after[0]) as f32;
            if rates.overwrites {
                *w = moments.average[i];
            }
        }
    }
}

/// The new `[w, m, v]` of one element.
fn apply(rule: &UpdateRule, rate: f64, [w, m, v, g]: [f64; 4]) -> [f64; 3] {
    match *rule {
        UpdateRule::Sgd { momentum: 0.0, .. } => [w - rate * g, m, v],
        UpdateRule::Sgd {
            momentum, nesterov, ..
        } => {
            let m = momentum * m - rate * g;
            let change = if nesterov { momentum * m - rate * g } else { m };
            [w + change, m, v]
        }
        UpdateRule::RmsProp {
            rho,
            momentum,
            epsilon,
            ..
        } => {
            let v = rho * v + (1.0 - rho) * g * g;
            let u = rate * g / (v + epsilon).sqrt();
            if momentum == 0.0 {
                return [w - u, m, v];
            }
            let m = momentum * m + u;
            [w - m, m, v]
        }
        UpdateRule::Adam {
            beta_1,
            beta_2,
            epsilon,
            ..
        } => {
            let m = m + (1.0 - beta_1) * (g - m);
            let v = v + (1.0 - beta_2) * (g * g - v);
            [w - rate * m / (v.sqrt() + epsilon), m, v]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `w = 1`, `m = 0.5`, `v = 0.25`, `g = 2` after one step at rate 0.125.
    fn after(rule: UpdateRule) -> [f32; 3] {
        let (w, moments) = stepped(&rule.into(), 0.125.into());
        [w, moments.m[0], moments.v[0]]
    }

    fn stepped(optimizer: &Optimizer, rates: Rates) -> (f32, Moments) {
        let mut w = [1.0];
        let mut moments = Moments {
            m: vec![0.5],
            v: vec![0.25],
            average: vec![3.0],
        };
        step((optimizer, 1.0), rates, &mut w, &mut moments, &[2.0]);
        (w[0], moments)
    }

    #[test]
    fn the_average_replaces_the_weights_after_it_was_moved() {
        let optimizer = Optimizer::sgd().ema_momentum(0.5);
        let rates = Rates {
            rate: 0.125,
            keep: 0.75,
            overwrites: true,
            ..Rates::default()
        };
        let (w, moments) = stepped(&optimizer, rates);
        assert_eq!(w, 0.75 * 3.0 + 0.25 * 0.75);
        assert_eq!(moments.average, [w]);
    }

    #[test]
    fn a_factor_multiplies_the_rate_but_not_the_decay() {
        let optimizer = Optimizer::sgd().weight_decay(1.0);
        let rates = Rates {
            rate: 0.125,
            decay: 0.5,
            ..Rates::default()
        };
        let (mut w, mut moments) = ([1.0], Moments::default());
        (moments.m, moments.v) = (vec![0.0], vec![0.0]);
        step((&optimizer, 4.0), rates, &mut w, &mut moments, &[2.0]);
        // 1 - 0.5 * 1 - 4 * 0.125 * 2
        assert_eq!(w, [-0.5]);
    }

    #[test]
    fn weights_decay_before_the_step_and_the_average_follows_it() {
        let optimizer = Optimizer::sgd().weight_decay(1.0).ema_momentum(0.5);
        let rates = Rates {
            rate: 0.125,
            decay: 0.5,
            keep: 0.75,
            overwrites: false,
        };
        let (w, moments) = stepped(&optimizer, rates);
        // 1 - 0.5 * 1 - 0.125 * 2
        assert_eq!(w, 0.25);
        assert_eq!(moments.average, [0.75 * 3.0 + 0.25 * 0.25]);
        let (_, moments) = stepped(&Optimizer::sgd(), rates);
        assert_eq!(moments.average, [3.0], "nobody asked for an average");
    }

    fn close(a: [f32; 3], b: [f32; 3]) {
        let near = a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near, "{a:?} is not {b:?}");
    }

    #[test]
    fn sgd_by_hand() {
        let sgd = |momentum, nesterov| UpdateRule::Sgd {
            learning_rate: 9.0,
            momentum,
            nesterov,
        };
        close(after(sgd(0.0, false)), [0.75, 0.5, 0.25]);
        close(after(sgd(0.5, false)), [1.0, 0.0, 0.25]);
        // m = 0.9 * 0.5 - 0.25 = 0.2, w = 1 + 0.9 * 0.2 - 0.25
        close(after(sgd(0.9, true)), [0.93, 0.2, 0.25]);
    }

    #[test]
    fn rmsprop_by_hand() {
        let rmsprop = |momentum| UpdateRule::RmsProp {
            learning_rate: 9.0,
            rho: 0.5,
            momentum,
            epsilon: 0.125,
        };
        // v = 0.125 + 0.5 * 4 = 2.125, u = 0.25 / sqrt(2.25) = 1 / 6
        close(after(rmsprop(0.0)), [1.0 - 1.0 / 6.0, 0.5, 2.125]);
        let m = 0.25 + 1.0 / 6.0;
        close(after(rmsprop(0.5)), [1.0 - m, m, 2.125]);
    }

    #[test]
    fn adam_by_hand() {
        let adam = UpdateRule::Adam {
            learning_rate: 9.0,
            beta_1: 0.5,
            beta_2: 0.5,
            epsilon: 0.5,
        };
        // m = 1.25, v = 2.125, w = 1 - 0.125 * 1.25 / (sqrt(2.125) + 0.5)
        let w = 1.0 - 0.156_25 / (2.125f32.sqrt() + 0.5);
        close(after(adam), [w, 1.25, 2.125]);
    }
}
