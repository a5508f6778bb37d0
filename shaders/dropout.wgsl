// dropout: y = x / (1 - rate) where a draw keeps the cell, otherwise 0.
//
//   keep[e] = random_words(step.key, (step.first + e / SIZE) * DRAWS + e % DRAWS, NUMBER) >= THRESHOLD
//
// A sample has SIZE floats and DRAWS draws: one per float, or one per channel if whole feature maps
// are dropped. The backward pass applies the same draws to the gradient, and the derivative of an
// activation: dx = f'(through) * dropout(dy).
//
// One invocation computes one Cell. Host constants: LEN in Cells, WIDTH floats of a Cell, SIZE,
// DRAWS, NUMBER (the dropout's index in the plan), THRESHOLD, SCALE, HAS_THROUGH. The host puts
// rng.wgsl before this, and declares load_x(i), load_through(i) and the activation.

@group(1) @binding(0) var<storage, read_write> out: array<Cell>;

@compute @workgroup_size(WORKGROUP)
fn dropout(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    let e = i * WIDTH + LANES;
    let bits = random_words(step.key, (step.first + e / SIZE) * DRAWS + e % DRAWS, NUMBER);
    var v = select(Cell(0.0), SCALE * load_x(i), bits >= Words(THRESHOLD));
    if HAS_THROUGH == 1u {
        v *= derivative(load_through(i));
    }
    out[i] = v;
}
