// mean_squared_error: of the outputs x, which are also the predictions.
//
//   loss[r] = weight / WIDTH * Σ_i (x[r, i] - t[i])²
//   dx[r, i] = 2 * weight * (x[r, i] - t[i]) / (WIDTH * rows)
//
// Follows loss.wgsl, which defines the targets t.

fn row(r: u32, label: Label, weight: f32) -> f32 {
    var loss = 0.0;
    for (var i = 0u; i < WIDTH; i++) {
        let v = x[r * WIDTH + i];
        let distance = v - target_of(i, label);
        predictions[r * WIDTH + i] = v;
        put_dx(r, i, 2.0 * weight * distance / (f32(WIDTH) * f32(step.batch_rows)));
        loss += distance * distance;
    }
    return loss / f32(WIDTH);
}

fn judged(r: u32, i: u32) -> f32 {
    return x[r * WIDTH + i];
}

@compute @workgroup_size(WORKGROUP)
fn mean_squared_error(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    rows_of_part(workgroup.y * GRID + workgroup.x, local);
}
