//! The calls that clip gradients.

use super::super::call::Call;
use super::super::slot::Slot;
use super::super::tuning::Tuning;
use super::shared::WORKGROUP_SUM;
use crate::optimizer::Clip;
use crate::plan::{ClipGradients, Plan};

/// The calls that clip gradients, one gradient after the other.
pub(super) fn calls(plan: &Plan, tuning: &Tuning, op: &ClipGradients) -> Vec<Call<Slot>> {
    let (clip, gradients, norms) = (op.clip, &op.gradients, op.norms);
    let call = |entry, number: usize| {
        let (id, global) = (gradients[number], matches!(clip, Clip::GlobalNorm(_)));
        let len = plan.buffer(id).len();
        let text = include_str!("../../../../shaders/clip.wgsl");
        Call::new(entry, format!("{WORKGROUP_SUM}\n{text}"))
            .numbers(&[("BOUND", clip.bound() as f32)])
            .sizes(&[
                ("LEN", len),
                ("NUMBER", number),
                ("GRADIENTS", gradients.len()),
                ("IS_GLOBAL", usize::from(global)),
            ])
            .invocations(len)
            .write(Slot::Buffer(id))
            .write(norms.map_or(Slot::Nothing, Slot::Buffer))
    };
    let each = |entry| (0..gradients.len()).map(move |number| call(entry, number));
    match clip {
        Clip::Value(_) => each("clip_by_value").collect(),
        Clip::Norm(_) | Clip::GlobalNorm(_) => {
            let norms =
                each("gradient_norm").map(|call| call.workgroup(tuning.norm).invocations(1));
            norms.chain(each("clip_by_norm")).collect()
        }
    }
}
