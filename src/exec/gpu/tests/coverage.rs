//! Tests that the steps of `selfcheck` run every kernel that occurs only in steps.

use std::collections::{BTreeSet, HashSet};

use strum::EnumCount;

use super::super::call::{Access, Call};
use super::super::fused_into::fused_into;
use super::super::lower::{Lowered, LoweringMode};
use super::super::operand::Operand;
use super::super::tuning::Tuning;
use super::super::variants::variants;
use crate::check::steps;
use crate::model::{
    Activation, ActivationLayer, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D,
    Dense, DepthwiseConv2D, Dropout, Flatten, GaussianNoise, GlobalAveragePooling2D,
    GlobalMaxPooling2D, Layer, Loss, MaxPooling2D, RandomBrightness, RandomContrast, RandomCrop,
    RandomElasticTransform, RandomErasing, RandomFlip, RandomRotation, RandomShear,
    RandomTranslation, RandomZoom, Regularizer, Rescaling, Sequential, SpatialDropout2D,
    SumPooling2D, ZeroPadding2D,
};
use crate::optimizer::{Clip, Optimizer};
use crate::plan::{Plan, Purpose, Role};
use crate::shape::Padding;

/// Calls of an operation in a step that differ from those of the operation on its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fused {
    /// The operations that they compute.
    ops: Vec<&'static str>,
    /// Their kernels.
    kernels: BTreeSet<Kernel>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kernel {
    entry: &'static str,
    /// Whether the lanes of a subgroup share values.
    shares_values: bool,
    /// Descriptions of its bindings.
    bindings: Vec<String>,
}

impl Kernel {
    fn of(plan: &Plan, call: &Call<Operand>) -> Self {
        Self {
            entry: call.entry,
            shares_values: call.source(1).contains("subgroupBroadcast"),
            bindings: call.bindings.iter().map(|b| described(plan, b)).collect(),
        }
    }
}

fn is_same(a: &[Call<Operand>], b: &[Call<Operand>]) -> bool {
    let texts =
        |calls: &[Call<Operand>]| calls.iter().map(|c| c.source(65_535)).collect::<Vec<_>>();
    texts(a) == texts(b)
}

/// The kind of a binding, without its index and size.
fn described(plan: &Plan, (operand, access): &(Operand, Access)) -> String {
    let what = match operand {
        Operand::Buffer(id) => match plan.buffer(*id).role {
            Role::Parameter(_) => "parameter",
            Role::Gradient(_) => "gradient",
            Role::Input | Role::Intermediate => "tensor",
        }
        .to_owned(),
        Operand::Partials(_) => "partials".into(),
        other => format!("{other:?}"),
    };
    let how = match access {
        Access::Read | Access::Image(_) => "read",
        Access::Write => "written",
    };
    format!("{what} {how}")
}

/// The calls in steps of this plan that single operations do not make.
fn fused(plan: &Plan, tuning: &Tuning) -> BTreeSet<Fused> {
    let step = Lowered::new(plan, tuning, LoweringMode::Step);
    let alone = Lowered::new(plan, tuning, LoweringMode::Alone);
    let into = fused_into(plan, &step.ops);
    // An update has the same text in a step, but also sums partial gradients there.
    let sums = step.arena(plan).iter().any(|block| block.splits > 0);
    let mut found = BTreeSet::new();
    for (i, calls) in step.ops.iter().enumerate() {
        let is_update = plan.ops[i].operation().changes_moments();
        let is_new = !is_same(calls, &alone.ops[i]) || (is_update && sums);
        if calls.is_empty() || !is_new {
            continue;
        }
        let ops = plan.ops.iter().enumerate();
        let ops = ops.filter(|(j, _)| into[*j] == Some(i));
        found.insert(Fused {
            ops: ops.map(|(_, op)| op.name()).collect(),
            kernels: calls.iter().map(|call| Kernel::of(plan, call)).collect(),
        });
    }
    found
}

/// A layer of each kind, and several of the kinds that a step may fuse.
fn layers() -> Vec<Layer> {
    let conv = |filters| Conv2D::new(filters, 2).activation(Activation::Relu);
    vec![
        conv(32).into(),
        conv(4).padding(Padding::Same).into(),
        Conv2D::new(32, 2).use_bias(false).into(),
        Conv2D::new(3, 2).use_bias(false).into(),
        conv(4).strides(2).into(),
        conv(4).groups(2).into(),
        conv(4).kernel_regularizer(Regularizer::l2(0.01)).into(),
        DepthwiseConv2D::new(2).into(),
        MaxPooling2D::new(2).into(),
        MaxPooling2D::new(5).into(),
        MaxPooling2D::new(2).strides(1).into(),
        MaxPooling2D::new(2).padding(Padding::Same).into(),
        AveragePooling2D::new(2).into(),
        SumPooling2D::new(2).into(),
        GlobalAveragePooling2D::new().into(),
        GlobalMaxPooling2D::new().into(),
        Flatten::new().into(),
        Dense::new(32).activation(Activation::Tanh).into(),
        Dense::new(2).into(),
        ActivationLayer::new(Activation::Relu).into(),
        ActivationLayer::new(Activation::Softmax).into(),
        ZeroPadding2D::new(1).into(),
        Rescaling::new(2.0).into(),
        Dropout::new(0.5).into(),
        SpatialDropout2D::new(0.5).into(),
        RandomFlip::new().into(),
        RandomRotation::new(0.1).into(),
        RandomTranslation::new(0.1, 0.1).into(),
        RandomZoom::new(0.1).into(),
        RandomShear::new(0.1, 0.1).into(),
        RandomContrast::new(0.1).into(),
        RandomBrightness::new(0.1).into(),
        RandomErasing::new(1.0).into(),
        RandomElasticTransform::new(1.0).into(),
        RandomCrop::new(9, 10).into(),
        GaussianNoise::new(0.1).into(),
        BatchNormalization::new().into(),
    ]
}

/// Networks with every pair of layers, after a layer that needs a gradient; before it if one of them
/// varies images, as these must come first.
fn pairs() -> Vec<Sequential> {
    let first = [
        Conv2D::new(4, 2).activation(Activation::Relu),
        Conv2D::new(32, 2),
    ];
    let head = Dense::new(10).activation(Activation::Softmax);
    let mut models = Vec::new();
    for first in first {
        for a in layers() {
            for b in layers() {
                let leads = a.is_image_augmentation() || b.is_image_augmentation();
                let model = Sequential::new([11, 11, 1]);
                let model = match leads {
                    true => model.add(a.clone()).add(b).add(first.clone()),
                    false => model.add(first.clone()).add(a.clone()).add(b),
                };
                models.push(model.clone().add(head.clone()));
                models.push(model.add(Flatten::new()).add(head.clone()));
            }
        }
    }
    models
}

/// Networks in which a layer's input or output is taken twice, side by side and, where the shapes
/// agree, as a sum.
fn skips() -> Vec<Sequential> {
    let head = Dense::new(10).activation(Activation::Softmax);
    let first = Conv2D::new(4, 2).activation(Activation::Relu).name("first");
    let mut models = Vec::new();
    for layer in layers() {
        let model = Sequential::new([11, 11, 1]).add(first.clone()).add(layer);
        let Ok(resolved) = model.resolve() else {
            continue;
        };
        let name = resolved[1].name.clone();
        for other in ["first".to_owned(), name.clone()] {
            let from = [name.clone(), other];
            let merged = [
                model.clone().add_from(from.clone(), Add::new()),
                model.clone().add_from(from, Concatenate::new()),
            ];
            models.extend(merged.map(|model| model.add(Flatten::new()).add(head.clone())));
        }
    }
    models
}

/// Networks whose steps fuse operations, with every loss and every kind of optimizer.
fn endings() -> Vec<(Sequential, Optimizer)> {
    let softmax = Loss::categorical_crossentropy();
    let sigmoid = Loss::BinaryCrossentropy {
        label_smoothing: 0.0,
    };
    let losses = [
        (softmax, Activation::Softmax, 3),
        (sigmoid, Activation::Sigmoid, 1),
        (Loss::MeanSquaredError, Activation::Linear, 3),
    ];
    let mut optimizers = Vec::new();
    for name in Optimizer::NAMES {
        let optimizer = Optimizer::by_name(name).unwrap();
        optimizers.extend([optimizer, optimizer.ema_momentum(0.9)]);
    }
    let clips = [Clip::Value(1.0), Clip::Norm(1.0), Clip::GlobalNorm(1.0)];
    optimizers.extend(clips.map(|clip| Optimizer::sgd().clip(clip)));
    let mut endings = Vec::new();
    for (loss, activation, units) in losses {
        for before in [Activation::Linear, Activation::Relu] {
            for &optimizer in &optimizers {
                let model = Sequential::new([5, 5, 1])
                    .add(Conv2D::new(4, 2).activation(before))
                    .add(Flatten::new())
                    .add(Dense::new(units).activation(activation))
                    .loss(loss);
                endings.push((model, optimizer));
            }
        }
    }
    endings
}

/// All networks that are tried, with their plans.
fn plans() -> Vec<(Sequential, Plan)> {
    let pairs = pairs().into_iter().chain(skips());
    let pairs = pairs.flat_map(|model| {
        let purposes = [Purpose::Training(Optimizer::sgd()), Purpose::Inference];
        purposes.map(|purpose| (model.clone(), purpose))
    });
    let endings = endings().into_iter();
    let endings = endings.map(|(model, optimizer)| (model, Purpose::Training(optimizer)));
    // Not every layer can follow every other.
    let all = pairs.chain(endings);
    let planned = all.filter_map(|(model, purpose)| {
        let plan = Plan::new(&model, purpose, 4).ok()?;
        Some((model, plan))
    });
    planned.collect()
}

#[test]
fn the_networks_that_are_tried_have_every_layer() {
    let plans = plans();
    let tried = plans.iter().flat_map(|(model, _)| &model.layers);
    let kinds: HashSet<_> = tried.map(|l| std::mem::discriminant(&l.layer)).collect();
    assert_eq!(kinds.len(), Layer::COUNT);
}

/// The cases of single operations never run these kernels.
#[test]
fn selfcheck_has_a_step_with_each_kernel_that_only_steps_have() {
    let (plans, cases) = (plans(), steps::all());
    let mut found = 0;
    for (name, tuning) in variants() {
        let checked: BTreeSet<Fused> = (cases.iter())
            .map(|case| Plan::new(&case.model, case.purpose, case.batch).unwrap())
            .flat_map(|plan| fused(&plan, &tuning))
            .collect();
        for fused in plans.iter().flat_map(|(_, plan)| fused(plan, &tuning)) {
            assert!(
                checked.contains(&fused),
                "{name}: no network in src/check/steps has {fused:#?}"
            );
        }
        found += checked.len();
    }
    assert!(found > 60, "only {found}");
}
