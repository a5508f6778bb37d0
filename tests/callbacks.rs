//! The callbacks: by themselves, and in runs that a script or the reference answers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::ops::ControlFlow;

use cnn_gpu::data::digits;
use cnn_gpu::exec::Executor;
use cnn_gpu::exec::null::NullExecutor;
use cnn_gpu::model::{Activation, Conv2D, Dense, Flatten, Sequential};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::run::weights;
use cnn_gpu::state::{Layout, State};
use cnn_gpu::train::callbacks::{
    self, CONTINUE, CsvLogger, EarlyStopping, LearningRateScheduler, ModelCheckpoint,
    ReduceLROnPlateau, STOP, Schedule, TensorBoard, TerminateOnNaN, Verdict,
};
use cnn_gpu::train::{
    Callback, Ending, EpochLogs, Interrupt, Metric, Mode, Options, Position, Trainer, Training,
};
use cnn_gpu::{Error, Result};
use common::{images, model};

/// A trainer whose epochs of one step have these losses.
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

/// A state that tells its epoch by its weights.
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

/// Tells `callback` of epochs with these losses; the epoch after which it stops.
fn run(callback: &mut dyn Callback, losses: &[f64]) -> Option<usize> {
    callback.on_train_begin(&training()).unwrap();
    go_on(callback, 1, losses)
}

fn go_on(callback: &mut dyn Callback, first: usize, losses: &[f64]) -> Option<usize> {
    let mut epochs = (first..).zip(losses);
    let stop = epochs.find(|(epoch, loss)| {
        let verdict = callback.on_epoch_end(&logs(*epoch, **loss), &state(*epoch));
        verdict.unwrap().is_break()
    });
    stop.map(|(epoch, _)| epoch)
}

#[test]
fn early_stopping_waits_for_as_many_epochs_as_it_is_patient() {
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
fn early_stopping_knows_min_delta_start_and_baseline() {
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
fn a_metric_that_is_not_a_number_is_never_the_best() {
    let mut stopping = EarlyStopping::new(Metric::ValLoss).patience(2);
    let losses = [f64::NAN, 2.0, f64::NEG_INFINITY, 3.0];
    assert_eq!(run(&mut stopping, &losses), Some(4));
    assert_eq!(
        (stopping.best(), stopping.best_epoch()),
        (Some(2.0), Some(2))
    );
}

/// What Keras 3.15.1 does: its first value is an improvement, whatever it is.
#[test]
fn an_infinite_first_value_is_beaten_by_a_finite_one() {
    let inf = f64::INFINITY;
    /// Losses; the epoch that ends the run at a patience of 0, 1 and 2; the epochs saved; the rate that
    /// a plateau leaves at a patience of 1 and 2.
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
            go_on(&mut best, epoch, &[*loss]);
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
fn a_first_epoch_that_is_not_a_number_is_followed_by_another() {
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
    // Another run begins anew.
    run(&mut stopping, &[9.0]);
    assert_eq!(stopping.final_weights().unwrap().1, state(1).params);
    assert_eq!(stopping.reason(), None);
}

/// Ends a run in its third epoch, in one of the ways there are.
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

/// Remembers the weights of each epoch, and of the end.
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
fn the_best_weights_are_put_back_whatever_ended_the_run() {
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
        // The loss falls, so that the first epoch is the best of those with a large one.
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

#[test]
fn a_plateau_reduces_the_rate_down_to_its_least_and_cools_down() {
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
        error.to_string().contains("gives -1 at epoch 2, step 1"),
        "{error}"
    );
}

#[test]
fn terminate_on_nan_ends_in_order_with_the_last_whole_epoch() {
    let mut trainer = scripted(5, &[1.0, 0.5, f32::NAN]);
    let mut terminate = TerminateOnNaN::default();
    let history = trainer.fit_with(&images(5), &mut [&mut terminate]).unwrap();
    assert_eq!((history.ending, history.epochs.len()), (Ending::Stopped, 2));
    assert!(history.reason.unwrap().contains("NaN at step 3"));
    assert_eq!(trainer.state().step, 2);
}

#[test]
fn watching_validation_without_any_is_refused_before_training() {
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

#[test]
fn the_best_checkpoint_is_replaced_by_better_epochs_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("best.safetensors");
    let mut best = ModelCheckpoint::new(&path, model())
        .save_best_only(true)
        .initial_value_threshold(2.5);
    run(&mut best, &[3.0]);
    assert!(!path.exists(), "not better than the threshold");
    for (epoch, loss, saved) in [(2, 2.0, 2), (3, 2.0, 2), (4, 1.0, 4), (5, 1.5, 4)] {
        go_on(&mut best, epoch, &[loss]);
        let (_, found) = weights::load(&path).unwrap();
        let params = found.parameter("dense/kernel").unwrap();
        assert!(params.iter().all(|&w| w == saved as f32), "epoch {epoch}");
        assert_eq!(best.saved_epoch(), Some(saved));
    }
}

#[test]
fn checkpoints_of_every_epoch_are_named_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("{epoch}-{val_loss}.safetensors");
    run(&mut ModelCheckpoint::new(&path, model()), &[3.0, 4.25]);
    let mut names: Vec<_> = (folder.path().read_dir().unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["1-3.0000.safetensors", "2-4.2500.safetensors"]);
}

#[test]
fn csv_has_columns_for_validation_if_there_is_any() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.csv");
    let mut csv = CsvLogger::create(&path).unwrap();
    csv.on_train_begin(&training()).unwrap();
    let measured = logs(1, 0.25);
    let mut not = measured.clone();
    not.epoch = 2;
    not.val_loss = None;
    for logs in [&measured, &not] {
        assert!(csv.on_epoch_end(logs, &state(1)).unwrap().is_continue());
    }
    drop(csv);
    let mut more = CsvLogger::append(&path).unwrap();
    more.on_train_begin(&training()).unwrap();
    let verdict = more.on_epoch_end(&logs(3, 0.5), &state(1));
    assert!(verdict.unwrap().is_continue());
    let text = std::fs::read_to_string(&path).unwrap();
    let expected = "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds,images_per_second\n\
                    1,0,0,0.25,,0.01,0,0\n2,0,0,,,0.01,0,0\n3,0,0,0.5,,0.01,0,0\n";
    assert_eq!(text, expected);
    std::fs::write(&path, "epoch,loss\n1,0.5\n").unwrap();
    assert!(CsvLogger::append(&path).is_err(), "other columns");
}

/// Runs `make`'s callback over `losses` in one go, and with a restart after each number of epochs:
/// through text, as a checkpoint would keep it.
fn goes_on_after_a_restart<C: Callback>(make: impl Fn() -> C, losses: &[f64]) {
    let mut whole = make();
    let stop = run(&mut whole, losses);
    let told = stop.unwrap_or(losses.len());
    for restart in 0..told {
        let mut first = make();
        assert_eq!(run(&mut first, &losses[..restart]), None);
        let kept = serde_json::to_string(&callbacks::callback_states(&[&mut first])).unwrap();
        let mut second = make();
        let callback_states: Vec<_> = serde_json::from_str(&kept).unwrap();
        callbacks::restore(&mut [&mut second], &callback_states).unwrap();
        second.on_train_begin(&training()).unwrap();
        assert_eq!(go_on(&mut second, restart + 1, &losses[restart..]), stop);
        assert_eq!(second.state(), whole.state(), "restart after {restart}");
        assert_eq!(second.final_weights(), whole.final_weights());
    }
}

#[test]
fn a_restored_callback_goes_on_identically() {
    let numbers = [
        3.0,
        0.1 + 0.2,
        1.0 / 3.0,
        f64::NAN,
        0.4,
        0.25,
        0.3,
        0.3,
        0.3,
    ];
    let infinite = [f64::INFINITY, f64::INFINITY, f64::INFINITY, 0.3, 0.3];
    for losses in [&numbers[..], &infinite] {
        restored_callbacks_go_on_identically(losses);
    }
}

fn restored_callbacks_go_on_identically(losses: &[f64]) {
    goes_on_after_a_restart(
        || {
            EarlyStopping::new(Metric::ValLoss)
                .patience(3)
                .restore_best_weights(true)
        },
        losses,
    );
    goes_on_after_a_restart(
        || {
            ReduceLROnPlateau::new(Metric::ValLoss)
                .patience(1)
                .cooldown(1)
        },
        losses,
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("best.safetensors");
    goes_on_after_a_restart(
        || ModelCheckpoint::new(&path, model()).save_best_only(true),
        losses,
    );
}

#[test]
fn the_states_of_other_callbacks_are_refused() {
    let callback_states = callbacks::callback_states(&[&mut EarlyStopping::new(Metric::Loss)]);
    let mut other = ReduceLROnPlateau::new(Metric::Loss);
    let error = callbacks::restore(&mut [&mut other], &callback_states).unwrap_err();
    let expected =
        "the run had the callback EarlyStopping, which is now missing or in another position";
    assert_eq!(error.to_string(), expected);
    assert!(other.restore(&callback_states[0].1).is_err());
    assert_eq!(CONTINUE.unwrap(), ControlFlow::Continue(()));
}

/// The records of the only event file below `folder`.
fn records(folder: &std::path::Path) -> Vec<Vec<u8>> {
    let files: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1);
    let bytes = std::fs::read(&files[0]).unwrap();
    let (mut rest, mut records) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        records.push(rest[12..12 + length].to_vec());
        rest = &rest[16 + length..];
    }
    records
}

fn holds(record: &[u8], text: &[u8]) -> bool {
    record.windows(text.len()).any(|window| window == text)
}

#[test]
fn tensorboard_gets_a_record_per_epoch_in_keras_s_folders() {
    let folder = tempfile::tempdir().unwrap();
    let mut board = TensorBoard::create(folder.path())
        .unwrap()
        .histogram_freq(2);
    let model = Sequential::new([4, 4, 1])
        .add(Conv2D::new(3, 2))
        .add(Flatten::new())
        .add(Dense::new(3).activation(Activation::Softmax));
    let state = State::new(Layout::new(&model).unwrap(), 1);
    let mut without = logs(2, 0.0);
    without.val_loss = None;
    let mut with = logs(1, 0.25);
    with.val_accuracy = Some(0.5);
    for logs in [&with, &without] {
        assert!(board.on_epoch_end(logs, &state).unwrap().is_continue());
    }
    let train = records(&folder.path().join("train"));
    assert_eq!(train.len(), 3);
    assert!(holds(&train[0], b"brain.Event:2"));
    for tag in ["epoch_loss", "epoch_accuracy", "epoch_learning_rate"] {
        assert!(train[1..].iter().all(|r| holds(r, tag.as_bytes())), "{tag}");
    }
    for weights in [
        &b"conv2d/kernel/histogram"[..],
        b"dense/bias/histogram",
        b"conv2d/kernel/image",
        b"\x89PNG",
    ] {
        assert!(holds(&train[1], weights) && !holds(&train[2], weights));
    }
    let validation = records(&folder.path().join("validation"));
    assert_eq!(validation.len(), 2);
    // The tag, its length first, and 0.25 as the second field.
    assert!(holds(
        &validation[1],
        b"\x0a\x0aepoch_loss\x15\x00\x00\x80\x3e"
    ));
    // A second run has a file of its own.
    drop(TensorBoard::create(folder.path()).unwrap());
    assert_eq!(folder.path().join("train").read_dir().unwrap().count(), 2);
}
