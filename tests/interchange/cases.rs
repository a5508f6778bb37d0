//! Networks to write for other programs.

use std::path::Path;
use std::sync::Arc;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use safetensors::SafeTensors;

use cnn_gpu::interchange::Network;
use cnn_gpu::model::{
    Activation, ActivationLayer, AveragePooling2D, BatchNormalization, Conv2D, Dense, Dropout,
    Flatten, GlobalAveragePooling2D, Loss, MaxPooling2D, Rescaling, Sequential, SpatialDropout2D,
    SumPooling2D, ZeroPadding2D,
};
use cnn_gpu::rng::{Key, Stream};
use cnn_gpu::shape::Padding;
use cnn_gpu::state::{Layout, State};

use super::networks::trials;
use super::outputs::floats;

/// A network with images.
pub struct Case {
    pub name: String,
    pub network: Network,
    /// `[n, h, w, c]`.
    pub input: Vec<f32>,
}

/// The number of random networks; `PROPTEST_CASES` sets another.
const CASES: usize = 300;

/// All networks.
pub fn all() -> impl Iterator<Item = Case> {
    let count = std::env::var("PROPTEST_CASES").map_or(CASES, |n| n.parse().unwrap());
    fixtures().into_iter().chain(special()).chain(random(count))
}

/// The networks that `tests/fixtures` compares with Keras.
pub fn fixtures() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let paths = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut models: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    models.sort();
    assert!(!models.is_empty());
    models.iter().map(|path| fixture(path)).collect()
}

fn fixture(path: &Path) -> Case {
    let model = Sequential::from_file(path).unwrap();
    let bytes = std::fs::read(path.with_extension("safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let layout = Layout::new(&model).unwrap();
    let mut state = State::new(Arc::clone(&layout), 0);
    for parameter in &layout.parameters {
        let values = floats(&tensors, &format!("param/{}", parameter.name));
        state.set_parameter(&parameter.name, &values).unwrap();
    }
    Case {
        name: format!("fixture_{}", path.file_stem().unwrap().to_string_lossy()),
        network: Network::new(model, state),
        input: floats(&tensors, "input"),
    }
}

/// Random networks.
fn random(count: usize) -> impl Iterator<Item = Case> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(move |i| {
        let trial = trials().new_tree(&mut runner).unwrap().current();
        drawn(format!("random_{i:04}"), trial.model, trial.batch)
    })
}

/// A model with random weights and images.
fn drawn(name: String, model: Sequential, batch: usize) -> Case {
    let layout = Layout::new(&model).unwrap();
    let mut state = State::new(Arc::clone(&layout), 0);
    for (i, parameter) in layout.parameters.iter().enumerate() {
        let key = Key::new(1).stream(Stream::Check, i as u32);
        let values = values(&parameter.name, &parameter.shape, key);
        state.set_parameter(&parameter.name, &values).unwrap();
    }
    let key = Key::new(2).stream(Stream::Check, 0);
    let cells = batch * model.input_shape.iter().product::<usize>();
    Case {
        name,
        network: Network::new(model, state),
        input: (0..cells as u32).map(|i| key.uniform(i)).collect(),
    }
}

/// Random values that keep the outputs of layers near 1, none of them zero.
fn values(name: &str, shape: &[usize], key: Key) -> Vec<f32> {
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

/// Networks that random ones are not.
fn special() -> Vec<Case> {
    let models = flattened().into_iter().chain(other()).enumerate();
    models
        .map(|(i, model)| drawn(format!("special_{i:02}"), model, 3))
        .collect()
}

fn image() -> Sequential {
    Sequential::new([6, 5, 2])
}

fn conv() -> Conv2D {
    Conv2D::new(3, 2).activation(Activation::Tanh)
}

fn softmax() -> Dense {
    Dense::new(4).activation(Activation::Softmax)
}

/// Flattened images, with and without a dense layer behind.
fn flattened() -> Vec<Sequential> {
    let act = ActivationLayer::new;
    vec![
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
        image()
            .add(conv())
            .add(act(Activation::Softmax))
            .add(Flatten::new())
            .add(softmax()),
        image()
            .add(GlobalAveragePooling2D::new().keepdims(true))
            .add(Conv2D::new(4, 1).activation(Activation::LeakyRelu))
            .add(Flatten::new())
            .add(act(Activation::Softmax)),
        image()
            .add(conv().activation(Activation::Linear))
            .add(Flatten::new())
            .loss(Loss::MeanSquaredError),
    ]
}

/// Uneven padding of every kind of pool, names that a graph would use itself or that Python does not
/// allow, other heads.
fn other() -> Vec<Sequential> {
    let same = Padding::Same;
    vec![
        image()
            .add(ActivationLayer::new(Activation::Softmax))
            .add(Flatten::new())
            .add(softmax()),
        image()
            .add(Flatten::new())
            .add(Dense::new(3))
            .add(ActivationLayer::new(Activation::Softmax)),
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
        image()
            .add(conv().name("input"))
            .add(conv().name("input.tanh"))
            .add(Flatten::new().name("input.kernel"))
            .add(softmax().name("batch")),
        image()
            .add(MaxPooling2D::new(2).padding(same).strides(1))
            .add(AveragePooling2D::new(2).padding(same).strides(1))
            .add(SumPooling2D::new([2, 4]).padding(same).strides(1))
            .add(AveragePooling2D::new(3).padding(same).strides(2))
            .add(Flatten::new())
            .add(softmax()),
        image()
            .add(Conv2D::new(3, 4).padding(same))
            .add(Conv2D::new(3, 2).padding(same).dilation_rate([3, 1]))
            .add(Conv2D::new(3, [1, 2]).padding(same).strides(3))
            .add(Flatten::new())
            .add(softmax()),
        image()
            .add(BatchNormalization::new().scale(false).center(false))
            .add(ZeroPadding2D::new([[0, 2], [1, 0]]))
            .add(SpatialDropout2D::new(0.5))
            .add(Flatten::new())
            .add(softmax()),
        image()
            .name("\"\"\" \\ größe")
            .add(conv().name("conv 1"))
            .add(conv().name("conv.1"))
            .add(Dropout::new(0.1).name("train"))
            .add(Flatten::new().name("\"\"\"\\"))
            .add(softmax().name("class")),
        image()
            .add(Dropout::new(0.5))
            .add(Flatten::new())
            .add(Dense::new(1).activation(Activation::Sigmoid))
            .loss(Loss::binary_crossentropy()),
    ]
}
