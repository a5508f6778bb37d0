//! Early stopping.

use cnn_gpu::data::digits;
use cnn_gpu::exec::Executor;
use cnn_gpu::model::{Activation, Dense, Flatten, Sequential};
use cnn_gpu::state::{Layout, State};
use cnn_gpu::train::callbacks::{CONTINUE, EarlyStopping, STOP, Verdict};
use cnn_gpu::train::{Callback, EpochLogs, Interrupt, Metric, Mode, Options, Trainer};
use cnn_gpu::{Error, Result};

use super::{common, run, state};

#[test]
fn early_stopping_waits_for_patience_epochs() {
    let losses = [3.0, 2.0, 2.5, 1.9, 2.0, 2.0, 1.0];
    for (patience, stop) in [(0, Some(3)), (1, Some(3)), (2, Some(6)), (3, None)] {
        let mut stopping = EarlyStopping::new(Metric::ValLoss).patience(patience);
        assert_eq!(run(&mut stopping, &losses), stop, "patience {patience}");
        assert_eq!(stopping.stopped_epoch(), stop);
    }
    // An accuracy is better when it is larger.
    let mut stopping = EarlyStopping::new(Metric::ValLoss)
        .mode(Mode::Max)
        .patience(1);
    assert_eq!(run(&mut stopping, &[1.0, 2.0, 3.0, 2.0]), Some(4));
}

#[test]
fn early_stopping_obeys_min_delta_start_and_baseline() {
    let fine = [3.0, 2.95, 2.9, 2.85];
    let mut stopping = EarlyStopping::new(Metric::ValLoss)
        .patience(2)
        .min_delta(0.08);
    // 2.95 is not better by 0.08 than 3.0, and 2.9 is.
    assert_eq!(run(&mut stopping, &fine), None);
    assert_eq!(stopping.best_epoch(), Some(3));
    let mut late = EarlyStopping::new(Metric::ValLoss).start_from_epoch(2);
    assert_eq!(run(&mut late, &[1.0, 5.0, 9.0, 8.0, 8.0]), Some(5));
    assert_eq!(late.best(), Some(8.0));
    // Each epoch improves, but not on the baseline.
    let mut baseline = EarlyStopping::new(Metric::ValLoss)
        .patience(3)
        .baseline(1.0);
    assert_eq!(run(&mut baseline, &fine), Some(3));
    let mut baseline = EarlyStopping::new(Metric::ValLoss)
        .patience(3)
        .baseline(2.99);
    assert_eq!(run(&mut baseline, &fine), None);
}

#[test]
fn a_nan_metric_is_never_the_best() {
    let mut stopping = EarlyStopping::new(Metric::ValLoss).patience(2);
    let losses = [f64::NAN, 2.0, f64::NEG_INFINITY, 3.0];
    assert_eq!(run(&mut stopping, &losses), Some(4));
    assert_eq!(
        (stopping.best(), stopping.best_epoch()),
        (Some(2.0), Some(2))
    );
}

#[test]
fn a_run_that_never_beat_its_baseline_says_so() {
    let reason = |baseline, losses: &[f64]| {
        let stopping = EarlyStopping::new(Metric::ValLoss).patience(2);
        let mut stopping = stopping.baseline(baseline);
        assert!(run(&mut stopping, losses).is_some());
        stopping.reason().unwrap()
    };
    // It improved each time.
    assert_eq!(
        reason(0.0001, &[0.5, 0.4]),
        "early stopping after epoch 2, as val_loss was not better than the baseline, 0.0001; its best, \
         0.4000, was in epoch 2"
    );
    assert_eq!(
        reason(0.45, &[0.5, 0.4, 0.41, 0.42]),
        "early stopping after epoch 4, as val_loss stopped improving; its best, 0.4000, was in epoch 2"
    );
}

#[test]
fn a_nan_in_the_first_epoch_does_not_stop_the_run() {
    let mut stopping = EarlyStopping::new(Metric::ValLoss).patience(1);
    assert_eq!(run(&mut stopping, &[f64::NAN, 1.0, 2.0]), Some(3));
}

#[test]
fn early_stopping_keeps_the_best_epochs_weights() {
    let mut stopping = EarlyStopping::new(Metric::ValLoss)
        .patience(2)
        .restore_best_weights(true);
    run(&mut stopping, &[3.0, 1.0, 2.0, 2.0]);
    let (epoch, weights) = stopping.final_weights().unwrap();
    assert_eq!((epoch, weights), (2, &state(2).params[..]));
    let reason = stopping.reason().unwrap();
    assert!(
        reason.contains("epoch 4") && reason.contains("epoch 2"),
        "{reason}"
    );
    // The next run starts over.
    run(&mut stopping, &[9.0]);
    assert_eq!(stopping.final_weights().unwrap().1, state(1).params);
    assert_eq!(stopping.reason(), None);
}

/// Ends a run in its third epoch, in the given way.
struct End(&'static str, Interrupt);

impl Callback for End {
    fn on_epoch_end(&mut self, logs: &EpochLogs, _state: &State) -> Verdict {
        match self.0 {
            _ if logs.epoch < 3 => CONTINUE,
            "stop" => STOP,
            "interrupt" => {
                self.1.raise();
                CONTINUE
            }
            "error" => Err(Error::Argument("disk full".into())),
            _ => CONTINUE,
        }
    }
}

/// Records the weights of each epoch, and the final ones.
#[derive(Default)]
struct Weights(Vec<Vec<f32>>, Option<Vec<f32>>);

impl Callback for Weights {
    fn on_epoch_end(&mut self, _logs: &EpochLogs, state: &State) -> Verdict {
        self.0.push(state.params.clone());
        CONTINUE
    }

    fn on_train_end(&mut self, _: &cnn_gpu::train::History, state: &State) -> Result<()> {
        self.1 = Some(state.params.clone());
        Ok(())
    }
}

#[test]
fn the_best_weights_are_restored_however_the_run_ends() {
    let data = digits::generate(60, 1, 0);
    let model = Sequential::new([28, 28, 1])
        .add(Flatten::new())
        .add(Dense::new(10).activation(Activation::Softmax));
    for ending in ["patience", "last epoch", "stop", "interrupt", "error"] {
        let executor: Box<dyn Executor> = common::reference(Layout::new(&model).unwrap());
        let options = Options::default().epochs(3);
        let mut trainer = Trainer::with_executor(model.clone(), executor, options).unwrap();
        let interrupt = Interrupt::new();
        trainer.set_interrupt(interrupt.clone());
        // The loss falls, so by `Mode::Max` the first epoch is the best.
        let mut stopping = EarlyStopping::new(Metric::Loss)
            .mode(Mode::Max)
            .patience(if ending == "patience" { 2 } else { 9 })
            .restore_best_weights(true);
        let (mut end, mut weights) = (End(ending, interrupt), Weights::default());
        let fitted = trainer.fit_with(&data, &mut [&mut weights, &mut stopping, &mut end]);
        match fitted {
            Ok(history) => assert_eq!(history.restored_epoch, Some(1), "{ending}"),
            Err(error) => assert_eq!((error.to_string().as_str(), ending), ("disk full", "error")),
        }
        assert_eq!(weights.0.len(), 3);
        assert_ne!(weights.0[0], weights.0[2]);
        assert_eq!(trainer.state().params, weights.0[0], "{ending}");
        assert_eq!(weights.1.as_ref(), Some(&weights.0[0]), "{ending}");
        // The device has them too.
        let scores = trainer.evaluate(&data).unwrap();
        let mut other = Trainer::with_executor(
            model.clone(),
            common::reference(Layout::new(&model).unwrap()),
            Options::default(),
        )
        .unwrap();
        other.set_state(trainer.state().clone()).unwrap();
        assert_eq!(other.evaluate(&data).unwrap().loss, scores.loss, "{ending}");
    }
}
