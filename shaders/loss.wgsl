// Part of every loss: the targets of a row, and the sum over the batch.
//
//   metrics[slot] = (Σ_r loss[r], number of valid rows whose first maximum is the label's)
//
// One workgroup for each part of PART_ROWS rows, whose invocation k computes its rows k, k +
// WORKGROUP, ... A single part is the whole batch. Several parts would take one workgroup too long;
// each then writes its own metrics at its number instead, and loss_finish.wgsl sums them. Each
// kernel defines row(r, label, weight), which writes a row's predictions and gradient and returns
// its loss, and judged(r, i), the value of class i by which a row is judged. fused_dense_grad(r)
// follows each row: nothing, or fused_dense_grad.wgsl. Follows metrics.wgsl and loss_label.wgsl, or
// loss_mixed.wgsl for rows with two labels, which declare the labels at binding 1.
//
// Host constants: BATCH, PARTS, PART_ROWS, WIDTH (outputs of a row), CLASSES, HAS_DX, ON, OFF, and
// the function class_weight. A Cell is one f32.

@group(1) @binding(0) var<storage, read> x: array<f32>;                 // [BATCH, WIDTH]
@group(1) @binding(2) var<storage, read_write> predictions: array<f32>; // [BATCH, CLASSES]
@group(1) @binding(3) var<storage, read_write> metrics: array<Metrics>; // of steps, or [PARTS]
@group(1) @binding(4) var<storage, read_write> dx: array<f32>;          // [BATCH, WIDTH]

// Writes a gradient; 0 in rows that are not valid.
fn put_dx(r: u32, i: u32, gradient: f32) {
    if HAS_DX == 1u {
        dx[r * WIDTH + i] = select(0.0, gradient, r < step.rows);
    }
}

// Whether the label's value is the first maximum and no value is NaN.
fn is_right(r: u32, class_of_row: u32) -> bool {
    var largest = judged(r, 0u);
    var best = 0u;
    var sound = !is_nan(largest);
    for (var i = 1u; i < CLASSES; i++) {
        let v = judged(r, i);
        sound = sound & !is_nan(v);
        if v > largest {
            largest = v;
            best = i;
        }
    }
    return sound && best == class_of_row;
}

fn rows_of_part(part: u32, local: u32) {
    var own = Metrics(0.0, 0u);
    let first = part * PART_ROWS;
    for (var r = first + local; r < min(first + PART_ROWS, BATCH); r += WORKGROUP) {
        let label = label_of(r);
        let class_of_row = main_class(label);
        let weight = class_weight(class_of_row);
        let loss = weight * row(r, label, weight);
        fused_dense_grad(r);
        if r < step.rows {
            own.loss += loss;
            own.correct += select(0u, 1u, is_right(r, class_of_row));
        }
    }
    let sum = sum_of_metrics(local, own);
    if local == 0u && part < PARTS {
        metrics[select(part, step.slot, PARTS == 1u)] = sum;
    }
}
