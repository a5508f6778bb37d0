// gradient_sum: partial sums of the gradients of micro-batches; see GradientSum in src/exec/mod.rs.
//
//   add_gradients    gradients[i] = waiting[i] + gradients[i]
//   keep_gradients   waiting[i] = gradients[i]
//
// One invocation computes one Cell of an arena. Host constant: LEN in Cells.

@group(1) @binding(0) var<storage, read_write> gradients: array<Cell>; // [LEN]
@group(1) @binding(1) var<storage, read_write> waiting: array<Cell>;   // [LEN]

@compute @workgroup_size(WORKGROUP)
fn add_gradients(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i < LEN {
        gradients[i] = waiting[i] + gradients[i];
    }
}

@compute @workgroup_size(WORKGROUP)
fn keep_gradients(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i < LEN {
        waiting[i] = gradients[i];
    }
}
