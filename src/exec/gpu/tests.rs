//! Tests of the GPU path that need no GPU: texts, twins of structs, dispatch counts.

mod coverage;

use std::collections::BTreeSet;
use std::mem::offset_of;

use naga::valid::{Capabilities, ValidationFlags, Validator};

use super::call::{Access, Call};
use super::fused_into::fused_into;
use super::lower::{Block, Lowered, LoweringMode, reduce};
use super::steps::StepParams;
use super::tuning::{MAX_IMAGES, Tuning};
use super::variants::variants;
use crate::model::{
    Activation, AveragePooling2D, BatchNormalization, Conv2D, Dense, DepthwiseConv2D, Dropout,
    Flatten, GlobalAveragePooling2D, MaxPooling2D, PRESETS, Regularizer, Rescaling, Sequential,
    SpatialDropout2D, SumPooling2D, ZeroPadding2D, preset,
};
use crate::optimizer::Optimizer;
use crate::plan::{Plan, Purpose};
use crate::shape::Padding;

fn tunings() -> Vec<Tuning> {
    variants().into_iter().map(|(_, tuning)| tuning).collect()
}

/// Strides, padding, odd channels, and every activation and pool.
fn awkward() -> Sequential {
    Sequential::new([13, 10, 3])
        .add(
            Conv2D::new(6, [3, 2])
                .strides(2)
                .padding(Padding::Same)
                .activation(Activation::Tanh),
        )
        .add(AveragePooling2D::new(2).padding(Padding::Same))
        .add(
            Conv2D::new(8, [1, 5])
                .padding(Padding::Same)
                .activation(Activation::Sigmoid),
        )
        .add(MaxPooling2D::new(3).strides(2).padding(Padding::Same))
        .add(Conv2D::new(5, 1).activation(Activation::Softmax))
        .add(SumPooling2D::new(2))
        .add(BatchNormalization::new())
        .add(ZeroPadding2D::new([[1, 0], [2, 3]]))
        .add(Rescaling::new(2.0).offset(-1.0))
        .add(Conv2D::new(8, 2).activation(Activation::Gelu))
        .add(
            Conv2D::new(8, 2)
                .padding(Padding::Same)
                .dilation_rate(2)
                .groups(2),
        )
        .add(
            DepthwiseConv2D::new(3)
                .padding(Padding::Same)
                .depthwise_regularizer(Regularizer::l2(0.01)),
        )
        .add(BatchNormalization::new().scale(false).center(false))
        .add(SpatialDropout2D::new(0.25))
        .add(GlobalAveragePooling2D::new())
        .add(Dense::new(7).activation(Activation::Relu))
        .add(Dropout::new(0.5))
        .add(Dense::new(10).activation(Activation::Softmax))
}

fn plans() -> Vec<Plan> {
    let models = [
        awkward(),
        preset("mnist-cnn").unwrap(),
        preset("mnist-mlp").unwrap(),
    ];
    let purposes = [
        Purpose::Gradients(Optimizer::adam()),
        Purpose::Training(Optimizer::rmsprop()),
        Purpose::Training(Optimizer::sgd()),
        Purpose::Inference,
    ];
    let mut plans = Vec::new();
    for model in &models {
        for purpose in purposes {
            plans.push(Plan::new(model, purpose, 5).unwrap());
        }
    }
    plans
}

fn parse(source: &str) -> naga::Module {
    naga::front::wgsl::parse_str(source)
        .unwrap_or_else(|e| panic!("{}\n{source}", e.emit_to_string(source)))
}

/// The distinct kernels of the plans in every variant and mode: entry point and text.
fn sources(plans: impl IntoIterator<Item = Plan>) -> BTreeSet<(&'static str, String)> {
    let mut sources = BTreeSet::new();
    for plan in plans {
        for (tuning, mode) in tunings()
            .into_iter()
            .flat_map(|t| [(t, LoweringMode::Alone), (t, LoweringMode::Step)])
        {
            let calls = Lowered::new(&plan, &tuning, mode).ops.into_iter().flatten();
            sources.extend(calls.map(|call| (call.entry, call.source(65_535))));
        }
    }
    sources
}

#[test]
fn every_kernel_of_every_variant_is_valid_wgsl() {
    let sources = sources(plans());
    for (entry, source) in &sources {
        let module = parse(source);
        Validator::new(ValidationFlags::all(), Capabilities::all())
            .validate(&module)
            .unwrap_or_else(|e| panic!("{entry}: {e:?}\n{source}"));
        assert!(module.entry_points.iter().any(|e| e.name == *entry));
    }
    assert!(sources.len() > 50, "only {} kernels", sources.len());
}

/// Maximum number of branches in the body of a loop. The losses have the most, because their loop
/// over rows contains the whole kernel.
const MAX_BRANCHES: usize = 20;

/// Number of branches in a block, including the functions that it calls.
fn branches(module: &naga::Module, block: &naga::Block) -> usize {
    let of = |block: &naga::Block| branches(module, block);
    let in_statement = |statement: &naga::Statement| match statement {
        naga::Statement::If { accept, reject, .. } => 1 + of(accept) + of(reject),
        naga::Statement::Switch { cases, .. } => {
            cases.len() + cases.iter().map(|case| of(&case.body)).sum::<usize>()
        }
        naga::Statement::Loop {
            body, continuing, ..
        } => of(body) + of(continuing),
        naga::Statement::Block(block) => of(block),
        naga::Statement::Call { function, .. } => of(&module.functions[*function].body),
        _ => 0,
    };
    block.iter().map(in_statement).sum()
}

/// The branches of every loop in a block.
fn branches_of_loops(module: &naga::Module, block: &naga::Block) -> Vec<usize> {
    let of = |block: &naga::Block| branches_of_loops(module, block);
    let in_statement = |statement: &naga::Statement| match statement {
        naga::Statement::If { accept, reject, .. } => [of(accept), of(reject)].concat(),
        naga::Statement::Switch { cases, .. } => {
            cases.iter().flat_map(|case| of(&case.body)).collect()
        }
        naga::Statement::Loop {
            body, continuing, ..
        } => {
            let own = branches(module, body) + branches(module, continuing);
            [vec![own], of(body)].concat()
        }
        naga::Statement::Block(block) => of(block),
        _ => vec![],
    };
    block.iter().flat_map(in_statement).collect()
}

/// A driver may take minutes and gigabytes to compile a loop with dozens of branches.
#[test]
fn no_loop_of_a_kernel_has_many_branches() {
    let preset_plans = PRESETS.iter().flat_map(|name| {
        let model = preset(name).unwrap();
        [1, 64].map(|batch| {
            let purpose = Purpose::Training(Optimizer::adam());
            Plan::new(&model, purpose, batch).unwrap()
        })
    });
    let sources = sources(plans().into_iter().chain(preset_plans));
    let counted = sources.iter().map(|(entry, source)| {
        let module = parse(source);
        let functions = module.functions.iter().map(|(_, function)| function);
        let entries = module.entry_points.iter().map(|entry| &entry.function);
        let bodies = functions.chain(entries).map(|function| &function.body);
        let counts = bodies.flat_map(|body| branches_of_loops(&module, body));
        (counts.max().unwrap_or_default(), entry)
    });
    let most = counted.max().unwrap();
    assert!((2..=MAX_BRANCHES).contains(&most.0), "{most:?}");
    assert!(sources.len() > 50, "only {} kernels", sources.len());
}

/// Kernels declare exactly the bindings that the host binds.
#[test]
fn every_kernel_declares_the_bindings_that_it_is_given() {
    let tunings = [Tuning::SOFTWARE_SUBGROUP, Tuning::HARDWARE];
    for (plan, tuning) in plans().iter().flat_map(|p| tunings.map(|t| (p, t))) {
        let lowered = Lowered::new(plan, &tuning, LoweringMode::Step);
        for call in lowered.ops.into_iter().flatten() {
            let module = parse(&call.source(65_535));
            let declared = module
                .global_variables
                .iter()
                .filter(|(_, v)| v.binding.is_some_and(|b| b.group == 1))
                .count();
            assert_eq!(declared, call.bindings.len(), "{}", call.entry);
            let is_storage = |access: &Access| !matches!(access, Access::Image(_));
            let storage = call.bindings.iter().filter(|(_, a)| is_storage(a)).count();
            assert!(storage <= 8, "{}: WebGPU's limit", call.entry);
            let images = call.bindings.len() - storage;
            assert!(images <= MAX_IMAGES as usize, "{}", call.entry);
        }
    }
}

fn members(module: &naga::Module, name: &str) -> Vec<(String, usize)> {
    let found = module
        .types
        .iter()
        .find(|(_, t)| t.name.as_deref() == Some(name));
    let Some((_, t)) = found else {
        panic!("no struct {name}")
    };
    let naga::TypeInner::Struct { members, .. } = &t.inner else {
        panic!("{name} is not a struct")
    };
    members
        .iter()
        .map(|m| (m.name.clone().unwrap(), m.offset as usize))
        .collect()
}

#[test]
fn the_structs_of_shaders_match_their_rust_twins() {
    let plan = Plan::new(
        &preset("mnist-cnn").unwrap(),
        Purpose::Training(Optimizer::adam()),
        4,
    )
    .unwrap();
    let lowered = Lowered::new(&plan, &Tuning::HARDWARE, LoweringMode::Step);
    let gather = parse(&lowered.ops[0][0].source(65_535));
    let expected = [
        ("offset", offset_of!(StepParams, offset)),
        ("rows", offset_of!(StepParams, rows)),
        ("slot", offset_of!(StepParams, slot)),
        ("rate", offset_of!(StepParams, rate)),
        ("decay", offset_of!(StepParams, decay)),
        ("keep", offset_of!(StepParams, keep)),
        ("key", offset_of!(StepParams, key)),
        ("overwrites", offset_of!(StepParams, overwrites)),
        ("first", offset_of!(StepParams, first)),
        ("batch_rows", offset_of!(StepParams, batch_rows)),
        ("spare", offset_of!(StepParams, spare)),
    ];
    assert_eq!(
        members(&gather, "Step"),
        expected.map(|(n, o)| (n.into(), o))
    );
    let reduce = parse(&reduce(&Tuning::HARDWARE, 0..1).source(65_535));
    let expected = [
        ("to", offset_of!(Block, to)),
        ("first", offset_of!(Block, first)),
        ("stride", offset_of!(Block, stride)),
        ("splits", offset_of!(Block, splits)),
    ];
    assert_eq!(
        members(&reduce, "Block"),
        expected.map(|(n, o)| (n.into(), o))
    );
}

/// On a real GPU the number of dispatches limits a network this small.
#[test]
fn a_training_step_of_the_lab_network_stays_within_its_dispatches() {
    let model = preset("mnist-cnn").unwrap();
    let plan = Plan::new(&model, Purpose::Training(Optimizer::adam()), 64).unwrap();
    for tuning in [
        Tuning::HARDWARE,
        Tuning::SOFTWARE,
        Tuning::SOFTWARE_SUBGROUP,
    ] {
        let lowered = Lowered::new(&plan, &tuning, LoweringMode::Step);
        let dispatches: usize = lowered.ops.iter().map(Vec::len).sum();
        assert!(dispatches <= 16, "{dispatches} dispatches with {tuning:?}");
    }
}

/// Kernels and pools too large to unroll fall back to the plain kernels: a driver would compile the
/// long text for minutes.
#[test]
fn large_kernels_and_pools_do_not_make_long_texts() {
    let head = |model: Sequential| {
        model
            .add(Flatten::new())
            .add(Dense::new(10).activation(Activation::Softmax))
    };
    let image = || Sequential::new([28, 28, 1]);
    let models = [
        head(image().add(Conv2D::new(8, 28))),
        head(image().add(Conv2D::new(4, 55).padding(Padding::Same))),
        head(image().add(Conv2D::new(16, 11))),
        head(
            image()
                .add(Conv2D::new(32, 3).activation(Activation::Relu))
                .add(MaxPooling2D::new(26)),
        ),
    ];
    for model in models {
        let plan = Plan::new(&model, Purpose::Training(Optimizer::adam()), 64).unwrap();
        for tuning in tunings() {
            for call in Lowered::new(&plan, &tuning, LoweringMode::Step)
                .ops
                .into_iter()
                .flatten()
            {
                let source = call.source(65_535);
                assert!(
                    source.len() < 300_000,
                    "{}: {} bytes",
                    call.entry,
                    source.len()
                );
                parse(&source);
            }
        }
    }
}

/// A profile names the kernel that computes a fused operation.
#[test]
fn every_operation_of_a_step_has_a_kernel() {
    for plan in plans() {
        for tuning in &tunings() {
            let lowered = Lowered::new(&plan, tuning, LoweringMode::Step);
            for (i, into) in fused_into(&plan, &lowered.ops).into_iter().enumerate() {
                let into = into.unwrap_or_else(|| panic!("{}", plan.ops[i].name()));
                assert!(!lowered.ops[into].is_empty());
                assert!(lowered.ops[i].is_empty() || into == i);
            }
        }
    }
}

#[test]
fn what_is_fused_names_the_neighbour_that_does_it() {
    let model = preset("mnist-cnn").unwrap();
    let plan = Plan::new(&model, Purpose::Training(Optimizer::adam()), 4).unwrap();
    let lowered = Lowered::new(&plan, &Tuning::HARDWARE, LoweringMode::Step);
    let into = fused_into(&plan, &lowered.ops);
    let names = |i: usize| [i, into[i].unwrap()].map(|i| plan.ops[i].name());
    let fused = (0..plan.ops.len()).filter(|&i| into[i] != Some(i));
    let expected = [
        ["pool2d_forward", "conv2d_forward"],
        ["pool2d_forward", "conv2d_forward"],
        ["dense_backward_input", "softmax_cross_entropy"],
        ["pool2d_backward", "conv2d_backward_weight"],
        ["pool2d_backward", "conv2d_backward_weight"],
    ];
    assert_eq!(fused.map(names).collect::<Vec<_>>(), expected);
}

/// A large GPU runs some hundred workgroups at once, and small kernels have few at batch 64.
#[test]
fn small_kernels_have_several_workgroups_on_hardware() {
    let model = preset("mnist-cnn").unwrap();
    let plan = Plan::new(&model, Purpose::Training(Optimizer::adam()), 64).unwrap();
    let lowered = Lowered::new(&plan, &Tuning::HARDWARE, LoweringMode::Step);
    let calls = |name: &str| -> Vec<usize> {
        let ops = plan.ops.iter().zip(&lowered.ops);
        let named = ops.filter(|(op, _)| op.name() == name);
        let calls = named.flat_map(|(_, calls)| calls);
        calls.map(Call::workgroups).collect()
    };
    let kernels = calls("conv2d_backward_weight");
    assert_eq!(kernels.len(), 3);
    assert!(kernels.iter().all(|groups| *groups > 4), "{kernels:?}");
    for name in [
        "dense_forward",
        "dense_backward_input",
        "dense_backward_weight",
    ] {
        let dense = calls(name);
        assert!(!dense.is_empty());
        assert!(dense.iter().all(|groups| *groups > 16), "{name}: {dense:?}");
    }
}
