//! Kernels broken on purpose. Each must be caught by the cases behind `selfcheck`; one that is not
//! shows what the cases do not look at. That whole kernels pass is what `tests/ops.rs` shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::mutation::Mutation;
use super::tuning::Tuning;
use super::variants::variant;
use super::{GpuDevice, GpuExecutor};
use crate::check::check_ops;
use crate::exec::Inspect;
use crate::state::Layout;

fn device() -> GpuDevice {
    GpuDevice::find(crate::exec::test_backend(), None)
        .unwrap_or_else(|e| panic!("the tests of the GPU need one, if only in software: {e}"))
}

/// Cases of `op` that fail with the mutation.
fn failures(gpu: &GpuDevice, op: &str, mutation: Mutation) -> usize {
    let mut gpu = gpu.guarded();
    gpu.pipelines.mutation = Some(mutation);
    let gpu = Arc::new(gpu);
    let factory = |layout: Arc<Layout>| -> Box<dyn Inspect> {
        Box::new(GpuExecutor::new(Arc::clone(&gpu), layout))
    };
    let report = check_ops(&factory, Some(op), &mut |_| {}).unwrap_or_else(|e| panic!("{e}"));
    report.failures.len()
}

fn is_caught(
    tuning: Tuning,
    filter: &str,
    entry: &'static str,
    from: &'static str,
    to: &'static str,
) {
    let applied = Arc::new(AtomicUsize::new(0));
    let mutation = Mutation {
        entry,
        from,
        to,
        applied: Arc::clone(&applied),
    };
    let gpu = device().with_tuning(tuning);
    let failed = failures(&gpu, filter, mutation);
    assert!(
        applied.load(Ordering::Relaxed) > 0,
        "`{from}` is not in any kernel `{entry}`"
    );
    assert!(failed > 0, "`{entry}` with `{to}` for `{from}` passes");
}

/// `name: variant, filter of the cases, entry, text, broken text`
macro_rules! mutants {
    ($($name:ident: $variant:literal, $filter:literal, $entry:literal, $from:literal => $to:literal;)*) => {
        $(#[test]
        fn $name() {
            is_caught(variant($variant), $filter, $entry, $from, $to);
        })*
    };
}

mutants! {
    a_missing_bounds_check_writes_past_the_end: "plain", "gather", "gather",
        "if i >= BATCH * (SIZE / WIDTH) {" => "if i >= BATCH * (SIZE / WIDTH) + 1000u {";
    a_missing_barrier: "hardware", "softmax_cross_entropy", "softmax_cross_entropy",
        "workgroupBarrier();" => "";
    a_wrong_label: "hardware", "softmax_cross_entropy", "softmax_cross_entropy",
        "own == label" => "own + 1u == label";
    a_wrong_weight: "hardware", "conv2d_forward n=1", "conv2d_forward",
        "load_w((0u +" => "load_w((1u +";
    a_product_left_out: "hardware", "conv2d_backward_input n=1", "conv2d_backward_input",
        " + s0 * w0_0" => "";
    the_last_block_left_out: "software", "conv2d_forward n=2", "conv2d_forward",
        "turn + 1u >= (" => "turn + 2u >= (";
    the_last_channel_left_out: "software", "conv2d_forward n=2", "conv2d_forward",
        "j + 1u >= (" => "j + 2u >= (";
    the_last_patch_left_out: "hardware", "conv2d_backward_weight n=1", "conv2d_backward_weight",
        "u < min((split + 1u)" => "u + 1u < min((split + 1u)";
    the_last_of_equal_cells: "hardware", "pool2d_forward", "pool2d_forward",
        "(v > best)" => "(v >= best)";
    padding_counted: "hardware", "pool2d_forward", "pool2d_forward",
        "return f32(rows * columns);" => "return f32(KH * KW);";
    a_window_too_many: "hardware", "pool2d_backward", "pool2d_backward",
        "oy <= min(ty / SH, OH - 1u)" => "oy <= ty / SH";
    the_last_partial_left_out: "hardware", "conv2d_backward_weight n=2", "reduce",
        "s < b.splits" => "s + 1u < b.splits";
    a_row_left_out_of_each_part: "plain", "conv2d_backward_weight n=2", "conv2d_backward_weight",
        "min(row + PART_ROWS, BATCH * OH)" => "min(row + PART_ROWS - 1u, BATCH * OH)";
    the_spread_between_parts_left_out: "plain", "batch_norm_statistics", "batch_norm_statistics_finish",
        "part.y + f32(n) * d * d" => "part.y";
    a_part_beyond_the_valid_rows: "plain", "batch_norm_backward_weight", "batch_norm_backward_weight",
        "min(part * PART_CELLS, step.rows * CELLS)" => "part * PART_CELLS";
    the_last_part_left_out_of_a_sum: "plain", "batch_norm_backward_weight", "batch_norm_backward_weight_finish",
        "s < PARTS" => "s + 1u < PARTS";
    the_first_part_taken_for_the_penalty: "plain", "regularize", "regularize_finish",
        "i < PARTS" => "i < 1u";
    the_norm_of_the_first_part: "plain", "clip", "gradient_norm",
        "norms[NUMBER + part]" => "norms[NUMBER]";
    epsilon_inside_the_root: "hardware", "adam_update", "adam_update",
        "(sqrt(v) + Cell(EPSILON))" => "sqrt(v + Cell(EPSILON))";
    a_derivative_of_one_at_zero: "hardware", "activation_backward", "activation_backward",
        "y > Cell(0.0)" => "y >= Cell(0.0)";
    rows_that_are_not_there: "hardware", "softmax_cross_entropy", "softmax_cross_entropy",
        "select(0.0, gradient, r < step.rows)" => "gradient";
}
