//! Batches that are cut into micro-batches have the gradient of the whole, summed in a fixed order.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use cnn_gpu::data::digits;
use cnn_gpu::exec::{self, Backend, Selection};
use cnn_gpu::model::{
    Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten, GaussianNoise, MaxPooling2D,
    RandomBrightness, RandomContrast, RandomElasticTransform, RandomErasing, RandomRotation,
    RandomTranslation, Regularizer, Sequential,
};
use cnn_gpu::optimizer::{Clip, Optimizer};
use cnn_gpu::train::{Ending, History, Options, Trainer};
use common::test_backend;

/// Two epochs of batches of 16 and one of 7.
const IMAGES: usize = 39;

/// A network with everything that draws numbers for a row.
fn varied() -> Sequential {
    let conv = Conv2D::new(4, 3).activation(Activation::Relu);
    Sequential::new([28, 28, 1])
        .add(RandomTranslation::new(0.1, 0.1))
        .add(RandomRotation::new(0.05))
        .add(RandomContrast::new(0.2))
        .add(RandomBrightness::new(0.1))
        .add(RandomElasticTransform::new(1.0))
        .add(RandomErasing::new(1.0))
        .add(GaussianNoise::new(0.05))
        .add(conv.kernel_regularizer(Regularizer::l2(1e-2)))
        .add(MaxPooling2D::new(2))
        .add(Flatten::new())
        .add(Dropout::new(0.3))
        .add(Dense::new(10).activation(Activation::Softmax))
}

fn normalized() -> Sequential {
    Sequential::new([28, 28, 1])
        .add(Conv2D::new(4, 3).strides(2).activation(Activation::Relu))
        .add(BatchNormalization::new().momentum(0.9).name("norm"))
        .add(Flatten::new())
        .add(Dense::new(10).activation(Activation::Softmax))
}

fn trained(model: Sequential, backend: Backend, options: Options) -> (Trainer, History) {
    let device = exec::open(&Selection::new(backend)).unwrap();
    let mut trainer = Trainer::new(model, &device, options).unwrap();
    let history = trainer.fit(&digits::generate(IMAGES, 1, 0)).unwrap();
    assert_eq!(history.ending, Ending::Finished);
    (trainer, history)
}

/// Everything that must happen once for each batch.
fn options() -> Options {
    let mut optimizer = Optimizer::sgd().with_learning_rate(0.1);
    optimizer.clip = Some(Clip::GlobalNorm(0.5));
    optimizer.ema_momentum = Some(0.9);
    optimizer.ema_overwrite_frequency = Some(4);
    Options::default()
        .epochs(2)
        .batch_size(16)
        .class_weight([(3, 2.0), (5, 0.5)])
        .optimizer(optimizer)
}

fn largest_distance(a: &[f32], b: &[f32]) -> f32 {
    let distances = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    distances.fold(0.0, f32::max)
}

fn agrees_with_whole_batches(backend: Backend, micro_batches: &[usize]) {
    let (whole, history) = trained(varied(), backend, options());
    let whole_batches = || history.epochs.iter();
    for &rows in micro_batches {
        let (cut, history) = trained(varied(), backend, options().micro_batch(rows));
        let distance = largest_distance(&whole.state().params, &cut.state().params);
        assert!(distance < 3e-5, "{backend}, {rows} rows: {distance}");
        assert_eq!(cut.state().step, 6);
        for (a, b) in whole_batches().zip(&history.epochs) {
            assert!(
                (a.loss - b.loss).abs() < 1e-4 * a.loss,
                "{rows}: {a:?}, {b:?}"
            );
            assert_eq!(a.accuracy, b.accuracy);
        }
    }
}

#[test]
fn the_cpu_computes_the_gradient_of_the_whole_batch() {
    agrees_with_whole_batches(Backend::Cpu, &[1, 5, 8, 16]);
}

#[test]
fn a_gpu_computes_the_gradient_of_the_whole_batch() {
    agrees_with_whole_batches(test_backend(), &[5]);
}

/// The batch's mean is that of the micro-batches' means, weighted by their rows.
#[test]
fn moving_statistics_move_once_for_each_batch() {
    let options = Options::default().epochs(1).batch_size(IMAGES);
    for backend in [Backend::Cpu, test_backend()] {
        let (whole, _) = trained(normalized(), backend, options.clone());
        let (cut, _) = trained(normalized(), backend, options.clone().micro_batch(9));
        let of = |trainer: &Trainer, name: &str| {
            let name = format!("norm/{name}");
            trainer.state().parameter(&name).unwrap().to_vec()
        };
        let means = [&whole, &cut].map(|trainer| of(trainer, "moving_mean"));
        assert!(largest_distance(&means[0], &means[1]) < 1e-6, "{means:?}");
        // The variance within parts of the batch is smaller.
        let variances = [&whole, &cut].map(|trainer| of(trainer, "moving_variance"));
        let pairs = variances[0].iter().zip(&variances[1]);
        assert!(pairs.clone().any(|(whole, cut)| cut < whole));
        for (whole, cut) in pairs {
            assert!(cut <= whole && *cut > 0.9, "{variances:?}");
        }
    }
}

#[test]
fn a_micro_batch_as_large_as_the_batch_changes_no_bytes_on_the_cpu() {
    let hash = |options| {
        let (trainer, _) = trained(varied(), Backend::Cpu, options);
        trainer.state().weights_hash()
    };
    let whole = hash(options());
    for rows in [16, 1000] {
        assert_eq!(hash(options().micro_batch(rows)), whole, "{rows}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_mixed_images_are_mixed_within_micro_batches() {
    let hash = |rows| {
        let options = options().mixup(0.2).cutmix(1.0).micro_batch(rows);
        let (trainer, _) = trained(varied(), Backend::Cpu, options);
        trainer.state().weights_hash()
    };
    assert_eq!(hash(6), hash(6));
    assert_ne!(hash(6), hash(8));
}

#[test]
fn a_micro_batch_of_no_rows_is_refused() {
    let message = options().micro_batch(0).check().unwrap_err().to_string();
    assert_eq!(message, "micro-batch must be at least 1, received 0");
}
