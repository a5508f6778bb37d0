//! Callbacks that write files.

use cnn_gpu::model::{Activation, Conv2D, Dense, Flatten, Sequential};
use cnn_gpu::run::weights;
use cnn_gpu::state::{Layout, State};
use cnn_gpu::train::Callback;
use cnn_gpu::train::callbacks::{CsvLogger, ModelCheckpoint, TensorBoard};

use super::common::model;
use super::{continue_run, logs, run, state, training};

#[test]
fn only_better_epochs_replace_the_best_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("best.safetensors");
    let mut best = ModelCheckpoint::new(&path, model())
        .save_best_only(true)
        .initial_value_threshold(2.5);
    run(&mut best, &[3.0]);
    assert!(!path.exists(), "not better than the threshold");
    for (epoch, loss, saved) in [(2, 2.0, 2), (3, 2.0, 2), (4, 1.0, 4), (5, 1.5, 4)] {
        continue_run(&mut best, epoch, &[loss]);
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
fn csv_has_columns_for_validation_if_the_run_validates() {
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
    // A second run writes its own file.
    drop(TensorBoard::create(folder.path()).unwrap());
    assert_eq!(folder.path().join("train").read_dir().unwrap().count(), 2);
}
