//! The calls that clip gradients.

use super::super::call::Call;
use super::super::operand::Operand;
use super::super::tuning::Tuning;
use super::shared::{Split, WORKGROUP_SUM, take_partials};
use crate::optimizer::Clip;
use crate::plan::{ClipGradients, Plan};

/// The calls that clip gradients, one gradient after the other; allocates their parts after
/// `partials` floats of partial sums.
pub(super) fn calls(
    plan: &Plan,
    tuning: &Tuning,
    op: &ClipGradients,
    partials: &mut usize,
) -> Vec<Call<Operand>> {
    let (clip, gradients) = (op.clip, &op.gradients);
    let norms = op.norms.map_or(Operand::Nothing, Operand::Buffer);
    let global = matches!(clip, Clip::GlobalNorm(_));
    let call = |(entry, workgroup), [from, to]: [Operand; 2], len, number: usize, split: Split| {
        let text = include_str!("../../../../shaders/clip.wgsl");
        Call::new(entry, format!("{WORKGROUP_SUM}\n{text}"), workgroup)
            .numbers(&[("BOUND", clip.bound() as f32)])
            .sizes(&[
                ("LEN", len),
                ("NUMBER", number),
                ("PARTS", split.parts),
                ("PART_LEN", split.each),
                ("GRADIENTS", gradients.len()),
                ("IS_GLOBAL", usize::from(global)),
            ])
            .invocations(len)
            .write(from)
            .write(to)
    };
    let norm = |operands, len, number, split: Split| {
        call(("gradient_norm", tuning.norm), operands, len, number, split)
            .invocations(split.parts * tuning.norm)
            .loads(2 * split.each.div_ceil(tuning.norm))
    };
    let numbered = || {
        (0..).zip(
            gradients
                .iter()
                .map(|&id| (Operand::Buffer(id), plan.buffer(id).len())),
        )
    };
    let each = |entry| {
        numbered().map(move |(number, (gradient, len))| {
            let whole = Split::new(len, len);
            let kernel = (entry, tuning.untiled);
            call(kernel, [gradient, norms], len, number, whole)
        })
    };
    if let Clip::Value(_) = clip {
        return each("clip_by_value").collect();
    }
    let mut calls = Vec::new();
    for (number, (gradient, len)) in numbered() {
        let most = tuning.max_loads / 2 * tuning.norm;
        let split = Split::new(len, most);
        if split.is_whole() {
            calls.push(norm([gradient, norms], len, number, split));
            continue;
        }
        // The norm of the parts' norms is the norm of the whole.
        let parts = take_partials(partials, split.parts);
        calls.push(norm([gradient, parts], len, 0, split));
        let whole = Split::new(split.parts, split.parts);
        calls.push(norm([parts, norms], split.parts, number, whole));
    }
    let norms_read = if global { gradients.len() } else { 1 };
    calls.extend(each("clip_by_norm").map(|call| call.loads(2 * norms_read)));
    calls
}
