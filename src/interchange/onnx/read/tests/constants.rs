//! Constants that graphs compute.

use super::build::{Graph, anonymous, int, ints, numbers, parameter, tensor};
use crate::model::{Dense, Flatten};

/// Images of 2x3x4 that `y` reshapes to `shape`, which `shapes` computes.
fn reshaped(shapes: impl Fn(Graph) -> Graph) -> Graph {
    shapes(Graph::new(&[2, 3, 4]))
        .node("Reshape", &["x", "shape"], "y")
        .dense("y", 24)
}

#[test]
fn shapes_that_are_computed_from_the_batch_flatten() {
    let concatenated = reshaped(|graph| {
        graph
            .integers("zero", &[0])
            .integers("rest", &[-1])
            .node("Shape", &["x"], "sizes")
            .node("Gather", &["sizes", "zero"], "n")
            .node_with("Concat", &["n", "rest"], "shape", vec![int("axis", 0)])
    });
    let sliced = reshaped(|graph| {
        graph
            .integers("zero", &[0])
            .integers("one", &[1])
            .integers("end", &[i64::MAX])
            .node("Shape", &["x"], "sizes")
            .node("Slice", &["sizes", "zero", "one", "zero"], "n")
            .node("Slice", &["sizes", "one", "end"], "others")
            .node("ReduceProd", &["others"], "rest")
            .node_with("Concat", &["n", "rest"], "shape", vec![int("axis", 0)])
    });
    let product = reshaped(|graph| {
        graph
            .node_with("Constant", &[], "two", vec![int("value_int", 2)])
            .node_with("Constant", &[], "twelve", vec![int("value_int", 12)])
            .node("Mul", &["two", "twelve"], "features")
            .node_with("Constant", &[], "axes", vec![ints("value_ints", &[0])])
            .node("Unsqueeze", &["features", "axes"], "rest")
            .node_with("Constant", &[], "any", vec![ints("value_ints", &[-1])])
            .node_with("Concat", &["any", "rest"], "shape", vec![int("axis", 0)])
    });
    for graph in [concatenated, sliced, product] {
        let model = graph.import().network.model;
        let expected = [Flatten::new().into(), Dense::new(2).use_bias(false).into()];
        assert_eq!(anonymous(model), expected);
    }
}

#[test]
fn arithmetic_with_the_number_of_images_is_refused() {
    let graph = reshaped(|graph| {
        graph
            .integers("two", &[2])
            .node_with("Shape", &["x"], "n", vec![int("end", 1)])
            .node("Mul", &["n", "two"], "shape")
    });
    assert_eq!(
        graph.error(),
        "node `shape` (Mul): computes with the number of images"
    );
}

#[test]
fn weights_may_be_transposed_and_computed() {
    let graph = Graph::new(&[1, 1, 2])
        .node("Flatten", &["x"], "flat")
        .numbers("w", &[1, 2], &[3.0, 4.0])
        .node("Transpose", &["w"], "t")
        .node_with(
            "Constant",
            &[],
            "two",
            vec![tensor("value", numbers("", &[], &[2.0]))],
        )
        .node("Mul", &["t", "two"], "doubled")
        .node("Neg", &["doubled"], "kernel")
        .node("MatMul", &["flat", "kernel"], "y")
        .output("y");
    let import = graph.import();
    assert_eq!(parameter(&import, "y/kernel"), [-6.0, -8.0]);
    assert_eq!(import.matches[0].theirs, "w");
}

#[test]
fn the_mean_of_cells_inside_the_image_may_divide_by_their_counted_number() {
    // As JAX's exporter writes `same` padding: a sum, divided by the sum of ones.
    let window = || {
        vec![
            ints("pads", &[0, 0, 0, 0, 0, 0, 1, 0]),
            ints("strides", &[1, 2, 2, 1]),
        ]
    };
    let graph = Graph::new(&[4, 3, 2])
        .numbers("kernel", &[1, 1, 1, 2, 2, 1], &[1.0; 4])
        .integers("first", &[0])
        .integers("both", &[0, 1])
        .node("Unsqueeze", &["x", "both"], "wide")
        .node_with("Conv", &["wide", "kernel"], "sums", window())
        .node("Squeeze", &["sums", "both"], "sum")
        .integers("sizes", &[1, 4, 3, 1])
        .node_with(
            "ConstantOfShape",
            &["sizes"],
            "ones",
            vec![tensor("value", numbers("", &[1], &[1.0]))],
        )
        .node("Unsqueeze", &["ones", "first"], "inner")
        .node("Unsqueeze", &["inner", "first"], "wide_ones")
        .node_with("Conv", &["wide_ones", "kernel"], "counts", window())
        .node("Squeeze", &["counts", "both"], "count")
        .node("Div", &["sum", "count"], "mean")
        .integers("flat", &[-1, 8])
        .node("Reshape", &["mean", "flat"], "y")
        .dense("y", 8);
    let layers = graph.layers();
    let expected = crate::model::AveragePooling2D::new(2).padding(crate::shape::Padding::Same);
    assert_eq!(layers[0], expected.into());
    assert_eq!(layers.len(), 3);
}
