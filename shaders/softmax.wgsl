// softmax over rows of WIDTH cells, forward and backward.
//
//   forward   y[r, i] = exp(x[r, i] - m) / Σ_j exp(x[r, j] - m),  m = max_j x[r, j]
//   backward  dx[r, i] = f'(through) * y[r, i] * (dy[r, i] - Σ_j dy[r, j] * y[r, j])
//
// One invocation computes one row. Host constants: ROWS, WIDTH, HAS_THROUGH. The host declares the
// activation. A Cell is one f32.

@group(1) @binding(0) var<storage, read> a: array<f32>;
@group(1) @binding(1) var<storage, read> b: array<f32>;
@group(1) @binding(2) var<storage, read> c: array<f32>;
@group(1) @binding(3) var<storage, read_write> out: array<f32>;

// a = x, out = y; b and c are not read.
@compute @workgroup_size(WORKGROUP)
fn softmax_forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let r = flat_index(workgroup, local);
    if r >= ROWS {
        return;
    }
    var largest = a[r * WIDTH];
    for (var i = 1u; i < WIDTH; i++) {
        largest = max(largest, a[r * WIDTH + i]);
    }
    var sum = 0.0;
    for (var i = 0u; i < WIDTH; i++) {
        sum += exp_of(a[r * WIDTH + i] - largest);
    }
    for (var i = 0u; i < WIDTH; i++) {
        out[r * WIDTH + i] = exp_of(a[r * WIDTH + i] - largest) / sum;
    }
}

// a = dy, b = y, c = through, out = dx
@compute @workgroup_size(WORKGROUP)
fn softmax_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let r = flat_index(workgroup, local);
    if r >= ROWS {
        return;
    }
    var dot = 0.0;
    for (var i = 0u; i < WIDTH; i++) {
        dot += a[r * WIDTH + i] * b[r * WIDTH + i];
    }
    for (var i = 0u; i < WIDTH; i++) {
        let at = r * WIDTH + i;
        var dx = b[at] * (a[at] - dot);
        if HAS_THROUGH == 1u {
            dx *= derivative(c[at]);
        }
        out[at] = dx;
    }
}
