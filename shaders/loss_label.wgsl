// Part of a loss (loss.wgsl) whose rows have one label each.

alias Label = u32;

@group(1) @binding(1) var<storage, read> labels: array<u32>; // [BATCH]

fn label_of(r: u32) -> Label {
    return labels[r];
}

// The class by which a row is judged and weighted.
fn main_class(label: Label) -> u32 {
    return label;
}

// The target of output i: OFF, plus ON for the label's. A single output stands for class 1.
fn target_of(i: u32, label: Label) -> f32 {
    let own = i + select(0u, 1u, WIDTH == 1u);
    return OFF + select(0.0, ON, own == label);
}

// The value of the label's output above `base`; the row's outputs start at `first`.
fn value_of(label: Label, first: u32, base: f32) -> f32 {
    return x[first + label] - base;
}
