//! Callbacks of a resumed run.

use std::ops::ControlFlow;

use cnn_gpu::train::callbacks::{
    self, CONTINUE, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau,
};
use cnn_gpu::train::{Callback, Metric};

use super::common::model;
use super::{continue_run, run, training};

/// Runs `make`'s callback over `losses` without a restart, and with one after each number of
/// epochs. The state passes through text, as in a checkpoint.
fn continues_after_a_restart<C: Callback>(make: impl Fn() -> C, losses: &[f64]) {
    let mut whole = make();
    let stop = run(&mut whole, losses);
    let epochs = stop.unwrap_or(losses.len());
    for restart in 0..epochs {
        let mut first = make();
        assert_eq!(run(&mut first, &losses[..restart]), None);
        let kept = serde_json::to_string(&callbacks::callback_states(&[&mut first])).unwrap();
        let mut second = make();
        let callback_states: Vec<_> = serde_json::from_str(&kept).unwrap();
        callbacks::restore(&mut [&mut second], &callback_states).unwrap();
        second.on_train_begin(&training()).unwrap();
        assert_eq!(
            continue_run(&mut second, restart + 1, &losses[restart..]),
            stop
        );
        assert_eq!(second.state(), whole.state(), "restart after {restart}");
        assert_eq!(second.final_weights(), whole.final_weights());
    }
}

#[test]
fn a_restored_callback_continues_identically() {
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
        restored_callbacks_continue_identically(losses);
    }
}

fn restored_callbacks_continue_identically(losses: &[f64]) {
    continues_after_a_restart(
        || {
            EarlyStopping::new(Metric::ValLoss)
                .patience(3)
                .restore_best_weights(true)
        },
        losses,
    );
    continues_after_a_restart(
        || {
            ReduceLROnPlateau::new(Metric::ValLoss)
                .patience(1)
                .cooldown(1)
        },
        losses,
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("best.safetensors");
    continues_after_a_restart(
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
