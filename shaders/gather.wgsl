// gather: the rows of a batch out of the resident data set.
//
//   x[r, e]   = images[order[offset + r], e] / 255      r < rows, else 0
//   labels[r] = data_labels[order[offset + r]]          r < rows, else 0
//
// Images and labels are bytes, four to a word, little end first. One invocation makes one element
// of x; those of element 0 also make the row's label.
//
// Host constants: BATCH rows in the batch, SIZE elements of an image.

@group(1) @binding(0) var<storage, read> images: array<u32>;      // [samples, SIZE] bytes
@group(1) @binding(1) var<storage, read> data_labels: array<u32>; // [samples] bytes
@group(1) @binding(2) var<storage, read> order: array<u32>;       // [samples]
@group(1) @binding(3) var<storage, read_write> x: array<f32>;     // [BATCH, SIZE]
@group(1) @binding(4) var<storage, read_write> labels: array<u32>; // [BATCH]

@compute @workgroup_size(WORKGROUP)
fn gather(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= BATCH * SIZE {
        return;
    }
    let r = i / SIZE;
    let e = i % SIZE;
    var pixel = 0u;
    var label = 0u;
    if r < step.rows {
        let sample = order[step.offset + r];
        let at = sample * SIZE + e;
        pixel = (images[at / 4u] >> (8u * (at % 4u))) & 0xffu;
        if e == 0u {
            label = (data_labels[sample / 4u] >> (8u * (sample % 4u))) & 0xffu;
        }
    }
    x[i] = f32(pixel) / 255.0;
    if e == 0u {
        labels[r] = label;
    }
}
