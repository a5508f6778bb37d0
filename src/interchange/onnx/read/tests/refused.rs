//! Graphs that no layers compute.

use super::build::{Graph, int, ints, text};
use crate::interchange::onnx::messages::AttributeProto;

/// The error about a node `y` that reads images of 2x4x5.
#[track_caller]
fn assert_refused(operator: &str, attributes: Vec<AttributeProto>, message: &str) {
    let graph = Graph::new(&[2, 4, 5])
        .weights("w", &[3, 2, 2, 2])
        .weights("v", &[2])
        .integers("pads", &[0, 0, 1, 1, 0, 0, 1, 1])
        .integers("crop", &[0, 0, -1, 0, 0, 0, 0, 0])
        .integers("mixed", &[-1, 4, 10])
        .node_with(
            operator,
            match operator {
                "Conv" => &["x", "w"],
                "Reshape" => &["x", "mixed"],
                "Pad" if attributes.is_empty() => &["x", "crop"],
                "Pad" => &["x", "pads"],
                "BatchNormalization" => &["x", "v", "v", "v", "v"],
                "MatMul" => &["x", "w"],
                _ => &["x"],
            },
            "y",
            attributes,
        )
        .node("GlobalMaxPool", &["y"], "pool")
        .node("Flatten", &["pool"], "flat")
        .dense("flat", 2);
    let error = graph.error();
    let start = format!("node `y` ({operator}): {message}");
    assert!(error.starts_with(&start), "{error}");
}

#[test]
fn unknown_operators_are_named() {
    for operator in [
        "Resize",
        "LSTM",
        "HardSwish",
        "Mish",
        "If",
        "Erfc",
        "LogSoftmax",
    ] {
        assert_refused(operator, vec![], "this operator cannot be read");
    }
}

#[test]
fn settings_that_layers_lack_are_named() {
    let kernel = || ints("kernel_shape", &[2, 2]);
    for (operator, attributes, message) in [
        (
            "Conv",
            vec![ints("strides", &[2, 1]), ints("dilations", &[2, 1])],
            "strides with dilations",
        ),
        (
            "Conv",
            vec![int("group", 2)],
            "a kernel of 3x2x2x2 with 2 groups",
        ),
        (
            "Conv",
            vec![ints("pads", &[0, 0, -1, 0])],
            "expected 4 sizes of at least 0 as `pads`",
        ),
        (
            "Conv",
            vec![ints("strides", &[0, 1])],
            "a window size, stride or dilation of 0",
        ),
        (
            "Conv",
            vec![text("auto_pad", "SOME")],
            "unknown auto_pad `SOME`",
        ),
        (
            "Conv",
            vec![ints("dilations", &[9, 9])],
            "windows of 2x2 do not fit",
        ),
        ("MaxPool", vec![], "expected the attribute `kernel_shape`"),
        (
            "MaxPool",
            vec![kernel(), ints("dilations", &[2, 2])],
            "a pool with dilations",
        ),
        (
            "MaxPool",
            vec![kernel(), ints("pads", &[1, 1, 1, 1])],
            "padding other than that of `same`",
        ),
        (
            "AveragePool",
            vec![kernel(), ints("pads", &[1, 1, 1, 1])],
            "padding other than that of `same`",
        ),
        (
            "AveragePool",
            vec![
                kernel(),
                ints("strides", &[2, 2]),
                int("ceil_mode", 1),
                int("count_include_pad", 1),
            ],
            "windows that leave the image",
        ),
        (
            "BatchNormalization",
            vec![int("training_mode", 1)],
            "the network was exported in training mode",
        ),
        (
            "Pad",
            vec![text("mode", "reflect")],
            "pads with 0 in mode `reflect`",
        ),
        ("Pad", vec![], "crops images"),
        (
            "Cast",
            vec![int("to", 10)],
            "computes in another type than float32",
        ),
        (
            "Softmax",
            vec![int("axis", 2)],
            "takes the softmax of [batch, 2, 4, 5] over axis 2",
        ),
        (
            "Reshape",
            vec![],
            "the shape [-1, 4, 10] splits or mixes axes of [batch, 2, 4, 5]",
        ),
        (
            "Flatten",
            vec![int("axis", 2)],
            "flattens [batch, 2, 4, 5] from axis 2",
        ),
        (
            "Transpose",
            vec![ints("perm", &[0, 1])],
            "[0, 1] is not an order of 4 axes",
        ),
        (
            "MatMul",
            vec![],
            "expected one row per image, found [batch, 2, 4, 5]",
        ),
    ] {
        assert_refused(operator, attributes, message);
    }
}

#[test]
fn a_branch_that_does_not_lead_to_the_output_is_left_out() {
    let graph = Graph::new(&[2, 4, 5])
        .weights("w", &[2, 2, 1, 1])
        .node("Conv", &["x", "w"], "a")
        .node("Conv", &["x", "w"], "b")
        .node("Flatten", &["b"], "flat")
        .dense("flat", 40);
    assert_eq!(graph.layers().len(), 3);
}

#[test]
fn other_orders_than_onnx_s_are_refused() {
    let graph = Graph::new(&[4, 5, 2])
        .weights("w", &[3, 5, 1, 1])
        .node_with("Transpose", &["x"], "y", vec![ints("perm", &[0, 2, 1, 3])])
        .node("Conv", &["y", "w"], "z")
        .node("Flatten", &["z"], "flat")
        .dense("flat", 24);
    let error = graph.error();
    assert!(
        error.starts_with("node `z` (Conv): expected images [batch, channels"),
        "{error}"
    );
}

#[test]
fn operators_of_others_are_refused() {
    let mut graph = Graph::new(&[2, 2, 1])
        .node("Flatten", &["x"], "flat")
        .dense("flat", 4);
    graph.0.node[0].domain = Some("com.microsoft".into());
    let error = graph.error();
    assert!(
        error.contains("an operator or function of `com.microsoft`"),
        "{error}"
    );
}

#[test]
fn an_output_in_another_order_is_refused() {
    let graph = Graph::new(&[3, 2, 2])
        .weights("w", &[3, 3, 1, 1])
        .node("Conv", &["x", "w"], "y")
        .node("Flatten", &["y"], "flat")
        .output("flat");
    assert!(
        graph
            .error()
            .contains("its output `flat` is [batch, 12] in another order")
    );
    let graph = Graph::new(&[3, 2, 2]).weights("w", &[3]).output("w");
    assert!(graph.error().contains("expected one input"));
}

#[test]
fn versions_that_are_not_known_are_refused_or_noted() {
    let graph = Graph::new(&[2, 2, 1])
        .node("Flatten", &["x"], "flat")
        .dense("flat", 4);
    assert!(graph.error_of(1).contains("follows opset 1 "));
    let import = crate::interchange::onnx::from_bytes(&graph.bytes(99, &[]), None).unwrap();
    assert!(import.notes.iter().any(|note| note.contains("opset 99")));
    // Before opset 13, softmax took all axes from one on together.
    let softmax = Graph::new(&[2, 4, 5])
        .node_with("Softmax", &["x"], "y", vec![int("axis", 1)])
        .node("Flatten", &["y"], "flat")
        .dense("flat", 40);
    assert_eq!(softmax.layers().len(), 3);
    assert!(softmax.error_of(12).contains("takes the softmax"));
}
