//! The callbacks, on their own and in runs with a scripted executor or the reference.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod early_stopping;
mod files;
mod learning_rate;
mod restore;

use cnn_gpu::internal::NullExecutor;
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::state::{Layout, State};
use cnn_gpu::train::callbacks::{
    EarlyStopping, ModelCheckpoint, ReduceLROnPlateau, TerminateOnNaN,
};
use cnn_gpu::train::{Callback, Ending, EpochLogs, Metric, Options, Position, Trainer, Training};

use common::{images, model};

/// A trainer with epochs of one step and these losses.
fn scripted(epochs: usize, losses: &[f32]) -> Trainer<NullExecutor> {
    let script = losses.iter().map(|&loss| (loss, 0.5));
    let options = Options::default()
        .epochs(epochs)
        .optimizer(Optimizer::sgd());
    Trainer::with_executor(model(), Box::new(NullExecutor::new(script)), options).unwrap()
}

fn logs(epoch: usize, val_loss: f64) -> EpochLogs {
    let mut logs = EpochLogs::default();
    logs.epoch = epoch;
    logs.val_loss = Some(val_loss);
    logs.learning_rate = 0.01;
    logs
}

/// A state whose weights are all `epoch`.
fn state(epoch: usize) -> State {
    let mut state = State::new(Layout::new(&model()).unwrap(), 1);
    state.params.fill(epoch as f32);
    state
}

fn training() -> Training {
    let mut training = Training::default();
    training.epochs = 100;
    training.steps = 1;
    training.validation = true;
    training
}

/// The first step of an epoch.
fn position(epoch: usize) -> Position {
    let mut position = Position::default();
    position.epoch = epoch;
    position.epochs = 100;
    position.steps = 1;
    position.follows = true;
    position
}

/// Runs `callback` over epochs with these losses. Returns the epoch after which it stops.
fn run(callback: &mut dyn Callback, losses: &[f64]) -> Option<usize> {
    callback.on_train_begin(&training()).unwrap();
    continue_run(callback, 1, losses)
}

fn continue_run(callback: &mut dyn Callback, first: usize, losses: &[f64]) -> Option<usize> {
    let mut epochs = (first..).zip(losses);
    let stop = epochs.find(|(epoch, loss)| {
        let verdict = callback.on_epoch_end(&logs(*epoch, **loss), &state(*epoch));
        verdict.unwrap().is_break()
    });
    stop.map(|(epoch, _)| epoch)
}

/// As in Keras 3.15.1, the first value is always an improvement.
#[test]
fn an_infinite_first_value_is_beaten_by_a_finite_one() {
    let inf = f64::INFINITY;
    /// Losses; the last epoch with patience 0, 1 and 2; the saved epochs; the rate after a plateau
    /// with patience 1 and 2.
    type Row<'a> = (&'a [f64], [Option<usize>; 3], &'a [usize], [f32; 2]);
    let cases: [Row; 4] = [
        (&[inf, 1.0, 0.9], [None; 3], &[1, 2, 3], [0.01, 0.01]),
        (
            &[inf, inf, 0.9],
            [Some(2), Some(2), None],
            &[1, 3],
            [1e-3, 0.01],
        ),
        (
            &[inf, inf, inf, 0.9],
            [Some(2), Some(2), Some(3)],
            &[1, 4],
            [1e-4, 1e-3],
        ),
        (
            &[inf, 1.0, 2.0],
            [Some(3), Some(3), None],
            &[1, 2],
            [1e-3, 0.01],
        ),
    ];
    for (losses, stops, saved, rates) in cases {
        for (patience, stop) in stops.into_iter().enumerate() {
            let mut stopping = EarlyStopping::new(Metric::ValLoss).patience(patience);
            assert_eq!(run(&mut stopping, losses), stop, "{losses:?}, {patience}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("best.safetensors");
        let mut best = ModelCheckpoint::new(&path, model()).save_best_only(true);
        let mut found = Vec::new();
        best.on_train_begin(&training()).unwrap();
        for (epoch, loss) in (1..).zip(losses) {
            continue_run(&mut best, epoch, &[*loss]);
            found.extend(best.saved_epoch().filter(|saved| *saved == epoch));
        }
        assert_eq!(found, saved, "{losses:?}");
        for (patience, rate) in (1..).zip(rates) {
            let mut reduce = ReduceLROnPlateau::new(Metric::ValLoss).patience(patience);
            let mut reached = 0.01;
            reduce.on_train_begin(&training()).unwrap();
            for (epoch, loss) in (1..).zip(losses) {
                reached = reduce.learning_rate(&position(epoch), reached).unwrap();
                let mut logs = logs(epoch, *loss);
                logs.learning_rate = reached;
                assert!(
                    reduce
                        .on_epoch_end(&logs, &state(epoch))
                        .unwrap()
                        .is_continue()
                );
            }
            reached = reduce.learning_rate(&position(9), reached).unwrap();
            assert!((reached / rate - 1.0).abs() < 1e-5, "{losses:?}: {reached}");
        }
    }
}

#[test]
fn terminate_on_nan_ends_normally_with_the_last_complete_epoch() {
    let mut trainer = scripted(5, &[1.0, 0.5, f32::NAN]);
    let mut terminate = TerminateOnNaN::default();
    let history = trainer.fit_with(&images(5), &mut [&mut terminate]).unwrap();
    assert_eq!((history.ending, history.epochs.len()), (Ending::Stopped, 2));
    assert!(history.reason.unwrap().contains("NaN at step 3"));
    assert_eq!(trainer.state().step, 2);
}

#[test]
fn a_validation_metric_without_validation_is_refused_before_training() {
    let watchers: [&mut dyn Callback; 3] = [
        &mut EarlyStopping::new(Metric::ValLoss),
        &mut ReduceLROnPlateau::new(Metric::ValAccuracy),
        &mut ModelCheckpoint::new("never".as_ref(), model()).save_best_only(true),
    ];
    for watcher in watchers {
        let mut trainer = scripted(1, &[1.0]);
        let message = trainer
            .fit_with(&images(5), &mut [watcher])
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("val_") && message.contains("split"),
            "{message}"
        );
        assert!(trainer.executor().steps.is_empty());
    }
}
