//! Writes ONNX models with their inputs and the outputs that our executors compute, for
//! `check_onnx_export.py` to compare with ONNX Runtime:
//!
//! ```text
//! CNN_GPU_ONNX_FOLDER=/tmp/onnx cargo test --test interchange -- --ignored onnx
//! python tests/interchange/check_onnx_export.py /tmp/onnx
//! ```

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use cnn_gpu::check::Factory;
use cnn_gpu::exec::{DataId, Step, Values};
use cnn_gpu::interchange::{Network, onnx};
use cnn_gpu::model::{
    Activation, ActivationLayer, BatchNormalization, Conv2D, Dense, Dropout, Flatten,
    GlobalAveragePooling2D, Loss, MaxPooling2D, Rescaling, Sequential, ZeroPadding2D,
};
use cnn_gpu::optimizer::Rates;
use cnn_gpu::plan::{Op, Plan, Purpose};
use cnn_gpu::rng::{Key, Stream};
use cnn_gpu::state::{Layout, State};

use super::common;
use super::networks::trials;

/// The number of random networks; `PROPTEST_CASES` sets another.
const CASES: usize = 300;

#[test]
#[ignore = "for check_onnx_export.py: writes files into the folder CNN_GPU_ONNX_FOLDER"]
fn networks_are_written_with_their_outputs() {
    let folder = std::env::var_os("CNN_GPU_ONNX_FOLDER").expect("CNN_GPU_ONNX_FOLDER is a folder");
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder).unwrap();
    for path in fixtures() {
        write_fixture(&folder, &path);
    }
    for (i, model) in special().into_iter().enumerate() {
        write_case(&folder, &format!("special_{i:02}"), model, 3);
    }
    let cases = std::env::var("PROPTEST_CASES").map_or(CASES, |n| n.parse().unwrap());
    let mut runner = TestRunner::deterministic();
    for i in 0..cases {
        let trial = trials().new_tree(&mut runner).unwrap().current();
        write_case(&folder, &format!("random_{i:04}"), trial.model, trial.batch);
    }
}

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let paths = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut models: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    models.sort();
    models
}

/// Writes the model of a fixture of Keras with its weights.
fn write_fixture(folder: &Path, path: &Path) {
    let model = Sequential::from_file(path).unwrap();
    let bytes = std::fs::read(path.with_extension("safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |name: &str| -> Vec<f32> {
        let tensor = tensors.tensor(name).unwrap();
        let (words, _) = tensor.data().as_chunks();
        words.iter().map(|&word| f32::from_le_bytes(word)).collect()
    };
    let layout = Layout::new(&model).unwrap();
    let mut state = State::new(Arc::clone(&layout), 0);
    for parameter in &layout.parameters {
        let values = floats(&format!("param/{}", parameter.name));
        state.set_parameter(&parameter.name, &values).unwrap();
    }
    let name = path.file_stem().unwrap().to_string_lossy();
    write(
        folder,
        &format!("fixture_{name}"),
        model,
        state,
        floats("input"),
    );
}

/// Writes a model with random weights.
fn write_case(folder: &Path, name: &str, model: Sequential, batch: usize) {
    let layout = Layout::new(&model).unwrap();
    let mut state = State::new(Arc::clone(&layout), 0);
    for (i, parameter) in layout.parameters.iter().enumerate() {
        let key = Key::new(1).stream(Stream::Check, i as u32);
        let values = random(&parameter.name, &parameter.shape, key);
        state.set_parameter(&parameter.name, &values).unwrap();
    }
    let key = Key::new(2).stream(Stream::Check, 0);
    let cells = batch * model.input_shape.iter().product::<usize>();
    let input = (0..cells as u32).map(|i| key.uniform(i)).collect();
    write(folder, name, model, state, input);
}

/// Random values that keep the outputs of layers near 1, none of them zero.
fn random(name: &str, shape: &[usize], key: Key) -> Vec<f32> {
    let inputs: usize = shape[..shape.len() - 1].iter().product();
    let value = |i| match name.rsplit('/').next().unwrap() {
        "kernel" => key.normal(i) / (inputs as f32).sqrt(),
        "moving_variance" => 0.5 + key.uniform(i),
        "gamma" => 1.0 + 0.3 * key.normal(i),
        _ => 0.3 * key.normal(i),
    };
    (0..shape.iter().product::<usize>() as u32)
        .map(value)
        .collect()
}

fn write(folder: &Path, name: &str, model: Sequential, state: State, input: Vec<f32>) {
    let (cpu, _) = outputs(&common::cpu, &model, &state, &input);
    let (exact, logits) = outputs(&common::reference, &model, &state, &input);
    let network = Network::new(model, state).class_names(vec!["a".into(), "\"b\"".into()]);
    for (suffix, channels_first) in [("", false), (".channels_first", true)] {
        let options = onnx::Options::default().channels_first(channels_first);
        let export = onnx::to_bytes(&network, &options).unwrap();
        std::fs::write(folder.join(format!("{name}{suffix}.onnx")), export.bytes).unwrap();
    }
    let [h, w, c] = network.model.input_shape;
    let batch = input.len() / (h * w * c);
    let rows = |values: &[f32]| vec![batch, values.len() / batch];
    let tensors = [
        ("input", vec![batch, h, w, c], input),
        ("cpu", rows(&cpu), cpu),
        ("reference", rows(&exact), exact),
        ("logits", rows(&logits), logits),
    ];
    save(&folder.join(format!("{name}.safetensors")), &tensors);
}

fn save(path: &Path, tensors: &[(&str, Vec<usize>, Vec<f32>)]) {
    let bytes =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let data: Vec<Vec<u8>> = tensors.iter().map(|(_, _, values)| bytes(values)).collect();
    let views = tensors.iter().zip(&data).map(|((name, shape, _), data)| {
        (
            *name,
            TensorView::new(Dtype::F32, shape.clone(), data).unwrap(),
        )
    });
    let none: Option<HashMap<String, String>> = None;
    std::fs::write(path, safetensors::serialize(views, none).unwrap()).unwrap();
}

/// The probabilities that an executor computes, and the logits.
fn outputs(
    factory: Factory<'_>,
    model: &Sequential,
    state: &State,
    input: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let batch = input.len() / model.input_shape.iter().product::<usize>();
    let plan = Plan::new(model, Purpose::Inference, batch).unwrap();
    let mut executor = factory(Arc::clone(&plan.layout));
    let program = executor.compile(&plan).unwrap();
    executor.upload(state).unwrap();
    let Op::Gather(gather) = &plan.ops[0] else {
        panic!("the plan starts with its input");
    };
    let (x, labels) = (gather.x, gather.labels);
    executor
        .write(program, x, &Values::F32(input.to_vec()))
        .unwrap();
    executor
        .write(program, labels, &Values::U32(vec![0; batch]))
        .unwrap();
    let step = Step::new(
        program,
        DataId(0),
        0..batch,
        Rates::default(),
        Key::of_step(0, 1),
    );
    executor.run(1..plan.ops.len(), &step).unwrap();
    executor.completed(true).unwrap();
    let logits = executor.read(program, plan.loss().unwrap().x).unwrap();
    (executor.predictions(program).unwrap(), logits.into_f32())
}

/// Networks that random ones are not.
fn special() -> Vec<Sequential> {
    let image = || Sequential::new([6, 5, 2]);
    let conv = || Conv2D::new(3, 2).activation(Activation::Tanh);
    let act = ActivationLayer::new;
    let softmax = || Dense::new(4).activation(Activation::Softmax);
    vec![
        // The output is a flattened image.
        image()
            .add(conv())
            .add(Flatten::new())
            .add(act(Activation::Softmax)),
        image()
            .add(Flatten::new())
            .add(BatchNormalization::new())
            .add(act(Activation::Softmax)),
        image()
            .add(conv())
            .add(Flatten::new())
            .add(BatchNormalization::new())
            .add(Dropout::new(0.5))
            .add(act(Activation::Softmax)),
        // Layers between the flattening and the dense layer.
        image()
            .add(conv())
            .add(Flatten::new())
            .add(BatchNormalization::new().scale(false))
            .add(act(Activation::Gelu))
            .add(Rescaling::new(2.0).offset(0.5))
            .add(act(Activation::Softmax))
            .add(Flatten::new())
            .add(Dense::new(5).activation(Activation::Silu))
            .add(BatchNormalization::new().center(false))
            .add(softmax()),
        // Softmax over the channels of an image, in both orders.
        image()
            .add(conv())
            .add(act(Activation::Softmax))
            .add(Flatten::new())
            .add(softmax()),
        image()
            .add(act(Activation::Softmax))
            .add(Flatten::new())
            .add(softmax()),
        image()
            .add(GlobalAveragePooling2D::new().keepdims(true))
            .add(Conv2D::new(4, 1).activation(Activation::LeakyRelu))
            .add(Flatten::new())
            .add(act(Activation::Softmax)),
        image()
            .add(Flatten::new())
            .add(Dense::new(3))
            .add(act(Activation::Softmax)),
        image()
            .add(Rescaling::new(2.0).offset(-1.0))
            .add(Flatten::new())
            .add(softmax()),
        image()
            .add(BatchNormalization::new())
            .add(ZeroPadding2D::new([[0, 2], [1, 0]]))
            .add(MaxPooling2D::new(2))
            .add(Flatten::new())
            .add(softmax()),
        // Names that the graph would use itself.
        image()
            .add(conv().name("input"))
            .add(conv().name("input.tanh"))
            .add(Flatten::new().name("input.kernel"))
            .add(softmax().name("batch")),
        image()
            .add(conv().activation(Activation::Linear))
            .add(Flatten::new())
            .loss(Loss::MeanSquaredError),
        image()
            .add(Dropout::new(0.5))
            .add(Flatten::new())
            .add(Dense::new(1).activation(Activation::Sigmoid))
            .loss(Loss::binary_crossentropy()),
    ]
}
