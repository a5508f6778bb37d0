//! Files that are damaged or made to do harm.

use std::time::{Duration, Instant};

use prost::Message;

use super::build::{Graph, int, ints, numbers, tensor};
use crate::interchange::onnx::from_bytes;
use crate::interchange::onnx::messages::{AttributeProto, GraphProto, ModelProto, NodeProto};

/// A graph with most kinds of nodes.
fn graph() -> Graph {
    Graph::new(&[6, 5, 2])
        .numbers("half", &[], &[0.5])
        .node("Mul", &["x", "half"], "scaled")
        .node_with(
            "Transpose",
            &["scaled"],
            "first",
            vec![ints("perm", &[0, 3, 1, 2])],
        )
        .weights("w", &[3, 2, 2, 2])
        .weights("b", &[3])
        .node_with(
            "Conv",
            &["first", "w", "b"],
            "conv",
            vec![ints("pads", &[0, 0, 1, 1])],
        )
        .weights("v", &[3])
        .node("BatchNormalization", &["conv", "v", "v", "v", "v"], "norm")
        .node("Sigmoid", &["norm"], "s")
        .node("Mul", &["norm", "s"], "silu")
        .node_with(
            "MaxPool",
            &["silu"],
            "pool",
            vec![ints("kernel_shape", &[2, 2])],
        )
        .node("Shape", &["pool"], "sizes")
        .integers("zero", &[0])
        .node("Gather", &["sizes", "zero"], "n")
        .integers("rest", &[-1])
        .node_with("Concat", &["n", "rest"], "shape", vec![int("axis", 0)])
        .node("Reshape", &["pool", "shape"], "flat")
        .dense("flat", 60)
}

/// Reads bytes, whose error must be one line.
fn assert_one_line(bytes: &[u8]) {
    if let Err(e) = from_bytes(bytes, None) {
        let message = e.to_string();
        assert!(!message.contains('\n') && message.len() < 4100, "{message}");
    }
}

#[test]
fn every_truncation_is_refused_in_one_line() {
    let bytes = graph().bytes(18, &[("cnn_gpu", "{}")]);
    assert!(from_bytes(&bytes, None).is_ok());
    for length in 0..bytes.len() {
        assert_one_line(&bytes[..length]);
    }
    assert!(
        from_bytes(&[], None)
            .unwrap_err()
            .to_string()
            .contains("is not an ONNX model")
    );
}

#[test]
fn flipped_bytes_never_panic() {
    let bytes = graph().bytes(18, &[]);
    for i in 0..bytes.len() {
        for bit in [0x01, 0x10, 0x80] {
            let mut flipped = bytes.clone();
            flipped[i] ^= bit;
            assert_one_line(&flipped);
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    let mut inner = GraphProto::default();
    for _ in 0..200 {
        let attribute = AttributeProto {
            g: Some(Box::new(inner)),
            ..AttributeProto::default()
        };
        let node = NodeProto {
            attribute: vec![attribute],
            ..NodeProto::default()
        };
        inner = GraphProto {
            node: vec![node],
            ..GraphProto::default()
        };
    }
    let model = ModelProto {
        graph: Some(inner),
        ..ModelProto::default()
    };
    let message = from_bytes(&model.encode_to_vec(), None)
        .unwrap_err()
        .to_string();
    assert!(message.contains("recursion limit"), "{message}");
}

#[test]
fn constants_that_grow_are_refused() {
    let mut graph = Graph::new(&[2, 2, 1]).numbers("c0", &[2], &[1.0, 2.0]);
    for i in 0..60 {
        let (from, to) = (format!("c{i}"), format!("c{}", i + 1));
        graph = graph.node_with("Concat", &[&from, &from], &to, vec![int("axis", 0)]);
    }
    let graph = graph
        .node("Flatten", &["x"], "flat")
        .node("MatMul", &["flat", "c60"], "y")
        .output("y");
    assert!(
        graph
            .error()
            .contains("computes much more from constants than the file holds")
    );
    let graph = Graph::new(&[2, 2, 1])
        .integers("size", &[1 << 40, 4])
        .node_with(
            "ConstantOfShape",
            &["size"],
            "c",
            vec![tensor("value", numbers("", &[1], &[1.0]))],
        )
        .node("Flatten", &["x"], "flat")
        .node("MatMul", &["flat", "c"], "y")
        .output("y");
    assert!(graph.error().contains("computes much more from constants"));
}

#[test]
fn weights_that_many_layers_share_are_limited() {
    let mut graph = Graph::new(&[1, 1, 64])
        .node("Flatten", &["x"], "y0")
        .weights("w", &[64, 64]);
    for i in 0..2_000 {
        let (from, to) = (format!("y{i}"), format!("y{}", i + 1));
        graph = graph.node("MatMul", &[&from, "w"], &to);
    }
    assert!(graph.output("y2000").error().contains("computes much more"));
}

#[test]
fn factors_that_many_functions_share_are_limited() {
    // Without a limit, each product has offsets of its own: 200 times 2 MB for these, from a file of 1 MB.
    let channels = 1 << 18;
    for (first, last) in [("Add", "Mul"), ("Mul", "Add"), ("Sub", "Div")] {
        let mut graph = Graph::new(&[channels, 1, 1])
            .node("GlobalMaxPool", &["x"], "y")
            .weights("c", &[channels, 1, 1])
            .node(first, &["y", "c"], "m");
        let names: Vec<String> = (0..200).map(|i| format!("q{i}")).collect();
        for (i, name) in names.iter().enumerate() {
            let number = format!("s{i}");
            graph = graph.numbers(&number, &[], &[2.0 + i as f32]);
            graph = graph.node(last, &["m", &number], name);
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let error = graph.node("Sum", &names, "sum").output("sum").error();
        assert!(
            error.contains("computes much more from constants"),
            "{error}"
        );
    }
}

#[test]
fn layers_do_not_repeat_long_names() {
    // Each product is a layer of its own behind the sum's node.
    let mut graph = Graph::new(&[2, 2, 1])
        .node("Flatten", &["x"], "y")
        .weights("c", &[4])
        .node("Add", &["y", "c"], "m");
    graph.0.node[1].name = Some("ä".repeat(1 << 20));
    let names: Vec<String> = (0..100).map(|i| format!("q{i}")).collect();
    for (i, name) in names.iter().enumerate() {
        let number = format!("s{i}");
        graph = graph.numbers(&number, &[], &[2.0 + i as f32]);
        graph = graph.node("Mul", &["m", &number], name);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let notes = (graph.node("Sum", &names, "sum").output("sum").import()).notes;
    let of_products = notes.iter().filter(|note| note.contains("…` (Add)"));
    assert_eq!(of_products.count(), 100, "{notes:?}");
    assert!(notes.iter().all(|note| note.chars().count() < 1000));
}

#[test]
fn functions_that_are_almost_activations_take_bounded_time() {
    // Each step is ReLU for what is above -65, and all of 200 are one function.
    let mut graph = Graph::new(&[2, 2, 1])
        .node("Flatten", &["x"], "y0")
        .numbers("far", &[], &[65.0]);
    let mut from = "y0".to_owned();
    for i in 1..=600 {
        let name = |what: &str| format!("{what}{i}");
        let [near, minus, shifted, far, to] = ["n", "m", "s", "f", "y"].map(name);
        graph = graph
            .node("Relu", &[&from], &near)
            .node("Neg", &[&from], &minus)
            .node("Sub", &[&minus, "far"], &shifted)
            .node("Relu", &[&shifted], &far)
            .node("Add", &[&near, &far], &to);
        from = to;
        if i % 200 == 0 {
            let all = name("all");
            graph = graph.node("Softmax", &[&from], &all);
            from = all;
        }
    }
    let started = Instant::now();
    assert_eq!(graph.output(&from).layers().len(), 1 + 4 * 600 + 3);
    let taken = started.elapsed();
    assert!(taken < Duration::from_secs(60), "{taken:?}");
}

#[test]
fn huge_images_take_no_memory() {
    let graph = |layer: fn(Graph) -> Graph| {
        layer(
            Graph::new(&[2, 2, 2])
                .integers("pads", &[0, 0, 20_000, 0, 0, 0, 0, 20_000])
                .node("Pad", &["x", "pads"], "big"),
        )
    };
    let dense = graph(|graph| graph.node("Flatten", &["big"], "flat").dense("flat", 8));
    assert!(dense.error().contains("expected weights of"));
    let factors = graph(|graph| {
        let graph = graph.node("Flatten", &["big"], "flat").weights("f", &[8]);
        graph.node("Mul", &["flat", "f"], "y").output("y")
    });
    assert!(factors.error().contains("one per channel, found 8"));
    let output = graph(|graph| graph.node("Flatten", &["big"], "flat").output("flat"));
    assert!(output.error().contains("in another order"));
}

#[test]
fn very_many_layers_are_refused() {
    let mut graph = Graph::new(&[2, 2, 1]).node("Flatten", &["x"], "y0");
    for i in 0..11_000 {
        let (from, to) = (format!("y{i}"), format!("y{}", i + 1));
        graph = graph.node("Softmax", &[&from], &to);
    }
    let error = graph.output("y11000").error();
    assert!(error.contains("behind more than 10000 layers"), "{error}");
}

/// A graph of sums, each of the values of these numbers before it.
fn sums(count: usize, inputs: &[usize]) -> Graph {
    let mut graph = Graph::new(&[2, 2, 1]).node("Flatten", &["x"], "y0");
    for i in 1..=count {
        let names: Vec<String> = (inputs.iter())
            .map(|back| format!("y{}", i.saturating_sub(*back)))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let operator = if names.len() == 2 { "Add" } else { "Sum" };
        graph = graph.node(operator, &names, &format!("y{i}"));
    }
    graph.output(&format!("y{count}"))
}

#[test]
fn joins_take_bounded_time() {
    // Each doubles the paths, none is a layer of its own before the last is read.
    let error = sums(2_000, &[1, 2]).error();
    assert!(error.contains("more than 1024 steps"), "{error}");
    let error = sums(900, &[1, 2]).error();
    assert!(error.contains("nested more than 64 deep"), "{error}");
    assert_eq!(sums(60, &[1, 2]).layers().len(), 61);
    assert_eq!(sums(60, &[1, 1]).layers().len(), 61);
    let error = sums(30_000, &[1, 2, 3]).error();
    assert!(error.contains("behind more than 10000 layers"), "{error}");
    let error = sums(200, &[1; 1_000]).error();
    assert!(
        error.contains("joins of more than 100000 values"),
        "{error}"
    );
    let mut graph = Graph::new(&[2, 2, 1]);
    for i in 0..40 {
        let (from, to) = (format!("y{i}"), format!("y{}", i + 1));
        let from = if i == 0 { "x" } else { &from };
        graph = graph.node_with("Concat", &[from, from], &to, vec![int("axis", -1)]);
    }
    let error = graph.output("y40").error();
    assert!(error.contains("makes 2^31 channels or more"), "{error}");
}

#[test]
fn functions_that_many_layers_read_take_bounded_time() {
    let mut graph = Graph::new(&[2, 2, 1]).node("Flatten", &["x"], "y0");
    graph = graph.weights("w", &[4, 4]);
    for i in 1..=900 {
        let from = format!("y{}", i - 1);
        graph = graph.node("Softplus", &[&from], &format!("y{i}")).node(
            "MatMul",
            &[&from, "w"],
            &format!("z{i}"),
        );
        let last = if i == 1 {
            "y1".into()
        } else {
            format!("s{}", i - 1)
        };
        graph = graph.node("Sum", &[&last, &format!("z{i}"), &last], &format!("s{i}"));
    }
    assert_eq!(graph.output("s900").layers().len(), 3 * 900);
}

#[test]
fn tensors_are_refused_by_name() {
    let mut sparse = graph();
    sparse.0.sparse_initializer = vec![crate::interchange::onnx::messages::SparseTensorProto {
        values: Some(numbers("s", &[1], &[1.0])),
    }];
    assert_eq!(
        sparse.error(),
        "tensor `s` is sparse; export the network with dense weights"
    );
    let mut half = graph();
    let tensor = half
        .0
        .initializer
        .iter_mut()
        .find(|t| t.name() == "w")
        .unwrap();
    tensor.data_type = Some(10);
    assert!(
        half.error()
            .contains("tensor `w`: expected float32, found float16")
    );
    let mut external = graph();
    let tensor = external
        .0
        .initializer
        .iter_mut()
        .find(|t| t.name() == "w")
        .unwrap();
    tensor.data_location = Some(1);
    assert!(
        external
            .error()
            .contains("tensor `w`: its values are in another file")
    );
}
