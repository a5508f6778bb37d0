//! Files that are written: they are read back, and Keras reads them.
//!
//! ```text
//! CNN_GPU_KERAS_FOLDER=/tmp/keras cargo test --test interchange -- --ignored
//! KERAS_BACKEND=jax python tests/interchange/check_keras_export.py /tmp/keras
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use safetensors::{Dtype, tensor::TensorView};

use cnn_gpu::exec::{DataId, Inspect, Step, Values};
use cnn_gpu::interchange::{Network, keras};
use cnn_gpu::model::{Initializer, Layer, RandomCrop, augmentation};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::plan::{Op, Plan, Purpose};
use cnn_gpu::rng::{Key, Stream};
use cnn_gpu::state::State;

use super::super::common;
use super::super::expected::outputs;
use super::super::networks::trials;
use super::networks::{all, network};

/// The number of samples in a batch.
const BATCH: usize = 6;

/// Networks with what Keras holds, but does not compute as here: random draws, and moments of frozen
/// layers.
fn only_held() -> [(&'static str, Network); 5] {
    let model = all().remove(0).1.model;
    let photos = model.clone().augmented(augmentation("photos").unwrap());
    let [h, w, _] = model.input_shape;
    let crop = vec![RandomCrop::new(h, w).into()];
    let mut cropped = model.clone().augmented(crop).unwrap();
    cropped.input_shape[0] += 3;
    let mut frozen = model.clone();
    for placed in frozen.layers.iter_mut().step_by(2) {
        placed.trainable = false;
    }
    let mut factors = model.clone();
    for placed in &mut factors.layers {
        if matches!(placed.layer, Layer::Conv2D(_) | Layer::Dense(_)) {
            placed.learning_rate_factor = 0.5;
        }
    }
    let mut dirac = model;
    for (placed, initializer) in (dirac.layers.iter_mut().rev())
        .filter(|placed| matches!(placed.layer, Layer::Conv2D(_) | Layer::Dense(_)))
        .zip(
            [Initializer::Dirac, Initializer::DiracUniform]
                .into_iter()
                .cycle(),
        )
    {
        match &mut placed.layer {
            Layer::Conv2D(conv) => conv.kernel_initializer = initializer,
            Layer::Dense(dense) => dense.kernel_initializer = initializer,
            _ => {}
        }
    }
    [
        ("augmented", photos.unwrap()),
        ("cropped", cropped),
        ("frozen", frozen),
        ("factors", factors),
        ("dirac", dirac),
    ]
    .map(|(name, model)| (name, network(model, Some(Optimizer::adam()))))
}

#[test]
fn a_network_comes_back_whole() {
    for (name, network) in all().into_iter().chain(only_held()) {
        let width = network.model.output_shape().unwrap()[0];
        let names: Vec<String> = (0..width).map(|i| format!("\"{i}\"\n")).collect();
        let network = network.class_names(names);
        let export = keras::to_bytes(&network).unwrap();
        let is_whole =
            network.optimizer.is_some() && !["names", "factors", "dirac"].contains(&name);
        assert_eq!(export.left_behind.is_empty(), is_whole);
        let import = keras::from_bytes(export.bytes, None).unwrap();
        let read = import.network;
        assert!(import.notes.is_empty(), "{name}: {:?}", import.notes);
        assert_eq!(read.model, network.model, "{name}");
        assert_eq!(read.optimizer, network.optimizer, "{name}");
        assert_eq!(read.class_names, network.class_names, "{name}");
        let (read, written) = (read.state, network.state);
        assert_eq!(read.layout, written.layout, "{name}");
        assert_eq!(read.params, written.params, "{name}");
        assert_eq!((read.m, read.v), (written.m, written.v), "{name}");
        assert_eq!(
            (read.average, read.step),
            (written.average, written.step),
            "{name}"
        );
    }
}

#[test]
fn random_networks_come_back() {
    let mut runner = TestRunner::deterministic();
    let mut written = 0;
    for _ in 0..100 {
        let trial = trials().new_tree(&mut runner).unwrap().current();
        let network = network(trial.model, Some(trial.optimizer));
        // Sum pools with padding are refused.
        let Ok(export) = keras::to_bytes(&network) else {
            continue;
        };
        let read = keras::from_bytes(export.bytes, None).unwrap().network;
        assert_eq!(read.model, network.model);
        assert_eq!(read.state.params, network.state.params);
        assert_eq!(
            (read.state.m, read.state.v),
            (network.state.m, network.state.v)
        );
        written += 1;
    }
    assert!(written > 80, "{written}");
}

#[test]
fn weights_that_were_changed_are_noted() {
    let mark = 1234.5_f32;
    let (_, mut network) = all().remove(0);
    network.state.params[0] = mark;
    network.class_names = (0..5).map(|i| i.to_string()).collect();
    let bytes = keras::to_bytes(&network).unwrap().bytes;
    let mut members = super::refused::members(&bytes);
    let (_, weights) = members
        .iter_mut()
        .find(|(name, _)| name == "model.weights.h5")
        .unwrap();
    let at = weights
        .windows(4)
        .position(|four| four == mark.to_le_bytes())
        .unwrap();
    weights[at..at + 4].copy_from_slice(&1.5_f32.to_le_bytes());
    let changed = super::refused::archive(zip::CompressionMethod::Stored, &members);
    let import = keras::from_bytes(changed, None).unwrap();
    assert_eq!(
        import.notes,
        ["the weights were changed since cnn-gpu wrote the file"]
    );
    assert_eq!(import.network.state.params[0], 1.5);
    assert_eq!(import.network.class_names, network.class_names);
    assert_eq!(import.network.state.step, 7);
}

#[test]
fn the_same_network_gives_the_same_bytes() {
    let written = || {
        all()
            .into_iter()
            .map(|(_, network)| keras::to_bytes(&network).unwrap().bytes)
    };
    assert!(written().eq(written()));
}

#[test]
#[ignore = "for check_keras_export.py: writes files into the folder CNN_GPU_KERAS_FOLDER"]
fn networks_are_written_with_what_a_step_makes_of_them() {
    let folder =
        std::env::var_os("CNN_GPU_KERAS_FOLDER").expect("CNN_GPU_KERAS_FOLDER is a folder");
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder).unwrap();
    for (name, network) in all() {
        let bytes = keras::to_bytes(&network).unwrap().bytes;
        std::fs::write(folder.join(format!("{name}.keras")), bytes).unwrap();
        write_expected(&folder.join(format!("{name}.safetensors")), &network);
    }
}

/// Writes inputs, labels and what the CPU makes of them: the outputs, and the state after a step.
fn write_expected(path: &Path, network: &Network) {
    let [h, w, c] = network.model.input_shape;
    let key = Key::new(5).stream(Stream::Check, 0);
    let input: Vec<f32> = (0..(BATCH * h * w * c) as u32)
        .map(|i| key.uniform(i))
        .collect();
    let output = outputs(network, &input);
    let classes = output.len() / BATCH;
    let labels: Vec<u32> = (0..BATCH).map(|i| (i % classes) as u32).collect();
    let floats = labels.iter().map(|&label| label as f32).collect();
    let mut tensors = vec![
        ("input".to_owned(), vec![BATCH, h, w, c], input.clone()),
        ("labels".to_owned(), vec![BATCH], floats),
        ("output".to_owned(), vec![BATCH, classes], output),
        ("step".to_owned(), vec![1], vec![network.state.step as f32]),
    ];
    add_state(&mut tensors, "before", &network.state);
    if let Some(optimizer) = network.optimizer {
        let after = after_a_step(network, &optimizer, &input, &labels);
        add_state(&mut tensors, "after", &after);
    }
    save(path, &tensors);
}

fn add_state(tensors: &mut Vec<(String, Vec<usize>, Vec<f32>)>, when: &str, state: &State) {
    let arenas = [("param", &state.params)]
        .into_iter()
        .chain(state.moments());
    for (arena, values) in arenas {
        for p in &state.layout.parameters {
            let name = format!("{when}/{arena}/{}", p.name);
            tensors.push((name, p.shape.clone(), values[p.range()].to_vec()));
        }
    }
}

fn after_a_step(network: &Network, optimizer: &Optimizer, input: &[f32], labels: &[u32]) -> State {
    let plan = Plan::new(&network.model, Purpose::Training(*optimizer), BATCH).unwrap();
    let mut executor: Box<dyn Inspect> = common::cpu(Arc::clone(&plan.layout));
    let program = executor.compile(&plan).unwrap();
    let mut state = network.state.clone();
    for moment in [&mut state.m, &mut state.v] {
        moment.resize(state.layout.len, 0.0);
    }
    executor.upload(&state).unwrap();
    let Some(Op::Gather(gather)) = plan.ops.first() else {
        panic!("the plan does not start with its input");
    };
    let (x, ids) = (gather.x, gather.labels);
    executor
        .write(program, x, &Values::F32(input.to_vec()))
        .unwrap();
    executor
        .write(program, ids, &Values::U32(labels.to_vec()))
        .unwrap();
    let next = state.step + 1;
    let key = Key::of_step(0, next);
    let step = Step::new(program, DataId(0), 0..BATCH, optimizer.rates(next), key);
    executor.run(1..plan.ops.len(), &step).unwrap();
    executor.download(&mut state).unwrap();
    state
}

fn save(path: &Path, tensors: &[(String, Vec<usize>, Vec<f32>)]) {
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let data: Vec<Vec<u8>> = tensors.iter().map(|(.., values)| bytes(values)).collect();
    let views = tensors.iter().zip(&data).map(|((name, shape, _), data)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), data).unwrap();
        (name.as_str(), view)
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}
