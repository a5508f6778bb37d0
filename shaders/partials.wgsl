// Gradients as sums of partial gradients, from kernels that split the batch.
//
// Parameters are padded to whole blocks of 64 floats, and the host lists the blocks; a Cell is a
// vec4. The host declares load_partials(i) and load_blocks(i), which returns a block's words.

struct Block {
    // Offset of the sum, in Cells.
    to: u32,
    // Offset of the first partial, in Cells.
    first: u32,
    // Distance between partials, in Cells.
    stride: u32,
    // Number of partials; 0 if the gradient is whole.
    splits: u32,
}

fn block(i: u32) -> Block {
    let words = load_blocks(i);
    return Block(words.x, words.y, words.z, words.w);
}

// Cells per block.
const CELLS = 16u;

// Σ_{s < splits} partials[first + s * stride + cell], s ascending.
fn sum_of_partials(b: Block, cell: u32) -> Cell {
    var sum = load_partials(b.first + cell);
    for (var s = 1u; s < b.splits; s++) {
        sum += load_partials(b.first + s * b.stride + cell);
    }
    return sum;
}
