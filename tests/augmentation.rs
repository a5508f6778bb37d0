//! Augmentation: what Keras's layers make of the same draws (`augmentation/generate.py`), the draws'
//! distributions, and that threads, devices and inference have no influence.

mod common;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use cnn_gpu::check::Factory;
use cnn_gpu::exec::cpu::{Cpu, CpuExecutor};
use cnn_gpu::exec::{DataId, Inspect, Step, Values};
use cnn_gpu::model::{
    Activation, Conv2D, Dense, FillMode, Flatten, FlipMode, GaussianNoise, Layer, RandomBrightness,
    RandomContrast, RandomCrop, RandomElasticTransform, RandomErasing, RandomFlip, RandomRotation,
    RandomShear, RandomTranslation, RandomZoom, Resampling, Sequential,
};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::plan::{
    BlurNoise, BufferId, DrawMaps, DrawNoise, Erase, Gather, Op, Operation, Plan, Purpose,
};
use cnn_gpu::rng::Key;
use safetensors::SafeTensors;

/// Those of `generate.py`.
const SHAPE: [usize; 4] = [9, 7, 6, 3];

/// Of the images that are distorted.
const ELASTIC: [usize; 4] = [6, 24, 20, 2];

/// Sizes to which inference cuts.
const CENTRES: [[usize; 2]; 4] = [[5, 3], [7, 4], [9, 10], [3, 3]];

fn key() -> Key {
    Key::of_step(7, 3)
}

/// The layers of each case, under its name in the file.
fn cases() -> Vec<(String, Vec<Layer>)> {
    let mut cases: Vec<(String, Vec<Layer>)> = Vec::new();
    let modes = [
        FillMode::Reflect,
        FillMode::Constant,
        FillMode::Nearest,
        FillMode::Wrap,
    ];
    for mode in modes {
        for how in [Resampling::Bilinear, Resampling::Nearest] {
            let suffix = format!("{} {}", mode.name(), how.name());
            let rotation = RandomRotation::new([-0.5, 1.0])
                .fill_mode(mode)
                .interpolation(how)
                .fill_value(0.375);
            let translation = RandomTranslation::new(0.75, [-0.25, 0.5])
                .fill_mode(mode)
                .interpolation(how)
                .fill_value(0.375);
            cases.push((format!("rotation {suffix}"), vec![rotation.into()]));
            cases.push((format!("translation {suffix}"), vec![translation.into()]));
        }
    }
    let zoom = || RandomZoom::new([-0.5, 0.75]);
    let erasing = || RandomErasing::new(1.0);
    let single: [(&str, Layer); 9] = [
        ("flip", RandomFlip::new().into()),
        ("zoom", zoom().into()),
        ("zoom width", zoom().width_factor([0.0, 0.25]).into()),
        ("shear", RandomShear::new(0.5, [0.1, 0.4]).into()),
        ("contrast", RandomContrast::new([0.25, 0.5]).into()),
        ("brightness", RandomBrightness::new([-0.5, 0.25]).into()),
        ("erasing value", erasing().fill_value(0.5).into()),
        ("erasing noise", erasing().into()),
        ("noise", GaussianNoise::new(0.25).into()),
    ];
    cases.extend(single.map(|(name, layer)| (name.to_owned(), vec![layer])));
    let joined = vec![
        RandomFlip::new().into(),
        RandomRotation::new([-0.5, 1.0]).into(),
        zoom().into(),
    ];
    cases.push(("joined".to_owned(), joined));
    // Behind a movement, smaller along one axis, and larger.
    let crops: [(&str, Vec<Layer>); 4] = [
        ("crop", vec![RandomCrop::new(5, 3).into()]),
        (
            "crop flipped",
            vec![RandomFlip::new().into(), RandomCrop::new(5, 3).into()],
        ),
        ("crop narrow", vec![RandomCrop::new(7, 4).into()]),
        ("crop large", vec![RandomCrop::new(9, 10).into()]),
    ];
    cases.extend(crops.map(|(name, layers)| (name.to_owned(), layers)));
    cases
}

/// The distortions, under their names in the file.
fn elastic_cases() -> [(&'static str, Layer); 3] {
    let elastic = || RandomElasticTransform::new([0.5, 1.0]).scale([0.5, 1.0]);
    let constant = elastic().fill_mode(FillMode::Constant).fill_value(0.375);
    let nearest = elastic().fill_mode(FillMode::Wrap);
    [
        ("elastic", elastic().into()),
        ("elastic constant", constant.into()),
        (
            "elastic nearest",
            nearest.interpolation(Resampling::Nearest).into(),
        ),
    ]
}

/// A network that starts with these layers.
fn network(input: [usize; 3], layers: Vec<Layer>) -> Sequential {
    let model = layers
        .into_iter()
        .fold(Sequential::new(input), Sequential::add);
    let head = Dense::new(2).activation(Activation::Softmax);
    model.add(Flatten::new()).add(head)
}

fn training(model: &Sequential, batch: usize) -> Plan {
    let purpose = Purpose::Training(Optimizer::sgd());
    Plan::new(model, purpose, batch).expect("the network can be planned")
}

/// The operations between the gather and the first layer with parameters.
fn augmentation(plan: &Plan) -> &[Op] {
    let end = plan.ops.iter().position(|op| op.name() == "dense_forward");
    &plan.ops[1..end.expect("there is a dense layer")]
}

/// What the augmentation makes of these images.
fn augmented(executor: &mut dyn Inspect, plan: &Plan, images: &[f32], key: Key) -> Vec<f32> {
    let program = executor.compile(plan).expect("the plan compiles");
    let Op::Gather(Gather { x, .. }) = plan.ops[0] else {
        panic!("a plan starts with its input");
    };
    let images = Values::F32(images.to_vec());
    executor.write(program, x, &images).expect("they fit");
    let ops = augmentation(plan);
    let step = Step::new(program, DataId(0), 0..plan.batch, 0.0.into(), key);
    executor.run(1..1 + ops.len(), &step).expect("they run");
    let last: BufferId = ops.last().expect("there is augmentation").writes()[0];
    let values = executor.read(program, last).expect("it can be read");
    values.into_f32()
}

fn agrees_with_keras(factory: Factory<'_>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/augmentation/keras.safetensors");
    let bytes = std::fs::read(path).expect("the fixture is there");
    let file = SafeTensors::deserialize(&bytes).expect("the fixture is intact");
    let tensor = |name: &str| -> Vec<f32> {
        let data = file.tensor(name).expect(name).data();
        let floats = data.chunks_exact(4);
        floats
            .map(|f| f32::from_le_bytes([f[0], f[1], f[2], f[3]]))
            .collect()
    };
    let input = tensor("input");
    let cases = cases();
    let elastic = elastic_cases();
    // With the inputs, and what inference makes of one.
    let count = cases.len() + elastic.len() + 2 + CENTRES.len();
    assert_eq!(count, file.names().len());
    let [batch, shape @ ..] = SHAPE;
    let mut failures = Vec::new();
    let small = cases
        .into_iter()
        .map(|(name, layers)| (name, layers, SHAPE, &input));
    let large = tensor("elastic input");
    let elastic = elastic.map(|(name, layer)| (name.to_owned(), vec![layer], ELASTIC, &large));
    for (name, layers, [batch, shape @ ..], input) in small.chain(elastic) {
        let plan = training(&network(shape, layers), batch);
        let mut executor = factory(Arc::clone(&plan.layout));
        let found = augmented(executor.as_mut(), &plan, input, key());
        let pairs = found.iter().zip(tensor(&name));
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{name}: {worst:.1e}");
        if worst > 1e-5 || found.len() != tensor(&name).len() {
            failures.push(format!("{name} is off by {worst:.1e}"));
        }
    }
    for [rows, columns] in CENTRES {
        let name = format!("centre {rows} {columns}");
        let cropped = network(shape, vec![RandomCrop::new(rows, columns).into()]);
        let plan = Plan::new(&cropped, Purpose::Inference, batch).expect("it can be planned");
        let mut executor = factory(Arc::clone(&plan.layout));
        let found = augmented(executor.as_mut(), &plan, &input, key());
        let pairs = found.iter().zip(tensor(&name));
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        if worst > 1e-5 || found.len() != tensor(&name).len() {
            failures.push(format!("{name} is off by {worst:.1e}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
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

/// Every layer, in an order in which some are joined.
fn every_layer() -> Vec<Layer> {
    vec![
        RandomFlip::new().into(),
        RandomRotation::new(0.1).into(),
        RandomTranslation::new(0.1, 0.1).into(),
        RandomZoom::new(0.1).into(),
        RandomShear::new(0.1, 0.0).into(),
        RandomElasticTransform::new(1.0).into(),
        RandomContrast::new([0.2, 0.2]).into(),
        RandomBrightness::new(0.2).into(),
        RandomErasing::new(1.0).into(),
        GaussianNoise::new(0.1).into(),
    ]
}

#[test]
fn movements_that_read_images_alike_are_one_transformation() {
    let names = |layers: Vec<Layer>| -> Vec<&'static str> {
        let plan = training(&network([8, 8, 1], layers), 4);
        augmentation(&plan).iter().map(Op::name).collect()
    };
    assert_eq!(
        names(every_layer()),
        [
            "draw_maps",
            "affine_transform",
            "draw_noise",
            "blur_noise",
            "displace_pixels",
            "adjust_contrast",
            "adjust_brightness",
            "erase",
            "add_noise"
        ]
    );
    let rotation = RandomRotation::new(0.1);
    let apart = vec![
        RandomFlip::new().into(),
        rotation.clone().into(),
        RandomFlip::new().into(),
        rotation.fill_mode(FillMode::Wrap).into(),
    ];
    assert_eq!(names(apart).len(), 4);
}

#[test]
fn inference_and_the_gradient_of_the_input_go_without() {
    let with = network([8, 8, 1], every_layer());
    let without = network([8, 8, 1], vec![]);
    for purpose in [Purpose::Inference, Purpose::Outputs] {
        let ops = |model: &Sequential| Plan::new(model, purpose, 3).expect("a plan").ops;
        assert_eq!(ops(&with), ops(&without));
    }
    let images = every_layer().into_iter().take(9).collect();
    let purpose = Purpose::Gradients(Optimizer::sgd());
    let ops = |model: &Sequential| Plan::new(model, purpose, 3).expect("a plan").ops;
    assert_eq!(ops(&network([8, 8, 1], images)), ops(&without));
}

#[test]
fn distortions_hit_their_share_of_the_images_with_displacements_of_their_size() {
    let draw: DrawNoise = first(RandomElasticTransform::new(1.0));
    let blur: BlurNoise = first(RandomElasticTransform::new(1.0));
    let hit = (0..4000).filter(|&row| draw.acts_on(key(), row)).count();
    assert!(hit.abs_diff(2000) < 120, "{hit}");
    let sigmas: Vec<f64> = (0..4000)
        .map(|step| blur.blur(Key::of_step(7, step)).sigma)
        .collect();
    let mean = sigmas.iter().sum::<f64>() / 4000.0;
    // Of images of 20x30.
    assert!((mean - 0.5).abs() < 0.02, "{mean}");
    assert!(sigmas.iter().all(|sigma| (0.0..1.0).contains(sigma)));
    let always: DrawNoise = first(RandomElasticTransform::new([1.0, 1.0]));
    assert!((0..100).all(|row| always.acts_on(key(), row)));
    let never = network([8, 8, 1], vec![RandomElasticTransform::new(0.0).into()]);
    assert!(
        augmentation(&training(&never, 2))
            .iter()
            .all(|op| op.name() == "flatten")
    );
}

#[test]
fn a_crop_is_at_one_place_per_batch_and_at_every_place_equally_often() {
    let draw: DrawMaps = first(RandomCrop::new(19, 27));
    let mut counts: HashMap<[i32; 2], u32> = HashMap::new();
    for step in 0..4000 {
        let key = Key::of_step(7, step);
        let map = draw.map(key, 0).0;
        assert_eq!(map, draw.map(key, 3).0);
        let (top, left) = (map[5] + 0.5, map[2] + 1.5);
        *counts.entry([top as i32, left as i32]).or_default() += 1;
    }
    assert_eq!(counts.len(), 8);
    assert!(
        counts.iter().all(|([top, left], n)| {
            (0..2).contains(top) && (0..4).contains(left) && n.abs_diff(500) < 90
        }),
        "{counts:?}"
    );
}

#[test]
fn images_are_augmented_before_the_first_trained_layer() {
    let late = Sequential::new([8, 8, 1])
        .add(Conv2D::new(2, 3))
        .add(RandomFlip::new());
    let message = late.resolve().expect_err("it is refused").to_string();
    assert!(message.contains("must come before `conv2d`"), "{message}");
    let noise = Sequential::new([8, 8, 1])
        .add(Conv2D::new(2, 3))
        .add(GaussianNoise::new(0.1));
    assert!(noise.resolve().is_ok());
}

#[test]
fn the_number_of_threads_has_no_influence() {
    let plan = training(&network([11, 13, 3], every_layer()), 37);
    let input = Key::new(1);
    let images: Vec<f32> = (0..37 * 11 * 13 * 3).map(|i| input.uniform(i)).collect();
    let with = |threads| {
        let cpu = Cpu::with_threads(threads).expect("the threads start");
        let mut executor = CpuExecutor::new(cpu, Arc::clone(&plan.layout));
        let found = augmented(&mut executor, &plan, &images, key());
        found.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(5));
}

/// The first operation of this kind in a plan that starts with `layer`.
fn first<T: Operation + Clone>(layer: impl Into<Layer>) -> T {
    let plan = training(&network([20, 30, 1], vec![layer.into()]), 4);
    let found = plan.ops.iter().find_map(|op| op.downcast::<T>());
    found.expect("the operation is there").clone()
}

#[test]
fn both_axes_flip_half_of_the_images_independently() {
    let draw: DrawMaps = first(RandomFlip::new());
    let mut counts: HashMap<[bool; 2], u32> = HashMap::new();
    for row in 0..4000 {
        let map = draw.map(key(), row).0;
        *counts.entry([map[0] < 0.0, map[4] < 0.0]).or_default() += 1;
    }
    assert!(
        counts.values().all(|&n| n.abs_diff(1000) < 100),
        "{counts:?}"
    );
    assert_eq!(counts.len(), 4);
    let draw: DrawMaps = first(RandomFlip::new().mode(FlipMode::Vertical));
    assert!((0..100).all(|row| draw.map(key(), row).0[0] == 1.0));
}

#[test]
fn angles_shifts_and_scales_fill_their_ranges() {
    // The extremes and the mean of one of a map's numbers.
    let spread = |layer: Layer, of: fn([f64; 6]) -> f64| {
        let draw: DrawMaps = first(layer);
        let numbers: Vec<f64> = (0..4000).map(|row| of(draw.map(key(), row).0)).collect();
        let mean = numbers.iter().sum::<f64>() / 4000.0;
        let least = numbers.iter().copied().fold(f64::MAX, f64::min);
        let most = numbers.iter().copied().fold(f64::MIN, f64::max);
        [least, mean, most]
    };
    let close = |found: [f64; 3], expected: [f64; 3]| {
        let extent = expected[2] - expected[0];
        let pairs = found.into_iter().zip(expected);
        for (found_one, expected_one) in pairs {
            let error = (found_one - expected_one).abs() / extent;
            assert!(error < 0.03, "{found:?}, expected {expected:?}");
        }
    };
    let turns = |map: [f64; 6]| map[3].atan2(map[0]) / std::f64::consts::TAU;
    close(
        spread(RandomRotation::new([-0.2, 0.1]).into(), turns),
        [-0.2, -0.05, 0.1],
    );
    let translation = || RandomTranslation::new(0.25, [0.0, 0.5]).into();
    // Positive is down and to the right, so the image is read further up and left.
    close(spread(translation(), |map| map[5]), [-5.0, 0.0, 5.0]);
    close(spread(translation(), |map| map[2]), [-15.0, -7.5, 0.0]);
    close(
        spread(RandomZoom::new([0.0, 0.5]).into(), |map| map[4]),
        [1.0, 1.25, 1.5],
    );
}

#[test]
fn erasing_hits_half_of_the_images_with_sides_of_its_range() {
    let erase: Erase = first(RandomErasing::new(1.0));
    let areas: Vec<_> = (0..4000).filter_map(|row| erase.area(key(), row)).collect();
    assert!(areas.len().abs_diff(2000) < 120, "{}", areas.len());
    for [rows, columns] in &areas {
        // The roots of 0.02 and 0.33 of 20 rows and 30 columns.
        assert!((2..=12).contains(&rows.len()) && (4..=18).contains(&columns.len()));
        assert!(rows.end <= 20 && columns.end <= 30);
    }
    // As in Keras, a place between rows counts for the next one.
    assert!(areas.iter().any(|[rows, _]| rows.start == 1));
    assert!(areas.iter().any(|[rows, _]| rows.end == 20));
    assert!(areas.iter().any(|[_, columns]| columns.end == 30));
    let never: Erase = first(RandomErasing::new(0.0));
    assert!((0..100).all(|row| never.area(key(), row).is_none()));
    let always: Erase = first(RandomErasing::new([1.0, 1.0]));
    assert!((0..100).all(|row| always.area(key(), row).is_some()));
}

#[test]
fn other_steps_seeds_and_rows_draw_otherwise() {
    let draw: DrawMaps = first(RandomRotation::new(0.5));
    let map = draw.map(Key::of_step(1, 1), 0);
    assert_ne!(map, draw.map(Key::of_step(1, 2), 0));
    assert_ne!(map, draw.map(Key::of_step(2, 1), 0));
    assert_ne!(map, draw.map(Key::of_step(1, 1), 1));
}
