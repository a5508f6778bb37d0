//! What holds for every network: one that is valid becomes a plan whose step all executors agree
//! on, and one that is not is refused with the name of the layer at fault.
//!
//! Networks are drawn from a fixed seed, so that a failure comes again; `PROPTEST_RNG_SEED` draws
//! others, and `PROPTEST_CASES` more of them. A failure prints the smallest network that fails.

#[path = "../common/mod.rs"]
mod common;
mod networks;

use std::fmt::Display;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseResult, TestRunner};

use cnn_gpu::check::Factory;
use cnn_gpu::check::{Divergence, Problem, compare};
use cnn_gpu::data::Dataset;
use cnn_gpu::model::{Dense, Flatten, Sequential};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::plan::{Plan, Purpose};
use cnn_gpu::rng::{Key, Stream};
use cnn_gpu::state::State;
use cnn_gpu::train::Options;

use networks::{Trial, spoilt, trials};

/// What `tests/fixtures.rs` allows a whole step.
const TOLERANCE: f64 = 1e-4;
/// How often weights and images are drawn before executors are said to differ.
const DRAWS: u32 = 5;

/// Checks a property on so many cases, or as many as `PROPTEST_CASES` says.
#[track_caller]
fn for_all<S: Strategy>(cases: u32, strategy: S, property: impl Fn(S::Value) -> TestCaseResult) {
    let mut config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(1);
    }
    if let Err(failure) = TestRunner::new(config).run(&strategy, property) {
        panic!("{failure}");
    }
}

fn noise(trial: &Trial, classes: usize, key: Key) -> cnn_gpu::Result<Dataset> {
    let shape = trial.model.input_shape;
    let n = trial.batch * shape.iter().product::<usize>();
    let images = (0..n as u32).map(|i| key.bits(i) as u8).collect();
    let labels = (0..trial.batch).map(|i| (i % classes) as u8).collect();
    Ok(Dataset::new("noise", "", shape, classes, images, labels)?)
}

/// Runs a training step operation by operation on an executor and the reference, with weights and
/// images of this draw; the first difference, if there is one.
fn difference(
    factory: Factory<'_>,
    trial: &Trial,
    draw: u32,
) -> cnn_gpu::Result<Option<Divergence>> {
    let plan = Plan::new(
        &trial.model,
        Purpose::Gradients(trial.optimizer),
        trial.batch,
    )?;
    let key = Key::new(trial.seed).stream(Stream::Check, draw);
    let state = State::new(Arc::clone(&plan.layout), u64::from(key.bits(0)));
    let problem = Problem {
        plan: &plan,
        data: &noise(trial, plan.classes, key)?,
        state: &state,
        rows: trial.rows,
        rates: trial.optimizer.rates(1),
        tolerance: TOLERANCE,
    };
    let mut executor = factory(Arc::clone(&plan.layout));
    let mut reference = common::reference(Arc::clone(&plan.layout));
    compare(&mut *executor, &mut *reference, &problem)
}

/// Whether it is about which cell is the largest in a row beyond the valid ones: such rows come
/// from images of zeros, and their cells are all the same but for rounding.
fn is_a_tie(divergence: &Divergence, trial: &Trial) -> bool {
    let cells: usize = divergence.shape[1..].iter().product();
    divergence.buffer.ends_with("argmax") && divergence.index / cells >= trial.rows
}

/// An executor agrees with the reference unless it differs for every one of some draws: a wrong
/// kernel does. An unlucky draw, with two cells under a max pool a rounding apart or a gradient
/// whose terms cancel, does not come twice.
fn agrees(factory: Factory<'_>, trial: &Trial) -> TestCaseResult {
    let fail = |what: &dyn Display| {
        let model = trial.model.to_toml();
        Err(TestCaseError::fail(format!("{what}\n{model}")))
    };
    let mut last = None;
    for draw in 0..DRAWS {
        match difference(factory, trial, draw) {
            Ok(Some(divergence)) if !is_a_tie(&divergence, trial) => last = Some(divergence),
            Ok(_) => return Ok(()),
            Err(error) => return fail(&error),
        }
    }
    last.map_or(Ok(()), |divergence| fail(&divergence))
}

#[test]
fn the_cpu_agrees_with_the_reference_on_any_network() {
    for_all(128, trials(), |trial| agrees(&common::cpu, &trial));
}

/// Few, because a software adapter compiles every new shape anew.
#[test]
fn the_gpu_agrees_with_the_reference_on_any_network() {
    for_all(12, trials(), |trial| agrees(&common::gpu, &trial));
}

#[test]
fn any_network_survives_a_model_file() {
    for_all(256, trials(), |trial| {
        let again = Sequential::from_toml(&trial.model.to_toml());
        prop_assert_eq!(again.map_err(|e| e.to_string()), Ok(trial.model));
        Ok(())
    });
}

#[test]
fn a_layer_that_cannot_be_is_refused_by_name() {
    for_all(2_000, spoilt(), |spoilt| {
        let purpose = Purpose::Training(Optimizer::adam());
        let errors = [
            spoilt.model.resolve().map(|_| ()),
            Plan::new(&spoilt.model, purpose, 4).map(|_| ()),
            Sequential::from_toml(&spoilt.model.to_toml()).map(|_| ()),
        ];
        let name = format!("`{}`", spoilt.layer);
        for error in errors {
            let message = error.err().map(|e| e.to_string()).unwrap_or_default();
            prop_assert!(message.contains(&name), "{}: {message:?}", spoilt.fault);
        }
        Ok(())
    });
}

#[test]
fn options_out_of_range_are_refused() {
    let impossible = prop_oneof![
        Just(Options::default().epochs(0)),
        Just(Options::default().batch_size(0)),
        Just(Options::default().validation_freq(0)),
        Just(Options::default().steps_per_epoch(0)),
        prop_oneof![1.0..f64::MAX, f64::MIN..-1e-9, Just(f64::NAN)]
            .prop_map(|share| Options::default().validation_split(share)),
        (f32::MIN..-1e-9).prop_map(|weight| Options::default().class_weight([(1, weight)])),
        prop_oneof![f32::MIN..0.0, Just(f32::NAN), Just(f32::INFINITY)].prop_map(|rate| {
            Options::default().optimizer(Optimizer::sgd().with_learning_rate(rate))
        }),
    ];
    for_all(256, impossible, |options| {
        let message = options.check().err().map(|e| e.to_string());
        prop_assert!(message.is_some_and(|m| !m.contains('\n')), "{options:?}");
        Ok(())
    });
}

#[test]
fn a_batch_beyond_any_index_is_refused() {
    let model = Sequential::new([9, 9, 4])
        .add(Flatten::new())
        .add(Dense::new(8).activation(cnn_gpu::model::Activation::Softmax));
    for_all(256, (1usize << 31) / 324.., |batch| {
        let message = Plan::new(&model, Purpose::Inference, batch)
            .map(|_| ())
            .unwrap_err();
        prop_assert!(message.to_string().contains("batch size"), "{message}");
        Ok(())
    });
}
