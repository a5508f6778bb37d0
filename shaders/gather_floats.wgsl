// gather_floats: the rows of a batch from a resident data set of floats.
//
//   x[r, e]   = images[order[offset + r], e]            r < rows, else 0
//   labels[r] = data_labels[order[offset + r]]          r < rows, else 0
//
// Labels are bytes, four per word, in little-endian order. One invocation computes one Cell of x;
// the invocations of element 0 also write the row's label.
//
// Host constants: BATCH rows in the batch, SIZE elements of an image, WIDTH elements of a Cell,
// PART images in a part. The images lie in parts; the host declares image_cell(part, i), Cell i of
// one part.

@group(1) @binding(0) var<storage, read> data_labels: array<u32>; // [samples] bytes
@group(1) @binding(1) var<storage, read> order: array<u32>;       // [samples]
@group(1) @binding(2) var<storage, read_write> x: array<Cell>;    // [BATCH, SIZE]
@group(1) @binding(3) var<storage, read_write> labels: array<u32>; // [BATCH]

@compute @workgroup_size(WORKGROUP)
fn gather_floats(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= BATCH * (SIZE / WIDTH) {
        return;
    }
    let r = i / (SIZE / WIDTH);
    let cell = i % (SIZE / WIDTH);
    var pixels = Cell(0.0);
    var label = 0u;
    if r < step.rows {
        let sample = order[step.offset + r];
        pixels = image_cell(sample / PART, sample % PART * (SIZE / WIDTH) + cell);
        if cell == 0u {
            label = (data_labels[sample / 4u] >> (8u * (sample % 4u))) & 0xffu;
        }
    }
    x[i] = pixels;
    if cell == 0u {
        labels[r] = label;
    }
}
