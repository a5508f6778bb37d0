//! Losses.

use super::super::case::{Case, CaseBuilder};
use super::softmax::logits;
use crate::model::Loss;
use crate::plan::{LossOp, Op, SHARE_ONE};
use crate::rng::Key;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let categorical = Loss::categorical_crossentropy();
    for &sizes in TABLE {
        cases.extend([false, true].map(|training| case(categorical, sizes, training, "random")));
    }
    for sizes in [[1, 1, 2], [64, 32, 10], [7, 5, 257]] {
        cases.extend([false, true].map(|training| case(categorical, sizes, training, "weights")));
    }
    for input in ["large", "ties", "large-ties", "equal", "nan", "nan-first"] {
        cases.push(case(categorical, [7, 6, 10], true, input));
    }
    cases.extend(smoothed(categorical, &[]));
    cases.extend(others(Loss::binary_crossentropy()));
    cases.extend(smoothed(Loss::binary_crossentropy(), &[[5, 4, 1]]));
    let saturated = |sizes| case(Loss::binary_crossentropy(), sizes, true, "saturated");
    cases.extend([[7, 6, 10], [9, 8, 1]].map(saturated));
    cases.extend(others(Loss::MeanSquaredError));
    cases.extend(mixed());
    // Grouped by name.
    cases.sort_by_key(|case| case.op().name());
    cases
}

/// Rows with two labels.
fn mixed() -> Vec<Case> {
    let categorical = Loss::categorical_crossentropy();
    let losses = [categorical, Loss::binary_crossentropy(), Loss::MeanSquaredError];
    let smoothed = losses.map(|loss| loss.with_label_smoothing(0.1).unwrap_or(loss));
    let sizes = [[1, 1, 2], [65, 63, 3], [7, 5, 257], [64, 32, 10]];
    let of_loss = |loss| sizes.into_iter().map(move |sizes| case(loss, sizes, true, "mixed"));
    let mut cases: Vec<Case> = losses.into_iter().flat_map(of_loss).collect();
    cases.extend(smoothed.map(|loss| case(loss, [9, 8, 5], true, "mixed")));
    cases.extend(losses.map(|loss| case(loss, [9, 8, 5], true, "mixed-weights")));
    cases.extend([[1, 1, 1], [65, 63, 1]].map(|sizes| case(losses[1], sizes, true, "mixed")));
    cases.push(case(losses[1], [9, 8, 1], true, "mixed-weights"));
    cases.push(case(categorical, [7, 6, 10], true, "mixed-large"));
    cases.push(case(categorical, [5, 4, 3], false, "mixed"));
    cases
}

/// Two labels, the same ones now and then, and shares, among them exactly 1 and 1/2.
fn mixed_labels(key: Key, row: usize, [rows, classes]: [usize; 2]) -> [u32; 4] {
    let [a, b] = key.pair(1000 + row as u32);
    let [label, other] = [a, b].map(|bits| bits % classes as u32);
    let share = match row % 4 {
        0 => SHARE_ONE / 2,
        1 => SHARE_ONE,
        _ => 1 + (a >> 8) % (SHARE_ONE - 1),
    };
    match row {
        row if row >= rows => [0, 0, SHARE_ONE, 0],
        _ => [label, if share == SHARE_ONE { label } else { other }, share, 0],
    }
}

/// Batch, rows, outputs.
const TABLE: &[[usize; 3]] = &[
    [1, 1, 2],
    [1, 1, 10],
    [3, 3, 10],
    [5, 4, 10],
    [64, 64, 10],
    [64, 32, 10],
    [64, 1, 10],
    [65, 65, 7],
    [63, 62, 2],
    [257, 255, 3],
    [2, 2, 257],
    [7, 5, 257],
    [3, 3, 64],
    [3, 3, 65],
];

/// Batch, rows, outputs, for losses whose outputs are independent.
const SMALL_TABLE: &[[usize; 3]] = &[
    [1, 1, 1],
    [1, 1, 2],
    [65, 63, 1],
    [64, 64, 10],
    [64, 32, 10],
    [257, 255, 3],
    [7, 5, 257],
];

fn others(loss: Loss) -> Vec<Case> {
    let mut cases = Vec::new();
    // A squared error needs one output per class, and so at least two.
    let possible = |sizes: &&[usize; 3]| sizes[2] > 1 || loss != Loss::MeanSquaredError;
    for &sizes in SMALL_TABLE.iter().filter(possible) {
        cases.extend([false, true].map(|training| case(loss, sizes, training, "random")));
        cases.push(case(loss, sizes, true, "weights"));
    }
    for input in ["large", "ties", "equal", "nan", "nan-first"] {
        cases.push(case(loss, [7, 6, 10], true, input));
    }
    cases
}

/// Cases with label smoothing, for ordinary shapes and those in `more`.
fn smoothed(loss: Loss, more: &[[usize; 3]]) -> Vec<Case> {
    let sizes = [[3, 3, 10], [64, 32, 10], [7, 5, 257]];
    let loss = loss.with_label_smoothing(0.1).unwrap_or(loss);
    let cases = sizes
        .iter()
        .chain(more)
        .map(|&sizes| case(loss, sizes, true, "random"));
    cases
        .chain([case(loss, [7, 6, 10], true, "large")])
        .collect()
}

/// Different weights, including zero, one, and numbers that are not exact in binary.
fn class_weights(classes: usize) -> Vec<f32> {
    let weights = [0.1, 0.0, 1.0, 2.5, 1.0, 1e-4];
    weights.into_iter().cycle().take(classes).collect()
}

fn case(loss: Loss, [batch, rows, width]: [usize; 3], training: bool, input: &str) -> Case {
    let classes = loss.classes(width);
    let mut b = CaseBuilder::new(batch).rows(rows).classes(classes);
    let shape = [batch, width];
    let x = logits(b.uniform(batch * width), width, input);
    let x = b.input_of("x", &shape, x);
    let key = b.key();
    // Rows after the valid ones have label 0, as the gather writes it.
    let label = |r: usize| match (input, r) {
        (_, r) if r >= rows => 0,
        // Would be the first maximum if there were no NaN.
        ("nan-first", 0) => 0,
        _ => key.bits(r as u32) % classes as u32,
    };
    let op = Op::Loss(LossOp {
        loss,
        width,
        x,
        labels: b.words("labels", &[batch], (0..batch).map(label).collect()),
        targets: input.starts_with("mixed").then(|| {
            let words = (0..batch).flat_map(|r| mixed_labels(key, r, [rows, classes])).collect();
            b.words("targets", &[batch, 4], words)
        }),
        predictions: b.output("predictions", &[batch, classes]),
        dx: training.then(|| b.output("dx", &shape)),
        class_weights: input.ends_with("weights").then(|| class_weights(classes)),
    });
    let smoothing = loss.label_smoothing();
    let vars = format!("n={batch} rows={rows} width={width} training={training}");
    b.finish(op, &format!("{vars} input={input} smoothing={smoothing}"))
}
