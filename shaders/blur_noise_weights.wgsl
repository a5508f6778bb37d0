// blur_noise_weights: the weights of a Gaussian blur from its middle to REACH, the last ones 0 if fewer are
// drawn, and what blurred noise is multiplied by; see BlurNoise in src/plan/op/elastic.rs. The number of
// weights is computed in integers.
//
// One invocation computes one number. Host constants: H, W, REACH, NUMBER and DRAWS per row of the series
// of draws, SCALE and SCALE_EXTENT in units of 2^-16. The host puts rng.wgsl before this, and declares
// first_of(words), the word.

@group(1) @binding(0) var<storage, read_write> out: array<Cell>; // [REACH + 2], in a larger buffer

// The weight at distance d, before all are divided by their sum.
fn weight(d: u32, reach: u32, sigma: f32) -> f32 {
    if d == 0u {
        return 1.0;
    }
    let place = f32(d) / sigma;
    return select(0.0, exp(-0.5 * place * place), d <= reach);
}

@compute @workgroup_size(WORKGROUP)
fn blur_noise_weights(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= REACH + 2u {
        return;
    }
    // Draw 2 of the first row; in units of 2^-16.
    let word = first_of(random_words(step.key, 2u, NUMBER));
    let scale = SCALE + ((SCALE_EXTENT * (word >> 16u)) >> 16u);
    let share = f32(scale) * (1.0 / 65536.0);
    let sigma = 0.05 * f32(min(H, W)) * share;
    if i == REACH + 1u {
        out[i] = 0.1 * f32(max(H, W)) * share * sigma;
        return;
    }
    let reach = 3u * min(H, W) * scale / 655360u / 2u;
    var sum = 1.0;
    for (var d = 1u; d <= REACH; d++) {
        sum += 2.0 * weight(d, reach, sigma);
    }
    out[i] = weight(i, reach, sigma) / sum;
}
