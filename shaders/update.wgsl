// The optimizers, over the whole arena of parameters: g is the gradient, w the weight, m and v are
// the moments, and rate = step.rate, times the factor of the layer if it has one. Epsilon is placed
// as in Keras.
//
//   sgd      w -= rate * g, or with momentum m = MOMENTUM * m - rate * g and
//            w += m, or Nesterov's w += MOMENTUM * m - rate * g
//   rmsprop  v = RHO * v + (1 - RHO) * g², u = rate * g / sqrt(v + EPSILON)
//            w -= u, or with momentum m = MOMENTUM * m + u and w -= m
//   adam     m += (g - m) * (1 - BETA_1), v += (g² - v) * (1 - BETA_2)
//            w -= rate * m / (sqrt(v) + EPSILON), the bias correction being in the rate
//
// Before this the weights decay, w -= step.decay * w, and after it their moving average is updated
// (average.wgsl), if there is one.
//
// One invocation handles one Cell (a vec4). Host constants: LEN in Cells, NESTEROV, DECAYS, and the
// numbers above with their complements, which the host computes in f64. The host declares the
// arrays params, moment_1 and moment_2, load_NAME_before(i) for each of them, load_gradients(i), and
// rate(i).

// The gradient, whole or in parts (partials.wgsl).
fn gradient(i: u32) -> Cell {
    let b = block(i / CELLS);
    if b.splits == 0u {
        return load_gradients(i);
    }
    return sum_of_partials(b, i % CELLS);
}

fn decayed(i: u32) -> Cell {
    let w = load_params_before(i);
    if DECAYS == 1u {
        return w - step.decay * w;
    }
    return w;
}

fn put(i: u32, w: Cell) {
    params[i] = w;
    move_average(i, w);
}

@compute @workgroup_size(WORKGROUP)
fn sgd_update(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    let change = rate(i) * gradient(i);
    if MOMENTUM == 0.0 {
        put(i, decayed(i) - change);
        return;
    }
    let m = MOMENTUM * load_moment_1_before(i) - change;
    moment_1[i] = m;
    if NESTEROV == 1u {
        put(i, decayed(i) + (MOMENTUM * m - change));
    } else {
        put(i, decayed(i) + m);
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
    let g = gradient(i);
    let v = RHO * load_moment_2_before(i) + ONE_MINUS_RHO * g * g;
    moment_2[i] = v;
    let change = rate(i) * g / sqrt(v + Cell(EPSILON));
    if MOMENTUM == 0.0 {
        put(i, decayed(i) - change);
        return;
    }
    let m = MOMENTUM * load_moment_1_before(i) + change;
    moment_1[i] = m;
    put(i, decayed(i) - m);
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
    let g = gradient(i);
    let m_before = load_moment_1_before(i);
    let v_before = load_moment_2_before(i);
    let m = m_before + (g - m_before) * ONE_MINUS_BETA_1;
    let v = v_before + (g * g - v_before) * ONE_MINUS_BETA_2;
    moment_1[i] = m;
    moment_2[i] = v;
    put(i, decayed(i) - rate(i) * m / (sqrt(v) + Cell(EPSILON)));
}
