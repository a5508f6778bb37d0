//! Measurements cover the whole step, and do not affect a training run.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use cnn_gpu::bench::{Race, Roofline, Workload};
use cnn_gpu::data::digits;
use cnn_gpu::exec::gpu::tuning::{Fetch, Tuning};
use cnn_gpu::exec::gpu::{GpuDevice, GpuExecutor};
use cnn_gpu::exec::{Backend, Clock, Device, Inspect, Peak, Profile, Selection, Step, open};
use cnn_gpu::internal::GpuHooks as _;
use cnn_gpu::model::{Sequential, preset};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::plan::{Plan, Purpose};
use cnn_gpu::rng::Key;
use cnn_gpu::state::State;
use cnn_gpu::train::{Options, Trainer};
use common::test_backend;

fn opened(backend: Backend) -> Device {
    let selection = Selection::new(backend);
    open(&selection).unwrap_or_else(|e| panic!("the tests need this device: {e}"))
}

fn training(model: &Sequential, batch: usize) -> Plan {
    Plan::new(model, Purpose::Training(Optimizer::adam()), batch).unwrap()
}

/// The profile of a step of `plan`.
fn profile(mut executor: Box<dyn Inspect>, plan: &Plan) -> Profile {
    let program = executor.compile(plan).unwrap();
    executor
        .upload(&State::new(Arc::clone(&plan.layout), 1))
        .unwrap();
    let data = executor.load(&digits::generate(plan.batch, 1, 0)).unwrap();
    let step = Step::new(
        program,
        data,
        0..plan.batch,
        1e-6.into(),
        Key::of_step(0, 1),
    );
    let profile = executor
        .profile(plan, &step, Duration::from_millis(20))
        .unwrap();
    // Discards the metrics of these steps.
    executor.completed(true).unwrap();
    executor.enqueue(&step).unwrap();
    assert_eq!(executor.completed(true).unwrap().len(), 1);
    profile
}

#[track_caller]
fn holds_every_operation_once(profile: &Profile, plan: &Plan) {
    let mut ops: Vec<usize> = profile.entries.iter().flat_map(|p| p.ops.clone()).collect();
    ops.sort_unstable();
    assert_eq!(ops, (0..plan.ops.len()).collect::<Vec<_>>(), "{profile:?}");
    for entry in &profile.entries {
        assert!(
            entry.seconds.is_finite() && entry.seconds >= 0.0,
            "{entry:?}"
        );
    }
    let sum: f64 = profile.entries.iter().map(|p| p.seconds).sum();
    assert!(sum > 0.0);
}

#[test]
fn a_profile_of_the_cpu_holds_every_operation_once() {
    let plan = training(&preset("mnist-cnn").unwrap(), 4);
    let profile = profile(common::cpu(Arc::clone(&plan.layout)), &plan);
    assert_eq!(profile.clock, Clock::OperationsAlone);
    assert_eq!(profile.entries.len(), plan.ops.len());
    holds_every_operation_once(&profile, &plan);
}

#[test]
fn a_profile_of_the_gpu_holds_every_operation_once_in_every_variant() {
    let plan = training(&preset("mnist-cnn").unwrap(), 4);
    let own = GpuDevice::find(test_backend(), None).unwrap().tuning();
    for tuning in [own, Tuning::PLAIN, Tuning::HARDWARE, Tuning::SOFTWARE] {
        assert!(tuning == own || tuning.fetch == Fetch::Direct);
        let gpu = GpuDevice::find(test_backend(), None)
            .unwrap()
            .with_tuning(tuning);
        let executor = GpuExecutor::new(Arc::new(gpu), Arc::clone(&plan.layout));
        let profile = profile(Box::new(executor), &plan);
        assert_ne!(profile.clock, Clock::OperationsAlone);
        holds_every_operation_once(&profile, &plan);
    }
}

#[test]
fn peaks_are_numbers_on_the_cpu_and_on_the_gpu() {
    for backend in [Backend::Cpu, test_backend()] {
        let peak = opened(backend).peak().unwrap();
        for value in [peak.gflops, peak.gbytes_per_second] {
            // From slower than any current processor to faster than any GPU.
            assert!((0.01..1e6).contains(&value), "{backend}: {peak:?}");
        }
    }
}

#[test]
fn a_roofline_counts_the_same_work_as_the_plan() {
    let plan = training(&preset("mnist-mlp").unwrap(), 4);
    let profile = profile(common::cpu(Arc::clone(&plan.layout)), &plan);
    let peak = Peak::new(100.0, 10.0);
    let roofline = Roofline::new(&plan, &profile, &peak);
    assert_eq!(roofline.dispatches, None);
    for (row, op) in roofline.rows.iter().zip(&plan.ops) {
        assert_eq!(row.operations, [op.name()]);
        assert_eq!((row.flops, row.bytes), (plan.flops(op), plan.bytes(op)));
        let expected = peak.share(row.flops as f64, row.bytes as f64, row.seconds);
        assert_eq!(row.share, expected);
    }
}

#[test]
fn tensors_between_fused_operations_cost_no_traffic() {
    let plan = training(&preset("mnist-cnn").unwrap(), 2);
    let [conv, pool] = [1, 2].map(|i| &plan.ops[i]);
    assert_eq!(
        [conv.name(), pool.name()],
        ["conv2d_forward", "pool2d_forward"]
    );
    // The first convolution writes 26x26x32 floats per image for two images, and the pool reads
    // them.
    let between = 2 * 4 * 2 * 26 * 26 * 32;
    let apart = plan.bytes(conv) + plan.bytes(pool);
    assert_eq!(plan.fused_bytes(&[conv, pool]), apart - between);
    assert_eq!(plan.fused_bytes(&[conv]), plan.bytes(conv));
}

#[test]
fn a_step_can_be_measured_without_a_time_budget() {
    let model = preset("mnist-mlp").unwrap();
    let mut workload = Workload::new(&opened(Backend::Cpu), &model, 3).unwrap();
    let step = workload.step(Duration::ZERO).unwrap();
    assert_eq!((step.samples, step.steps_per_sample), (1, 1));
    assert!(step.seconds > 0.0 && step.images_per_second.is_finite());
}

#[test]
fn a_race_with_the_cpu_does_not_change_a_training_run() {
    let device = opened(test_backend());
    let model = preset("mnist-mlp").unwrap();
    let data = digits::generate(256, 1, 0);
    let options = Options::default().epochs(1).batch_size(32);
    let train = |race: bool| {
        let mut trainer = Trainer::new(model.clone(), &device, options.clone()).unwrap();
        if race {
            let race = Race::run(&device, &model, options.optimizer, 32).unwrap();
            assert!(race.gpu > 0.0 && race.cpu > 0.0, "{race:?}");
        }
        trainer.fit(&data).unwrap();
        trainer.state().weights_hash()
    };
    assert_eq!(train(false), train(true));
}
