// batch_norm_move: moves a moving statistic towards that of a batch.
//
//   moving[c] = MOMENTUM * moving[c] + (1 - MOMENTUM) * now[c]
//
// One invocation computes one channel. Host constants: LEN channels, MOMENTUM and its complement.
// The host declares load_now(c).

@group(1) @binding(0) var<storage, read_write> moving: array<f32>; // [LEN]

@compute @workgroup_size(WORKGROUP)
fn batch_norm_move(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let c = flat_index(workgroup, local);
    if c >= LEN {
        return;
    }
    moving[c] = MOMENTUM * moving[c] + ONE_MINUS_MOMENTUM * load_now(c);
}
