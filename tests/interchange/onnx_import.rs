//! Reads ONNX models that other programs exported, and those that this one wrote.

use std::sync::Arc;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use cnn_gpu::interchange::{Import, Network, NetworkDescription, onnx};
use cnn_gpu::model::{Layer, MaxPooling2D, Sequential};
use cnn_gpu::rng::{Key, Stream};
use cnn_gpu::shape::Padding;
use cnn_gpu::state::{Layout, State};

use super::expected::{Expected, difference, file, outputs};
use super::networks::trials;

/// The largest difference of an output.
const TOLERANCE: f32 = 1e-5;
/// The number of random networks.
const CASES: usize = 100;

/// Reads a file and compares the network's outputs.
#[track_caller]
fn check(name: &str) -> Import {
    let import = onnx::read(&file(&format!("{name}.onnx"))).unwrap_or_else(|e| panic!("{e}"));
    let network = name.split('.').next().unwrap();
    Expected::of(network).check_outputs(&import.network, TOLERANCE);
    import
}

#[track_caller]
fn refused(name: &str, message: &str) {
    let read = onnx::read(&file(&format!("refused/{name}.onnx")));
    let error = read.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(message) && !error.contains('\n'), "{error}");
}

/// The layers' names and kinds.
fn layers(model: &Sequential) -> Vec<(String, &'static str)> {
    let resolved = model.resolve().unwrap();
    let named = resolved.into_iter();
    named.map(|l| (l.name, l.layer.spec().kind())).collect()
}

#[test]
fn keras_on_tensorflow_is_read() {
    for name in ["lab", "layers_plain", "activations_plain", "skips"] {
        check(&format!("keras/{name}.tf2onnx"));
    }
}

#[test]
fn keras_on_jax_is_read() {
    check("keras/lab.jax2onnx");
    check("keras/skips.jax2onnx");
    let import = check("keras/layers.jax2onnx");
    let merged = "merged into the weights of the layer before it";
    assert!(import.notes.iter().any(|note| note.contains(merged)));
}

#[test]
fn keras_on_pytorch_is_read() {
    check("keras/lab.torch");
    check("keras/activations.torch");
    check("keras/skips.torch");
}

#[test]
fn pytorch_is_read() {
    for name in [
        "lab.torchscript",
        "lab.dynamo",
        "norm.torchscript",
        "norm.dynamo",
        "strided.torchscript",
        "strided.dynamo",
        "logarithm.torchscript",
        "logarithm.dynamo",
        "rows.torchscript",
        "rows.dynamo",
        "residual.torchscript",
        "residual.dynamo",
    ] {
        check(&format!("torch/{name}"));
    }
    let import = check("torch/lab.external");
    let expected = [
        "conv1",
        "max_pooling2d",
        "conv2",
        "max_pooling2d_1",
        "flatten",
        "fc1",
        "fc2",
    ];
    let names = layers(&import.network.model)
        .into_iter()
        .map(|(name, _)| name);
    assert!(names.eq(expected));
    let first = &import.matches[0];
    assert_eq!(
        (first.theirs.as_str(), first.ours.as_str()),
        ("conv1.weight", "conv1/kernel")
    );
    assert_eq!(first.shape, [4, 1, 3, 3]);
}

#[test]
fn what_is_assumed_is_noted() {
    let notes = check("torch/lab.torchscript").notes;
    for assumed in [
        "inputs are taken to be pixels divided by 255",
        "assumed: the loss is mean_squared_error",
        "outputs are not probabilities",
    ] {
        assert!(
            notes.iter().any(|note| note.starts_with(assumed)),
            "{notes:?}"
        );
    }
}

#[test]
fn networks_that_layers_cannot_compute_are_refused() {
    refused("gated", "node `/Mul` (Mul): joins branches");
    refused(
        "transposed",
        "node `/up/ConvTranspose` (ConvTranspose): this operator cannot be read",
    );
    refused(
        "erfc.tf2onnx",
        "Erfc` (Erfc): this operator cannot be read; it is TensorFlow's",
    );
    refused("float16", "`input`: expected float32, found float16");
    refused("relu6", "(Clip): values clipped to 0 to 6");
    refused(
        "slope",
        "(LeakyRelu): a slope of 0.01 below zero; expected 0.2",
    );
    refused("tanh_gelu", "GELU's approximation by tanh");
    refused(
        "instance_norm",
        "(InstanceNormalization): this operator cannot be read",
    );
    let missing = onnx::read(&file("missing.onnx")).map(|_| ()).unwrap_err();
    assert!(missing.to_string().contains("cannot read the ONNX model"));
    let other = onnx::read(&file("keras/lab.keras"))
        .map(|_| ())
        .unwrap_err();
    assert!(
        other.to_string().contains("is not an ONNX model"),
        "{other}"
    );
}

#[test]
fn windows_past_the_border_are_padding() {
    // Here they are those of `same`; layers of other programs have no such padding.
    let import = check("torch/ceil.torchscript");
    let pool = MaxPooling2D::new(4).strides(3).padding(Padding::Same);
    assert_eq!(import.network.model.layers[1], pool.into());
}

#[test]
fn weights_in_another_file_need_its_folder() {
    let bytes = std::fs::read(file("torch/lab.external.onnx")).unwrap();
    let error = onnx::from_bytes(&bytes, None).map(|_| ()).unwrap_err();
    assert!(
        error.to_string().contains("read the model from its path"),
        "{error}"
    );
    let folder = tempfile::tempdir().unwrap();
    let error = onnx::from_bytes(&bytes, Some(folder.path()))
        .map(|_| ())
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("cannot find `lab.external.onnx.data`"),
        "{error}"
    );
}

/// A model with random weights, none of them 0 or 1.
fn random(model: Sequential) -> Network {
    let layout = Layout::new(&model).unwrap();
    let mut state = State::new(Arc::clone(&layout), 0);
    state.step = 5;
    for (i, parameter) in layout.parameters.iter().enumerate() {
        let key = Key::new(1).stream(Stream::Check, i as u32);
        let value = |i| match parameter.name.ends_with("variance") {
            true => 0.5 + key.uniform(i),
            false => 0.4 * key.normal(i),
        };
        let values: Vec<f32> = (0..parameter.len() as u32).map(value).collect();
        state.set_parameter(&parameter.name, &values).unwrap();
    }
    Network::new(model, state)
}

/// The file without what this program recorded in it.
fn without_description(bytes: &[u8]) -> Vec<u8> {
    let key = NetworkDescription::KEY.as_bytes();
    let place = bytes.windows(key.len()).rposition(|window| window == key);
    let mut bytes = bytes.to_vec();
    bytes[place.unwrap()] ^= 1;
    bytes
}

/// Whether the model resizes images in inference, which ONNX models here do not.
fn resizes(model: &Sequential) -> bool {
    let mut layers = model.layers.iter();
    layers.any(|placed| matches!(placed.layer, Layer::RandomCrop(_)))
}

#[test]
fn what_this_program_writes_comes_back() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..CASES {
        let network = random(trials().new_tree(&mut runner).unwrap().current().model);
        if resizes(&network.model) {
            continue;
        }
        for channels_first in [false, true] {
            let options = onnx::Options::default().channels_first(channels_first);
            let bytes = onnx::to_bytes(&network, &options).unwrap().bytes;
            let import = onnx::from_bytes(&bytes, None).unwrap();
            assert_eq!(import.network.model, network.model);
            assert_eq!(import.network.state.params, network.state.params);
            assert_eq!(import.network.state.step, 5);
            assert!(import.notes.is_empty(), "{:?}", import.notes);
            check_graph(&network, &without_description(&bytes));
        }
    }
}

/// Compares the network that the graph alone describes.
#[track_caller]
fn check_graph(network: &Network, bytes: &[u8]) {
    let mut import = onnx::from_bytes(bytes, None).unwrap();
    // The graph may not tell the order of the input's axes.
    let shape = network.model.input_shape;
    if import
        .notes
        .iter()
        .any(|note| note.starts_with("assumed: images of"))
    {
        return;
    }
    assert_eq!(import.network.model.input_shape, shape);
    import.network.model.loss = network.model.loss;
    let key = Key::new(2).stream(Stream::Check, 0);
    let cells = 2 * shape.iter().product::<usize>();
    let input: Vec<f32> = (0..cells as u32).map(|i| key.uniform(i)).collect();
    let off = difference(&outputs(&import.network, &input), &outputs(network, &input));
    assert!(off <= TOLERANCE, "off by {off:.1e}: {:?}", network.model);
}
