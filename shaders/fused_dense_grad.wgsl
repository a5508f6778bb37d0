// Part of a loss (loss.wgsl) after a small dense layer: the gradient of that layer's input, row by
// row, by the invocation that has just computed the row's dx.
//
//   d_inputs[r, j] = f'(through[r, j]) * Σ_i dx[r, i] * w[j, i]
//
// Host constants: INPUTS and HAS_THROUGH. The host declares load_w(i), load_through(i) and the
// activation.

@group(1) @binding(5) var<storage, read_write> d_inputs: array<f32>; // [BATCH, INPUTS]

fn fused_dense_grad(r: u32) {
    for (var j = 0u; j < INPUTS; j++) {
        var sum = 0.0;
        for (var i = 0u; i < WIDTH; i++) {
            sum += dx[r * WIDTH + i] * load_w(j * WIDTH + i);
        }
        let at = r * INPUTS + j;
        if HAS_THROUGH == 1u {
            sum *= derivative(load_through(at));
        }
        d_inputs[at] = sum;
    }
}
