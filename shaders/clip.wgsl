// clip_by_value, and clip_by_norm in two kernels: limit gradients. A value that is not finite never
// becomes finite.
//
//   clip_by_value   g = min(max(g, -BOUND), BOUND)
//   gradient_norm   norms[NUMBER] = sqrt(Σ g²), by one workgroup: invocation k reads every
//                   WORKGROUPth element from k on (workgroup_sum.wgsl). PARTS workgroups of
//                   PART_LEN elements each compute as many norms, which the next call reads as
//                   if they were a gradient
//   clip_by_norm    g *= BOUND / max(norm, BOUND), with norm = norms[NUMBER], or if IS_GLOBAL that
//                   of all GRADIENTS together; NaN if the norm is not finite
//
// Gradients are divided by their largest element first, so that the squares fit into f32. Host
// constants: LEN, and the names above. A Cell is one f32.

@group(1) @binding(0) var<storage, read_write> gradient: array<f32>; // [LEN]
@group(1) @binding(1) var<storage, read_write> norms: array<f32>;    // [GRADIENTS]

var<workgroup> maxima: array<f32, WORKGROUP>;

// By its bits: comparisons with infinity may be optimised away.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

// The larger one, ignoring values that are not finite.
fn larger(a: f32, b: f32) -> f32 {
    return select(a, max(a, abs(b)), is_finite(b));
}

@compute @workgroup_size(WORKGROUP)
fn clip_by_value(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    let g = gradient[i];
    gradient[i] = select(clamp(g, -BOUND, BOUND), g, is_nan(g));
}

@compute @workgroup_size(WORKGROUP)
fn gradient_norm(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let part = workgroup.y * GRID + workgroup.x;
    let first = part * PART_LEN;
    let end = min(first + PART_LEN, LEN);
    var largest = 0.0;
    for (var i = first + local; i < end; i += WORKGROUP) {
        largest = larger(largest, gradient[i]);
    }
    maxima[local] = largest;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if local < half {
            maxima[local] = max(maxima[local], maxima[local + half]);
        }
        workgroupBarrier();
    }
    let scale = select(maxima[0], 1.0, maxima[0] == 0.0);
    var sum = 0.0;
    for (var i = first + local; i < end; i += WORKGROUP) {
        let g = gradient[i] / scale;
        sum += g * g;
    }
    let all = total(local, sum);
    if local == 0u && part < PARTS {
        norms[NUMBER + part] = scale * sqrt(all);
    }
}

fn norm_of_all() -> f32 {
    var largest = 0.0;
    for (var k = 0u; k < GRADIENTS; k++) {
        largest = larger(largest, norms[k]);
    }
    let scale = select(largest, 1.0, largest == 0.0);
    var sum = 0.0;
    for (var k = 0u; k < GRADIENTS; k++) {
        let norm = norms[k] / scale;
        sum += norm * norm;
    }
    return scale * sqrt(sum);
}

@compute @workgroup_size(WORKGROUP)
fn clip_by_norm(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    var norm = norms[NUMBER];
    if IS_GLOBAL == 1u {
        norm = norm_of_all();
    }
    if is_finite(norm) {
        gradient[i] *= BOUND / max(norm, BOUND);
    } else {
        // A NaN whose bits the compiler does not know.
        gradient[i] = bitcast<f32>(0x7fc00000u | (bitcast<u32>(norm) & 1u));
    }
}
