// Part of a loss (loss.wgsl) whose rows are mixed from two, as mix_rows.wgsl mixes them.

struct Label {
    own: u32,
    other: u32,
    // Of the row's own image.
    share: f32,
}

// The two labels, the own share in units of 2^-24, and a zero.
@group(1) @binding(1) var<storage, read> targets: array<vec4<u32>>; // [BATCH]

fn label_of(r: u32) -> Label {
    let words = targets[r];
    return Label(words.x, words.y, f32(words.z) / 16777216.0);
}

// The class by which a row is judged and weighted: the one with the larger share, of two equal ones
// the smaller class.
fn main_class(label: Label) -> u32 {
    let is_own = label.share > 0.5 || (label.share == 0.5 && label.own < label.other);
    return select(label.other, label.own, is_own);
}

// The target of output i: OFF, plus ON times the share of its class. A single output stands for class 1.
fn target_of(i: u32, label: Label) -> f32 {
    let own = i + select(0u, 1u, WIDTH == 1u);
    return OFF + ON * (select(0.0, label.share, own == label.own) + select(0.0, 1.0 - label.share, own == label.other));
}

// The value of the labels' outputs above `base`, each times its share; the row's outputs start at
// `first`. A share of 0 never meets an infinite value.
fn value_of(label: Label, first: u32, base: f32) -> f32 {
    var sum = label.share * (x[first + label.own] - base);
    if label.share < 1.0 {
        sum += (1.0 - label.share) * (x[first + label.other] - base);
    }
    return sum;
}
