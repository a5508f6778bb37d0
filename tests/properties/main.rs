//! Properties of all models: a valid one gives a plan on whose step all executors agree, and an
//! invalid one is refused with the name of the faulty layer. The models are drawn from a fixed
//! seed, so that failures can be reproduced; `PROPTEST_RNG_SEED` sets another seed,
//! `PROPTEST_CASES` the number of models. A failure prints the smallest model that fails.

#[path = "../common/mod.rs"]
mod common;
mod invalid;
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

use invalid::invalid;
use networks::{Trial, trials};

/// The tolerance of a whole step, as in `tests/fixtures.rs`.
const TOLERANCE: f64 = 1e-4;
/// The number of draws of weights and images before executors count as different.
const DRAWS: u32 = 5;

/// Checks a property on this many cases, or on `PROPTEST_CASES`.
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

/// Runs a training step operation by operation on an executor and the reference, with the weights
/// and images of this draw. Returns the first difference, if any.
fn difference(
    factory: Factory<'_>,
    trial: &Trial,
    draw: u32,
) -> cnn_gpu::Result<Option<Divergence>> {
    // Only training augments, and only without it has the input a gradient.
    let first = trial.model.layers[0].spec().kind();
    let purpose = match (trial.mixing, first.starts_with("Random")) {
        (Some(mixing), _) => Purpose::MixedTraining(trial.optimizer, mixing),
        (None, true) => Purpose::Training(trial.optimizer),
        (None, false) => Purpose::Gradients(trial.optimizer),
    };
    let plan = Plan::new(&trial.model, purpose, trial.batch)?;
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

/// Whether the difference is the largest cell of a row that is not valid: such rows come from
/// images of zeros, and all their cells are equal except for rounding.
fn is_a_tie(divergence: &Divergence, trial: &Trial) -> bool {
    let cells: usize = divergence.shape[1..].iter().product();
    divergence.buffer.ends_with("argmax") && divergence.index / cells >= trial.rows
}

/// An executor agrees with the reference unless it differs in all of several draws, as a wrong
/// kernel does. Unlucky draws, with two almost equal cells of a max pool or a gradient whose terms
/// cancel, do not repeat.
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

/// Few cases, because a software adapter compiles kernels for every new shape.
#[test]
fn the_gpu_agrees_with_the_reference_on_any_network() {
    for_all(12, trials(), |trial| agrees(&common::gpu, &trial));
}

#[test]
fn any_model_survives_a_model_file() {
    for_all(256, trials(), |trial| {
        let again = Sequential::from_toml(&trial.model.to_toml());
        prop_assert_eq!(again.map_err(|e| e.to_string()), Ok(trial.model));
        Ok(())
    });
}

#[test]
fn an_invalid_layer_is_refused_by_name() {
    for_all(2_000, invalid(), |invalid| {
        let purpose = Purpose::Training(Optimizer::adam());
        let errors = [
            invalid.model.resolve().map(|_| ()),
            Plan::new(&invalid.model, purpose, 4).map(|_| ()),
            Sequential::from_toml(&invalid.model.to_toml()).map(|_| ()),
        ];
        let name = format!("`{}`", invalid.layer);
        for error in errors {
            let message = error.err().map(|e| e.to_string()).unwrap_or_default();
            prop_assert!(message.contains(&name), "{}: {message:?}", invalid.fault);
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
        prop_oneof![f64::MIN..=0.0, 32.001..f64::MAX, Just(f64::NAN)]
            .prop_map(|alpha| Options::default().mixup(alpha)),
        prop_oneof![f64::MIN..0.0, 1.001..f64::MAX, Just(f64::NAN), Just(0.0)]
            .prop_map(|factor| Options::default().cutmix(factor)),
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
fn a_batch_too_large_to_index_is_refused() {
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
