// blur_noise: noise blurred along the rows and then along the columns of images.
//
//   blur_noise_rows     out[n, axis, y, x] = Σ_d weight(d) * x[n, axis, y, x + d], 0 outside of the image
//   blur_noise_columns  out[n, y, x, axis] = strength * Σ_d weight(d) * x[n, axis, y + d, x]
//
// One invocation computes one number. Host constants: LEN numbers, H, W, REACH. The host declares
// load_x(i), and load_weights(i) with the weights from 0 to REACH and the strength behind them
// (blur_noise_weights.wgsl).

@group(1) @binding(0) var<storage, read_write> out: array<Cell>;

// The sum over the neighbours of number i, which is at place `at` of `len`, `stride` numbers apart.
fn blurred(i: u32, at: u32, len: u32, stride: u32) -> f32 {
    var sum = load_weights(0u) * load_x(i);
    for (var d = 1u; d <= REACH; d++) {
        var both = 0.0;
        if at >= d {
            both += load_x(i - d * stride);
        }
        if at + d < len {
            both += load_x(i + d * stride);
        }
        sum += load_weights(d) * both;
    }
    return sum;
}

@compute @workgroup_size(WORKGROUP)
fn blur_noise_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    out[i] = blurred(i, i % W, W, 1u);
}

@compute @workgroup_size(WORKGROUP)
fn blur_noise_columns(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    let size = H * W;
    let v = load_weights(REACH + 1u) * blurred(i, i / W % H, H, W);
    out[2u * (i / (2u * size) * size + i % size) + i / size % 2u] = v;
}
