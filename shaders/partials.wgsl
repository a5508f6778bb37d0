// Gradients as sums of partial ones, which kernels leave that split the batch.
//
// Parameters are padded to whole blocks of 64 floats, and the host lists the blocks; a Cell is a vec4.
// The host declares load_partials(i) and load_blocks(i), which gives a block's words.

struct Block {
    // Where the sum belongs, in Cells.
    to: u32,
    // Where the first partial lies, in Cells.
    first: u32,
    // From one partial to the next, in Cells.
    stride: u32,
    // How many there are; none if the gradient is there as a whole.
    splits: u32,
}

fn block(i: u32) -> Block {
    let words = load_blocks(i);
    return Block(words.x, words.y, words.z, words.w);
}

// Cells of a block.
const CELLS = 16u;

// Σ_{s < splits} partials[first + s * stride + cell], s ascending.
fn sum_of_partials(b: Block, cell: u32) -> Cell {
    var sum = load_partials(b.first + cell);
    for (var s = 1u; s < b.splits; s++) {
        sum += load_partials(b.first + s * b.stride + cell);
    }
    return sum;
}
