//! The training loop, with a scripted executor that computes nothing.

mod common;

use std::ops::ControlFlow;

use cnn_gpu::Error;
use cnn_gpu::data::Dataset;
use cnn_gpu::exec::DataId;
use cnn_gpu::internal::NullExecutor;
use cnn_gpu::model::{Activation, Dense};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::state::State;
use cnn_gpu::train::callbacks::{CONTINUE, STOP, Verdict};
use cnn_gpu::train::{
    Callback, Ending, EpochLogs, History, Interrupt, Options, Progress, Trainer, Training,
};
use common::{SHAPE, images, model, scripted};

/// Records its calls, and stops where requested.
#[derive(Default)]
struct Recorder {
    heard: Vec<String>,
    stop_at_batch: Option<usize>,
    stop_at_epoch: Option<usize>,
}

impl Callback for Recorder {
    fn on_train_begin(&mut self, _training: &Training) -> cnn_gpu::Result<()> {
        self.heard.push("train".into());
        Ok(())
    }

    fn on_epoch_begin(&mut self, p: &Progress) -> Verdict {
        (self.heard).push(format!(
            "epoch {}/{} of {} steps",
            p.epoch, p.epochs, p.steps
        ));
        CONTINUE
    }

    fn on_batch_end(&mut self, p: &Progress) -> Verdict {
        match self.stop_at_batch {
            Some(step) if p.step >= step => STOP,
            _ => CONTINUE,
        }
    }

    fn on_epoch_end(&mut self, logs: &EpochLogs, state: &State) -> Verdict {
        (self.heard).push(format!("loss {} after step {}", logs.loss, state.step));
        match self.stop_at_epoch {
            Some(epoch) if logs.epoch >= epoch => STOP,
            _ => CONTINUE,
        }
    }

    fn on_train_end(&mut self, history: &History, _state: &State) -> cnn_gpu::Result<()> {
        self.heard.push(format!("{:?}", history.ending));
        Ok(())
    }
}

#[test]
fn the_lab_takes_938_steps_and_the_last_one_has_32_rows() {
    let mut trainer = scripted(Options::default().epochs(1), &[(1.0, 0.5)]);
    trainer.fit(&images(60_000)).unwrap();
    let steps = &trainer.executor().steps;
    assert_eq!(steps.len(), 938);
    assert!(steps[..937].iter().all(|s| s.rows == 64));
    assert_eq!((steps[937].offset, steps[937].rows), (59_968, 32));
    assert_eq!(trainer.state().step, 938);
}

#[test]
fn a_batch_larger_than_the_data_set_is_one_step() {
    let mut trainer = scripted(Options::default().epochs(2), &[(1.0, 0.5)]);
    trainer.fit(&images(5)).unwrap();
    let rows: Vec<usize> = trainer.executor().steps.iter().map(|s| s.rows).collect();
    assert_eq!(rows, [5, 5]);
}

#[test]
fn every_epoch_has_its_own_order_with_each_index_once() {
    let options = Options::default().epochs(3).batch_size(10);
    let mut trainer = scripted(options.clone(), &[(1.0, 0.5)]);
    trainer.fit(&images(97)).unwrap();
    let orders = trainer.executor().orders.clone();
    assert_eq!(orders.len(), 3);
    for order in &orders {
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..97).collect::<Vec<u32>>());
    }
    assert!(orders[0] != orders[1] && orders[1] != orders[2] && orders[0] != orders[2]);

    let mut again = scripted(options.clone(), &[(1.0, 0.5)]);
    again.fit(&images(97)).unwrap();
    assert_eq!(again.executor().orders, orders, "same seed, same orders");
    let mut other = scripted(options.seed(43), &[(1.0, 0.5)]);
    other.fit(&images(97)).unwrap();
    assert_ne!(other.executor().orders, orders, "other seed, other orders");
}

#[test]
fn without_shuffling_the_order_is_that_of_the_data_set() {
    let mut trainer = scripted(Options::default().epochs(1).shuffle(false), &[(1.0, 0.5)]);
    trainer.fit(&images(9)).unwrap();
    assert_eq!(trainer.executor().orders, [(0..9).collect::<Vec<u32>>()]);
}

#[test]
fn two_fits_are_one_long_fit() {
    let mut long = scripted(Options::default().epochs(2), &[(1.0, 0.5)]);
    long.fit(&images(100)).unwrap();
    let mut short = scripted(Options::default().epochs(1), &[(1.0, 0.5)]);
    short.fit(&images(100)).unwrap();
    let history = short.fit(&images(100)).unwrap();
    assert_eq!(history.epochs[0].epoch, 2);
    assert_eq!(short.executor().orders, long.executor().orders);
    assert_eq!(short.executor().steps, long.executor().steps);
}

#[test]
fn the_training_loss_is_the_mean_over_rows_of_one_epoch() {
    let script = [(1.0, 1.0), (2.0, 0.5), (4.0, 0.0), (3.0, 1.0)];
    let mut trainer = scripted(Options::default().epochs(2).batch_size(4), &script);
    let history = trainer.fit(&images(10)).unwrap();
    // Batches of 4, 4 and 2 rows: (4*1 + 4*2 + 2*4) / 10, and (4 + 2 + 0) / 10 of them correct.
    assert_eq!(
        (history.epochs[0].loss, history.epochs[0].accuracy),
        (2.0, 0.6)
    );
    assert_eq!(
        (history.epochs[1].loss, history.epochs[1].accuracy),
        (3.0, 1.0)
    );
    assert_eq!(history.ending, Ending::Finished);
}

#[test]
fn adams_rate_follows_the_step_counter_over_epochs() {
    let mut trainer = scripted(Options::default().epochs(2).batch_size(5), &[(1.0, 0.5)]);
    trainer.fit(&images(10)).unwrap();
    let rates: Vec<f32> = trainer
        .executor()
        .steps
        .iter()
        .map(|s| s.rates.rate)
        .collect();
    let expected: Vec<f32> = (1..=4).map(|t| Optimizer::adam().rates(t).rate).collect();
    assert_eq!(rates, expected);
}

#[test]
fn a_nan_loss_stops_training_and_names_the_step() {
    let mut script = vec![(1.0, 0.5); 100];
    script[7] = (f32::NAN, 0.0);
    let options = Options::default().epochs(2).batch_size(2);
    let mut trainer = scripted(options, &script);
    let mut recorder = Recorder::default();
    let error = trainer
        .fit_with(&images(10), &mut [&mut recorder])
        .unwrap_err();
    let Error::NonFiniteLoss { step, epoch, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((step, epoch), (8, 2));
    // The first epoch is kept.
    assert_eq!(trainer.state().step, 5);
    assert_eq!(recorder.heard[2], "loss 1 after step 5");
}

#[test]
fn an_infinite_loss_in_a_long_epoch_is_detected_before_its_end() {
    let mut script = vec![(1.0, 0.5); 10];
    script.push((f32::INFINITY, 0.0));
    let mut trainer = scripted(Options::default().epochs(1).batch_size(1), &script);
    assert!(trainer.fit(&images(1_000)).is_err());
    // Some steps are repeated to find the origin.
    assert!(trainer.executor().steps.len() < 100);
}

#[test]
fn an_interrupt_keeps_the_steps_taken() {
    struct Raise(Interrupt);
    impl Callback for Raise {
        fn on_batch_end(&mut self, progress: &Progress) -> Verdict {
            if progress.step >= 32 {
                self.0.raise();
            }
            CONTINUE
        }
    }
    let mut trainer = scripted(Options::default().batch_size(1), &[(1.0, 0.5)]);
    let interrupt = Interrupt::new();
    trainer.set_interrupt(interrupt.clone());
    let mut recorder = Recorder::default();
    let history = trainer
        .fit_with(&images(100), &mut [&mut Raise(interrupt), &mut recorder])
        .unwrap();
    assert_eq!(history.ending, Ending::Interrupted);
    assert!(history.epochs.is_empty());
    assert_eq!(trainer.state().step, 32);
    assert_eq!(
        recorder.heard,
        ["train", "epoch 1/5 of 100 steps", "Interrupted"]
    );
}

#[test]
fn an_interrupt_before_the_first_step_trains_nothing() {
    let mut trainer = scripted(Options::default(), &[(1.0, 0.5)]);
    let interrupt = Interrupt::new();
    interrupt.raise();
    trainer.set_interrupt(interrupt);
    let history = trainer.fit(&images(100)).unwrap();
    assert_eq!(history.ending, Ending::Interrupted);
    assert_eq!(trainer.state().step, 0);
}

#[test]
fn callbacks_are_called_in_order_and_can_stop_after_an_epoch() {
    let mut trainer = scripted(Options::default().batch_size(5), &[(1.0, 0.5)]);
    let mut recorder = Recorder {
        stop_at_epoch: Some(2),
        ..Recorder::default()
    };
    let history = trainer.fit_with(&images(10), &mut [&mut recorder]).unwrap();
    assert_eq!(history.ending, Ending::Stopped);
    let expected = [
        "train",
        "epoch 1/5 of 2 steps",
        "loss 1 after step 2",
        "epoch 2/5 of 2 steps",
        "loss 1 after step 4",
        "Stopped",
    ];
    assert_eq!(recorder.heard, expected);
}

#[test]
fn a_callback_can_stop_within_an_epoch() {
    let mut trainer = scripted(Options::default().batch_size(1), &[(1.0, 0.5)]);
    let mut recorder = Recorder {
        stop_at_batch: Some(48),
        ..Recorder::default()
    };
    let history = trainer
        .fit_with(&images(1_000), &mut [&mut recorder])
        .unwrap();
    assert_eq!(history.ending, Ending::Stopped);
    assert_eq!(trainer.state().step, 48);
    let expected = [
        "train",
        "epoch 1/5 of 1000 steps",
        "loss 1 after step 48",
        "Stopped",
    ];
    assert_eq!(recorder.heard, expected);
    assert_eq!(history.epochs.len(), 1);
}

/// Asks for every batch, and stops after one.
struct Watcher {
    heard: Vec<usize>,
    last: usize,
}

impl Callback for Watcher {
    fn watches_batches(&self) -> bool {
        true
    }

    fn on_batch_end(&mut self, p: &Progress) -> Verdict {
        self.heard.push(p.step);
        match p.step == self.last {
            true => STOP,
            false => CONTINUE,
        }
    }
}

#[test]
fn a_callback_that_watches_batches_stops_after_exactly_one_and_the_epoch_is_validated() {
    let mut trainer = scripted(Options::default().batch_size(1), &[(1.0, 0.5)]);
    let mut watcher = Watcher {
        heard: Vec::new(),
        last: 3,
    };
    let data = (&images(100), &images(10));
    let history = trainer.fit_with(data, &mut [&mut watcher]).unwrap();
    assert_eq!(watcher.heard, [1, 2, 3]);
    assert_eq!(trainer.state().step, 3);
    assert_eq!(history.epochs.len(), 1);
    assert!(history.epochs[0].val_loss.is_some());
    // Another call goes on.
    watcher.last = 5;
    let history = trainer.fit_with(data, &mut [&mut watcher]).unwrap();
    assert_eq!((history.epochs[0].epoch, trainer.state().step), (2, 8));
}

#[test]
fn a_callback_that_fails_ends_training_with_its_error() {
    struct DiskFull;
    impl Callback for DiskFull {
        fn on_epoch_end(&mut self, _logs: &EpochLogs, _state: &State) -> Verdict {
            Err(Error::Argument("disk full".into()))
        }
    }
    let mut trainer = scripted(Options::default(), &[(1.0, 0.5)]);
    let error = trainer
        .fit_with(&images(10), &mut [&mut DiskFull])
        .unwrap_err();
    assert_eq!(error.to_string(), "disk full");
}

#[test]
fn evaluation_sees_every_image_once_in_order_with_a_short_last_batch() {
    let mut trainer = scripted(Options::default(), &[(1.0, 1.0), (3.0, 0.0)]);
    let scores = trainer.evaluate(&images(300)).unwrap();
    let rows: Vec<usize> = trainer.executor().steps.iter().map(|s| s.rows).collect();
    assert_eq!(rows, [256, 44]);
    assert_eq!(trainer.executor().orders, [(0..300).collect::<Vec<u32>>()]);
    assert_eq!((scores.correct, scores.images), (256, 300));
    assert!((scores.loss - (256.0 + 3.0 * 44.0) / 300.0).abs() < 1e-9);
    assert_eq!(trainer.state().step, 0, "evaluation is not training");
}

#[test]
fn the_device_keeps_the_last_four_data_sets() {
    let mut trainer = scripted(Options::default().epochs(1), &[(1.0, 0.5)]);
    trainer.fit((&images(30), &images(31))).unwrap();
    for n in [32, 33, 30, 34, 31] {
        trainer.evaluate(&images(n)).unwrap();
    }
    // 34 replaced 31, and 31 replaced 32.
    assert_eq!(trainer.executor().unloads, [DataId(1), DataId(2)]);
    let last = |trainer: &Trainer<NullExecutor>| trainer.executor().steps.last().unwrap().data;
    assert_eq!(last(&trainer), DataId(5));
    trainer.unload(&images(33)).unwrap();
    trainer.unload(&images(40)).unwrap();
    assert_eq!(trainer.executor().unloads[2..], [DataId(3)]);
    trainer.evaluate(&images(33)).unwrap();
    assert_eq!(last(&trainer), DataId(6));
}

#[test]
fn there_is_one_prediction_per_image() {
    let mut trainer = scripted(Options::default(), &[]);
    let predictions = trainer.predict(images(300).images()).unwrap();
    assert_eq!(predictions.len(), 300);
    assert_eq!(predictions[299].probabilities.len(), 3);
    assert!(
        trainer
            .predict(&[0; 5])
            .unwrap_err()
            .to_string()
            .contains("2x2x1")
    );
}

#[test]
fn data_that_does_not_fit_the_model_is_refused_with_both_shapes() {
    let mut trainer = scripted(Options::default(), &[]);
    let wide = Dataset::new("wide", "nowhere", [2, 3, 1], 3, vec![0; 6], vec![0]).unwrap();
    let message = trainer.fit(&wide).unwrap_err().to_string();
    assert!(
        message.contains("2x2x1") && message.contains("2x3x1"),
        "{message}"
    );

    let many = Dataset::new("many", "nowhere", SHAPE, 10, vec![0; 4], vec![9]).unwrap();
    let message = trainer.evaluate(&many).unwrap_err().to_string();
    assert!(
        message.contains("below 3") && message.contains('9'),
        "{message}"
    );

    let none = Dataset::new("none", "nowhere", SHAPE, 3, vec![], vec![]).unwrap();
    assert!(trainer.fit(&none).is_err());
    assert!(trainer.check(&none).is_err() && trainer.check(&many).is_err());
    assert!(trainer.check(&images(3)).is_ok());
}

#[test]
fn options_out_of_range_are_refused() {
    let impossible = [
        Options::default().epochs(0),
        Options::default().batch_size(0),
        Options::default().batch_size(usize::MAX),
        Options::default().optimizer(Optimizer::sgd().with_learning_rate(f32::NAN)),
    ];
    for options in impossible {
        let executor = Box::new(NullExecutor::default());
        let error = Trainer::with_executor(model(), executor, options.clone()).err();
        assert!(matches!(error, Some(Error::Argument(_))), "{options:?}");
    }
}

#[test]
fn weights_of_another_model_are_refused() {
    let mut trainer = scripted(Options::default(), &[]);
    let other = model().add(Dense::new(3).activation(Activation::Softmax));
    let layout = cnn_gpu::state::Layout::new(&other).unwrap();
    assert!(trainer.set_state(State::new(layout, 1)).is_err());
}

#[test]
fn all_callbacks_are_called_even_if_one_stops() {
    let mut trainer = scripted(Options::default(), &[(1.0, 0.5)]);
    let mut first = Recorder {
        stop_at_epoch: Some(1),
        ..Recorder::default()
    };
    let mut second = Recorder::default();
    trainer
        .fit_with(&images(10), &mut [&mut first, &mut second])
        .unwrap();
    assert_eq!(first.heard, second.heard);
    assert_eq!(STOP.unwrap(), ControlFlow::Break(()));
}
