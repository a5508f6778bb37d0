//! Kernels broken on purpose. The cases behind `selfcheck` must catch each of them; one that passes
//! reveals a gap in the cases. The same cases must pass with intact kernels, or a failure would say
//! nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use super::mutation::Mutation;
use super::variants::variants;
use super::{GpuDevice, GpuExecutor};
use crate::check::check_ops;
use crate::exec::Inspect;
use crate::state::Layout;

fn device() -> GpuDevice {
    GpuDevice::find(crate::exec::test_backend(), None)
        .unwrap_or_else(|e| panic!("the GPU tests need an adapter, such as lavapipe: {e}"))
}

/// Number of cases that fail, with the mutation if there is one.
fn failures(gpu: &GpuDevice, filter: &str, mutation: Option<Mutation>) -> usize {
    let mut gpu = gpu.guarded();
    gpu.pipelines.mutation = mutation;
    let gpu = Arc::new(gpu);
    let factory = |layout: Arc<Layout>| -> Box<dyn Inspect> {
        Box::new(GpuExecutor::new(Arc::clone(&gpu), layout))
    };
    let report = check_ops(&factory, Some(filter), &mut |_| {}).unwrap_or_else(|e| panic!("{e}"));
    report.failures.len()
}

/// Number of these cases that fail with the variant's intact kernels, computed once for all mutants
/// that share them.
fn intact_failures(gpu: &GpuDevice, variant: &'static str, filter: &'static str) -> usize {
    type Known = HashMap<(&'static str, &'static str), Arc<OnceLock<usize>>>;
    static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
    let known = {
        let mut all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry((variant, filter)).or_default())
    };
    *known.get_or_init(|| failures(gpu, filter, None))
}

fn is_caught(
    variant: &'static str,
    filter: &'static str,
    entry: &'static str,
    from: &'static str,
    to: &'static str,
) {
    assert!(
        variants().iter().any(|(name, _)| *name == variant),
        "there is no kernel variant `{variant}`"
    );
    let applied = Arc::new(AtomicUsize::new(0));
    let mutation = Mutation {
        entry,
        from,
        to,
        applied: Arc::clone(&applied),
    };
    let gpu = device();
    let mut possible = gpu.variants().into_iter();
    let Some((_, tuning)) = possible.find(|(name, _)| *name == variant) else {
        eprintln!("skipped: this adapter cannot run the kernels `{variant}`");
        return;
    };
    let gpu = gpu.with_tuning(tuning);
    let intact = intact_failures(&gpu, variant, filter);
    assert_eq!(intact, 0, "`{filter}` fails with intact kernels");
    let failed = failures(&gpu, filter, Some(mutation));
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
            is_caught($variant, $filter, $entry, $from, $to);
        })*
    };
}

mutants! {
    a_missing_bounds_check_writes_past_the_end: "plain", "gather", "gather",
        "if i >= BATCH * (SIZE / WIDTH) {" => "if i >= BATCH * (SIZE / WIDTH) + 1000u {";
    a_missing_bounds_check_of_floats: "plain", "gather pixels=floats", "gather_floats",
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
    the_loss_of_the_first_part: "plain", "softmax_cross_entropy", "loss_finish",
        "i < PARTS" => "i < 1u";
    the_last_row_left_out_of_each_part: "plain", "mean_squared_error", "mean_squared_error",
        "min(first + PART_ROWS, BATCH)" => "min(first + PART_ROWS - 1u, BATCH)";
    the_norm_of_the_first_part: "plain", "clip", "gradient_norm",
        "norms[NUMBER + part]" => "norms[NUMBER]";
    epsilon_inside_the_root: "hardware", "adam_update", "adam_update",
        "(sqrt(v) + Cell(EPSILON))" => "sqrt(v + Cell(EPSILON))";
    a_derivative_of_one_at_zero: "hardware", "activation_backward", "activation_backward",
        "y > Cell(0.0)" => "y >= Cell(0.0)";
    a_row_that_starts_with_the_other_input: "plain", "concatenate_backward", "concatenate_backward",
        "FIRST + i % A" => "i % A";
    an_input_taken_twice: "plain", "concatenate_forward", "concatenate_forward",
        "load_b(row * B" => "load_a(row * B";
    a_term_taken_twice: "plain", "add", "add",
        "load_a(i) + load_b(i)" => "load_a(i) + load_a(i)";
    rows_that_are_not_there: "hardware", "softmax_cross_entropy", "softmax_cross_entropy",
        "select(0.0, gradient, r < step.rows)" => "gradient";
}

// What only the subgroup variant does.
mutants! {
    a_pixel_of_another_lane: "software with subgroups", "conv2d_forward oc=32", "conv2d_forward",
        "subgroupBroadcast(e0, 1u)" => "subgroupBroadcast(e0, 2u)";
    pixels_past_the_eighth: "software with subgroups", "conv2d_backward_weight oc=32",
        "conv2d_backward_weight", "let p1 = min(8u + local" => "let p1 = min(local";
    a_row_of_another_lane: "software with subgroups", "dense_forward n=64", "dense_forward",
        "subgroupBroadcast(e0_0, 1u)" => "subgroupBroadcast(e0_0, 2u)";
}

// Kernels that only steps have.
mutants! {
    a_step_takes_the_smallest_of_a_window: "hardware", "inference_step pools", "conv2d_forward",
        "(v > best)" => "(v < best)";
    a_step_notes_the_wrong_cell: "hardware", "training_step pools", "conv2d_forward",
        "taken = select(taken, Words(1u)" => "taken = select(taken, Words(2u)";
    a_step_leaves_out_a_bias: "software", "training_step pools", "conv2d_forward",
        " + bias0)" => ")";
    a_step_leaves_out_the_last_channels: "software", "training_step pools", "conv2d_forward",
        "turn + 1u >= (" => "turn + 2u >= (";
    a_kernels_gradient_from_the_wrong_cell: "hardware", "training_step pools",
        "conv2d_backward_weight", "== Words(1u)" => "== Words(2u)";
    a_kernels_gradient_without_the_derivative: "software", "training_step pools",
        "conv2d_backward_weight", " * derivative(load_through(" => " + 0.0 * derivative(load_through(";
    an_inputs_gradient_from_the_wrong_cells: "hardware", "training_step pools",
        "conv2d_backward_input", ") == Words(u" => ") != Words(u";
    an_inputs_gradient_without_the_derivative: "software", "training_step pools",
        "conv2d_backward_input", " * derivative(load_made(" => " + 0.0 * derivative(load_made(";
    an_inputs_gradient_of_cells_left_over: "hardware", "training_step pools",
        "conv2d_backward_input", "(x0 < 8u)" => "(x0 < 9u)";
    a_derivative_of_another_cell: "hardware", "training_step mixed-pools", "pool2d_backward_disjoint",
        "share *= derivative(load_through(o));" => "share *= derivative(load_through(i / 2u));";
    a_pool_without_its_derivative: "software", "training_step large-pools",
        "pool2d_backward_disjoint", "if THROUGH_POOLED == 1u {" => "if THROUGH_POOLED == 2u {";
    softmax_with_the_dense_layer_transposed: "hardware", "training_step pools",
        "softmax_cross_entropy", "load_w(j * WIDTH + i)" => "load_w(i * INPUTS + j)";
    sigmoid_with_the_gradient_of_another_row: "software", "training_step binary",
        "sigmoid_cross_entropy", "dx[r * WIDTH + i] * load_w" => "dx[i] * load_w";
    squared_error_without_the_derivative: "hardware", "training_step squared", "mean_squared_error",
        "sum *= derivative(load_through(at));" => "";
    squared_error_with_one_input_less: "hardware", "training_step clip-norm", "mean_squared_error",
        "j < INPUTS" => "j + 1u < INPUTS";
    sgd_without_the_last_partial: "hardware", "training_step pools", "sgd_update",
        "s < b.splits" => "s + 1u < b.splits";
    adam_without_the_last_partial: "software", "training_step wide-pools", "adam_update",
        "s < b.splits" => "s + 1u < b.splits";
    rmsprop_without_the_last_partial: "hardware", "training_step large-pools", "rmsprop_update",
        "s < b.splits" => "s + 1u < b.splits";
    partials_of_the_first_cell: "hardware", "training_step squared", "rmsprop_update",
        "b.first + s * b.stride + cell" => "b.first + s * b.stride";
    an_average_that_stays: "hardware", "training_step mixed-pools", "adam_update",
        "average[i] = " => "average[i] = load_average_before(i) + 0.0 * ";
    an_average_that_replaces_nothing: "hardware", "training_step overwriting", "adam_update",
        "params[i] = moved;" => "";
    a_rate_without_its_factor: "hardware", "training_step factors", "sgd_update",
        "8.0f * step.rate" => "step.rate";
    a_clipped_sum_without_the_last_partial: "hardware", "training_step clip-norm", "reduce",
        "s < b.splits" => "s + 1u < b.splits";
    the_norm_of_one_gradient_for_that_of_all: "hardware", "training_step clip-global",
        "clip_by_norm", "norm = norm_of_all();" => "norm = norms[0];";
    a_penalized_sum_without_the_last_partial: "hardware", "training_step layers", "reduce",
        "s < b.splits" => "s + 1u < b.splits";
}

// The same where the lanes of a subgroup share pixels.
mutants! {
    a_pooled_pixel_of_another_lane: "software with subgroups", "training_step wide-pools",
        "conv2d_forward", "subgroupBroadcast(e0, 1u)" => "subgroupBroadcast(e0, 2u)";
    a_subgroup_notes_the_wrong_cell: "software with subgroups", "training_step wide-pools",
        "conv2d_forward", "taken = select(taken, Words(1u)" => "taken = select(taken, Words(2u)";
    a_subgroup_pools_the_smallest: "software with subgroups", "inference_step wide-pools",
        "conv2d_forward", "(v > best)" => "(v < best)";
    a_gradient_from_another_lane: "software with subgroups", "training_step wide-pools",
        "conv2d_backward_input", "subgroupBroadcast(e0, 1u)" => "subgroupBroadcast(e0, 2u)";
    a_subgroup_takes_the_wrong_cells: "software with subgroups", "training_step wide-pools",
        "conv2d_backward_input", ") == Words(u" => ") != Words(u";
    a_kernels_gradient_from_another_lane: "software with subgroups", "training_step wide-pools",
        "conv2d_backward_weight", "subgroupBroadcast(e0, 1u)" => "subgroupBroadcast(e0, 2u)";
    a_subgroups_gradient_from_the_wrong_cell: "software with subgroups", "training_step wide-pools",
        "conv2d_backward_weight", "== Words(1u)" => "== Words(2u)";
}
