// Part of every loss: what a row's label asks for, and the sum over the batch.
//
//   metrics[slot] = (Σ_r loss[r], number of valid rows whose first largest judged(r, i) is the label's)
//
// One workgroup for the whole batch: invocation k takes rows k, k + WORKGROUP, ..., and the sums
// meet in a tree of fixed shape, so that their order never changes. The kernel gives the function
// row(r, label, weight), which writes a row's predictions and gradient and returns its loss, and
// judged(r, i), what a row is judged by, for class i. What follows a row is `behind(r)`: nothing, or dense_behind.wgsl.
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

// The target of output i: OFF for each, and ON more for the label's. A single output has class 1 for
// its own.
fn target_of(i: u32, label: u32) -> f32 {
    let own = i + select(0u, 1u, WIDTH == 1u);
    return OFF + select(0.0, ON, own == label);
}

// Writes a gradient; 0 in a row that is not valid.
fn put_dx(r: u32, i: u32, gradient: f32) {
    if HAS_DX == 1u {
        dx[r * WIDTH + i] = select(0.0, gradient, r < step.rows);
    }
}

// Whether the label's value is the first of the largest, and none is NaN.
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
        behind(r);
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
