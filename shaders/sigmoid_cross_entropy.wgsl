// sigmoid_cross_entropy: the binary cross-entropy of sigmoids, from their logits x.
//
//   predictions[r, i] = p[r, i] = sigmoid(x[r, i]); of a single output 1 - p and p
//   loss[r] = weight / WIDTH * -Σ_i (t[i] * ln p[r, i] + (1 - t[i]) * ln(1 - p[r, i]))
//           = weight / WIDTH * Σ_i (max(x[r, i], 0) - t[i] * x[r, i] + ln(1 + exp(-|x[r, i]|)))
//   dx[r, i] = weight * (p[r, i] - t[i]) / (WIDTH * rows)
//
// Follows loss.wgsl, which defines the targets t.

fn row(r: u32, label: Label, weight: f32) -> f32 {
    var loss = 0.0;
    for (var i = 0u; i < WIDTH; i++) {
        let v = x[r * WIDTH + i];
        let t = target_of(i, label);
        let p = activate_sigmoid(v);
        if WIDTH == 1u {
            predictions[2u * r] = 1.0 - p;
            predictions[2u * r + 1u] = p;
        } else {
            predictions[r * WIDTH + i] = p;
        }
        put_dx(r, i, weight * (p - t) / (f32(WIDTH) * f32(step.batch_rows)));
        loss += activate_softplus(v) - t * v;
    }
    return loss / f32(WIDTH);
}

fn judged(r: u32, i: u32) -> f32 {
    return predictions[r * CLASSES + i];
}

@compute @workgroup_size(WORKGROUP)
fn sigmoid_cross_entropy(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    rows_of_part(workgroup.y * GRID + workgroup.x, local);
}
