//! All options of `fit`, with a scripted executor that computes nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use cnn_gpu::Error;
use cnn_gpu::data::Dataset;
use cnn_gpu::exec::Executor;
use cnn_gpu::internal::NullExecutor;
use cnn_gpu::model::{Activation, Dense, Flatten, Loss, Regularizer, Sequential};
use cnn_gpu::optimizer::{Clip, Optimizer, UpdateRule};
use cnn_gpu::plan::{Plan, Purpose};
use cnn_gpu::state::{Layout, State};
use cnn_gpu::train::{History, Metric, Options, TestTimeAugmentation, Trainer};
use common::{images, model, scripted};

fn refused(options: Options, images: &Dataset) -> String {
    let mut trainer = scripted(options, &[(1.0, 0.5)]);
    trainer.fit(images).unwrap_err().to_string()
}

#[test]
fn a_validation_split_takes_the_last_images_before_any_shuffle() {
    // Keras trains on floor(10 * (1 - 0.25)) = 7.
    let options = Options::default()
        .epochs(2)
        .batch_size(4)
        .validation_split(0.25);
    let script = [(1.0, 0.5), (1.0, 0.5), (8.0, 1.0), (1.0, 0.5)];
    let mut trainer = scripted(options, &script);
    let history = trainer.fit(&images(10)).unwrap();
    let executor = trainer.executor();
    let rows: Vec<usize> = executor.steps.iter().map(|s| s.rows).collect();
    assert_eq!(rows, [4, 3, 3, 4, 3, 3]);
    assert_eq!(executor.orders.len(), 4);
    let mut trained = executor.orders[0].clone();
    trained.sort_unstable();
    assert_eq!(trained, (0..7).collect::<Vec<u32>>());
    assert_eq!(executor.orders[1], [7, 8, 9]);
    assert_eq!(executor.orders[3], [7, 8, 9]);
    assert_eq!(history.metric(Metric::ValLoss), [8.0, 1.0]);
    assert_eq!(history.epochs[0].val_accuracy, Some(1.0));
    assert_eq!(history.epochs[0].loss, 1.0, "validation is not training");
    assert_eq!(trainer.state().step, 4);
}

#[test]
fn validation_images_replace_a_split() {
    let options = Options::default().epochs(1).validation_split(0.5);
    let mut trainer = scripted(options, &[(1.0, 0.5)]);
    let history = trainer.fit((&images(10), &images(6))).unwrap();
    let rows: Vec<usize> = trainer.executor().steps.iter().map(|s| s.rows).collect();
    assert_eq!(rows, [10, 6]);
    assert_eq!(history.metric(Metric::ValAccuracy), [0.5]);
}

#[test]
fn validation_runs_every_few_epochs_on_the_first_batches() {
    let options = Options::default()
        .epochs(5)
        .batch_size(3)
        .validation_freq(2)
        .validation_steps(2);
    let mut trainer = scripted(options, &[(1.0, 0.5)]);
    let history = trainer.fit((&images(3), &images(50))).unwrap();
    let measured: Vec<bool> = history
        .epochs
        .iter()
        .map(|e| e.val_loss.is_some())
        .collect();
    assert_eq!(measured, [false, true, false, true, false]);
    let validated = trainer
        .executor()
        .steps
        .iter()
        .filter(|s| s.rates.rate == 0.0);
    assert_eq!(validated.map(|s| s.rows).collect::<Vec<_>>(), [6, 6]);
}

#[test]
fn an_epoch_of_some_steps_continues_where_the_last_one_stopped() {
    let options = Options::default()
        .epochs(3)
        .batch_size(4)
        .steps_per_epoch(2);
    let mut trainer = scripted(options.clone(), &[(1.0, 0.5)]);
    let history = trainer.fit(&images(10)).unwrap();
    let executor = trainer.executor();
    let steps: Vec<_> = executor.steps.iter().map(|s| (s.offset, s.rows)).collect();
    assert_eq!(steps, [(0, 4), (4, 4), (8, 2), (0, 4), (4, 4), (8, 2)]);
    // The second epoch begins within the first pass and ends in the second.
    let orders = &executor.orders;
    assert_eq!((orders.len(), &orders[1]), (4, &orders[0]));
    assert_eq!(orders[3], orders[2]);
    assert_ne!(orders[2], orders[0]);
    assert_eq!(history.epochs.len(), 3);

    // Training only the later epochs gives the same steps.
    let mut late = scripted(options.initial_epoch(1), &[(1.0, 0.5)]);
    let history = late.fit(&images(10)).unwrap();
    assert_eq!(history.epochs[0].epoch, 2);
    assert_eq!(late.executor().orders, orders[1..]);
}

#[test]
fn the_initial_epoch_counts_as_done() {
    let options = Options::default().epochs(5).initial_epoch(3);
    let mut trainer = scripted(options.clone(), &[(1.0, 0.5)]);
    let history = trainer.fit(&images(10)).unwrap();
    let epochs: Vec<usize> = history.epochs.iter().map(|e| e.epoch).collect();
    assert_eq!(epochs, [4, 5]);
    let message = options.initial_epoch(5).check().unwrap_err().to_string();
    assert!(message.contains("less than the 5 epochs"), "{message}");
}

#[test]
fn options_that_leave_nothing_to_do_are_refused() {
    let message = refused(Options::default().validation_split(1e-17), &images(10));
    assert!(message.contains("0 to validate on"), "{message}");
    let message = refused(Options::default().validation_split(0.99), &images(10));
    assert!(message.contains("0 to train on"), "{message}");
    let impossible = [
        Options::default().validation_split(1.0),
        Options::default().validation_split(f64::NAN),
        Options::default().validation_freq(0),
        Options::default().validation_steps(0),
        Options::default().steps_per_epoch(0),
        Options::default().class_weight([(0, -1.0)]),
        Options::default().class_weight([(0, f32::NAN)]),
        Options::default().class_weight([(3, 1.0)]),
        Options::default().mixup(0.0),
        Options::default().mixup(f64::NAN),
        Options::default().cutmix(1.5),
        Options::default().cutmix(0.0),
    ];
    for options in impossible {
        let executor = Box::new(NullExecutor::default());
        let error = Trainer::with_executor(model(), executor, options.clone()).err();
        assert!(matches!(error, Some(Error::Argument(_))), "{options:?}");
    }
}

/// Five samples of two pixels, batches of 3 and 2, and initial weights, with which Keras 3.15
/// computed the figures below.
fn beside_keras(loss: Loss, options: &Options, check: impl Fn(&str, &Trainer, &History)) {
    let model = Sequential::new([1, 2, 1])
        .add(Flatten::new())
        .add(Dense::new(3).activation(Activation::Softmax))
        .loss(loss);
    let pixels = vec![0, 51, 255, 102, 153, 255, 51, 204, 255, 255];
    let data = Dataset::new("test", "nowhere", [1, 2, 1], 3, pixels, vec![0, 1, 2, 1, 0]).unwrap();
    let options = options.clone().epochs(2).batch_size(3).shuffle(false);
    let layout = Layout::new(&model).unwrap();
    for open in [common::reference, common::cpu, common::gpu] {
        let executor: Box<dyn Executor> = open(layout.clone());
        let name = executor.describe().backend;
        let mut trainer = Trainer::with_executor(model.clone(), executor, options.clone()).unwrap();
        let mut state = State::new(layout.clone(), 0);
        let kernel = [0.5, -0.25, 0.125, 0.75, 0.5, -1.0];
        state.set_parameter("dense/kernel", &kernel).unwrap();
        state
            .set_parameter("dense/bias", &[0.1, 0.0, -0.1])
            .unwrap();
        trainer.set_state(state).unwrap();
        let history = trainer.fit((&data, &data)).unwrap();
        check(&name, &trainer, &history);
    }
}

#[track_caller]
fn close(name: &str, found: &[f64], expected: &[f64]) {
    let mut pairs = found.iter().zip(expected);
    assert!(
        pairs.all(|(a, b)| (a - b).abs() <= 1e-6),
        "{name}: {found:?}"
    );
}

fn bias(trainer: &Trainer) -> Vec<f64> {
    let bias = trainer.state().parameter("dense/bias").unwrap();
    bias.iter().map(|b| f64::from(*b)).collect()
}

/// SGD with rate 0.5, class weights {0: 2, 2: 0.25}.
#[test]
fn class_weights_work_as_in_keras() {
    let options = Options::default()
        .optimizer(Optimizer::sgd().with_learning_rate(0.5))
        .class_weight([(0, 2.0), (2, 0.25)]);
    beside_keras(Loss::default(), &options, |name, trainer, history| {
        close(
            name,
            &history.metric(Metric::Loss),
            &[1.151_475_4, 1.128_441_1],
        );
        close(name, &history.metric(Metric::Accuracy), &[0.4, 0.4]);
        // Validation uses no class weights.
        let expected = [1.320_718_1, 1.345_311_9];
        close(name, &history.metric(Metric::ValLoss), &expected);
        close(
            name,
            &bias(trainer),
            &[0.263_386_9, 0.055_567_2, -0.318_954_1],
        );
    });
}

/// AdamW(0.1, weight_decay=0.5, clipnorm=0.2, use_ema=True, ema_momentum=0.75), label smoothing
/// 0.1.
#[test]
fn clipping_decay_and_averaging_work_as_in_keras() {
    let smoothed = Loss::default().with_label_smoothing(0.1).unwrap();
    let optimizer = Optimizer::adamw()
        .with_learning_rate(0.1)
        .weight_decay(0.5)
        .clip(Clip::Norm(0.2))
        .ema_momentum(0.75);
    let options = Options::default().optimizer(optimizer);
    beside_keras(smoothed, &options, |name, trainer, history| {
        close(
            name,
            &history.metric(Metric::Loss),
            &[1.289_940_2, 1.184_677],
        );
        // The averages replace the weights only when training has ended.
        let expected = [1.167_915, 1.150_074_4];
        close(name, &history.metric(Metric::ValLoss), &expected);
        close(
            name,
            &bias(trainer),
            &[-0.095_109_9, 0.170_934_8, 0.026_804_8],
        );
    });
}

/// SGD(0.25, momentum=0.9, nesterov=True, weight_decay=0.1, use_ema=True, ema_momentum=0.75) without
/// an `ema_overwrite_frequency` and with one of 3 and of 2, for four steps.
#[test]
fn averages_replace_weights_as_in_keras() {
    let sgd = UpdateRule::Sgd {
        learning_rate: 0.25,
        momentum: 0.9,
        nesterov: true,
    };
    let optimizer = Optimizer::from(sgd).weight_decay(0.1).ema_momentum(0.75);
    let cases = [
        (
            optimizer,
            [[1.294_303_2, 1.217_658_8], [1.175_219_5, 1.142_411_5]],
            [-0.073_007_9, 0.084_266_4, -0.011_258_5],
        ),
        (
            optimizer.ema_overwrite_frequency(3),
            [[1.294_303_2, 1.185_409_8], [1.175_219_5, 1.160_693_6]],
            [-0.061_412_3, 0.077_689_6, -0.016_277_3],
        ),
        (
            optimizer.ema_overwrite_frequency(2),
            [[1.294_303_2, 1.222_964_6], [1.183_458_2, 1.159_892_9]],
            [-0.064_771_8, 0.069_039_5, -0.004_267_7],
        ),
    ];
    for (optimizer, [loss, val_loss], expected) in cases {
        let options = Options::default().optimizer(optimizer);
        beside_keras(Loss::default(), &options, |name, trainer, history| {
            close(name, &history.metric(Metric::Loss), &loss);
            close(name, &history.metric(Metric::ValLoss), &val_loss);
            close(name, &bias(trainer), &expected);
        });
    }
}

/// Images of 2x2 pixels, all different, with variants made by hand.
#[test]
fn averaged_predictions_are_means_over_variants() {
    let n = 10;
    let pixels: Vec<u8> = (0..n * 4).map(|i| (i * 37 % 256) as u8).collect();
    let arranged = |order: [usize; 4]| -> Vec<u8> {
        let images = pixels.chunks(4);
        images.flat_map(|image| order.map(|i| image[i])).collect()
    };
    // Reflected about its pixels, an image of 2x2 that is shifted by one is turned by half a turn.
    let [plain, mirrored] = [[0, 1, 2, 3], [1, 0, 3, 2]].map(arranged);
    let [shifted, both] = [[3, 2, 1, 0], [2, 3, 0, 1]].map(arranged);
    let penalized = Sequential::new([2, 2, 1]).add(Flatten::new()).add(
        Dense::new(3)
            .activation(Activation::Softmax)
            .kernel_regularizer(Regularizer::l2(0.5)),
    );
    let layout = Layout::new(&penalized).unwrap();
    let labels = images(n).labels().to_vec();
    let data = |pixels: &[u8]| {
        let labels = labels.clone();
        Dataset::new("test", "nowhere", [2, 2, 1], 3, pixels.to_vec(), labels).unwrap()
    };
    for open in [common::reference, common::cpu, common::gpu] {
        let options = Options::default().batch_size(4);
        let mut trainer =
            Trainer::with_executor(penalized.clone(), open(layout.clone()), options).unwrap();
        let kernel = trainer.state().parameter("dense/kernel").unwrap();
        let penalty: f64 = kernel.iter().map(|&w| 0.5 * f64::from(w).powi(2)).sum();
        for (variants, weighted) in [
            (
                TestTimeAugmentation::Flip,
                vec![(&plain, 0.5), (&mirrored, 0.5)],
            ),
            (
                TestTimeAugmentation::Shift,
                vec![(&plain, 0.5), (&shifted, 0.5)],
            ),
            (
                TestTimeAugmentation::FlipAndShift,
                vec![&plain, &mirrored, &shifted, &both]
                    .into_iter()
                    .map(|images| (images, 0.25))
                    .collect(),
            ),
        ] {
            let mut expected = vec![[0.0; 3]; n];
            for (images, weight) in weighted {
                for (sum, one) in expected.iter_mut().zip(trainer.predict(images).unwrap()) {
                    let pairs = sum.iter_mut().zip(one.probabilities);
                    pairs.for_each(|(sum, p)| *sum += weight * f64::from(p));
                }
            }
            let found = trainer.predict_averaged(&plain, variants).unwrap();
            for (found, expected) in found.iter().zip(&expected) {
                let found: Vec<f64> = found.probabilities.iter().map(|&p| p.into()).collect();
                close(variants.name(), &found, expected);
            }
            let losses = expected.iter().zip(&labels);
            let losses = losses.map(|(row, &label)| -row[usize::from(label)].ln());
            let loss = penalty + losses.sum::<f64>() / n as f64;
            let scores = trainer.evaluate_averaged(&data(&plain), variants).unwrap();
            close(variants.name(), &[scores.loss], &[loss]);
            assert_eq!(scores.images, n as u64);
            let all = trainer.classify_averaged(&data(&plain), variants, 2, 3);
            let all = all.unwrap();
            assert_eq!(all.scores.loss, scores.loss);
            assert_eq!(all.scores.correct, scores.correct);
        }
        // Averages of equal predictions are what they are averages of.
        let single: Vec<u8> = plain.chunks(4).flat_map(|image| [image[0]; 4]).collect();
        let single = data(&single);
        let plain = trainer.evaluate(&single).unwrap();
        let averaged = trainer.evaluate_averaged(&single, TestTimeAugmentation::FlipAndShift);
        let averaged = averaged.unwrap();
        close("one colour", &[averaged.loss], &[plain.loss]);
        assert_eq!(averaged.correct, plain.correct);
    }
}

/// New weights have no moments, and must not be combined with those of earlier training.
#[test]
fn new_weights_reset_the_optimizer() {
    let options = Options::default().epochs(2).batch_size(4).shuffle(false);
    for open in [common::reference, common::cpu, common::gpu] {
        let layout = Layout::new(&model()).unwrap();
        let pixels = (0..10 * 4).map(|i| (i * 37 % 256) as u8).collect();
        let labels = images(10).labels().to_vec();
        let data = Dataset::new("test", "nowhere", [2, 2, 1], 3, pixels, labels).unwrap();
        let mut trainer =
            Trainer::with_executor(model(), open(layout.clone()), options.clone()).unwrap();
        let mut weights = || {
            trainer.set_state(State::new(layout.clone(), 5)).unwrap();
            trainer.fit(&data).unwrap();
            let state = trainer.state();
            assert!(state.m.iter().any(|m| *m != 0.0), "no moment came back");
            state.weights_hash()
        };
        let first = weights();
        assert_eq!(first, weights());
    }
}

/// A state downloaded from a device has moments.
#[test]
fn a_state_without_moments_gets_zeros() {
    let layout = Layout::new(&model()).unwrap();
    let plan = Plan::new(&model(), Purpose::Training(Optimizer::adam()), 4).unwrap();
    for open in [common::reference, common::cpu, common::gpu] {
        let mut executor = open(layout.clone());
        executor.compile(&plan).unwrap();
        let mut state = State::new(layout.clone(), 1);
        executor.upload(&state).unwrap();
        executor.download(&mut state).unwrap();
        assert_eq!(state.m, vec![0.0; layout.len]);
        assert_eq!(state.v, vec![0.0; layout.len]);
        assert!(state.average.is_empty());
    }
}
