//! Tests specific to GPUs: kernel variants, fused steps, random bits, equal bytes.

mod common;

use std::sync::Arc;
use std::time::Duration;

use cnn_gpu::check::{cases, check_case, check_step, steps};
use cnn_gpu::data::{Dataset, digits};
use cnn_gpu::exec::gpu::tuning::Tuning;
use cnn_gpu::exec::gpu::{GpuDevice, GpuExecutor};
use cnn_gpu::exec::{self, Executor, Inspect, KernelChoice, Selection, Step};
use cnn_gpu::internal::GpuHooks as _;
use cnn_gpu::model::{
    Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten, MaxPooling2D, Sequential,
};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::plan::{Plan, Purpose};
use cnn_gpu::rng::{Key, Stream};
use cnn_gpu::shape::Padding;
use cnn_gpu::state::{Layout, State};
use cnn_gpu::tune::{TrialOutcome, Tuner, TuningTrial};

fn device() -> GpuDevice {
    GpuDevice::find(common::test_backend(), None)
        .unwrap_or_else(|e| panic!("the GPU tests need an adapter, such as lavapipe: {e}"))
}

/// The variants that can run on this adapter, other than its default.
fn other_variants() -> Vec<Tuning> {
    let others = device().variants().into_iter().skip(1);
    others.map(|(_, tuning)| tuning).collect()
}

/// Every fourth case of the tiled operations; `tests/ops.rs` runs all cases with the adapter's
/// default.
#[test]
fn every_kernel_variant_agrees_with_the_reference() {
    for tuning in other_variants() {
        let gpu = Arc::new(device().with_tuning(tuning));
        let factory = |layout: Arc<Layout>| -> Box<dyn Inspect> {
            Box::new(GpuExecutor::new(Arc::clone(&gpu), layout))
        };
        for op in [
            "conv2d_forward",
            "conv2d_backward_input",
            "conv2d_backward_weight",
        ] {
            for case in cases::of(op).iter().step_by(4) {
                let result = check_case(&factory, case);
                assert!(result.passes(), "{tuning:?}: {}", result.message());
            }
        }
    }
}

/// Every value of every setting that `cnn-gpu tune` tries, for every class of adapters that can run here,
/// on some cases of the tiled operations and some steps.
#[test]
fn the_values_that_tune_tries_agree_with_the_reference() {
    let classes = device().variants().into_iter().flat_map(|(class, tuning)| {
        let turned = device().with_tuning(tuning).turned();
        turned
            .into_iter()
            .map(move |(name, gpu)| (format!("{class}, {name}"), gpu))
    });
    let ops = [
        "conv2d_forward",
        "conv2d_backward_input",
        "conv2d_backward_weight",
    ];
    let ops = ops.map(cases::of);
    let steps = steps::all();
    for (n, (name, gpu)) in classes.enumerate() {
        let gpu = Arc::new(gpu);
        let factory = |layout: Arc<Layout>| -> Box<dyn Inspect> {
            Box::new(GpuExecutor::new(Arc::clone(&gpu), layout))
        };
        for case in ops
            .iter()
            .flat_map(|cases| cases.iter().skip(n % 120).step_by(120))
        {
            let result = check_case(&factory, case);
            assert!(result.passes(), "{name}: {}", result.message());
        }
        for step in steps.iter().skip(n % 50).step_by(50) {
            let result = check_step(&factory, step);
            assert!(result.passes(), "{name}: {}", result.message());
        }
    }
}

/// Networks for which differences by rounding are large: a bias before a batch normalization has a gradient of zero, and
/// many images have many ties.
#[test]
fn tune_takes_correct_kernels_for_correct() {
    let block = |filters, first: bool| {
        let model = Sequential::new([16, 16, 3]);
        let model = if first {
            model.add(Conv2D::new(filters, 3))
        } else {
            model.add(Conv2D::new(filters, 3).activation(Activation::Relu))
        };
        model
            .add(BatchNormalization::new())
            .add(MaxPooling2D::new(2))
            .add(Dropout::new(0.25))
            .add(
                Conv2D::new(2 * filters, 3)
                    .padding(Padding::Same)
                    .activation(Activation::Relu),
            )
            .add(BatchNormalization::new())
            .add(Flatten::new())
            .add(Dense::new(10).activation(Activation::Softmax))
    };
    let device = exec::open(&Selection::new(common::test_backend())).unwrap();
    for (model, batch) in [
        (block(16, true), 64),
        (block(16, false), 64),
        (block(8, true), 256),
    ] {
        let tuner = Tuner::new(&device, &model, batch).unwrap();
        let time = Duration::from_secs(2);
        let report = tuner
            .run(&KernelChoice::default(), time, &mut |_| {})
            .unwrap();
        let is_refused =
            |trial: &&TuningTrial| matches!(trial.outcome, TrialOutcome::Refused { .. });
        assert_eq!(report.trials.iter().find(is_refused), None);
        assert!(report.speed() >= 1.0 && report.default_seconds > 0.0);
    }
}

#[test]
fn a_search_survives_the_loss_of_its_device() {
    let device = exec::open(&Selection::new(common::test_backend())).unwrap();
    let model = network();
    let tuner = Tuner::new(&device, &model, 8).unwrap();
    let mut trials = 0;
    let report = tuner.run(
        &KernelChoice::default(),
        Duration::from_secs(3),
        &mut |_| {
            trials += 1;
            if trials == 1 {
                device.gpu().unwrap().destroy();
            }
        },
    );
    let report = report.unwrap();
    let is_lost = |trial: &TuningTrial| matches!(&trial.outcome, TrialOutcome::Refused { why } if why.contains("lost"));
    let lost = report.trials.iter().position(is_lost);
    // Values that change no kernel do not notice; then the last comparison does.
    assert!(
        lost.is_none_or(|lost| lost == 1 || report.trials[1].outcome == TrialOutcome::Unchanged),
        "{report:?}"
    );
    assert!(report.default_seconds > 0.0);
}

/// A model with five classes and many fused operations.
fn network() -> Sequential {
    let mut steps = steps::all();
    steps.swap_remove(0).model
}

fn noise(model: &Sequential, n: usize) -> Dataset {
    let size: usize = model.input_shape.iter().product();
    let key = Key::new(7).stream(Stream::Check, 0);
    let images = (0..(n * size) as u32).map(|i| key.bits(i) as u8).collect();
    let labels = (0..n).map(|i| (i * 7 % 5) as u8).collect();
    Dataset::new("noise", "test", model.input_shape, 5, images, labels)
        .unwrap_or_else(|e| panic!("{e}"))
}

/// Trains a few steps, the last one short, and returns the weights.
fn trained(mut executor: Box<dyn Inspect>, model: &Sequential, batch: usize) -> State {
    let optimizer = Optimizer::adam();
    let run = || -> cnn_gpu::Result<State> {
        let data = noise(model, 2 * batch + 3);
        let mut state = State::new(Layout::new(model)?, 11);
        let plan = Plan::new(model, Purpose::Training(optimizer), batch)?;
        let program = executor.compile(&plan)?;
        let id = executor.load(&data)?;
        executor.upload(&state)?;
        for (t, offset) in (0..data.len()).step_by(batch).enumerate() {
            let (rows, t) = (offset..data.len().min(offset + batch), t as u64 + 1);
            let (rates, key) = (optimizer.rates(t), Key::of_step(3, t));
            executor.enqueue(&Step::new(program, id, rows, rates, key))?;
        }
        executor.completed(true)?;
        executor.download(&mut state)?;
        Ok(state)
    };
    let mut run = run;
    run().unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn steps_agree_with_the_reference_in_every_variant() {
    for tuning in other_variants() {
        let gpu = Arc::new(device().with_tuning(tuning));
        let factory = |layout: Arc<Layout>| -> Box<dyn Inspect> {
            Box::new(GpuExecutor::new(Arc::clone(&gpu), layout))
        };
        for case in steps::all() {
            let result = check_step(&factory, &case);
            assert!(result.passes(), "{tuning:?}: {}", result.message());
        }
    }
}

#[test]
fn two_runs_on_one_adapter_give_the_same_bytes() {
    let model = network();
    let layout = Layout::new(&model).unwrap_or_else(|e| panic!("{e}"));
    let hashes: Vec<String> = (0..3)
        .map(|_| trained(common::gpu(Arc::clone(&layout)), &model, 16).weights_hash())
        .collect();
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[0], hashes[2]);
}

#[test]
fn random_bits_are_those_of_the_host() {
    let gpu = device();
    for seed in [0, 42, u64::MAX] {
        let key = Key::new(seed).stream(Stream::Check, 5);
        let bits = gpu.random_bits(key, 1000).unwrap_or_else(|e| panic!("{e}"));
        let expected: Vec<u32> = (0..1000).map(|i| key.bits(i)).collect();
        assert_eq!(bits, expected);
    }
}

#[test]
fn a_batch_that_does_not_fit_is_refused_with_a_message() {
    let gpu = Arc::new(device());
    let model = network();
    let layout = Layout::new(&model).unwrap_or_else(|e| panic!("{e}"));
    let mut executor = GpuExecutor::new(gpu, Arc::clone(&layout));
    let plan = Plan::new(&model, Purpose::Inference, 1_000_000).unwrap_or_else(|e| panic!("{e}"));
    let message = match executor.compile(&plan) {
        Ok(_) => return, // an adapter of that size exists
        Err(e) => e.to_string(),
    };
    assert!(
        message.contains("MiB") && message.contains("smaller"),
        "{message}"
    );
}

#[test]
fn digits_are_learnt() {
    let data = digits::generate(512, 1, 0);
    let model = Sequential::new([28, 28, 1])
        .add(Conv2D::new(8, 3).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(Flatten::new())
        .add(Dense::new(10).activation(Activation::Softmax));
    let run = || -> cnn_gpu::Result<f64> {
        let layout = Layout::new(&model)?;
        let options = cnn_gpu::train::Options::default().epochs(8).batch_size(32);
        let executor = common::gpu(layout);
        let mut trainer = cnn_gpu::train::Trainer::with_executor(model.clone(), executor, options)?;
        trainer.fit(&data)?;
        Ok(trainer.evaluate(&data)?.accuracy)
    };
    let accuracy = run().unwrap_or_else(|e| panic!("{e}"));
    assert!(accuracy > 0.8, "{accuracy}");
}
