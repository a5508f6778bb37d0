// softmax_cross_entropy: the categorical cross-entropy of a softmax, from its logits x.
//
//   predictions[r, i] = p[r, i] = softmax(x[r])[i]
//   loss[r] = weight * -Σ_i t[i] * ln p[r, i]
//           = weight * (ln Σ_j exp(x[r, j] - m) - Σ_i t[i] * (x[r, i] - m)),  m = max_j x[r, j]
//   dx[r, i] = weight * (p[r, i] - t[i]) / rows
//
// Follows loss.wgsl, which defines the targets t.

fn row(r: u32, label: Label, weight: f32) -> f32 {
    let first = r * WIDTH;
    var largest = x[first];
    for (var i = 1u; i < WIDTH; i++) {
        largest = max(largest, x[first + i]);
    }
    var sum = 0.0;
    for (var i = 0u; i < WIDTH; i++) {
        sum += exp_of(x[first + i] - largest);
    }
    // Separate from the others, so that a target of 0 never meets an infinite value.
    var expected = ON * value_of(label, first, largest);
    for (var i = 0u; i < WIDTH; i++) {
        let p = exp_of(x[first + i] - largest) / sum;
        predictions[first + i] = p;
        put_dx(r, i, weight * (p - target_of(i, label)) / f32(step.batch_rows));
        if OFF > 0.0 {
            expected += OFF * (x[first + i] - largest);
        }
    }
    // Some drivers turn the logarithm of NaN into a number.
    return select(log(sum), sum, is_nan(sum)) - expected;
}

// Logits have the same order as the probabilities, without rounding.
fn judged(r: u32, i: u32) -> f32 {
    return x[r * WIDTH + i];
}

@compute @workgroup_size(WORKGROUP)
fn softmax_cross_entropy(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    rows_of_part(workgroup.y * GRID + workgroup.x, local);
}
