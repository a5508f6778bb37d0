//! MixUp and CutMix: what Keras's layers, losses and accuracy make of the same draws
//! (`mixing/generate.py`), the draws' distributions, where a plan mixes, gradients, and that threads
//! and other rows have no influence.

mod common;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use cnn_gpu::check::Factory;
use cnn_gpu::exec::cpu::{Cpu, CpuExecutor};
use cnn_gpu::exec::{DataId, Inspect, Program, Step, Values};
use cnn_gpu::model::{
    Activation, Add, Conv2D, Dense, Flatten, GaussianNoise, Loss, RandomErasing, RandomFlip,
    RandomRotation, Rescaling, Sequential,
};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::plan::{DrawMixes, Gather, LossOp, Mixing, Op, Plan, Purpose};
use cnn_gpu::rng::Key;
use safetensors::SafeTensors;

/// Those of `generate.py`.
const SHAPE: [usize; 4] = [9, 7, 6, 3];
const VALID: usize = 8;
const SEED: u64 = 7;
const CLASS_WEIGHTS: [f32; 3] = [2.0, 1.0, 0.25];
const ONE: f32 = 16_777_216.0;

/// The name, how images are mixed, and the steps.
fn cases() -> [(&'static str, Mixing, std::ops::RangeInclusive<u64>); 3] {
    let mixing = |mixup, cutmix| Mixing { mixup, cutmix };
    [
        ("mixup", mixing(Some(0.2), None), 1..=2),
        ("cutmix", mixing(None, Some([0.0, 1.0])), 1..=2),
        ("both", mixing(Some(1.0), Some([0.0, 0.5])), 1..=4),
    ]
}

fn dense(loss: Loss, units: usize) -> Sequential {
    let activation = match loss {
        Loss::BinaryCrossentropy { .. } => Activation::Sigmoid,
        Loss::MeanSquaredError => Activation::Linear,
        _ => Activation::Softmax,
    };
    let [_, h, w, c] = SHAPE;
    Sequential::new([h, w, c])
        .add(Flatten::new())
        .add(Dense::new(units).activation(activation))
        .loss(loss)
}

fn training(model: &Sequential, mixing: Mixing, batch: usize) -> Plan {
    let purpose = Purpose::MixedTraining(Optimizer::sgd(), mixing);
    Plan::new(model, purpose, batch).expect("the network can be planned")
}

fn find<T: cnn_gpu::plan::Operation + Clone>(plan: &Plan) -> (usize, T) {
    let mut ops = plan.ops.iter().enumerate();
    let found = ops.find_map(|(i, op)| Some((i, op.downcast::<T>()?.clone())));
    found.expect("the operation is there")
}

/// A plan with a batch on an executor.
struct Batch {
    plan: Plan,
    executor: Box<dyn Inspect>,
    program: Program,
}

impl Batch {
    fn new(factory: Factory<'_>, plan: Plan, images: &[f32], labels: &[u32]) -> Self {
        let mut executor = factory(Arc::clone(&plan.layout));
        let program = executor.compile(&plan).expect("the plan compiles");
        let (_, gather): (_, Gather) = find(&plan);
        let written = [
            (gather.x, Values::F32(images.to_vec())),
            (gather.labels, Values::U32(labels.to_vec())),
        ];
        for (id, values) in written {
            executor.write(program, id, &values).expect("it fits");
        }
        Self {
            plan,
            executor,
            program,
        }
    }

    fn step(&self, rows: usize, t: u64) -> Step {
        Step::new(
            self.program,
            DataId(0),
            0..rows,
            0.0.into(),
            Key::of_step(SEED, t),
        )
    }

    /// The mixed images, and the words of their labels.
    fn mixed(&mut self, rows: usize, t: u64) -> (Vec<f32>, Vec<u32>) {
        let (first, draw): (_, DrawMixes) = find(&self.plan);
        let step = self.step(rows, t);
        self.executor
            .run(first..first + 2, &step)
            .expect("they run");
        let Op::MixRows(mix) = &self.plan.ops[first + 1] else {
            panic!("the images are mixed next");
        };
        let mut read = |id| {
            self.executor
                .read(self.program, id)
                .expect("it can be read")
        };
        let (images, targets) = (read(mix.y), read(draw.targets));
        let Values::U32(words) = targets else {
            panic!("labels are words");
        };
        (images.into_f32(), words)
    }

    /// The sum of the losses, the number of correct rows and the gradient of these logits.
    fn loss(&mut self, rows: usize, t: u64, logits: &[f32]) -> (f32, u32, Vec<f32>) {
        let (number, op): (_, LossOp) = find(&self.plan);
        let logits = Values::F32(logits.to_vec());
        let written = self.executor.write(self.program, op.x, &logits);
        written.expect("they fit");
        let step = self.step(rows, t);
        self.executor
            .run(number..number + 1, &step)
            .expect("it runs");
        let metrics = self.executor.completed(true).expect("it ends").pop();
        let metrics = metrics.expect("a loss has metrics");
        let dx = op.dx.expect("training has a gradient");
        let gradient = self.executor.read(self.program, dx);
        let gradient = gradient.expect("it can be read").into_f32();
        (metrics.loss_sum, metrics.correct, gradient)
    }
}

fn worst(found: &[f32], expected: &[f32]) -> f32 {
    assert!(found.len() >= expected.len(), "{} values", found.len());
    let pairs = found.iter().zip(expected);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn agrees_with_keras(factory: Factory<'_>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mixing/keras.safetensors");
    let bytes = std::fs::read(path).expect("the fixture is there");
    let file = SafeTensors::deserialize(&bytes).expect("the fixture is intact");
    let tensor = |name: &str| -> Vec<f32> {
        let floats = file.tensor(name).expect(name).data().chunks_exact(4);
        floats
            .map(|f| f32::from_le_bytes([f[0], f[1], f[2], f[3]]))
            .collect()
    };
    let (images, logits) = (tensor("images"), tensor("logits"));
    let labels: Vec<u32> = tensor("labels").iter().map(|&label| label as u32).collect();
    let is_one: Vec<u32> = labels.iter().map(|&label| u32::from(label == 1)).collect();
    let first: Vec<f32> = logits.iter().step_by(3).copied().collect();
    let smoothed = |loss: Loss| loss.with_label_smoothing(0.1).expect("a cross-entropy");
    let losses = [
        ("categorical", smoothed(Loss::categorical_crossentropy()), 3),
        ("binary", smoothed(Loss::binary_crossentropy()), 3),
        ("squared", Loss::MeanSquaredError, 3),
        ("single", smoothed(Loss::binary_crossentropy()), 1),
    ];
    for (kind, mixing, steps) in cases() {
        for (loss_name, loss, units) in losses {
            let mut plan = training(&dense(loss, units), mixing, SHAPE[0]);
            plan.weigh_classes(&CLASS_WEIGHTS[..plan.classes])
                .expect("a weight for each class");
            let (labels, logits) = match units {
                1 => (&is_one, &first),
                _ => (&labels, &logits),
            };
            let mut batch = Batch::new(factory, plan, &images, labels);
            for t in steps.clone() {
                let case = format!("{kind} {t}");
                let (mixed, targets) = batch.mixed(VALID, t);
                let error = worst(&mixed, &tensor(&format!("{case} images")));
                assert!(error < 1e-6, "{case}: images are off by {error:.1e}");
                // A row that is not valid stays as it is.
                let rest = VALID * mixed.len() / SHAPE[0];
                assert_eq!(mixed[rest..], images[rest..]);
                if units > 1 {
                    let shares = targets.chunks_exact(4).flat_map(|words| {
                        let share = words[2] as f32 / ONE;
                        let of = |label: u32, class| if label == class { 1.0 } else { 0.0 };
                        let of_class = |class| {
                            share * of(words[0], class) + (1.0 - share) * of(words[1], class)
                        };
                        [0, 1, 2].map(of_class)
                    });
                    let shares: Vec<f32> = shares.collect();
                    let error = worst(&shares, &tensor(&format!("{case} labels")));
                    assert!(error < 1e-6, "{case}: labels are off by {error:.1e}");
                }
                let (sum, correct, gradient) = batch.loss(VALID, t, logits);
                let expected = tensor(&format!("{case} {loss_name}"));
                let error = (sum / VALID as f32 - expected[0]).abs();
                assert!(
                    error < 2e-6,
                    "{case} {loss_name}: the loss is off by {error:.1e}"
                );
                assert!(
                    units == 1 || correct as f32 == expected[1],
                    "{case} {loss_name}: {correct}"
                );
                let error = worst(&gradient, &tensor(&format!("{case} {loss_name} gradient")));
                assert!(
                    error < 1e-6,
                    "{case} {loss_name}: the gradient is off by {error:.1e}"
                );
            }
        }
    }
}

#[test]
fn the_reference_agrees_with_keras() {
    agrees_with_keras(&common::reference);
}

#[test]
fn the_cpu_agrees_with_keras() {
    agrees_with_keras(&common::cpu);
}

#[test]
fn the_gpu_agrees_with_keras() {
    agrees_with_keras(&common::gpu);
}

/// Central differences of the loss with respect to the logits.
#[test]
fn gradients_are_the_slopes_of_the_loss() {
    let (n, units) = (5, 3);
    let size: usize = SHAPE[1..].iter().product();
    let images = vec![0.5; n * size];
    let logits: Vec<f32> = (0..(n * units) as u32)
        .map(|i| Key::new(2).normal(i))
        .collect();
    let losses = [
        Loss::categorical_crossentropy(),
        Loss::binary_crossentropy(),
        Loss::MeanSquaredError,
    ];
    for loss in losses {
        for (kind, mixing, _) in cases() {
            let plan = training(&dense(loss, units), mixing, n);
            let mut batch = Batch::new(&common::reference, plan, &images, &[0, 1, 2, 0, 1]);
            batch.mixed(n, 1);
            let (_, _, gradient) = batch.loss(n, 1, &logits);
            for (i, &slope) in gradient.iter().enumerate() {
                let mut at = |step: f32| {
                    let mut moved = logits.clone();
                    moved[i] += step;
                    batch.loss(n, 1, &moved).0
                };
                let step = 1.0 / 64.0;
                let found = (at(step) - at(-step)) / (2.0 * step * n as f32);
                assert!(
                    (found - slope).abs() < 1e-4,
                    "{kind} {loss:?}: {found}, {slope}"
                );
            }
        }
    }
}

#[test]
fn the_number_of_threads_has_no_influence() {
    let n = 37;
    let size: usize = SHAPE[1..].iter().product();
    let images: Vec<f32> = (0..(n * size) as u32)
        .map(|i| Key::new(1).uniform(i))
        .collect();
    let labels: Vec<u32> = (0..n as u32).map(|i| i % 3).collect();
    for (_, mixing, _) in cases() {
        let with = |threads| {
            let factory = move |layout| -> Box<dyn Inspect> {
                let cpu = Cpu::with_threads(threads).expect("the threads start");
                Box::new(CpuExecutor::new(cpu, layout))
            };
            let plan = training(&dense(Loss::default(), 3), mixing, n);
            let mut batch = Batch::new(&factory, plan, &images, &labels);
            let (mixed, targets) = batch.mixed(n - 2, 3);
            let bits: Vec<u32> = mixed.into_iter().map(f32::to_bits).collect();
            (bits, targets)
        };
        let one = with(1);
        assert_eq!(one, with(2));
        assert_eq!(one, with(5));
    }
}

fn draws(mixing: Mixing) -> DrawMixes {
    let mut draw: DrawMixes = find(&training(&dense(Loss::default(), 3), mixing, 4)).1;
    draw.size = [100, 60];
    draw
}

#[test]
fn partners_are_a_permutation_without_fixed_points() {
    let draw = draws(cases()[0].1);
    let mut shifts = HashSet::new();
    for t in 1..200 {
        let key = Key::of_step(SEED, t);
        for rows in [2, 3, 8] {
            let step = draw.step(key, rows);
            let partners: Vec<usize> = (0..rows)
                .map(|row| draw.row(key, &step, row).partner)
                .collect();
            assert_eq!(partners.iter().collect::<HashSet<_>>().len(), rows);
            assert!(
                partners
                    .iter()
                    .enumerate()
                    .all(|(row, partner)| row != *partner && *partner < rows)
            );
            shifts.insert((rows, partners[0]));
            let beyond = draw.row(key, &step, rows);
            assert_eq!(
                (beyond.partner, beyond.share, beyond.blend),
                (rows, 1 << 24, 1 << 24)
            );
        }
        let alone = draw.row(key, &draw.step(key, 1), 0);
        assert_eq!(
            (alone.partner, alone.share, alone.blend),
            (0, 1 << 24, 1 << 24)
        );
    }
    assert_eq!(shifts.len(), 1 + 2 + 7, "every shift is drawn");
}

/// The mean and the variance over images of many steps.
fn moments(mixing: Mixing, of: impl Fn(&cnn_gpu::plan::MixedRow) -> f64) -> [f64; 2] {
    let draw = draws(mixing);
    let mut found = Vec::new();
    for t in 1..2000 {
        let key = Key::of_step(SEED, t);
        let step = draw.step(key, 16);
        found.extend((0..16).map(|row| of(&draw.row(key, &step, row))));
    }
    let n = found.len() as f64;
    let mean = found.iter().sum::<f64>() / n;
    [
        mean,
        found.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n,
    ]
}

#[test]
fn shares_have_the_distribution_of_keras() {
    let share = |row: &cnn_gpu::plan::MixedRow| f64::from(row.share) / f64::from(ONE);
    for alpha in [0.1, 0.2, 1.0, 2.0] {
        let [mean, variance] = moments(
            Mixing {
                mixup: Some(alpha),
                cutmix: None,
            },
            share,
        );
        let expected = 0.25 / (2.0 * alpha + 1.0);
        assert!((mean - 0.5).abs() < 0.01, "{alpha}: {mean}");
        assert!(
            (variance / expected - 1.0).abs() < 0.02,
            "{alpha}: {variance}, not {expected}"
        );
    }
    // The variance for a uniform parameter from 0 to f: the mean of 1 / (8 a + 4).
    for factor in [0.3, 1.0] {
        let [mean, variance] = moments(
            Mixing {
                mixup: None,
                cutmix: Some([0.0, factor]),
            },
            share,
        );
        let expected = (2.0 * factor + 1.0_f64).ln() / (8.0 * factor);
        assert!((mean - 0.5).abs() < 0.01, "{factor}: {mean}");
        assert!(
            (variance / expected - 1.0).abs() < 0.03,
            "{factor}: {variance}, not {expected}"
        );
    }
}

#[test]
fn boxes_have_the_area_of_their_share_and_lie_anywhere_within() {
    let mixing = Mixing {
        mixup: None,
        cutmix: Some([1.0, 1.0]),
    };
    let draw = draws(mixing);
    let (mut sum, mut starts) = (0.0, HashSet::new());
    for t in 1..500 {
        let key = Key::of_step(SEED, t);
        let step = draw.step(key, 16);
        for row in 0..16 {
            let mixed = draw.row(key, &step, row);
            let [rows, columns] = &mixed.area;
            assert!(rows.end <= 100 && columns.end <= 60 && mixed.blend == 1 << 24);
            // Up to a pixel on each side.
            let side = (1.0 - f64::from(mixed.share) / f64::from(ONE)).sqrt();
            assert!((rows.len() as f64 - 100.0 * side).abs() < 1.01);
            assert!((columns.len() as f64 - 60.0 * side).abs() < 1.01);
            sum += (rows.len() * columns.len()) as f64 / 6000.0
                - (1.0 - f64::from(mixed.share) / f64::from(ONE));
            starts.insert(rows.start);
        }
    }
    assert!(
        (sum / 8000.0).abs() < 1e-3,
        "areas and shares differ by {}",
        sum / 8000.0
    );
    assert!(starts.len() > 80, "{}", starts.len());
}

#[test]
fn with_both_kinds_each_step_takes_one() {
    let draw = draws(cases()[2].1);
    let mut cuts = 0;
    for t in 1..=1000 {
        let key = Key::of_step(SEED, t);
        let step = draw.step(key, 8);
        let rows: Vec<_> = (0..8).map(|row| draw.row(key, &step, row)).collect();
        let blended = rows.iter().filter(|row| row.blend < 1 << 24).count();
        assert!(blended == 0 || blended == 8);
        cuts += usize::from(blended == 0);
    }
    assert!(cuts.abs_diff(500) < 60, "{cuts} of 1000 steps cut");
}

#[test]
fn images_are_mixed_behind_augmentation_in_training_only() {
    let mixing = cases()[0].1;
    let head = |model: Sequential| {
        model
            .add(Conv2D::new(2, 3))
            .add(Flatten::new())
            .add(Dense::new(3).activation(Activation::Softmax))
    };
    let model = head(
        Sequential::new([8, 8, 1])
            .add(Rescaling::new(2.0))
            .add(RandomFlip::new())
            .add(RandomErasing::new(1.0))
            .add(GaussianNoise::new(0.1)),
    );
    let names = |plan: &Plan| plan.ops.iter().map(Op::name).collect::<Vec<_>>();
    let mixed = training(&model, mixing, 4);
    let expected = [
        "gather",
        "rescale",
        "draw_maps",
        "affine_transform",
        "erase",
        "draw_mixes",
        "mix_rows",
        "add_noise",
    ];
    assert_eq!(names(&mixed)[..8], expected);
    // Everything else is as without.
    let plain = Plan::new(&model, Purpose::Training(Optimizer::sgd()), 4).expect("a plan");
    let mut rest = names(&mixed);
    rest.drain(5..7);
    assert_eq!(rest, names(&plain));
    let bare = training(&head(Sequential::new([8, 8, 1])), mixing, 4);
    assert_eq!(
        names(&bare)[..4],
        ["gather", "draw_mixes", "mix_rows", "conv2d_forward"]
    );
    // A layer that takes the images as they are.
    let skip = Sequential::new([8, 8, 1])
        .add(RandomRotation::new(0.1).name("turned"))
        .add(Conv2D::new(1, 1).name("conv"))
        .add_from(["conv", "input"], Add::new().name("sum"))
        .add(Flatten::new())
        .add(Dense::new(3).activation(Activation::Softmax));
    let purpose = Purpose::MixedTraining(Optimizer::sgd(), mixing);
    let message = Plan::new(&skip, purpose, 4)
        .expect_err("it is refused")
        .to_string();
    assert!(
        message.contains("`sum`") && message.contains("not mixed"),
        "{message}"
    );
}
