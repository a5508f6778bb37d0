use prost::Message;
use strum::EnumCount;

use super::{OnnxOptions, to_bytes};
use crate::interchange::onnx::messages::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto,
};
use crate::interchange::{Network, NetworkDescription};
use crate::model::{
    Activation, ActivationLayer, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D,
    Dense, DepthwiseConv2D, Dropout, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D, Layer,
    MaxPooling2D, Rescaling, Sequential, SpatialDropout2D, SumPooling2D, ZeroPadding2D, preset,
};
use crate::optimizer::Optimizer;
use crate::shape::Padding;
use crate::state::{Layout, State};

fn network(model: Sequential) -> Network {
    let state = State::new(Layout::new(&model).unwrap(), 1);
    Network::new(model, state)
}

fn written(network: &Network, channels_first: bool) -> ModelProto {
    let options = OnnxOptions::default().channels_first(channels_first);
    let export = to_bytes(network, &options).unwrap();
    ModelProto::decode(export.bytes.as_slice()).unwrap()
}

fn graph(model: Sequential, channels_first: bool) -> GraphProto {
    written(&network(model), channels_first).graph.unwrap()
}

/// The graph as text: inputs, nodes and outputs, one per line.
fn text(graph: &GraphProto) -> String {
    let input = graph.input.iter().map(|v| format!("{}\n", value(v)));
    let nodes = graph.node.iter().map(|n| format!("{}\n", node(n, graph)));
    let output = graph.output.iter().map(|v| format!("{}\n", value(v)));
    input.chain(nodes).chain(output).collect()
}

fn node(node: &NodeProto, graph: &GraphProto) -> String {
    assert_eq!(node.output, [node.name.clone().unwrap()]);
    let inputs: Vec<String> = node.input.iter().map(|name| operand(name, graph)).collect();
    let attributes: Vec<String> = node.attribute.iter().map(attribute).collect();
    let operator = node.op_type.as_deref().unwrap();
    let is_made = |v: &&ValueInfoProto| v.name == node.name;
    let made = (graph.value_info.iter().chain(&graph.output)).find(is_made);
    let (made, inputs) = (value(made.unwrap()), inputs.join(", "));
    let line = format!("{made} = {operator}({inputs}) {}", attributes.join(" "));
    line.trim_end().into()
}

/// A node's input, with its shape if it is a constant.
fn operand(name: &str, graph: &GraphProto) -> String {
    let is_named = |t: &&TensorProto| t.name.as_deref() == Some(name);
    let constant = graph.initializer.iter().find(is_named);
    constant.map_or(name.into(), |t| format!("{name} {:?}", t.dims))
}

fn attribute(a: &AttributeProto) -> String {
    let value = match (a.f, a.i) {
        (Some(f), _) => f.to_string(),
        (None, Some(i)) => i.to_string(),
        (None, None) => format!("{:?}", a.ints),
    };
    format!("{}={value}", a.name.as_deref().unwrap())
}

fn value(info: &ValueInfoProto) -> String {
    let tensor = info.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
    assert_eq!(tensor.elem_type, Some(1));
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim).map(|dim| {
        let size = dim.dim_value.map(|n| n.to_string());
        size.or(dim.dim_param.clone()).unwrap()
    });
    let dims: Vec<String> = dims.collect();
    format!("{} [{}]", info.name.as_deref().unwrap(), dims.join(", "))
}

fn operators(graph: &GraphProto) -> Vec<&str> {
    graph
        .node
        .iter()
        .flat_map(|n| n.op_type.as_deref())
        .collect()
}

/// The floats of a constant.
fn floats(graph: &GraphProto, name: &str) -> Vec<f32> {
    let mut constants = graph.initializer.iter();
    let constant = constants.find(|t| t.name.as_deref() == Some(name)).unwrap();
    assert_eq!(constant.data_type, Some(1));
    let (words, rest) = constant.raw_data.as_deref().unwrap().as_chunks();
    assert!(rest.is_empty());
    words.iter().map(|&word| f32::from_le_bytes(word)).collect()
}

#[test]
fn a_model_is_encoded_as_a_whole() {
    let network = network(every_layer());
    for channels_first in [false, true] {
        let options = OnnxOptions::default().channels_first(channels_first);
        let bytes = to_bytes(&network, &options).unwrap().bytes;
        let model = written(&network, channels_first);
        assert!(model.encode_to_vec() == bytes);
    }
}

#[test]
fn the_labs_graph() {
    let graph = graph(preset("mnist-cnn").unwrap(), false);
    assert_eq!(text(&graph), include_str!("golden/mnist_cnn.txt"));
}

/// A model with every kind of layer that has nodes, twice if it has two forms.
fn every_layer() -> Sequential {
    let norm = BatchNormalization::new;
    Sequential::new([12, 11, 2])
        .add(Rescaling::new(2.0).offset(-1.0))
        .add(Rescaling::new(0.5))
        .add(ZeroPadding2D::new([[1, 0], [2, 3]]))
        .add(Conv2D::new(4, [2, 3]).groups(2).padding(Padding::Same))
        .add(norm())
        .add(ActivationLayer::new(Activation::Relu))
        .add(SpatialDropout2D::new(0.25))
        .add(
            DepthwiseConv2D::new(2)
                .depth_multiplier(2)
                .strides(2)
                .use_bias(false),
        )
        .add(
            Conv2D::new(3, 2)
                .dilation_rate((2, 1))
                .activation(Activation::Elu),
        )
        .add(MaxPooling2D::new(2).strides(1).padding(Padding::Same))
        .add(AveragePooling2D::new([1, 2]).strides(1))
        .add(SumPooling2D::new([2, 1]).strides(1))
        .add(GlobalMaxPooling2D::new().keepdims(true))
        .add(GlobalAveragePooling2D::new())
        .add(norm().scale(false).center(false).epsilon(0.01))
        .add(Flatten::new())
        .add(Dropout::new(0.5))
        .add(
            Dense::new(3)
                .use_bias(false)
                .activation(Activation::Softmax),
        )
}

#[test]
fn the_graph_of_every_layer() {
    let model = every_layer();
    let mut kinds: Vec<&str> = model.layers.iter().map(|l| l.spec().kind()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    // All but the two that merge others and the eleven that vary training images.
    assert_eq!(kinds.len(), Layer::COUNT - 2 - 11, "{kinds:?}");
    let graph = graph(model, true);
    assert_eq!(text(&graph), include_str!("golden/every_layer.txt"));
    assert_eq!(floats(&graph, "batch_normalization_1.ones"), [1.0; 3]);
    assert_eq!(floats(&graph, "batch_normalization_1.zeros"), [0.0; 3]);
    assert_eq!(floats(&graph, "rescaling.offset"), [-1.0]);
    assert_eq!(floats(&graph, "sum_pooling2d.cells"), [2.0]);
}

#[test]
fn the_graph_of_every_activation() {
    let model = (Activation::POINTWISE.into_iter()).fold(Sequential::new([1, 1, 2]), |m, f| {
        m.add(ActivationLayer::new(f).name(f.name()))
    });
    let model = model
        .add(Flatten::new())
        .add(Dense::new(2).activation(Activation::Gelu))
        .add(ActivationLayer::new(Activation::Linear))
        .add(ActivationLayer::new(Activation::Softmax));
    let graph = graph(model, false);
    assert_eq!(text(&graph), include_str!("golden/activations.txt"));
    assert_eq!(floats(&graph, "gelu.sqrt2"), [2f32.sqrt()]);
}

/// Kernels whose elements are their own positions.
fn counted(model: Sequential) -> Network {
    let mut network = network(model);
    let layout = network.state.layout.clone();
    for parameter in &layout.parameters {
        let values: Vec<f32> = (0..parameter.len()).map(|i| i as f32).collect();
        network
            .state
            .set_parameter(&parameter.name, &values)
            .unwrap();
    }
    network
}

#[test]
fn rows_and_vectors_behind_a_flattened_image_follow_its_channels() {
    let model = Sequential::new([1, 2, 2])
        .add(MaxPooling2D::new(1))
        .add(Flatten::new())
        .add(Dropout::new(0.5))
        .add(BatchNormalization::new())
        .add(ActivationLayer::new(Activation::Relu))
        .add(Dense::new(2))
        .add(BatchNormalization::new());
    let graph = written(&counted(model), false).graph.unwrap();
    assert_eq!(
        floats(&graph, "dense.kernel"),
        [0., 1., 4., 5., 2., 3., 6., 7.]
    );
    for part in ["gamma", "beta", "moving_mean", "moving_variance"] {
        let vector = floats(&graph, &format!("batch_normalization.{part}"));
        assert_eq!(vector, [0., 2., 1., 3.]);
        let behind = floats(&graph, &format!("batch_normalization_1.{part}"));
        assert_eq!(behind, [0., 1.]);
    }
}

#[test]
fn kernels_have_their_output_channels_first() {
    let model = Sequential::new([2, 1, 2])
        .add(
            DepthwiseConv2D::new((2, 1))
                .depth_multiplier(2)
                .padding(Padding::Same),
        )
        .add(Conv2D::new(2, (2, 1)).groups(2));
    let graph = written(&counted(model), true).graph.unwrap();
    // [2, 1, 2, 2], row by row, to [4, 1, 2, 1].
    let depthwise = floats(&graph, "depthwise_conv2d.kernel");
    assert_eq!(depthwise, [0., 4., 1., 5., 2., 6., 3., 7.]);
    // [2, 1, 2, 2] to [2, 2, 2, 1].
    assert_eq!(
        floats(&graph, "conv2d.kernel"),
        [0., 4., 2., 6., 1., 5., 3., 7.]
    );
}

#[track_caller]
fn assert_operators(model: &Sequential, channels_first: bool, expected: &[&str]) {
    let graph = graph(model.clone(), channels_first);
    assert_eq!(operators(&graph), expected);
}

#[test]
fn no_more_is_transposed_than_must_be() {
    let start = || Sequential::new([3, 3, 2]);
    let lab = preset("mnist-cnn").unwrap();
    assert!(!operators(&graph(lab, true)).contains(&"Transpose"));

    let dense = start()
        .add(Rescaling::new(2.0))
        .add(Flatten::new())
        .add(Dense::new(2));
    for channels_first in [false, true] {
        assert_operators(&dense, channels_first, &["Mul", "Flatten", "Gemm"]);
    }
    // The order of an output is the model's.
    let flat = start().add(MaxPooling2D::new(2)).add(Flatten::new());
    assert_operators(&flat, true, &["MaxPool", "Flatten"]);
    let flat = start()
        .add(MaxPooling2D::new(2).strides(1))
        .add(Flatten::new());
    assert_operators(&flat, true, &["MaxPool", "Transpose", "Flatten"]);
    let image = start().add(MaxPooling2D::new(2));
    assert_operators(&image, true, &["MaxPool"]);
    assert_operators(&image, false, &["Transpose", "MaxPool", "Transpose"]);
}

/// A network with skip connections, whose vectors are joined too.
fn joined() -> Sequential {
    Sequential::new([3, 4, 2])
        .add(Conv2D::new(2, 1).activation(Activation::Relu).name("a"))
        .add_from(["a", "input"], Add::new())
        .add_from(["add", "a", "input"], Concatenate::new())
        .add(Flatten::new().name("flat"))
        .add_from("a", Flatten::new().name("rows"))
        .add(BatchNormalization::new().name("norm"))
        .add_from("rows", Dense::new(24).name("dense"))
        .add_from(["norm", "rows", "dense"], Add::new())
        .add_from(["flat", "add_1"], Concatenate::new())
        .add(Dense::new(3).activation(Activation::Softmax).name("head"))
}

#[test]
fn the_graph_of_skip_connections() {
    let graph = |channels_first| graph(joined(), channels_first);
    assert_eq!(text(&graph(true)), include_str!("golden/joined.txt"));
    // Nothing needs images in another order.
    let merged = Sequential::new([3, 4, 2])
        .add(Rescaling::new(2.0))
        .add_from(["rescaling", "input"], Concatenate::new())
        .add(Flatten::new())
        .add(Dense::new(2));
    assert_operators(&merged, false, &["Mul", "Concat", "Flatten", "Gemm"]);
    assert_operators(&merged, true, &["Mul", "Concat", "Flatten", "Gemm"]);
    let axes = [false, true].map(|channels_first| {
        let graph = super::tests::graph(merged.clone(), channels_first);
        graph.node[1].attribute[0].i
    });
    assert_eq!(axes, [Some(-1), Some(1)]);
}

#[test]
fn an_output_need_not_be_the_last_node() {
    let model = Sequential::new([2, 2, 1])
        .add(Rescaling::new(2.0).name("a"))
        .add(Rescaling::new(3.0).name("b"))
        .add_from("a", Dropout::new(0.5).name("c"));
    let graph = graph(model, false);
    assert_eq!(graph.output[0].name.as_deref(), Some("a"));
    assert_eq!(graph.value_info.len(), 1);
}

#[test]
fn softmax_is_over_the_channels() {
    let axes = |first: Layer, channels_first| {
        let softmax = || ActivationLayer::new(Activation::Softmax);
        let model = Sequential::new([2, 2, 3]).add(first).add(softmax());
        let graph = graph(model.add(Flatten::new()).add(softmax()), channels_first);
        let nodes = graph
            .node
            .iter()
            .filter(|n| n.op_type.as_deref() == Some("Softmax"));
        nodes.flat_map(|n| n.attribute[0].i).collect::<Vec<_>>()
    };
    assert_eq!(axes(MaxPooling2D::new(1).into(), false), [1, -1]);
    assert_eq!(axes(Dropout::new(0.5).into(), true), [1, -1]);
    assert_eq!(axes(Dropout::new(0.5).into(), false), [-1, -1]);
}

#[test]
fn a_model_without_nodes_passes_its_input_on() {
    let model = Sequential::new([2, 3, 1]).add(Dropout::new(0.5));
    let graph = graph(model, false);
    let expected = "input [batch, 2, 3, 1]\n\
        dropout [batch, 2, 3, 1] = Identity(input)\n\
        dropout [batch, 2, 3, 1]\n";
    assert_eq!(text(&graph), expected);
}

#[test]
fn names_are_unique_and_layers_keep_theirs() {
    let model = Sequential::new([1, 1, 2])
        .add(Flatten::new().name("input"))
        .add(Dense::new(2).activation(Activation::Relu).name("a"))
        .add(Dense::new(2).name("a.relu"))
        .add(Dense::new(2).name("a.kernel"));
    let graph = graph(model, false);
    let names: Vec<&str> = graph.node.iter().flat_map(|n| n.name.as_deref()).collect();
    assert_eq!(names, ["input", "a", "a.relu_1", "a.relu", "a.kernel"]);
    assert_eq!(graph.input[0].name.as_deref(), Some("input_1"));
    assert_eq!(graph.initializer[0].name.as_deref(), Some("a.kernel_1"));
}

#[test]
fn the_metadata_describe_what_the_graph_cannot_hold() {
    let classes = vec!["cat".to_owned(), "\"dog\", π".into()];
    let mut network = network(preset("mnist-cnn").unwrap()).class_names(classes.clone());
    network.state.step = 7;
    let model = written(&network, false);
    assert_eq!(
        (model.ir_version, model.opset_import[0].version),
        (Some(8), Some(17))
    );
    let entry = |key: &str| {
        let mut entries = model.metadata_props.iter();
        entries
            .find(|e| e.key.as_deref() == Some(key))?
            .value
            .as_deref()
    };
    let description = NetworkDescription::from_json(entry("cnn_gpu").unwrap()).unwrap();
    assert_eq!(description, NetworkDescription::new(&network));
    assert_eq!(
        entry("preprocessing"),
        Some(NetworkDescription::PREPROCESSING)
    );
    let read: Vec<String> = serde_json::from_str(entry("classes").unwrap()).unwrap();
    assert_eq!(read, classes);
    network.class_names.clear();
    assert_eq!(written(&network, false).metadata_props.len(), 2);
}

#[test]
fn what_only_training_needs_is_left_behind_and_named() {
    let network = network(preset("mnist-cnn").unwrap());
    let export = |network: &Network| to_bytes(network, &OnnxOptions::default()).unwrap();
    let plain = export(&network);
    assert!(plain.left_behind.is_empty());
    let mut trained = network.optimizer(Optimizer::adam());
    trained.state.begin_training(true);
    let trained = export(&trained);
    let [settings, state] = trained.left_behind.as_slice() else {
        panic!("{:?}", trained.left_behind);
    };
    assert!(settings.contains("settings"), "{settings}");
    assert!(state.contains("m, v, average"), "{state}");
    assert_eq!(plain.bytes, trained.bytes);
}

#[track_caller]
fn assert_refused(network: &Network, parts: &[&str]) {
    let error = to_bytes(network, &OnnxOptions::default()).unwrap_err();
    let message = error.to_string();
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    assert!(!message.contains('\n'), "{message}");
}

#[test]
fn weights_of_another_model_are_refused_by_layer() {
    let dense = |units| {
        Sequential::new([2, 2, 1])
            .add(Flatten::new())
            .add(Dense::new(units))
    };
    let mut network = network(dense(3));
    network.model = dense(4);
    assert_refused(&network, &["layer `dense`", "a kernel of 4x4", "found 4x3"]);
    network.model = dense(3).add(BatchNormalization::new());
    assert_refused(&network, &["`batch_normalization`", "gamma", "none"]);
}

#[test]
fn weights_too_large_for_the_format_are_refused_before_memory_is_allocated() {
    let model = Sequential::new([1 << 14, 1, 1])
        .add(Flatten::new())
        .add(Dense::new(1 << 15));
    let state = State {
        params: Vec::new(),
        m: Vec::new(),
        v: Vec::new(),
        average: Vec::new(),
        step: 0,
        layout: Layout::new(&model).unwrap(),
    };
    assert_refused(&Network::new(model, state), &["2.0 GiB", "safetensors"]);
}
