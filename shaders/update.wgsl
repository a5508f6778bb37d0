// The optimizers, over the whole arena of parameters: g the gradient, w the weight, m and v the
// moments, rate = step.rate. Epsilon stands where Keras puts it.
//
//   sgd      w -= rate * g, or with momentum m = MOMENTUM * m - rate * g and
//            w += m, or Nesterov's w += MOMENTUM * m - rate * g
//   rmsprop  v = RHO * v + (1 - RHO) * g², u = rate * g / sqrt(v + EPSILON)
//            w -= u, or with momentum m = MOMENTUM * m + u and w -= m
//   adam     m += (g - m) * (1 - BETA_1), v += (g² - v) * (1 - BETA_2)
//            w -= rate * m / (sqrt(v) + EPSILON), the bias correction being in the rate
//
// One invocation handles one Cell (a vec4). Host constants: LEN in Cells, NESTEROV, and the numbers
// above with their complements, which the host takes from 1 in f64.

@group(1) @binding(0) var<storage, read> gradients: array<Cell>;
@group(1) @binding(1) var<storage, read_write> params: array<Cell>;
@group(1) @binding(2) var<storage, read_write> moment_1: array<Cell>;
@group(1) @binding(3) var<storage, read_write> moment_2: array<Cell>;

@compute @workgroup_size(WORKGROUP)
fn sgd_update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    let change = step.rate * gradients[i];
    if MOMENTUM == 0.0 {
        params[i] -= change;
        return;
    }
    let m = MOMENTUM * moment_1[i] - change;
    moment_1[i] = m;
    if NESTEROV == 1u {
        params[i] += MOMENTUM * m - change;
    } else {
        params[i] += m;
    }
}

@compute @workgroup_size(WORKGROUP)
fn rmsprop_update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    let g = gradients[i];
    let v = RHO * moment_2[i] + ONE_MINUS_RHO * g * g;
    moment_2[i] = v;
    let change = step.rate * g / sqrt(v + Cell(EPSILON));
    if MOMENTUM == 0.0 {
        params[i] -= change;
        return;
    }
    let m = MOMENTUM * moment_1[i] + change;
    moment_1[i] = m;
    params[i] -= m;
}

@compute @workgroup_size(WORKGROUP)
fn adam_update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    let g = gradients[i];
    let m = moment_1[i] + (g - moment_1[i]) * ONE_MINUS_BETA_1;
    let v = moment_2[i] + (g * g - moment_2[i]) * ONE_MINUS_BETA_2;
    moment_1[i] = m;
    moment_2[i] = v;
    params[i] -= step.rate * m / (sqrt(v) + Cell(EPSILON));
}
