//! What this crate recorded in a file.

use super::build::{Graph, int};
use crate::interchange::onnx::{Options, from_bytes, to_bytes};
use crate::interchange::{Import, Network, NetworkDescription};
use crate::model::{
    Activation, ActivationLayer, AveragePooling2D, BatchNormalization, Dense, Dropout, Flatten,
    GlobalAveragePooling2D, Loss, Sequential,
};
use crate::state::{Layout, State};

fn model() -> Sequential {
    Sequential::new([2, 1, 2])
        .add(Dropout::new(0.25).name("drop"))
        .add(Flatten::new())
        .add(BatchNormalization::new().scale(false).name("norm"))
        .add(Dense::new(2).name("out"))
        .add(ActivationLayer::new(Activation::Softmax))
        .loss(
            Loss::categorical_crossentropy()
                .with_label_smoothing(0.1)
                .unwrap(),
        )
}

fn network() -> Network {
    let mut state = State::new(Layout::new(&model()).unwrap(), 3);
    state.step = 17;
    Network::new(model(), state).class_names(vec!["cat".into(), "dog".into()])
}

/// The graph of this network.
fn graph(network: &Network) -> Graph {
    let values = |name: &str| network.state.parameter(name).unwrap().to_vec();
    Graph::new(&[2, 1, 2])
        .node("Flatten", &["x"], "flat")
        .numbers("ones", &[4], &[1.0; 4])
        .numbers("beta", &[4], &values("norm/beta"))
        .numbers("mean", &[4], &values("norm/moving_mean"))
        .numbers("variance", &[4], &values("norm/moving_variance"))
        .node_with(
            "BatchNormalization",
            &["flat", "ones", "beta", "mean", "variance"],
            "n",
            vec![super::build::float("epsilon", 0.001)],
        )
        .numbers("w", &[4, 2], &values("out/kernel"))
        .numbers("b", &[2], &values("out/bias"))
        .node("Gemm", &["n", "w", "b"], "d")
        .node_with("Softmax", &["d"], "y", vec![int("axis", 1)])
        .output("y")
}

fn read(graph: &Graph, description: &str) -> Import {
    from_bytes(&graph.bytes(17, &[("cnn_gpu", description)]), None).unwrap()
}

#[test]
fn the_recorded_model_is_restored() {
    let network = network();
    let import = read(
        &graph(&network),
        &NetworkDescription::new(&network).to_json(),
    );
    assert_eq!(import.network.model, model());
    assert_eq!(import.network.state.params, network.state.params);
    assert_eq!(import.network.state.step, 17);
    assert_eq!(import.network.class_names, ["cat", "dog"]);
    assert!(import.notes.is_empty(), "{:?}", import.notes);
    assert_eq!(import.matches[0].ours, "norm/beta");
}

#[test]
fn changed_weights_are_noted() {
    let network = network();
    let mut other = network.clone();
    other.state.set_parameter("out/bias", &[1.0, 2.0]).unwrap();
    let import = read(&graph(&other), &NetworkDescription::new(&network).to_json());
    assert_eq!(import.network.model, model());
    assert_eq!(import.network.state.step, 0);
    assert!(
        import.notes[0].contains("weights were changed"),
        "{:?}",
        import.notes
    );
}

#[test]
fn another_graph_is_read_without_the_recorded_model() {
    let network = network();
    let mut graph = graph(&network);
    // Gamma is no longer 1.
    graph.0.initializer[0].float_data = vec![2.0; 4];
    let import = read(&graph, &NetworkDescription::new(&network).to_json());
    assert_eq!(import.network.model.layers.len(), 3);
    let note = "not taken: the model in its metadata, because the graph computes something else";
    assert!(
        import.notes.contains(&note.to_owned()),
        "{:?}",
        import.notes
    );
}

#[test]
fn a_broken_description_is_noted() {
    let network = network();
    let mut description = NetworkDescription::new(&network);
    description.model = "[[layers]]".into();
    for broken in ["{", &description.to_json()] {
        let import = read(&graph(&network), broken);
        assert!(
            import.notes[0].starts_with("not taken: the "),
            "{:?}",
            import.notes
        );
    }
}

#[test]
fn a_pool_over_an_axis_before_one_over_images_is_a_layer_of_its_own() {
    let model = Sequential::new([6, 5, 2])
        .add(AveragePooling2D::new([6, 1]).name("rows"))
        .add(Dropout::new(0.5).name("drop"))
        .add(GlobalAveragePooling2D::new())
        .add(Dense::new(3));
    let state = State::new(Layout::new(&model).unwrap(), 1);
    let network = Network::new(model.clone(), state);
    let export = to_bytes(&network, &Options::default()).unwrap();
    let import = from_bytes(&export.bytes, None).unwrap();
    assert_eq!(import.network.model, model);
    assert!(import.notes.is_empty(), "{:?}", import.notes);
}
