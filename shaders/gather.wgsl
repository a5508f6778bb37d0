// gather: the rows of a batch from the resident data set.
//
//   x[r, e]   = images[order[offset + r], e] / 255      r < rows, else 0
//   labels[r] = data_labels[order[offset + r]]          r < rows, else 0
//
// Images and labels are bytes, four per word, in little-endian order. One invocation computes one
// Cell of x: four elements if SIZE is a multiple of four, so that they come from one word. The
// invocations of element 0 also write the row's label.
//
// Host constants: BATCH rows in the batch, SIZE elements of an image, WIDTH elements of a Cell,
// PART images in a part. The images lie in parts; the host declares image_word(part, i), word i of
// one part.

@group(1) @binding(0) var<storage, read> data_labels: array<u32>; // [samples] bytes
@group(1) @binding(1) var<storage, read> order: array<u32>;       // [samples]
@group(1) @binding(2) var<storage, read_write> x: array<Cell>;    // [BATCH, SIZE]
@group(1) @binding(3) var<storage, read_write> labels: array<u32>; // [BATCH]

@compute @workgroup_size(WORKGROUP)
fn gather(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= BATCH * (SIZE / WIDTH) {
        return;
    }
    let r = i / (SIZE / WIDTH);
    let e = i % (SIZE / WIDTH) * WIDTH;
    var pixels = Words(0u);
    var label = 0u;
    if r < step.rows {
        let sample = order[step.offset + r];
        let at = sample % PART * SIZE + e;
        let bits = 8u * (LANES + Words(at % 4u));
        pixels = (Words(image_word(sample / PART, at / 4u)) >> bits) & Words(0xffu);
        if e == 0u {
            label = (data_labels[sample / 4u] >> (8u * (sample % 4u))) & 0xffu;
        }
    }
    x[i] = Cell(pixels) / 255.0;
    if e == 0u {
        labels[r] = label;
    }
}
