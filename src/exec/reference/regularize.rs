//! Penalties on parameters.

use super::{Definition, rounded};
use crate::exec::host::Memory;
use crate::plan::Regularize;

impl Definition for Regularize {
    fn run(&self, m: &mut Memory<'_>) {
        let Self { penalties } = self;
        for penalty in penalties {
            let rule = penalty.regularizer;
            let w: Vec<f64> = m.floats(penalty.w).iter().map(|&w| w.into()).collect();
            let cost = m.rows as f64 * rule.penalty(w.iter().copied());
            m.metrics.loss_sum = (f64::from(m.metrics.loss_sum) + cost) as f32;
            if let Some(id) = penalty.gradient {
                let pairs = m.floats(id).iter().zip(w);
                let sums = pairs.map(|(&g, w)| f64::from(g) + rule.gradient(w));
                let sums = rounded(sums.collect());
                m.put(id, sums);
            }
        }
    }
}
