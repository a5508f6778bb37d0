//! Graphs that branch and join.

use super::build::{Graph, int, ints, parameter};
use crate::model::{Activation, Conv2D, Layer, Sequential};

/// What each layer takes, by the layers' names: `sum(Add): a, input`.
#[track_caller]
fn assert_joined(graph: &Graph, expected: &[&str]) -> Sequential {
    let model = graph.import().network.model;
    model.check().unwrap();
    let resolved = model.resolve().unwrap();
    let lines = resolved.iter().map(|layer| {
        let from = layer.source_names(&resolved).join(", ");
        format!("{}({}): {from}", layer.name, layer.layer.spec().kind())
    });
    assert_eq!(lines.collect::<Vec<_>>(), expected);
    model
}

/// Images of 2 channels, 4x5, and a convolution of 2 filters `a`.
fn start() -> Graph {
    Graph::new(&[2, 4, 5])
        .weights("w", &[2, 2, 1, 1])
        .node("Conv", &["x", "w"], "a")
}

/// The graph with a classifier behind a value of these channels.
fn with_head(graph: Graph, value: &str, channels: i64) -> Graph {
    let graph = graph.node("Flatten", &[value], "flat");
    graph.dense("flat", 20 * channels)
}

const HEAD: [&str; 2] = ["flat(Flatten): ", "head(Dense): flat"];

#[track_caller]
fn assert_body(graph: Graph, value: &str, channels: i64, body: &[&str]) -> Sequential {
    let flat = format!("{}{value}", HEAD[0]);
    let expected = [body, &[&flat, HEAD[1]]].concat();
    assert_joined(&with_head(graph, value, channels), &expected)
}

#[test]
fn sums_are_layers() {
    let graph = start().node("Add", &["a", "x"], "sum");
    assert_body(graph, "sum", 2, &["a(Conv2D): input", "sum(Add): a, input"]);
    let three = start()
        .node("Conv", &["a", "w"], "b")
        .node("Sum", &["x", "b", "a"], "sum");
    let body = ["a(Conv2D): input", "b(Conv2D): a", "sum(Add): input, b, a"];
    assert_body(three, "sum", 2, &body);
}

#[test]
fn an_activation_that_several_layers_read_is_one_layer() {
    let graph = start()
        .node("Relu", &["a"], "r")
        .node("Conv", &["r", "w"], "b")
        .node("Add", &["b", "r"], "sum");
    let model = assert_body(
        graph,
        "sum",
        2,
        &["a(Conv2D): input", "b(Conv2D): a", "sum(Add): b, a"],
    );
    let conv = Conv2D::new(2, 1).use_bias(false);
    let conv = conv.activation(Activation::Relu).name("a");
    assert_eq!(model.layers[0].layer, conv.into());
}

#[test]
fn layers_are_in_the_order_of_their_nodes() {
    let graph = start()
        .node("Sigmoid", &["x"], "s")
        .node("Conv", &["x", "w"], "b")
        .node("Tanh", &["a"], "t")
        .node("Sum", &["t", "b", "s", "a"], "sum");
    let body = [
        "a(Conv2D): input",
        "s(Activation): input",
        "b(Conv2D): input",
        "t(Activation): a",
        "sum(Add): t, b, s, a",
    ];
    assert_body(graph, "sum", 2, &body);
}

#[test]
fn sums_of_functions_of_one_output_are_layers_unless_they_are_an_activation() {
    let graph = start()
        .node("Relu", &["a"], "r")
        .node("Add", &["r", "a"], "sum")
        .node("Sigmoid", &["sum"], "s")
        .node("Add", &["s", "s"], "twice");
    let body = [
        "a(Conv2D): input",
        "r(Activation): a",
        "sum(Add): r, a",
        "s(Activation): sum",
        "twice(Add): s, s",
    ];
    assert_body(graph, "twice", 2, &body);
    // log(1 + exp(-|x|)) + max(x, 0)
    let softplus = start()
        .numbers("zero", &[], &[0.0])
        .numbers("one", &[], &[1.0])
        .node("Abs", &["a"], "b")
        .node("Neg", &["b"], "c")
        .node("Exp", &["c"], "d")
        .node("Add", &["d", "one"], "e")
        .node("Log", &["e"], "f")
        .node("Max", &["a", "zero"], "g")
        .node("Add", &["f", "g"], "h");
    let softplus = softplus
        .node("Identity", &["h"], "i")
        .node("Flatten", &["i"], "flat");
    let expected = ["a(Conv2D): input", "flat(Flatten): a", HEAD[1]];
    let model = assert_joined(&softplus.dense("flat", 40), &expected);
    let conv = Conv2D::new(2, 1).use_bias(false);
    let conv = conv.activation(Activation::Softplus).name("a");
    assert_eq!(model.layers[0].layer, conv.into());
}

#[test]
fn channels_are_concatenated_in_either_order_of_axes() {
    let last = vec![ints("perm", &[0, 2, 3, 1])];
    let first = vec![ints("perm", &[0, 3, 1, 2])];
    let channels_last = Graph::new(&[4, 5, 2])
        .weights("w", &[2, 2, 1, 1])
        .node_with("Transpose", &["x"], "y", first)
        .node("Conv", &["y", "w"], "a")
        .node_with("Transpose", &["a"], "b", last)
        .node_with("Concat", &["b", "x", "b"], "all", vec![int("axis", -1)]);
    let channels_first = start().node_with("Concat", &["a", "x", "a"], "all", vec![int("axis", 1)]);
    for graph in [channels_first, channels_last] {
        let body = ["a(Conv2D): input", "all(Concatenate): a, input, a"];
        assert_body(graph, "all", 6, &body);
    }
}

#[test]
fn vectors_are_joined_in_one_order() {
    let graph = Graph::new(&[2, 4, 5])
        .node("GlobalMaxPool", &["x"], "m")
        .node("Flatten", &["m"], "a")
        .weights("w", &[2, 3])
        .node("MatMul", &["a", "w"], "b")
        .node_with("Concat", &["a", "b"], "c", vec![int("axis", 1)])
        .weights("v", &[5, 5])
        .node("MatMul", &["c", "v"], "d")
        .node("Add", &["c", "d"], "e")
        .output("e");
    let expected = [
        "a(GlobalMaxPooling2D): input",
        "b(Dense): a",
        "c(Concatenate): a, b",
        "d(Dense): c",
        "e(Add): c, d",
    ];
    assert_joined(&graph, &expected);
    // Both are flattened in the same way.
    let graph = start()
        .node("Flatten", &["a"], "b")
        .node("Flatten", &["x"], "c")
        .node("Add", &["b", "c"], "sum")
        .dense("sum", 40);
    let expected = [
        "a(Conv2D): input",
        "b(Flatten): a",
        "c(Flatten): input",
        "sum(Add): b, c",
        "head(Dense): sum",
    ];
    assert_joined(&graph, &expected);
    let weights = parameter(&graph.import(), "head/kernel");
    // The second cell here is the second channel there.
    let stored = Graph::new(&[1]).weights("w", &[40, 2]).0.initializer;
    assert_eq!(weights[2..4], stored[0].float_data[40..42]);
}

#[test]
fn vectors_of_different_ranks_are_not_joined() {
    let units = |names: [&str; 2], join: fn(Graph, [&str; 2]) -> Graph| {
        let graph = Graph::new(&[2, 4, 5])
            .node("GlobalMaxPool", &["x"], "m")
            .node("Flatten", &["m"], "f")
            .weights("w", &[2, 1])
            .weights("v", &[2, 1])
            .node("MatMul", &["f", "w"], "a")
            .node("MatMul", &["f", "v"], "b")
            .integers("axes", &[1])
            .node("Squeeze", &["a", "axes"], "a1")
            .node("Squeeze", &["b", "axes"], "b1");
        join(graph, names).output("y")
    };
    let add = |graph: Graph, names: [&str; 2]| graph.node("Add", &names, "y");
    let sum = |graph: Graph, names: [&str; 2]| graph.node("Sum", &names, "y");
    let concat = |graph: Graph, names: [&str; 2]| {
        graph.node_with("Concat", &names, "y", vec![int("axis", 1)])
    };
    // ONNX adds each image of one to all of the other.
    for (names, sizes) in [
        (["a1", "b"], "[batch] and [batch, 1]"),
        (["a", "b1"], "[batch, 1] and [batch]"),
    ] {
        for join in [add, sum] {
            let error = units(names, join).error();
            assert!(error.contains(&format!("adds {sizes}")), "{error}");
        }
    }
    let error = units(["a", "b1"], concat).error();
    assert!(
        error.contains("concatenates [batch, 1] and [batch]"),
        "{error}"
    );
    for join in [add, sum] {
        for names in [["a", "b"], ["a1", "b1"]] {
            assert_eq!(units(names, join).layers().len(), 4);
        }
    }
    assert_eq!(units(["a", "b"], concat).layers().len(), 4);
}

#[test]
fn factors_are_not_merged_into_layers_that_others_read() {
    let scaled = |graph: Graph| {
        let graph = graph.numbers("f", &[1, 2, 1, 1], &[2.0, 3.0]);
        graph.node("Mul", &["a", "f"], "m")
    };
    let alone = scaled(start()).node("Add", &["m", "x"], "sum");
    let body = ["m(Conv2D): input", "sum(Add): m, input"];
    assert_body(alone, "sum", 2, &body);
    let shared = scaled(start()).node("Add", &["m", "a"], "sum");
    let body = [
        "a(Conv2D): input",
        "m(DepthwiseConv2D): a",
        "sum(Add): m, a",
    ];
    assert_body(shared, "sum", 2, &body);
}

#[test]
fn a_factor_that_is_read_before_something_is_added_is_a_layer() {
    let graph = start()
        .numbers("two", &[], &[2.0])
        .node("Mul", &["a", "two"], "m")
        .node("Conv", &["m", "w"], "b")
        .node("Add", &["m", "two"], "n")
        .node("Sum", &["b", "n", "m"], "sum");
    let body = [
        "a(Conv2D): input",
        "m(Rescaling): a",
        "b(Conv2D): m",
        "n(Rescaling): m",
        "sum(Add): b, n, m",
    ];
    assert_body(graph, "sum", 2, &body);
    let later = start()
        .numbers("two", &[], &[2.0])
        .node("Mul", &["a", "two"], "m")
        .node("Add", &["m", "two"], "n")
        .node("Sum", &["n", "m", "x"], "sum");
    let body = [
        "a(Conv2D): input",
        "m(Rescaling): a",
        "n(Rescaling): a",
        "sum(Add): n, m, input",
    ];
    assert_body(later, "sum", 2, &body);
}

#[test]
fn zeros_around_a_join_of_positive_values_change_no_maximum() {
    let pooled = |second: &str| {
        start()
            .node("Relu", &["a"], "r")
            .node(second, &["x"], "s")
            .node_with("Concat", &["r", "s"], "all", vec![int("axis", 1)])
            .node_with(
                "MaxPool",
                &["all"],
                "pool",
                vec![
                    ints("kernel_shape", &[3, 3]),
                    ints("strides", &[2, 2]),
                    ints("pads", &[1, 1, 1, 1]),
                ],
            )
            .node("Flatten", &["pool"], "flat")
            .dense("flat", 24)
    };
    let layers = pooled("Sigmoid").layers();
    assert!(layers.iter().any(|l| matches!(l, Layer::ZeroPadding2D(_))));
    assert!(
        pooled("Tanh")
            .error()
            .contains("of values that can be negative")
    );
}

#[test]
fn padding_that_two_pools_read_is_the_padding_of_both() {
    let pool = |graph: Graph, name| {
        graph.node_with("MaxPool", &["p"], name, vec![ints("kernel_shape", &[2, 2])])
    };
    let graph = start()
        .integers("pads", &[0, 0, 0, 0, 0, 0, 1, 1])
        .numbers("low", &[], &[f32::MIN])
        .node("Pad", &["a", "pads", "low"], "p");
    let graph = pool(pool(graph, "b"), "c").node("Add", &["b", "c"], "sum");
    let body = [
        "a(Conv2D): input",
        "b(MaxPooling2D): a",
        "c(MaxPooling2D): a",
        "sum(Add): b, c",
    ];
    assert_body(graph, "sum", 2, &body);
}

#[test]
fn joins_that_layers_cannot_do_are_refused_by_name() {
    let flat = |graph: Graph| graph.node("Flatten", &["a"], "f");
    for (graph, message) in [
        (
            start().node("Mul", &["a", "x"], "y"),
            "node `y` (Mul): joins branches of the network",
        ),
        (
            start().node_with("Concat", &["a", "x"], "y", vec![int("axis", 2)]),
            "node `y` (Concat): concatenates [batch, 2, 4, 5] and [batch, 2, 4, 5] along axis 2",
        ),
        (
            start().node("Concat", &["a", "x"], "y"),
            "node `y` (Concat): expected the attribute `axis`",
        ),
        (
            start().node_with("Concat", &["a", "w"], "y", vec![int("axis", 1)]),
            "node `y` (Concat): expected a value that depends on the images as input 2",
        ),
        (
            start()
                .node("GlobalAveragePool", &["x"], "g")
                .node("Add", &["a", "g"], "y"),
            "node `y` (Add): adds [batch, 2, 4, 5] and [batch, 2, 1, 1]",
        ),
        (
            flat(start())
                .weights("v", &[40, 40])
                .node("MatMul", &["f", "v"], "d")
                .node("Add", &["f", "d"], "y"),
            "node `y` (Add): adds [batch, 40] and [batch, 40]; expected one shape and one order",
        ),
        (
            flat(start()).node("Flatten", &["x"], "g").node_with(
                "Concat",
                &["f", "g"],
                "y",
                vec![int("axis", 1)],
            ),
            "node `y` (Concat): concatenates [batch, 40] and [batch, 40] along axis 1",
        ),
    ] {
        let error = graph.output("y").error();
        assert!(error.starts_with(message), "{error}");
    }
}
