//! Finds the operation into which an operation without its own kernel calls is fused.

use super::call::{Access, Call};
use super::operand::Operand;
use crate::plan::{BufferId, Plan};

/// For each operation of `plan`, the operation whose calls compute it, given the calls of each:
/// itself if it has any; otherwise the one whose calls write its outputs; otherwise the one that
/// reads them. `None` if there is none.
pub fn fused_into(plan: &Plan, calls: &[Vec<Call<Operand>>]) -> Vec<Option<usize>> {
    (0..plan.ops.len()).map(|i| fused(plan, calls, i)).collect()
}

fn fused(plan: &Plan, calls: &[Vec<Call<Operand>>], i: usize) -> Option<usize> {
    if !calls[i].is_empty() {
        return Some(i);
    }
    let results = plan.ops[i].writes();
    let writer = calls.iter().position(|calls| writes(calls, &results));
    writer.or_else(|| {
        let reads = |j: &usize| plan.ops[*j].reads().iter().any(|id| results.contains(id));
        let reader = (i + 1..plan.ops.len()).find(reads)?;
        fused(plan, calls, reader)
    })
}

fn writes(calls: &[Call<Operand>], results: &[BufferId]) -> bool {
    let mut bindings = calls.iter().flat_map(|call| &call.bindings);
    bindings.any(|(operand, access)| match operand {
        Operand::Buffer(id) => *access == Access::Write && results.contains(id),
        _ => false,
    })
}
