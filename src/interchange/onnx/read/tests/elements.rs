//! Factors, offsets, and functions of elements.

use super::build::{Graph, float, parameter};
use crate::model::{Activation, ActivationLayer, Layer, Rescaling};

/// Images of 2x4x5, a 1x1 convolution, and what `behind` adds to its output `y`, whose result is
/// `z`.
fn behind_convolution(behind: impl Fn(Graph) -> Graph) -> Graph {
    let graph = Graph::new(&[2, 4, 5])
        .numbers("w", &[3, 2, 1, 1], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        .numbers("b", &[3], &[1.0, 2.0, 3.0])
        .node("Conv", &["x", "w", "b"], "y");
    behind(graph)
        .node("GlobalMaxPool", &["z"], "pool")
        .node("Flatten", &["pool"], "flat")
        .dense("flat", 3)
}

#[test]
fn factors_per_channel_are_merged_into_the_weights_before_them() {
    let graph = behind_convolution(|graph| {
        graph
            .numbers("s", &[1, 3, 1, 1], &[10.0, 100.0, -1.0])
            .numbers("t", &[3, 1, 1], &[0.5, 0.0, 1.0])
            .node("Mul", &["y", "s"], "scaled")
            .node("Sub", &["scaled", "t"], "z")
    });
    let import = graph.import();
    let layer = import.network.model.resolve().unwrap()[0].name.clone();
    let kernel = parameter(&import, &format!("{layer}/kernel"));
    assert_eq!(kernel, [10.0, 300.0, -5.0, 20.0, 400.0, -6.0]);
    assert_eq!(
        parameter(&import, &format!("{layer}/bias")),
        [9.5, 200.0, -4.0]
    );
    let note =
        "node `scaled` (Mul): merged into the weights of the layer before it, node `y` (Conv)";
    assert!(
        import.notes.contains(&note.to_owned()),
        "{:?}",
        import.notes
    );
    let sources: Vec<&str> = import.matches.iter().map(|m| m.theirs.as_str()).collect();
    assert_eq!(sources, ["w", "s", "b", "s", "t", "head.weight"]);
}

#[test]
fn an_offset_is_a_bias() {
    let graph = Graph::new(&[2, 4, 5])
        .weights("w", &[3, 2, 1, 1])
        .node("Conv", &["x", "w"], "y")
        .numbers("b", &[1, 3, 1, 1], &[1.0, 2.0, 3.0])
        .node("Add", &["b", "y"], "z")
        .node("GlobalMaxPool", &["z"], "pool")
        .node("Flatten", &["pool"], "flat")
        .dense("flat", 3);
    let import = graph.import();
    assert_eq!(parameter(&import, "z/bias"), [1.0, 2.0, 3.0]);
    assert!(
        !import.notes.iter().any(|note| note.contains("merged")),
        "{:?}",
        import.notes
    );
}

#[test]
fn one_factor_for_all_channels_is_a_rescaling() {
    let graph = behind_convolution(|graph| {
        graph
            .numbers("half", &[], &[0.5])
            .node("Sub", &["y", "half"], "shifted")
            .node("Div", &["shifted", "half"], "z")
    });
    let rescaling: Layer = Rescaling::new(2.0).offset(-1.0).into();
    assert_eq!(graph.layers()[1], rescaling);
}

#[test]
fn factors_behind_an_activation_become_a_layer() {
    let graph = behind_convolution(|graph| {
        graph
            .node("Relu", &["y"], "r")
            .numbers("s", &[3, 1, 1], &[2.0, 3.0, 4.0])
            .node("Mul", &["r", "s"], "z")
    });
    let import = graph.import();
    let kinds: Vec<&str> = (import.network.model.layers.iter())
        .map(|layer| layer.spec().kind())
        .collect();
    assert_eq!(kinds[..2], ["Conv2D", "DepthwiseConv2D"]);
    assert_eq!(parameter(&import, "z/kernel"), [2.0, 3.0, 4.0]);
    assert_eq!(parameter(&import, "z/bias"), [0.0; 3]);
}

#[test]
fn factors_of_features_are_merged_into_the_weights_behind_them() {
    let graph = Graph::new(&[1, 1, 2])
        .node("Flatten", &["x"], "flat")
        .node("Relu", &["flat"], "r")
        .numbers("s", &[2], &[10.0, 100.0])
        .numbers("t", &[1, 2], &[1.0, 2.0])
        .node("Mul", &["r", "s"], "a")
        .node("Add", &["a", "t"], "b")
        .numbers("w", &[2, 1], &[3.0, 4.0])
        .numbers("bias", &[1], &[0.5])
        .node("Gemm", &["b", "w", "bias"], "y")
        .output("y");
    let import = graph.import();
    assert_eq!(parameter(&import, "y/kernel"), [30.0, 400.0]);
    assert_eq!(parameter(&import, "y/bias"), [11.5]);
    assert!(import.notes[0].contains("merged into the weights of the layer behind it"));
}

#[test]
fn factors_of_features_without_weights_behind_them_are_a_batch_normalization() {
    let graph = Graph::new(&[1, 1, 2])
        .node("Flatten", &["x"], "flat")
        .numbers("s", &[2], &[10.0, 100.0])
        .node("Mul", &["flat", "s"], "z")
        .node("Sigmoid", &["z"], "y")
        .output("y");
    let import = graph.import();
    assert_eq!(parameter(&import, "z/gamma"), [10.0, 100.0]);
    let variance = parameter(&import, "z/moving_variance");
    assert!((variance[0] + 0.001 - 1.0).abs() < 1e-7, "{variance:?}");
    assert!(
        import
            .notes
            .iter()
            .any(|note| note.contains("statistics start anew"))
    );
}

#[test]
fn functions_of_several_nodes_are_activations() {
    let silu = behind_convolution(|graph| {
        graph
            .node("Sigmoid", &["y"], "s")
            .node("Mul", &["s", "y"], "z")
    });
    let gelu = behind_convolution(|graph| {
        graph
            .numbers("root", &[1], &[std::f32::consts::SQRT_2])
            .numbers("half", &[], &[0.5])
            .numbers("one", &[], &[1.0])
            .node("Div", &["y", "root"], "a")
            .node("Erf", &["a"], "b")
            .node("Add", &["b", "one"], "c")
            .node("Mul", &["y", "c"], "d")
            .node("Mul", &["d", "half"], "z")
    });
    // As PyTorch writes it: the function itself, where it does not overflow.
    let softplus = behind_convolution(|graph| {
        graph
            .numbers("limit", &[], &[20.0])
            .node("Softplus", &["y"], "soft")
            .node("Greater", &["y", "limit"], "far")
            .node("Where", &["far", "y", "soft"], "z")
    });
    for (graph, activation) in [
        (silu, Activation::Silu),
        (gelu, Activation::Gelu),
        (softplus, Activation::Softplus),
    ] {
        let layers = graph.layers();
        let Layer::Conv2D(conv) = &layers[0] else {
            panic!("{layers:?}");
        };
        assert_eq!((conv.activation, layers.len()), (activation, 3));
    }
}

#[test]
fn operators_that_compute_several_layers_give_several() {
    let graph =
        behind_convolution(|graph| graph.node("Relu", &["y"], "a").node("Relu", &["a"], "z"));
    let relu: Layer = ActivationLayer::new(Activation::Relu).into();
    assert_eq!(graph.layers()[1], relu);
}

#[test]
fn constants_other_than_keras_s_are_named() {
    let error = |operator, attributes: &[_]| {
        behind_convolution(|graph| graph.node_with(operator, &["y"], "z", attributes.to_vec()))
            .error()
    };
    assert!(
        error("LeakyRelu", &[])
            .starts_with("node `z` (LeakyRelu): a slope of 0.01 below zero; expected 0.2")
    );
    assert!(error("Elu", &[float("alpha", 0.5)]).contains("an alpha of 0.5; expected 1"));
    let clip = [float("min", 0.0), float("max", 6.0)];
    assert!(
        error("Clip", &clip).contains("values clipped to 0 to 6; activations are relu, leaky_relu")
    );
}
