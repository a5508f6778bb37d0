// clip_by_value, and clip_by_norm in two kernels: gradients that are too large are made smaller. A
// NaN stays a NaN.
//
//   clip_by_value     g = min(max(g, -BOUND), BOUND)
//   sum_of_squares    squares[NUMBER] = Σ g², by one workgroup: invocation k takes every WORKGROUPth
//                     element from k on, and the sums meet in a tree of fixed shape
//   clip_by_norm      g *= BOUND / max(norm, BOUND), with the norm sqrt(squares[NUMBER]), or of all
//                     GRADIENTS squares together where IS_GLOBAL
//
// Host constants: LEN, and the names above. A Cell is one f32.

@group(1) @binding(0) var<storage, read_write> gradient: array<f32>; // [LEN]
@group(1) @binding(1) var<storage, read_write> squares: array<f32>;  // [GRADIENTS]

var<workgroup> sums: array<f32, WORKGROUP>;

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
fn sum_of_squares(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var i = local; i < LEN; i += WORKGROUP) {
        sum += gradient[i] * gradient[i];
    }
    sums[local] = sum;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if local < half {
            sums[local] += sums[local + half];
        }
        workgroupBarrier();
    }
    if local == 0u {
        squares[NUMBER] = sums[0];
    }
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
    var sum = squares[NUMBER];
    if IS_GLOBAL == 1u {
        sum = 0.0;
        for (var k = 0u; k < GRADIENTS; k++) {
            sum += squares[k];
        }
    }
    let norm = sqrt(sum);
    if norm > BOUND || is_nan(norm) {
        gradient[i] *= BOUND / norm;
    }
}
