//! The metrics of batches, put together from those of their steps.

use std::collections::VecDeque;

use crate::distributed::sum;
use crate::exec::StepMetrics;

/// The metrics of batches whose steps are under way.
#[derive(Debug, Default)]
pub(super) struct PendingBatches {
    /// The number of micro-batches of each.
    micro_batches: VecDeque<usize>,
    /// The metrics of finished steps that belong to the first of them.
    finished: Vec<StepMetrics>,
}

impl PendingBatches {
    /// Adds a batch of so many micro-batches.
    pub(super) fn add(&mut self, micro_batches: usize) {
        self.micro_batches.push_back(micro_batches);
    }

    /// Adds a batch whose micro-batches have finished.
    pub(super) fn add_parts(&mut self, parts: Vec<StepMetrics>) {
        self.micro_batches.push_back(parts.len());
        self.finished.extend(parts);
    }

    /// Adds the metrics of finished ends of batches, in the order of [`PendingBatches::add_parts`].
    pub(super) fn add_ends(&mut self, ends: Vec<StepMetrics>) {
        self.finished.extend(ends);
    }

    /// The metrics of the batches that are complete with those of these steps.
    pub(super) fn complete(&mut self, steps: Vec<StepMetrics>) -> Vec<StepMetrics> {
        self.finished.extend(steps);
        let mut complete = Vec::new();
        let mut taken = 0;
        while let Some(&count) = self.micro_batches.front() {
            let Some(of_batch) = self.finished.get(taken..=taken + count) else {
                break;
            };
            complete.push(of_parts(of_batch));
            taken += count + 1;
            self.micro_batches.pop_front();
        }
        self.finished.drain(..taken);
        complete
    }
}

/// The metrics of a batch, from those of its micro-batches and of the step behind them, which has the penalties.
fn of_parts(steps: &[StepMetrics]) -> StepMetrics {
    let Some((end, parts)) = steps.split_last() else {
        return StepMetrics::default();
    };
    let losses: Vec<f32> = parts.iter().map(|part| part.loss_sum).collect();
    StepMetrics {
        loss_sum: sum(&losses) + end.loss_sum,
        correct: parts.iter().map(|part| part.correct).sum(),
        rows: parts.iter().map(|part| part.rows).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metrics_of_a_batch_are_those_of_its_parts_and_of_the_penalties() {
        let mut pending = PendingBatches::default();
        pending.micro_batches.extend([2, 1]);
        let step = StepMetrics::new;
        assert_eq!(pending.complete(vec![step(1.0, 1, 4), step(2.0, 2, 3)]), []);
        let rest = vec![step(0.5, 0, 7), step(4.0, 3, 4), step(0.0, 0, 4)];
        let found = pending.complete(rest);
        assert_eq!(found, [step(3.5, 3, 7), step(4.0, 3, 4)]);
        assert!(pending.finished.is_empty() && pending.micro_batches.is_empty());
    }
}
