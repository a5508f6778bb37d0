//! The fixed order in which the gradients of micro-batches are summed.
//!
//! The sum over the micro-batches `first..end` of a batch is that of the first `k` of them and that of the rest,
//! where `k` is the largest power of two below their number:
//!
//! ```text
//! sum(0..7) = sum(0..4) + sum(4..7) = ((g0 + g1) + (g2 + g3)) + ((g4 + g5) + g6)
//! ```
//!
//! This binary tree depends on the number of micro-batches alone. Each rank computes a contiguous range of them,
//! which is a union of whole subtrees, and sends the sums of these, never a sum that is not a node of the tree.
//! So the result has the same bytes for any number of ranks.

use std::ops::Range;

use crate::exec::GradientSum;

/// What a rank does, in order, for its part of the sum over a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TreeAct {
    /// Computes the gradients of a micro-batch.
    Run {
        /// Its index in the batch.
        micro_batch: usize,
        /// What becomes of them.
        sum: GradientSum,
    },
    /// Sends the gradients, a node of the tree, to another rank.
    Send {
        /// The rank.
        to: usize,
    },
    /// Receives the gradients of a node from another rank.
    Receive {
        /// The rank.
        from: usize,
        /// What becomes of them.
        sum: GradientSum,
    },
}

/// The micro-batches of a rank, of `count` in a batch.
pub(crate) fn owned(count: usize, (rank, ranks): (usize, usize)) -> Range<usize> {
    // Rounded up, so that rank 0 has the first one, and with it the root.
    let first = |rank: usize| (count * rank).div_ceil(ranks);
    first(rank)..first(rank + 1)
}

/// Where the tree divides a range of more than one micro-batch.
fn middle(range: &Range<usize>) -> usize {
    range.start + range.len().next_power_of_two() / 2
}

/// The most partial sums that wait at a time while `count` micro-batches are summed.
pub(crate) fn most_waiting(count: usize) -> usize {
    count.next_power_of_two().trailing_zeros() as usize
}

/// What `rank` of `ranks` does for the sum over `count` micro-batches, of which there is at least one. The sum
/// is left in the gradients of rank 0.
pub(crate) fn acts(count: usize, (rank, ranks): (usize, usize)) -> Vec<TreeAct> {
    let mut schedule = SumSchedule {
        count,
        rank,
        ranks,
        waiting: 0,
        acts: Vec::new(),
    };
    if !owned(count, (rank, ranks)).is_empty() {
        schedule.visit(0..count);
    }
    schedule.acts
}

/// Sums values in the order of the tree.
pub(crate) fn sum(values: &[f32]) -> f32 {
    match values {
        [] => 0.0,
        [value] => *value,
        _ => {
            let (first, rest) = values.split_at(middle(&(0..values.len())));
            sum(first) + sum(rest)
        }
    }
}

struct SumSchedule {
    count: usize,
    rank: usize,
    ranks: usize,
    waiting: usize,
    acts: Vec<TreeAct>,
}

impl SumSchedule {
    /// The rank that has the sum of a node that starts with this micro-batch.
    fn owner(&self, first: usize) -> usize {
        // The last rank whose range starts at or before it.
        let ranks = 0..self.ranks;
        let has = |rank: &usize| owned(self.count, (*rank, self.ranks)).contains(&first);
        ranks.into_iter().find(has).unwrap_or(0)
    }

    /// Adds the rank's acts for a node of which it has a part. Afterwards the gradients hold the sum if the
    /// node's first micro-batch is the rank's own.
    fn visit(&mut self, node: Range<usize>) {
        let own = owned(self.count, (self.rank, self.ranks));
        if node.len() == 1 {
            let waiting = self.waiting;
            self.acts.push(TreeAct::Run {
                micro_batch: node.start,
                sum: GradientSum {
                    waiting,
                    ..GradientSum::default()
                },
            });
            return;
        }
        let middle = middle(&node);
        let [first, second] = [node.start..middle, middle..node.end];
        let has_part = |part: &Range<usize>| own.start < part.end && part.start < own.end;
        let [owner, other] = [first.start, second.start].map(|start| self.owner(start));
        let is_own = owner == self.rank;
        if has_part(&first) {
            self.visit(first);
            if is_own {
                self.last_sum(|sum| sum.waits = true);
                self.waiting += 1;
            }
        }
        if has_part(&second) {
            self.visit(second);
        } else if is_own {
            let waiting = self.waiting;
            self.acts.push(TreeAct::Receive {
                from: other,
                sum: GradientSum {
                    waiting,
                    ..GradientSum::default()
                },
            });
        }
        if is_own {
            self.last_sum(|sum| sum.adds += 1);
            self.waiting -= 1;
        } else if other == self.rank {
            self.acts.push(TreeAct::Send { to: owner });
        }
    }

    /// Changes what becomes of the gradients that were computed or received last.
    fn last_sum(&mut self, change: impl FnOnce(&mut GradientSum)) {
        if let Some(TreeAct::Run { sum, .. } | TreeAct::Receive { sum, .. }) = self.acts.last_mut()
        {
            change(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// The sum over a range of micro-batches, as a text with parentheses.
    fn node(range: Range<usize>) -> String {
        if range.len() == 1 {
            return format!("{}", range.start);
        }
        let middle = middle(&range);
        let (first, second) = (node(range.start..middle), node(middle..range.end));
        format!("({first}+{second})")
    }

    /// Carries out the acts of all ranks, with texts for gradients; returns the root, the number of sums that
    /// were sent and the most that waited.
    fn carry_out(count: usize, ranks: usize) -> (String, usize, usize) {
        let mut acts: Vec<_> = (0..ranks)
            .map(|rank| acts(count, (rank, ranks)).into_iter().peekable())
            .collect();
        let mut stacks = vec![Vec::<String>::new(); ranks];
        let mut gradients = vec![String::new(); ranks];
        let mut sent: HashMap<[usize; 2], Vec<String>> = HashMap::new();
        let (mut messages, mut most) = (0, 0);
        loop {
            let mut moved = false;
            for rank in 0..ranks {
                while let Some(act) = acts[rank].peek().copied() {
                    let (value, sum) = match act {
                        TreeAct::Run { micro_batch, sum } => (micro_batch.to_string(), sum),
                        TreeAct::Receive { from, sum } => {
                            let arrived = sent.entry([from, rank]).or_default();
                            if arrived.is_empty() {
                                break;
                            }
                            (arrived.remove(0), sum)
                        }
                        TreeAct::Send { to } => {
                            let sum = gradients[rank].clone();
                            sent.entry([rank, to]).or_default().push(sum);
                            messages += 1;
                            acts[rank].next();
                            moved = true;
                            continue;
                        }
                    };
                    assert_eq!(sum.waiting, stacks[rank].len());
                    gradients[rank] = value;
                    for place in sum.added() {
                        let waiting = stacks[rank].remove(place);
                        gradients[rank] = format!("({waiting}+{})", gradients[rank]);
                    }
                    if let Some(place) = sum.place() {
                        assert_eq!(place, stacks[rank].len());
                        stacks[rank].push(gradients[rank].clone());
                        most = most.max(stacks[rank].len());
                    }
                    acts[rank].next();
                    moved = true;
                }
            }
            if !moved {
                break;
            }
        }
        assert!(
            acts.iter_mut().all(|acts| acts.peek().is_none()),
            "{count} {ranks}"
        );
        assert!(sent.values().all(Vec::is_empty));
        (gradients[0].clone(), messages, most)
    }

    #[test]
    fn the_sum_has_the_same_form_for_any_number_of_ranks() {
        for count in 1..40 {
            for ranks in 1..10 {
                let (root, messages, most) = carry_out(count, ranks);
                assert_eq!(root, node(0..count), "{count} {ranks}");
                assert!(most <= most_waiting(count), "{count} {ranks}: {most}");
                if ranks == 1 {
                    assert_eq!(messages, 0);
                }
            }
        }
        // With powers of two, each rank sends one sum.
        assert_eq!(carry_out(16, 4).1, 3);
        assert_eq!(carry_out(16, 16).1, 15);
    }

    #[test]
    fn the_form_is_that_of_the_documentation() {
        assert_eq!(node(0..7), "(((0+1)+(2+3))+((4+5)+6))");
        let values = [1.0, 1e8, -1e8, 1.0, 3.0, 5.0, 7.0_f32];
        let by_hand = ((values[0] + values[1]) + (values[2] + values[3])) + ((3.0 + 5.0) + 7.0);
        assert_eq!(sum(&values), by_hand);
    }

    #[test]
    fn ranks_share_the_micro_batches_evenly_and_rank_0_has_the_first() {
        for count in 1..30 {
            for ranks in 1..9 {
                let parts: Vec<_> = (0..ranks).map(|rank| owned(count, (rank, ranks))).collect();
                assert_eq!((parts[0].start, parts[ranks - 1].end), (0, count));
                assert!(!parts[0].is_empty());
                assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
                let lengths = parts.iter().map(ExactSizeIterator::len);
                let (least, most) = (lengths.clone().min(), lengths.max());
                assert!(most <= least.map(|least| least + 1), "{count} {ranks}");
            }
        }
    }
}
