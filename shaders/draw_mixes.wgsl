// draw_mixes: how each image of the batch is mixed with another; see DrawMixes in src/plan/op/mix.rs.
//
//   mixes[r]   = partner, own share of a pixel, 0, 0, first row of the box, row behind it, columns likewise
//   targets[r] = label, label of the partner, own share, 0
//
// One invocation computes one row of each. Host constants: LEN rows, H and W of an image, NUMBER of the
// draws, DRAWS per row; HAS_MIXUP and MIXUP, HAS_CUTMIX, CUTMIX and CUTMIX_EXTENT, the parameters of the
// distributions in units of 2^-16. The host puts rng.wgsl, beta.wgsl and side.wgsl before this.

@group(1) @binding(0) var<storage, read> labels: array<u32>;
@group(1) @binding(1) var<storage, read_write> mixes: array<vec4<u32>>;
@group(1) @binding(2) var<storage, read_write> targets: array<vec4<u32>>;

// The 64 bits of draw i of a row of the batch.
fn draw(row: u32, i: u32) -> RandomPair {
    return random_pair(step.key, row * DRAWS + i, NUMBER);
}

@compute @workgroup_size(WORKGROUP)
fn draw_mixes(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = flat_index(workgroup, local);
    if row >= LEN {
        return;
    }
    // These draws are the same for all rows.
    let kind = draw(0u, 2u);
    let parameter = draw(0u, 3u).first;
    // Without branches: with them, lavapipe's compiler does not finish.
    let cuts = HAS_CUTMIX & ((1u - HAS_MIXUP) | (kind.first >> 31u));
    let a = select(MIXUP, CUTMIX + high(parameter, CUTMIX_EXTENT), cuts == 1u);
    let words = draw(step.first + row, 0u);
    let drawn = symmetric_beta(a, words.first, words.second);
    let side = root_of_share(SHARE_ONE - drawn);
    let place = draw(step.first + row, 1u);
    let area = vec4(part_of_side(H, side, place.first), part_of_side(W, side, place.second));
    let is_mixed = row < step.rows && step.rows > 1u;
    let shift = 1u + high(kind.second, max(step.rows, 1u) - 1u);
    let partner = select(row, (row + shift) % max(step.rows, 1u), is_mixed);
    let is_cut = is_mixed && cuts == 1u;
    let blend = select(SHARE_ONE, drawn, is_mixed && cuts == 0u);
    mixes[2u * row] = vec4(partner, blend, 0u, 0u);
    mixes[2u * row + 1u] = select(vec4(0u, 0u, 0u, 0u), area, is_cut);
    targets[row] = vec4(labels[row], labels[partner], select(blend, SHARE_ONE - side * side, is_cut), 0u);
}
