//! What our executors compute.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use cnn_gpu::check::Factory;
use cnn_gpu::exec::{DataId, Step, Values};
use cnn_gpu::interchange::Network;
use cnn_gpu::optimizer::Rates;
use cnn_gpu::plan::{Op, Plan, Purpose};
use cnn_gpu::rng::Key;

use super::cases::Case;
use super::common;

/// The probabilities that an executor computes for images `[n, h, w, c]`, and the logits.
pub fn outputs(factory: Factory<'_>, network: &Network, input: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let batch = input.len() / network.model.input_shape.iter().product::<usize>();
    let plan = Plan::new(&network.model, Purpose::Inference, batch).unwrap();
    let mut executor = factory(Arc::clone(&plan.layout));
    let program = executor.compile(&plan).unwrap();
    executor.upload(&network.state).unwrap();
    let Op::Gather(gather) = &plan.ops[0] else {
        panic!("the plan starts with its input");
    };
    let values = Values::F32(input.to_vec());
    executor.write(program, gather.x, &values).unwrap();
    let labels = Values::U32(vec![0; batch]);
    executor.write(program, gather.labels, &labels).unwrap();
    let key = Key::of_step(0, 1);
    let step = Step::new(program, DataId(0), 0..batch, Rates::default(), key);
    executor.run(1..plan.ops.len(), &step).unwrap();
    executor.completed(true).unwrap();
    let logits = executor.read(program, plan.loss().unwrap().x).unwrap();
    (executor.predictions(program).unwrap(), logits.into_f32())
}

/// The floats of a tensor.
pub fn floats(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let tensor = tensors.tensor(name).unwrap();
    let (words, _) = tensor.data().as_chunks();
    words.iter().map(|&word| f32::from_le_bytes(word)).collect()
}

/// Writes the input of a network, and what our executors compute from it.
pub fn write(path: &Path, case: &Case) {
    let (cpu, _) = outputs(&common::cpu, &case.network, &case.input);
    let (exact, logits) = outputs(&common::reference, &case.network, &case.input);
    let [h, w, c] = case.network.model.input_shape;
    let batch = case.input.len() / (h * w * c);
    let rows = |values: &[f32]| vec![batch, values.len() / batch];
    let tensors = [
        ("input", vec![batch, h, w, c], case.input.clone()),
        ("cpu", rows(&cpu), cpu),
        ("reference", rows(&exact), exact),
        ("logits", rows(&logits), logits),
    ];
    save(path, &tensors);
}

fn save(path: &Path, tensors: &[(&str, Vec<usize>, Vec<f32>)]) {
    let bytes =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let data: Vec<Vec<u8>> = tensors.iter().map(|(_, _, values)| bytes(values)).collect();
    let views = (tensors.iter().zip(&data)).map(|((name, shape, _), data)| {
        (
            *name,
            TensorView::new(Dtype::F32, shape.clone(), data).unwrap(),
        )
    });
    let none: Option<HashMap<String, String>> = None;
    std::fs::write(path, safetensors::serialize(views, none).unwrap()).unwrap();
}
