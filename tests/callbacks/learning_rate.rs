//! Callbacks that change the learning rate.

use cnn_gpu::internal::NullExecutor;
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::train::callbacks::{LearningRateScheduler, ReduceLROnPlateau, Schedule};
use cnn_gpu::train::{Metric, Options, Trainer};

use super::common::{images, model};
use super::scripted;

#[test]
fn a_plateau_reduces_the_rate_to_its_lower_bound_and_cools_down() {
    let mut trainer = scripted(8, &[1.0]);
    let mut reduce = ReduceLROnPlateau::new(Metric::Loss)
        .factor(0.5)
        .patience(2)
        .min_lr(0.003);
    let history = trainer.fit_with(&images(5), &mut [&mut reduce]).unwrap();
    let rates: Vec<f32> = history.epochs.iter().map(|e| e.learning_rate).collect();
    // The first epoch improves, the two after it do not.
    assert_eq!(rates, [0.01, 0.01, 0.01, 0.005, 0.005, 0.003, 0.003, 0.003]);
    let steps: Vec<f32> = trainer
        .executor()
        .steps
        .iter()
        .map(|s| s.rates.rate)
        .collect();
    assert_eq!(steps, rates);

    let mut cool = ReduceLROnPlateau::new(Metric::Loss)
        .factor(0.5)
        .patience(1)
        .cooldown(2);
    let mut trainer = scripted(7, &[1.0]);
    let history = trainer.fit_with(&images(5), &mut [&mut cool]).unwrap();
    let rates: Vec<f32> = history.epochs.iter().map(|e| e.learning_rate).collect();
    assert_eq!(rates, [0.01, 0.01, 0.005, 0.005, 0.0025, 0.0025, 0.00125]);
}

#[test]
fn a_schedule_sets_the_rate_of_every_step() {
    let options = Options::default()
        .epochs(2)
        .batch_size(1)
        .optimizer(Optimizer::sgd().with_learning_rate(1.0));
    let executor = Box::new(NullExecutor::new([(1.0, 0.5)]));
    let mut trainer = Trainer::with_executor(model(), executor, options).unwrap();
    let mut cosine = LearningRateScheduler::new(Schedule::Cosine {
        warmup_epochs: 0.5,
        alpha: 0.0,
    });
    let history = trainer.fit_with(&images(4), &mut [&mut cosine]).unwrap();
    let rates: Vec<f32> = trainer
        .executor()
        .steps
        .iter()
        .map(|s| s.rates.rate)
        .collect();
    let expected = [0.0, 0.5, 1.0, 0.933_012_7, 0.75, 0.5, 0.25, 0.066_987_3];
    let off = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-6;
    assert!(
        rates.len() == 8 && !rates.iter().zip(&expected).any(off),
        "{rates:?}"
    );
    assert_eq!(history.epochs[1].learning_rate, rates[7]);

    let mut wrong = LearningRateScheduler::from_fn(|at, _| if at.epoch == 2 { -1.0 } else { 0.1 });
    let mut trainer = scripted(3, &[1.0]);
    let error = trainer.fit_with(&images(4), &mut [&mut wrong]).unwrap_err();
    assert!(
        error.to_string().contains("returned -1 at epoch 2, step 1"),
        "{error}"
    );
}
