//! How images come in.

use prost::Message;

use super::build::{Graph, int};
use crate::interchange::onnx::from_bytes;
use crate::interchange::onnx::messages::{DimensionProto, ModelProto};
use crate::model::Rescaling;

fn flattened(input: &[i64]) -> Graph {
    Graph::new(input)
        .node("Flatten", &["x"], "flat")
        .dense("flat", input.iter().product())
}

#[test]
fn the_order_of_axes_is_that_with_which_the_graph_can_be_read() {
    let pool = Graph::new(&[5, 4, 3])
        .integers("axes", &[1, 2])
        .node("ReduceMean", &["x", "axes"], "mean")
        .node("Flatten", &["mean"], "flat")
        .dense("flat", 3)
        .import();
    assert_eq!(pool.network.model.input_shape, [5, 4, 3]);
    assert!(!pool.notes.iter().any(|note| note.contains("images of")));
    let pool = Graph::new(&[3, 5, 4])
        .node("GlobalMaxPool", &["x"], "max")
        .node("Flatten", &["max"], "flat")
        .dense("flat", 3);
    assert_eq!(pool.import().network.model.input_shape, [5, 4, 3]);
}

#[test]
fn an_order_that_the_graph_does_not_tell_is_assumed() {
    for (input, image) in [
        ([1, 28, 28], [28, 28, 1]),
        ([28, 28, 1], [28, 28, 1]),
        ([3, 8, 9], [8, 9, 3]),
    ] {
        let import = flattened(&input).import();
        assert_eq!(import.network.model.input_shape, image);
        let assumed = import
            .notes
            .iter()
            .any(|note| note.starts_with("assumed: images of"));
        assert!(assumed, "{:?}", import.notes);
    }
}

#[test]
fn images_without_an_axis_for_channels_have_one() {
    let import = flattened(&[28, 20]).import();
    assert_eq!(import.network.model.input_shape, [28, 20, 1]);
}

#[test]
fn pytorch_has_channels_first_where_both_orders_can_be_read() {
    let mut model = ModelProto::decode(flattened(&[2, 8, 3]).bytes(18, &[]).as_slice()).unwrap();
    for (producer, expected) in [("pytorch", [8, 3, 2]), ("tf2onnx", [2, 8, 3])] {
        model.producer_name = Some(producer.into());
        let import = from_bytes(&model.encode_to_vec(), None).unwrap();
        assert_eq!(import.network.model.input_shape, expected, "{producer}");
    }
    // As Keras writes it with its PyTorch backend.
    let mut bytes = flattened(&[2, 8, 3]).bytes(18, &[]);
    let mut model = ModelProto::decode(bytes.as_slice()).unwrap();
    model.producer_name = Some("pytorch".into());
    let graph = model.graph.as_mut().unwrap();
    graph.input[0].name = Some("input_layer_1".into());
    graph.node[0].input[0] = "input_layer_1".into();
    bytes = model.encode_to_vec();
    let import = from_bytes(&bytes, None).unwrap();
    assert_eq!(import.network.model.input_shape, [2, 8, 3]);
}

#[test]
fn vectors_are_the_rows_of_square_images() {
    let graph = Graph::new(&[12 * 12]).dense("x", 12 * 12);
    let import = graph.import();
    assert_eq!(import.network.model.input_shape, [12, 12, 1]);
    let kinds = import.network.model.layers.iter();
    let kinds: Vec<_> = kinds.map(|layer| layer.spec().kind()).collect();
    assert_eq!(kinds, ["Flatten", "Dense"]);
    let note = "assumed: vectors of 144 numbers are images of 12x12x1, row by row";
    assert!(
        import.notes.iter().any(|found| found == note),
        "{:?}",
        import.notes
    );
}

#[test]
fn vectors_that_are_reshaped_are_images() {
    for (sizes, filter) in [([-1, 1, 6, 6], [2, 1, 3, 3]), ([0, 1, 6, -1], [2, 1, 3, 3])] {
        let graph = Graph::new(&[36])
            .integers("sizes", &sizes)
            .node("Reshape", &["x", "sizes"], "image")
            .weights("w", &filter)
            .node("Conv", &["image", "w"], "conv")
            .node("Flatten", &["conv"], "flat")
            .dense("flat", 32);
        let import = graph.import();
        assert_eq!(import.network.model.input_shape, [6, 6, 1]);
        let kinds = import.network.model.layers.iter();
        let kinds: Vec<_> = kinds.map(|layer| layer.spec().kind()).collect();
        assert_eq!(kinds, ["Conv2D", "Flatten", "Dense"]);
        let note =
            "takes images of 6x6x1 in place of vectors of 36 numbers, which it reshapes to them";
        let notes = import.notes;
        assert!(notes.iter().any(|found| found == note), "{notes:?}");
        assert!(
            !notes.iter().any(|found| found.contains("row by row")),
            "{notes:?}"
        );
    }
    // Without the layer that reads images, they are vectors again.
    let graph = Graph::new(&[36])
        .integers("sizes", &[-1, 1, 6, 6])
        .node("Reshape", &["x", "sizes"], "image")
        .node("Shape", &["image"], "shape")
        .integers("first", &[0])
        .node("Gather", &["shape", "first"], "batch")
        .integers("units", &[2])
        .node_with("Concat", &["batch", "units"], "rows", vec![int("axis", 0)])
        .weights("w", &[36, 2])
        .node("MatMul", &["x", "w"], "dense")
        .node("Reshape", &["dense", "rows"], "y")
        .output("y");
    let layers = graph.import().network.model.layers;
    let kinds: Vec<_> = layers.iter().map(|layer| layer.spec().kind()).collect();
    assert_eq!(kinds, ["Flatten", "Dense"]);
}

#[test]
fn vectors_that_are_reshaped_have_one_number_for_all_pixels() {
    let read = |operator, values: &[f32]| {
        Graph::new(&[36])
            .numbers("c", &[36], values)
            .node(operator, &["x", "c"], "first")
            .integers("sizes", &[-1, 1, 6, 6])
            .node("Reshape", &["first", "sizes"], "image")
            .weights("w", &[2, 1, 3, 3])
            .node("Conv", &["image", "w"], "conv")
            .node("Flatten", &["conv"], "flat")
            .dense("flat", 32)
    };
    let different: Vec<f32> = (0..36).map(|i| i as f32).collect();
    for (operator, same) in [
        ("Mul", Rescaling::new(0.5)),
        ("Sub", Rescaling::new(1.0).offset(-0.5)),
    ] {
        assert_eq!(
            read(operator, &different).error(),
            format!(
                "node `first` ({operator}): one number per pixel before the reshape to images; expected one number \
                 for all"
            )
        );
        let uniform = read(operator, &[0.5; 36]);
        assert_eq!(uniform.import().network.model.input_shape, [6, 6, 1]);
        assert_eq!(uniform.layers()[0], same.into());
    }
}

#[test]
fn inputs_of_other_shapes_are_refused() {
    assert!(
        flattened(&[785])
            .error()
            .contains("a vector of 785 numbers, which are not the pixels of a grey square image")
    );
    let huge = Graph::new(&[1 << 40, 1 << 40, 3])
        .node("Relu", &["x"], "y")
        .output("y");
    assert!(huge.error().contains("2^31 elements or more"));
    let mut graph = flattened(&[28, 28, 1]);
    let shape = graph.0.input[0].r#type.as_mut().unwrap();
    let shape = shape.tensor_type.as_mut().unwrap().shape.as_mut().unwrap();
    shape.dim[2] = DimensionProto {
        dim_value: None,
        dim_param: Some("width".into()),
    };
    assert!(
        graph
            .error()
            .contains("no fixed size on axis 2; export it for images of one size")
    );
}

#[test]
fn other_inputs_are_refused_unless_they_are_not_read() {
    let mut graph = flattened(&[2, 2, 1]);
    let mut other = graph.0.input[0].clone();
    other.name = Some("other".into());
    graph.0.input.push(other);
    assert_eq!(graph.import().network.model.input_shape, [2, 2, 1]);
    let error = graph.node("Add", &["head", "other"], "sum").output("sum");
    let mut error = error;
    error.0.output.remove(0);
    let message = error.error();
    assert_eq!(
        message,
        "expected one input, of images, found 2 (`x`, `other`)"
    );
}

#[test]
fn inputs_of_other_types_are_refused() {
    let mut graph = flattened(&[2, 2, 1]);
    let input = graph.0.input[0].r#type.as_mut().unwrap();
    input.tensor_type.as_mut().unwrap().elem_type = Some(2);
    assert_eq!(
        graph.error(),
        "its input `x`: expected float32, found uint8; export the network in float32"
    );
}

#[test]
fn older_graphs_list_weights_as_inputs() {
    let mut graph = flattened(&[2, 2, 1]);
    let mut weights = graph.0.input[0].clone();
    weights.name = Some("head.weight".into());
    graph.0.input.push(weights);
    assert_eq!(graph.import().network.model.layers.len(), 2);
}

#[test]
fn what_is_not_taken_is_noted() {
    let graph = flattened(&[2, 2, 1])
        .weights("unused", &[3])
        .node("Relu", &["head"], "side")
        .output("side");
    let notes = graph.import().notes;
    for expected in [
        "not taken: 1 tensor that no layer reads (`unused`)",
        "not taken: all outputs but the first (`side`)",
        "not taken: 1 node without effect on the output",
    ] {
        assert!(notes.contains(&expected.to_owned()), "{notes:?}");
    }
}
