//! The variables of `forward`.

use std::collections::HashSet;

use crate::interchange::torch::arrangement::TorchLayer;

/// The variable of a value that only the next line reads.
pub(super) const NEXT: &str = "x";
/// The variable of the input, if later lines read it.
const INPUT: &str = "image";
/// Names that have a meaning in `model.py`.
const USED: [&str; 9] = [
    NEXT,
    INPUT,
    "F",
    "nn",
    "self",
    "torch",
    "average_pool2d",
    "Path",
    "load_file",
];

/// Which variables a layer's line reads, and which one it assigns.
pub(super) struct LineVariables {
    pub inputs: Vec<String>,
    pub output: String,
}

/// The variables of all layers, and that of the input.
pub(super) struct ForwardVariables {
    pub input: String,
    pub layers: Vec<LineVariables>,
}

/// Names the values of `forward`: `x`, unless another line than the next one reads a value too. `is_idle` tells which
/// layers have no line, because they pass their input on.
pub(super) fn variables(layers: &[TorchLayer<'_>], is_idle: &[bool]) -> ForwardVariables {
    // Places in the list of values: the input's is 0, a layer's that of its index behind it.
    let place = |source: &Option<usize>| source.map_or(0, |index| index + 1);
    // The number of the line that assigns each value; the input is there from the start.
    let mut lines: Vec<usize> = vec![0];
    // Whether only the next line reads what a line assigns.
    let mut is_next: Vec<bool> = vec![true];
    for (layer, is_idle) in layers.iter().zip(is_idle) {
        let read = layer.resolved.from.iter();
        let read: Vec<usize> = read.map(|source| lines[place(source)]).collect();
        if *is_idle {
            lines.push(read.first().copied().unwrap_or(0));
            continue;
        }
        let line = is_next.len();
        for before in read {
            is_next[before] &= before + 1 == line;
        }
        lines.push(line);
        is_next.push(true);
    }
    // What is returned is read behind the last line.
    if let Some(last) = lines.last().copied() {
        let count = is_next.len();
        is_next[last] &= last + 1 == count;
    }
    let mut taken: HashSet<String> = USED.map(String::from).into();
    let mut names: Vec<String> = vec![if is_next[0] { NEXT } else { INPUT }.into()];
    let assigned = layers.iter().zip(is_idle).filter(|(_, is_idle)| !**is_idle);
    for ((layer, _), is_next) in assigned.zip(is_next.iter().skip(1)) {
        let mut name = NEXT.to_owned();
        if !is_next {
            name.clone_from(&layer.attribute);
            while !taken.insert(name.clone()) {
                name.push('_');
            }
        }
        names.push(name);
    }
    let of_layer = |(index, layer): (usize, &TorchLayer<'_>)| LineVariables {
        inputs: (layer.resolved.from.iter())
            .map(|source| names[lines[place(source)]].clone())
            .collect(),
        output: names[lines[index + 1]].clone(),
    };
    ForwardVariables {
        layers: layers.iter().enumerate().map(of_layer).collect(),
        input: names[0].clone(),
    }
}
