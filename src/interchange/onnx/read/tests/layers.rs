//! Layers with windows and weights.

use super::build::{Graph, float, int, ints, parameter, text};
use crate::model::{
    Activation, AveragePooling2D, BatchNormalization, Conv2D, Dense, DepthwiseConv2D, Flatten,
    GlobalAveragePooling2D, GlobalMaxPooling2D, Layer, MaxPooling2D, SumPooling2D, ZeroPadding2D,
};
use crate::shape::Padding;

/// The layers between images of 2x4x5 (channels first) and a dense layer without bias.
#[track_caller]
fn assert_layers(graph: Graph, expected: &[Layer]) {
    let layers = graph.layers();
    let (head, layers) = layers.split_last().unwrap();
    assert_eq!(*head, Dense::new(2).use_bias(false).into());
    assert_eq!(layers, expected);
}

/// A node `y` that reads images of 2x4x5, and a flattening behind it.
fn pooled(
    operator: &str,
    attributes: Vec<crate::interchange::onnx::messages::AttributeProto>,
    features: i64,
) -> Graph {
    Graph::new(&[2, 4, 5])
        .node_with(operator, &["x"], "y", attributes)
        .node("Flatten", &["y"], "flat")
        .dense("flat", features)
}

#[test]
fn rows_behind_a_flattened_image_are_put_in_our_order() {
    let rows = [0.0, 1.0, 2.0, 3.0, 4.0, 10.0, 11.0, 12.0, 13.0, 14.0];
    let graph = Graph::new(&[2, 1, 5])
        .node("Flatten", &["x"], "flat")
        .numbers("w", &[10, 1], &rows)
        .node("MatMul", &["flat", "w"], "y")
        .output("y");
    let import = graph.import();
    assert_eq!(import.network.model.input_shape, [1, 5, 2]);
    let kernel = parameter(&import, "y/kernel");
    let ours = [0.0, 10.0, 1.0, 11.0, 2.0, 12.0, 3.0, 13.0, 4.0, 14.0];
    assert_eq!(kernel, ours);
    let matched = &import.matches[0];
    assert_eq!(
        (matched.theirs.as_str(), matched.ours.as_str()),
        ("w", "y/kernel")
    );
    assert_eq!(matched.shape, [10, 1]);
}

#[test]
fn a_gemm_is_a_dense_layer() {
    let graph = Graph::new(&[1, 1, 2])
        .node("Flatten", &["x"], "flat")
        .numbers("w", &[1, 2], &[3.0, 4.0])
        .numbers("b", &[1], &[5.0])
        .node_with(
            "Gemm",
            &["flat", "w", "b"],
            "y",
            vec![int("transB", 1), float("alpha", 2.0), float("beta", 0.5)],
        )
        .output("y");
    let import = graph.import();
    assert_eq!(parameter(&import, "y/kernel"), [6.0, 8.0]);
    assert_eq!(parameter(&import, "y/bias"), [2.5]);
}

fn convolution(
    weights: &[i64],
    attributes: Vec<crate::interchange::onnx::messages::AttributeProto>,
    features: i64,
) -> Graph {
    Graph::new(&[2, 4, 5])
        .weights("w", weights)
        .node_with("Conv", &["x", "w"], "y", attributes)
        .node("Flatten", &["y"], "flat")
        .dense("flat", features)
}

#[test]
fn a_kernel_is_put_in_our_order() {
    let graph = Graph::new(&[2, 4, 5])
        .numbers("w", &[1, 2, 1, 2], &[0.0, 1.0, 10.0, 11.0])
        .node("Conv", &["x", "w"], "y")
        .node("Flatten", &["y"], "flat")
        .dense("flat", 16);
    assert_eq!(
        parameter(&graph.import(), "y/kernel"),
        [0.0, 10.0, 1.0, 11.0]
    );
}

#[test]
fn paddings_of_convolutions_are_told_apart() {
    let conv = || Conv2D::new(3, [3, 2]).use_bias(false);
    let graph = |attributes, features| convolution(&[3, 2, 3, 2], attributes, features);
    assert_layers(graph(vec![], 24), &[conv().into(), Flatten::new().into()]);
    for same in [ints("pads", &[1, 0, 1, 1]), text("auto_pad", "SAME_UPPER")] {
        let layer = conv().padding(Padding::Same);
        assert_layers(
            graph(vec![same], 60),
            &[layer.into(), Flatten::new().into()],
        );
    }
    let zeros = ZeroPadding2D::new([[1, 1], [1, 0]]);
    let expected = [zeros.into(), conv().into(), Flatten::new().into()];
    for other in [ints("pads", &[1, 1, 1, 0]), text("auto_pad", "SAME_LOWER")] {
        assert_layers(graph(vec![other], 60), &expected);
    }
}

#[test]
fn groups_dilations_and_strides_are_read() {
    let depthwise = DepthwiseConv2D::new(2)
        .depth_multiplier(2)
        .use_bias(false)
        .strides([2, 1]);
    assert_layers(
        convolution(
            &[4, 1, 2, 2],
            vec![int("group", 2), ints("strides", &[2, 1])],
            32,
        ),
        &[depthwise.into(), Flatten::new().into()],
    );
    let dilated = Conv2D::new(1, 2).use_bias(false).dilation_rate([3, 2]);
    assert_layers(
        convolution(&[1, 2, 2, 2], vec![ints("dilations", &[3, 2])], 3),
        &[dilated.into(), Flatten::new().into()],
    );
}

#[test]
fn pools_are_told_by_their_padding() {
    let two = || ints("kernel_shape", &[2, 2]);
    let flat = || Layer::from(Flatten::new());
    assert_layers(
        pooled("MaxPool", vec![two()], 24),
        &[MaxPooling2D::new(2).strides(1).into(), flat()],
    );
    let strides = || ints("strides", &[2, 2]);
    assert_layers(
        pooled("AveragePool", vec![two(), strides()], 8),
        &[AveragePooling2D::new(2).into(), flat()],
    );
    for same in [ints("pads", &[0, 0, 0, 1]), int("ceil_mode", 1)] {
        let layer = AveragePooling2D::new(2).padding(Padding::Same);
        assert_layers(
            pooled("AveragePool", vec![two(), strides(), same], 12),
            &[layer.into(), flat()],
        );
    }
    let counted = vec![
        two(),
        strides(),
        ints("pads", &[0, 1, 0, 0]),
        int("count_include_pad", 1),
    ];
    let zeros = ZeroPadding2D::new([[0, 0], [1, 0]]);
    assert_layers(
        pooled("AveragePool", counted, 12),
        &[zeros.into(), AveragePooling2D::new(2).into(), flat()],
    );
}

#[test]
fn a_maximum_of_values_that_are_not_negative_may_see_zeros() {
    let attributes = || {
        vec![
            ints("kernel_shape", &[3, 3]),
            ints("pads", &[1, 1, 1, 1]),
            ints("strides", &[2, 2]),
        ]
    };
    let graph = |activation| {
        Graph::new(&[2, 5, 6])
            .node(activation, &["x"], "a")
            .node_with("MaxPool", &["a"], "y", attributes())
            .node("Flatten", &["y"], "flat")
            .dense("flat", 18)
    };
    let layers = graph("Relu").layers();
    let zeros: Layer = ZeroPadding2D::new(1).into();
    assert_eq!(layers[1], zeros);
    assert_eq!(layers[2], MaxPooling2D::new(3).strides(2).into());
    assert!(
        graph("Tanh")
            .error()
            .starts_with("node `y` (MaxPool): padding other than")
    );
}

#[test]
fn copies_of_edges_before_a_maximum_are_same_padding() {
    let graph = |operator| {
        Graph::new(&[2, 4, 5])
            .integers("pads", &[0, 0, 0, 0, 0, 0, 0, 1])
            .node_with("Pad", &["x", "pads"], "padded", vec![text("mode", "edge")])
            .node_with(
                operator,
                &["padded"],
                "y",
                vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])],
            )
            .node("Flatten", &["y"], "flat")
            .dense("flat", 12)
    };
    let layer = MaxPooling2D::new(2).padding(Padding::Same);
    assert_layers(graph("MaxPool"), &[layer.into(), Flatten::new().into()]);
    assert!(
        graph("AveragePool")
            .error()
            .starts_with("node `padded` (Pad): pads with copies")
    );
}

#[test]
fn the_lowest_number_around_a_maximum_is_its_padding() {
    let graph = |lowest, activation, pads: [i64; 8], operator| {
        Graph::new(&[2, 4, 5])
            .node(activation, &["x"], "a")
            .integers("pads", &pads)
            .numbers("lowest", &[], &[lowest])
            .node("Pad", &["a", "pads", "lowest"], "padded")
            .node_with(
                operator,
                &["padded"],
                "y",
                vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])],
            )
            .node("GlobalMaxPool", &["y"], "pool")
            .node("Flatten", &["pool"], "flat")
            .dense("flat", 2)
    };
    let same = [0, 0, 0, 0, 0, 0, 0, 1];
    for lowest in [f32::NEG_INFINITY, f32::MIN] {
        let layers = graph(lowest, "Tanh", same, "MaxPool").layers();
        assert_eq!(
            layers[1],
            MaxPooling2D::new(2).padding(Padding::Same).into()
        );
    }
    // A row below the image that no window reaches.
    let unreached = graph(f32::MIN, "Tanh", [0, 0, 0, 0, 0, 0, 1, 1], "MaxPool");
    assert_eq!(
        unreached.layers()[1],
        MaxPooling2D::new(2).padding(Padding::Same).into()
    );
    let other = |activation, cells: i64| {
        let pads = [0, 0, cells, cells, 0, 0, 0, 1];
        graph(f32::NEG_INFINITY, activation, pads, "MaxPool")
    };
    let zeros = ZeroPadding2D::new([[1, 0], [1, 1]]);
    assert_eq!(other("Relu", 1).layers()[1], zeros.into());
    let refused = |graph: Graph, message| {
        let error = graph.error();
        assert!(error.starts_with(message), "{error}");
    };
    refused(
        other("Tanh", 1),
        "node `y` (MaxPool): padding other than that of `same`",
    );
    refused(
        other("Relu", 2),
        "node `y` (MaxPool): windows that lie outside the image",
    );
    refused(
        graph(f32::NEG_INFINITY, "Tanh", same, "AveragePool"),
        "node `padded` (Pad): pads with the lowest number; expected a max pool behind it",
    );
    refused(
        graph(-5.0, "Tanh", same, "MaxPool"),
        "node `padded` (Pad): pads with -5 in mode `constant`",
    );
}

#[test]
fn a_mean_divided_by_the_shares_inside_is_one_without_padding() {
    let graph = |last: f32| {
        Graph::new(&[2, 4, 5])
            .integers("pads", &[0, 0, 0, 0, 0, 0, 0, 1])
            .node("Pad", &["x", "pads"], "padded")
            .node_with(
                "AveragePool",
                &["padded"],
                "mean",
                vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])],
            )
            .numbers("share", &[1, 1, 2, 3], &[1.0, 1.0, 0.5, 1.0, 1.0, last])
            .node("Div", &["mean", "share"], "y")
            .node("Flatten", &["y"], "flat")
            .dense("flat", 12)
    };
    let average = AveragePooling2D::new(2).padding(Padding::Same);
    assert_layers(graph(0.5), &[average.into(), Flatten::new().into()]);
    assert!(graph(0.25).error().starts_with("node `y` (Div)"));
}

#[test]
fn a_mean_times_the_number_of_cells_is_a_sum() {
    let sum = |counts| {
        Graph::new(&[2, 4, 6])
            .numbers("four", &[], &[4.0])
            .node_with(
                "AveragePool",
                &["x"],
                "mean",
                vec![
                    ints("kernel_shape", &[2, 2]),
                    ints("strides", &[2, 2]),
                    int("count_include_pad", counts),
                ],
            )
            .node("Mul", &["mean", "four"], "y")
            .node("Flatten", &["y"], "flat")
            .dense("flat", 12)
    };
    assert_layers(
        sum(1),
        &[SumPooling2D::new(2).into(), Flatten::new().into()],
    );
    assert_eq!(sum(0).layers().len(), 4);
}

#[test]
fn pools_over_whole_images_are_read_in_all_spellings() {
    let average = Layer::from(GlobalAveragePooling2D::new());
    let flat = |operator, attributes| pooled(operator, attributes, 2);
    assert_layers(
        flat("GlobalAveragePool", vec![]),
        std::slice::from_ref(&average),
    );
    assert_layers(
        flat("ReduceMean", vec![ints("axes", &[-1, 2])]),
        std::slice::from_ref(&average),
    );
    let squeezed = Graph::new(&[2, 4, 5])
        .integers("axes", &[2, 3])
        .node_with("ReduceMax", &["x", "axes"], "y", vec![int("keepdims", 0)])
        .dense("y", 2);
    assert_layers(squeezed, &[GlobalMaxPooling2D::new().into()]);
    let kept = Graph::new(&[2, 4, 5])
        .node("GlobalAveragePool", &["x"], "y")
        .weights("w", &[3, 2, 1, 1])
        .node("Conv", &["y", "w"], "z")
        .node("Flatten", &["z"], "flat")
        .dense("flat", 3);
    let average = GlobalAveragePooling2D::new().keepdims(true);
    let conv = Conv2D::new(3, 1).use_bias(false);
    assert_layers(kept, &[average.into(), conv.into(), Flatten::new().into()]);
    let error = flat("ReduceMean", vec![ints("axes", &[1, 2, 3])]).error();
    assert!(
        error.contains("reduces axes [1, 2, 3] of [batch, 2, 4, 5]"),
        "{error}"
    );
}

#[test]
fn means_along_one_axis_after_the_other_are_one_over_the_image() {
    let axis = |axis, keepdims| vec![ints("axes", &[axis]), int("keepdims", keepdims)];
    for (first, second) in [
        (axis(-1, 0), axis(-1, 0)),
        (axis(2, 0), axis(2, 0)),
        (axis(3, 1), axis(2, 1)),
    ] {
        for operator in ["ReduceMean", "ReduceMax"] {
            let graph = Graph::new(&[2, 4, 5])
                .node_with(operator, &["x"], "a", first.clone())
                .node_with(operator, &["a"], "b", second.clone())
                .node("Flatten", &["b"], "flat")
                .dense("flat", 2);
            let expected: Layer = match operator {
                "ReduceMean" => GlobalAveragePooling2D::new().into(),
                _ => GlobalMaxPooling2D::new().into(),
            };
            assert_layers(graph, &[expected]);
        }
    }
    let rows = Graph::new(&[2, 4, 5])
        .node_with("ReduceMean", &["x"], "a", axis(3, 1))
        .node("Flatten", &["a"], "flat")
        .dense("flat", 8);
    let pool = AveragePooling2D::new([1, 5]);
    assert_layers(rows, &[pool.into(), Flatten::new().into()]);
}

#[test]
fn a_logarithm_of_probabilities_at_the_end_is_left_out() {
    let import = Graph::new(&[2, 4, 5])
        .node("GlobalMaxPool", &["x"], "pool")
        .node("Flatten", &["pool"], "flat")
        .weights("w", &[2, 3])
        .node("MatMul", &["flat", "w"], "dense")
        .node_with("LogSoftmax", &["dense"], "log", vec![int("axis", 1)])
        .output("log")
        .import();
    let last = import
        .network
        .model
        .layers
        .last()
        .map(|placed| &placed.layer);
    assert!(
        matches!(last, Some(Layer::Dense(l)) if l.activation == Activation::Softmax),
        "{last:?}"
    );
    let note = "node `log` (LogSoftmax): the logarithm was left out";
    assert!(
        import.notes.iter().any(|n| n.starts_with(note)),
        "{:?}",
        import.notes
    );
    // A node without a name has that of its output.
    let import = Graph::new(&[2, 4, 5])
        .node("GlobalMaxPool", &["x"], "pool")
        .node("Flatten", &["pool"], "flat")
        .node_with(
            "LogSoftmax",
            &["flat"],
            "probabilities",
            vec![int("axis", 1)],
        )
        .output("probabilities");
    let mut unnamed = import;
    unnamed.0.node[2].name = None;
    let notes = unnamed.import().notes;
    let note = "node `probabilities` (LogSoftmax): the logarithm was left out";
    assert!(notes.iter().any(|n| n.starts_with(note)), "{notes:?}");
}

#[test]
fn a_batch_normalization_keeps_its_statistics() {
    let vectors = |graph: Graph| {
        ["gamma", "beta", "mean", "variance"]
            .iter()
            .fold(graph, |graph, name| graph.weights(name, &[2]))
    };
    let graph = vectors(Graph::new(&[2, 4, 5]))
        .node_with(
            "BatchNormalization",
            &["x", "gamma", "beta", "mean", "variance"],
            "y",
            vec![float("epsilon", 0.001)],
        )
        .node("GlobalMaxPool", &["y"], "pool")
        .node("Flatten", &["pool"], "flat")
        .dense("flat", 2);
    let import = graph.import();
    assert_eq!(
        import.network.model.layers[0],
        BatchNormalization::new().epsilon(0.001).name("y").into()
    );
    assert_eq!(import.matches[3].ours, "y/moving_variance");
}

#[test]
fn dropout_is_left_out_unless_it_drops() {
    let graph = |training| {
        let mut graph = Graph::new(&[2, 4, 5])
            .numbers("rate", &[], &[0.5])
            .integers("training", &[training])
            .node("Dropout", &["x", "rate", "training"], "y")
            .node("Flatten", &["y"], "flat")
            .dense("flat", 40);
        let flag = &mut graph.0.initializer[1];
        (flag.data_type, flag.raw_data) = (Some(9), Some(vec![training as u8].into()));
        graph
    };
    assert_layers(graph(0), &[Flatten::new().into()]);
    assert!(graph(1).error().contains("exported in training mode"));
}

#[test]
fn vectors_of_a_flattened_image_are_put_in_our_order() {
    let values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    let vectors = |graph: Graph| {
        ["gamma", "beta", "mean", "variance"]
            .iter()
            .fold(graph, |graph, name| graph.numbers(name, &[10], &values))
    };
    let graph = vectors(Graph::new(&[2, 1, 5]))
        .node("Flatten", &["x"], "flat")
        .node(
            "BatchNormalization",
            &["flat", "gamma", "beta", "mean", "variance"],
            "y",
        )
        .dense("y", 10);
    let import = graph.import();
    let ours = [0.0, 5.0, 1.0, 6.0, 2.0, 7.0, 3.0, 8.0, 4.0, 9.0];
    assert_eq!(parameter(&import, "y/gamma"), ours);
    assert_eq!(
        import.network.model.layers[1],
        BatchNormalization::new().epsilon(1e-5).name("y").into()
    );
}

#[test]
fn an_activation_becomes_part_of_the_layer_before_it() {
    let graph = Graph::new(&[2, 4, 5])
        .weights("conv.weight", &[3, 2, 2, 2])
        .node("Conv", &["x", "conv.weight"], "a")
        .node("Relu", &["a"], "b")
        .node("Tanh", &["b"], "c")
        .node("GlobalMaxPool", &["c"], "pool")
        .node("Flatten", &["pool"], "flat")
        .dense("flat", 3)
        .node("Softmax", &["head"], "y");
    let graph = Graph(crate::interchange::onnx::messages::GraphProto {
        output: Vec::new(),
        ..graph.0
    })
    .output("y");
    let layers = graph.layers();
    let kinds: Vec<&str> = layers.iter().map(|layer| layer.spec().kind()).collect();
    assert_eq!(
        kinds,
        ["Conv2D", "Activation", "GlobalMaxPooling2D", "Dense"]
    );
    let Layer::Dense(head) = &layers[3] else {
        panic!("no dense layer");
    };
    assert_eq!(head.activation, Activation::Softmax);
}
