// reduce: sums partial gradients (partials.wgsl) where whole ones are needed; in most steps the
// optimizer does this.
//
// One invocation computes one Cell of a block. Host constants: BLOCKS, their number, and FIRST, the
// index of the first in the list.

@group(1) @binding(0) var<storage, read_write> gradients: array<Cell>;

@compute @workgroup_size(WORKGROUP)
fn reduce(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= BLOCKS * CELLS {
        return;
    }
    let b = block(FIRST + i / CELLS);
    gradients[b.to + i % CELLS] = sum_of_partials(b, i % CELLS);
}
