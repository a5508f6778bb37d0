// Part of every loss: the targets of a row, and the sum over the batch.
//
//   metrics[slot] = (Σ_r loss[r], number of valid rows whose first maximum is the label's)
//
// One workgroup for the whole batch: invocation k computes rows k, k + WORKGROUP, ..., and the sums
// are added in a tree of fixed shape, so that their order never changes. Each kernel defines row(r,
// label, weight), which writes a row's predictions and gradient and returns its loss, and judged(r,
// i), the value of class i by which a row is judged. fused_dense_grad(r) follows each row: nothing,
// or fused_dense_grad.wgsl.
//
// Host constants: BATCH, WIDTH (outputs of a row), CLASSES, HAS_DX, ON, OFF, and the function
// class_weight. A Cell is one f32.

struct Metrics {
    loss: f32,
    correct: u32,
}

@group(1) @binding(0) var<storage, read> x: array<f32>;                 // [BATCH, WIDTH]
@group(1) @binding(1) var<storage, read> labels: array<u32>;            // [BATCH]
@group(1) @binding(2) var<storage, read_write> predictions: array<f32>; // [BATCH, CLASSES]
@group(1) @binding(3) var<storage, read_write> metrics: array<Metrics>;
@group(1) @binding(4) var<storage, read_write> dx: array<f32>;          // [BATCH, WIDTH]

var<workgroup> losses: array<f32, WORKGROUP>;
var<workgroup> corrects: array<u32, WORKGROUP>;

// The target of output i: OFF, plus ON for the label's. A single output stands for class 1.
fn target_of(i: u32, label: u32) -> f32 {
    let own = i + select(0u, 1u, WIDTH == 1u);
    return OFF + select(0.0, ON, own == label);
}

// Writes a gradient; 0 in rows that are not valid.
fn put_dx(r: u32, i: u32, gradient: f32) {
    if HAS_DX == 1u {
        dx[r * WIDTH + i] = select(0.0, gradient, r < step.rows);
    }
}

// Whether the label's value is the first maximum and no value is NaN.
fn is_right(r: u32, label: u32) -> bool {
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
    return sound && best == label;
}

fn all_rows(local: u32) {
    var loss = 0.0;
    var correct = 0u;
    for (var r = local; r < BATCH; r += WORKGROUP) {
        let label = labels[r];
        let weight = class_weight(label);
        let own = weight * row(r, label, weight);
        fused_dense_grad(r);
        if r < step.rows {
            loss += own;
            correct += select(0u, 1u, is_right(r, label));
        }
    }
    losses[local] = loss;
    corrects[local] = correct;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if local < half {
            losses[local] += losses[local + half];
            corrects[local] += corrects[local + half];
        }
        workgroupBarrier();
    }
    if local == 0u {
        metrics[step.slot] = Metrics(losses[0], corrects[0]);
    }
}
