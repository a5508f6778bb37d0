//! Training on generated batches.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use cnn_gpu::Error;
use cnn_gpu::data::digits::{self, DigitStream};
use cnn_gpu::data::{Batch, Dataset, FromIter, Generator, ImageFolder};
use cnn_gpu::exec::Inspect;
use cnn_gpu::internal::NullExecutor;
use cnn_gpu::model::{Activation, Conv2D, Dense, Flatten, Sequential};
use cnn_gpu::state::Layout;
use cnn_gpu::train::callbacks::EarlyStopping;
use cnn_gpu::train::{
    Ending, GeneratedData, History, Interrupt, Keeper, Metric, Options, Position, Snapshot,
    Trainer, ValidationData,
};
use tempfile::TempDir;

const SHAPE: [usize; 3] = [2, 2, 1];

fn small() -> Sequential {
    Sequential::new(SHAPE)
        .add(Flatten::new())
        .add(Dense::new(3).activation(Activation::Softmax))
}

fn scripted(options: Options) -> Trainer<NullExecutor> {
    let executor = NullExecutor::new([(1.0, 0.5)]);
    Trainer::with_executor(small(), Box::new(executor), options).unwrap()
}

/// `n` batches of one row each, whose pixels and label encode the batch's number.
fn batches(n: u8) -> impl Iterator<Item = Batch> + Send {
    (0..n).map(|i| Batch::new(vec![i; 4], vec![i % 3]))
}

fn message(generator: &dyn Generator, steps: Option<usize>) -> String {
    let options = Options::default().epochs(2).batch_size(2);
    let error = scripted(options).fit_generator(generator, steps, &mut []);
    let error = error.unwrap_err();
    assert!(!error.to_string().contains('\n'));
    error.to_string()
}

#[test]
fn steps_take_the_batches_in_order_and_epochs_continue_where_the_last_ended() {
    let mut trainer = scripted(Options::default().epochs(3).batch_size(2));
    let generator = FromIter::new(SHAPE, batches(30));
    let history = trainer
        .fit_generator(&generator, Some(10), &mut [])
        .unwrap();
    assert_eq!((history.epochs.len(), trainer.state().step), (3, 30));
    let executor = trainer.executor();
    assert_eq!(executor.steps.len(), 30);
    let pixels: Vec<u8> = (executor.reloads.iter())
        .flat_map(|(_, chunk)| chunk.images().chunks(4).map(|image| image[0]))
        .collect();
    assert_eq!(pixels, (0..30).collect::<Vec<u8>>());
    // A chunk is never filled while the steps enqueued last use it.
    for pair in executor.reloads.windows(2) {
        assert_ne!(pair[0].0, pair[1].0);
    }
}

#[test]
fn the_error_of_an_exhausted_generator_states_the_number_of_batches() {
    let message = message(&FromIter::new(SHAPE, batches(13)), Some(10));
    for part in [
        "`iterator` ran dry after 13 of 20 batches",
        "steps_per_epoch",
    ] {
        assert!(message.contains(part), "{message} lacks {part}");
    }
}

#[test]
fn steps_in_flight_of_an_exhausted_generator_are_not_counted_later() {
    let layout = Layout::new(&small()).unwrap();
    let options = Options::default().batch_size(2);
    let mut trainer = Trainer::with_executor(small(), common::gpu(layout), options).unwrap();
    let mut evaluate = |steps| {
        // More than a chunk: the first is in flight when the second is missing.
        let generator = FromIter::new(SHAPE, batches(40));
        trainer.evaluate_generator(&generator, Some(steps))
    };
    let whole = evaluate(40).unwrap();
    evaluate(60).unwrap_err();
    let again = evaluate(40).unwrap();
    assert_eq!(
        (again.images, again.correct, again.loss),
        (whole.images, whole.correct, whole.loss)
    );
}

#[test]
fn the_error_of_an_invalid_batch_states_its_number() {
    let with_last = |last: Batch| {
        let all = batches(5).chain(std::iter::once(last));
        message(&FromIter::new(SHAPE, all), Some(3))
    };
    let batch = |images: usize, labels: &[u8]| Batch::new(vec![0; images], labels.into());
    for (last, expected) in [
        (
            batch(0, &[]),
            "batch 5: expected 1 to 2 images in a batch, received 0",
        ),
        (
            batch(12, &[0, 1, 2]),
            "batch 5: expected 1 to 2 images in a batch, received 3",
        ),
        (batch(7, &[0, 1]), "batch 5: expected 2 images of 2x2x1"),
        (batch(8, &[0, 3]), "batch 5: expected labels below 3"),
    ] {
        let message = with_last(last);
        assert!(message.contains(expected), "{message} lacks {expected}");
    }
}

#[test]
fn the_number_of_steps_must_be_known() {
    assert!(
        message(&DigitStream::new(2, 1), None).contains("2x2x1"),
        "its images are larger"
    );
    let unknown = message(&FromIter::new(SHAPE, batches(9)), None);
    assert!(unknown.contains("expected steps_per_epoch"), "{unknown}");
    let none = message(&FromIter::new(SHAPE, batches(9)), Some(0));
    assert!(none.contains("at least 1"), "{none}");
}

/// Fails at one batch.
struct Failing;

impl Generator for Failing {
    fn shape(&self) -> [usize; 3] {
        SHAPE
    }

    fn class_names(&self) -> Vec<String> {
        ["a", "b", "c"].map(String::from).to_vec()
    }

    fn batch(&self, number: u64) -> cnn_gpu::Result<Option<Batch>> {
        match number {
            7 => Err(Error::Argument("seven".into())),
            _ => Ok(batches(1).next()),
        }
    }
}

#[test]
fn a_generator_that_fails_ends_the_run_with_its_error() {
    assert_eq!(message(&Failing, Some(5)), "seven");
}

/// Waits for an interrupt at one batch.
struct Blocking(Interrupt);

impl Generator for Blocking {
    fn shape(&self) -> [usize; 3] {
        SHAPE
    }

    fn batch(&self, number: u64) -> cnn_gpu::Result<Option<Batch>> {
        if number == 7 {
            self.0.raise();
            return Err(Error::Argument("interrupted".into()));
        }
        Ok(batches(1).next())
    }
}

#[test]
fn an_interrupt_of_a_generator_that_waits_keeps_the_steps_taken() {
    let mut trainer = scripted(Options::default().epochs(2).batch_size(2));
    let interrupt = Interrupt::new();
    trainer.set_interrupt(interrupt.clone());
    let history = trainer
        .fit_generator(&Blocking(interrupt), Some(5), &mut [])
        .unwrap();
    assert_eq!(history.ending, Ending::Interrupted);
    assert!(history.epochs.len() <= 1);
    assert_eq!(trainer.executor().steps.len() as u64, trainer.state().step);
}

#[test]
fn names_of_classes_that_the_model_does_not_have_are_refused() {
    let model = Sequential::new(SHAPE)
        .add(Flatten::new())
        .add(Dense::new(10).activation(Activation::Softmax));
    let executor = Box::new(NullExecutor::default());
    let mut trainer = Trainer::with_executor(model, executor, Options::default()).unwrap();
    let error = trainer.fit_generator(&Failing, Some(1), &mut []);
    let message = error.unwrap_err().to_string();
    let expected = "expected 10 classes, one per unit of the last layer, received generator \
                    `generator` with 3 (a, b, c); give the last layer 3 units";
    assert!(message.contains(expected), "{message}");
}

type Factory = fn(Arc<Layout>) -> Box<dyn Inspect>;

/// A data set as a generator, always in its original order.
struct Slices<'a>(&'a Dataset, usize);

impl Generator for Slices<'_> {
    fn shape(&self) -> [usize; 3] {
        self.0.shape()
    }

    fn steps(&self) -> Option<usize> {
        Some(self.0.len().div_ceil(self.1))
    }

    fn batch(&self, number: u64) -> cnn_gpu::Result<Option<Batch>> {
        let Self(data, size) = *self;
        let first = number as usize % data.len().div_ceil(size) * size;
        let rows = first..(first + size).min(data.len());
        let bytes = data.image_bytes();
        let images = data.images()[rows.start * bytes..rows.end * bytes].to_vec();
        Ok(Some(Batch::new(images, data.labels()[rows].to_vec())))
    }
}

/// Holds on every executor, with any number of threads. The chunks are refilled several times while
/// steps are in flight.
#[test]
fn generated_data_give_the_same_bytes_as_loaded_data() {
    let model = Sequential::new([28, 28, 1])
        .add(Conv2D::new(2, 5).strides(3).activation(Activation::Relu))
        .add(Flatten::new())
        .add(Dense::new(10).activation(Activation::Softmax));
    let data = digits::generate(1030, 1, 0);
    let options = Options::default().epochs(2).batch_size(10).shuffle(false);
    for (name, factory) in [
        ("cpu", common::cpu as Factory),
        ("reference", common::reference),
        ("gpu", common::gpu),
    ] {
        let trainer = || {
            let executor = factory(Layout::new(&model).unwrap());
            Trainer::with_executor(model.clone(), executor, options.clone()).unwrap()
        };
        let mut at_rest = trainer();
        let expected = at_rest.fit(&data).unwrap();
        let scores = at_rest.evaluate(&data).unwrap();
        for threads in [1, 2, 5] {
            let mut on_the_fly = trainer();
            on_the_fly.set_generator_threads(threads);
            let generator = Slices(&data, 10);
            let history = on_the_fly.fit_generator(&generator, None, &mut []).unwrap();
            assert_eq!(
                on_the_fly.state().weights_hash(),
                at_rest.state().weights_hash(),
                "{name}, {threads} threads"
            );
            assert_eq!(history.epochs[1].loss, expected.epochs[1].loss);
            let again = on_the_fly.evaluate_generator(&generator, None).unwrap();
            assert_eq!(
                (again.correct, again.images),
                (scores.correct, scores.images)
            );
        }
    }
}

/// Larger than a step of evaluation and than a chunk, with a short batch at the end.
#[test]
fn batches_of_any_size_are_evaluated() {
    let model = Sequential::new([28, 28, 1])
        .add(Flatten::new())
        .add(Dense::new(10).activation(Activation::Softmax));
    let data = digits::generate(9000, 1, 0);
    for factory in [common::cpu as Factory, common::gpu] {
        let executor = factory(Layout::new(&model).unwrap());
        let options = Options::default().epochs(1).batch_size(100);
        let mut trainer = Trainer::with_executor(model.clone(), executor, options).unwrap();
        let expected = trainer.evaluate(&data).unwrap();
        for size in [255, 257, 1000, 8500] {
            let found = trainer
                .evaluate_generator(&Slices(&data, size), None)
                .unwrap();
            assert_eq!(
                (found.images, found.correct),
                (expected.images, expected.correct)
            );
            assert!((found.loss - expected.loss).abs() < 1e-6, "{size}");
        }
        let training = Slices(&data, 100);
        let validated = |validation: &dyn Generator| {
            let mut trainer = Trainer::with_executor(
                model.clone(),
                factory(Layout::new(&model).unwrap()),
                Options::default().epochs(1).batch_size(100),
            )
            .unwrap();
            let validation = Some(ValidationData::Generator(validation));
            let data = GeneratedData::new(&training, validation);
            let history = trainer.fit_generator(data, Some(2), &mut []).unwrap();
            history.epochs[0].val_accuracy
        };
        let accuracy = validated(&Slices(&data, 700));
        assert_eq!(accuracy, validated(&Slices(&data, 60)));
    }
}

#[test]
fn validation_on_a_generator_or_a_data_set_gives_the_same_and_leaves_training_unchanged() {
    let model = Sequential::new([28, 28, 1])
        .add(Flatten::new())
        .add(Dense::new(10).activation(Activation::Softmax));
    let (data, unseen) = (digits::generate(500, 1, 0), digits::generate(70, 2, 0));
    let options = Options::default().epochs(3).batch_size(10).shuffle(false);
    for factory in [common::cpu as Factory, common::gpu] {
        let fit = |options: &Options, validation: Option<ValidationData<'_>>| {
            let executor = factory(Layout::new(&model).unwrap());
            let mut trainer =
                Trainer::with_executor(model.clone(), executor, options.clone()).unwrap();
            let slices = Slices(&data, 10);
            let data = GeneratedData::new(&slices, validation);
            let history = trainer.fit_generator(data, Some(20), &mut []).unwrap();
            let losses: Vec<_> = history.epochs.iter().map(|e| e.val_loss).collect();
            (losses, trainer.state().weights_hash())
        };
        let generator = Slices(&unseen, 10);
        let generator = Some(ValidationData::Generator(&generator));
        let set = Some(ValidationData::Dataset(&unseen));
        let (none, plain) = fit(&options, None);
        assert_eq!(none, [None; 3]);
        for options in [options.clone(), options.clone().validation_steps(3)] {
            let (expected, hash) = fit(&options, set);
            assert_eq!(hash, plain);
            let (found, hash) = fit(&options, generator);
            assert_eq!(hash, plain);
            for (found, expected) in found.into_iter().zip(expected) {
                // The batches, and with them the order of the sum, differ.
                let difference = (found.unwrap() - expected.unwrap()).abs();
                assert!(difference < 1e-6, "{found:?}, {expected:?}");
            }
        }
        // The same beside a training set.
        let executor = factory(Layout::new(&model).unwrap());
        let options = options.clone().steps_per_epoch(20);
        let mut trainer = Trainer::with_executor(model.clone(), executor, options.clone()).unwrap();
        let history = trainer.fit((&data, &Slices(&unseen, 10))).unwrap();
        assert_eq!(trainer.state().weights_hash(), plain);
        let losses: Vec<_> = history.epochs.iter().map(|e| e.val_loss).collect();
        assert_eq!(losses, fit(&options, generator).0);
        let rare = options.clone().validation_freq(2);
        let (losses, _) = fit(&rare, generator);
        let measured: Vec<_> = losses.iter().map(Option::is_some).collect();
        assert_eq!(measured, [false, true, false]);
    }
}

#[test]
fn early_stopping_watches_the_validation_loss_of_a_generator() {
    let executor = NullExecutor::new([(3.0, 0.5), (1.0, 0.5), (2.0, 0.5), (2.0, 0.5)]);
    let options = Options::default().epochs(9).batch_size(2);
    let generator = FromIter::new(SHAPE, batches(30));
    let validation = FromIter::new(SHAPE, batches(30));
    let data = (&generator, &validation);
    let mut stopping = EarlyStopping::new(Metric::ValLoss);
    let mut trainer = Trainer::with_executor(
        small(),
        Box::new(executor),
        options.clone().validation_steps(1),
    )
    .unwrap();
    let history = trainer
        .fit_generator(data, Some(1), &mut [&mut stopping])
        .unwrap();
    let losses: Vec<_> = history.epochs.iter().map(|e| e.val_loss).collect();
    assert_eq!(losses, [Some(1.0), Some(2.0)]);
    let error = scripted(options).fit_generator(data, Some(1), &mut []);
    let message = error.unwrap_err().to_string();
    assert!(message.contains("expected validation_steps"), "{message}");
}

#[test]
fn a_validation_split_of_a_generator_is_refused() {
    let mut trainer = scripted(Options::default().validation_split(0.2).batch_size(2));
    let generator = FromIter::new(SHAPE, batches(9));
    let error = trainer
        .fit_generator(&generator, Some(3), &mut [])
        .unwrap_err();
    assert!(error.to_string().contains("needs a data set"), "{error}");
    // As with data sets, it does not apply beside validation data.
    let options = Options::default().epochs(1).batch_size(2);
    let mut trainer = scripted(options.validation_split(0.2).validation_steps(1));
    let validation = FromIter::new(SHAPE, batches(9));
    let data = (&generator, &validation);
    let history = trainer.fit_generator(data, Some(3), &mut []).unwrap();
    assert!(history.epochs[0].val_loss.is_some());
}

#[test]
fn a_folder_stream_gives_each_picture_once_per_pass_in_different_orders() {
    let folder = TempDir::new().unwrap();
    for i in 0..11_u8 {
        let class = folder.path().join(["even", "odd"][usize::from(i % 2)]);
        std::fs::create_dir_all(&class).unwrap();
        let path = class.join(format!("{i:02}.png"));
        image::GrayImage::from_pixel(3, 3, image::Luma([i]))
            .save(path)
            .unwrap();
    }
    let stream = || {
        let opened = ImageFolder::open(folder.path(), Some([2, 2, 1])).unwrap();
        opened.stream(4, 9).unwrap()
    };
    let (first, again) = (stream(), stream());
    assert_eq!(first.steps(), Some(3));
    let pass = |pass: u64| {
        let numbers = (3 * pass..3 * pass + 3).rev();
        let mut made: Vec<Batch> = numbers.map(|n| first.batch(n).unwrap().unwrap()).collect();
        made.reverse();
        let pixels: Vec<u8> = made
            .iter()
            .flat_map(|b| b.images.chunks(4).map(|p| p[0]))
            .collect();
        let labels: Vec<u8> = made.iter().flat_map(|b| b.labels.clone()).collect();
        let expected: Vec<u8> = pixels.iter().map(|i| i % 2).collect();
        assert_eq!(labels, expected);
        pixels
    };
    let passes = [0, 1, 2].map(pass);
    for pixels in &passes {
        assert_eq!(pixels.iter().collect::<HashSet<_>>().len(), 11);
    }
    assert!(passes[0] != passes[1] && passes[1] != passes[2]);
    assert_eq!(first.batch(4).unwrap(), again.batch(4).unwrap());
}

/// Keeps the snapshot after the third step of the second epoch.
struct Third(Arc<Mutex<Option<Snapshot>>>);

impl Keeper for Third {
    fn is_due(&mut self, position: &Position) -> bool {
        (position.epoch, position.step) == (2, 3)
    }

    fn keep(&mut self, snapshot: &Snapshot) -> cnn_gpu::Result<()> {
        if snapshot.partial_epoch.is_some() {
            *self.0.lock().unwrap() = Some(snapshot.clone());
        }
        Ok(())
    }
}

#[test]
fn a_run_on_a_generator_resumes_with_the_batch_after_the_snapshot() {
    let stream = DigitStream::new(8, 3);
    let model = Sequential::new([28, 28, 1])
        .add(Flatten::new())
        .add(Dense::new(10).activation(Activation::Softmax));
    let trainer = || {
        let executor = common::cpu(Layout::new(&model).unwrap());
        Trainer::with_executor(model.clone(), executor, Options::default().epochs(3)).unwrap()
    };
    let mut whole = trainer();
    let kept = Arc::default();
    whole.set_keeper(Box::new(Third(Arc::clone(&kept))));
    let expected = whole.fit_generator(&stream, Some(5), &mut []).unwrap();
    let mut resumed = trainer();
    resumed
        .resume(kept.lock().unwrap().take().unwrap())
        .unwrap();
    let history = resumed.fit_generator(&stream, Some(5), &mut []).unwrap();
    let losses = |h: &History| h.epochs.iter().map(|e| e.loss).collect::<Vec<_>>();
    assert_eq!(losses(&history), losses(&expected));
    assert_eq!(resumed.state().weights_hash(), whole.state().weights_hash());
}
