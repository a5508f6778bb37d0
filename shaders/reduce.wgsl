// reduce: adds up the partial gradients of kernels that split the batch.
//
//   gradients[region, e] = Σ_{s < splits} partials[from + s * stride + e], s ascending
//
// Parameters are padded to whole blocks of 64 floats; the host lists the blocks to be summed, and
// one invocation makes one Cell (a vec4) of a block. Host constants: BLOCKS, their
// number, and FIRST, where they start in the list. The host declares load_partials(i).

struct Block {
    // Where the sum goes, in Cells.
    to: u32,
    // Where the first partial lies, in Cells.
    first: u32,
    // From one partial to the next, in Cells.
    stride: u32,
    // How many there are.
    splits: u32,
}

@group(1) @binding(0) var<storage, read> blocks: array<Block>;
@group(1) @binding(1) var<storage, read_write> gradients: array<Cell>;

const CELLS = 16u;

@compute @workgroup_size(WORKGROUP)
fn reduce(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= BLOCKS * CELLS {
        return;
    }
    let block = blocks[FIRST + i / CELLS];
    let cell = i % CELLS;
    var sum = load_partials(block.first + cell);
    for (var s = 1u; s < block.splits; s++) {
        sum += load_partials(block.first + s * block.stride + cell);
    }
    gradients[block.to + cell] = sum;
}
