//! Test of the bound on the work of one invocation, over the plans of some networks.
//!
//! Drivers reset a GPU after some two seconds in one dispatch, which takes at least as long as the
//! loads of its slowest invocation.

use super::call::Call;
use super::lower::{Lowered, LoweringMode};
use super::tuning::{PLAIN, Tuning};
use crate::model::{
    Activation, BatchNormalization, Conv2D, Dense, DepthwiseConv2D, Flatten,
    GlobalAveragePooling2D, MaxPooling2D, Regularizer, Sequential, preset,
};
use crate::optimizer::{Clip, Optimizer};
use crate::plan::{Plan, Purpose};

/// All kernels whose sums grow with the image or the batch, on images of 224x224.
fn large() -> Sequential {
    let penalty = Regularizer::l2(1e-4);
    Sequential::new([224, 224, 3])
        .add(Conv2D::new(64, 3).activation(Activation::Relu))
        .add(BatchNormalization::new())
        .add(DepthwiseConv2D::new(3))
        .add(Conv2D::new(64, 3).dilation_rate(2).groups(2))
        .add(MaxPooling2D::new(2))
        .add(Conv2D::new(128, 3).kernel_regularizer(penalty))
        .add(MaxPooling2D::new(8))
        .add(Flatten::new())
        .add(Dense::new(4096).kernel_regularizer(penalty))
        .add(Dense::new(10).activation(Activation::Softmax))
}

fn pooled() -> Sequential {
    Sequential::new([224, 224, 3])
        .add(Conv2D::new(16, 3).strides(2))
        .add(BatchNormalization::new())
        .add(GlobalAveragePooling2D::new())
        .add(Dense::new(1000).activation(Activation::Softmax))
}

/// The kernel with the most loads per invocation in a step, and their number.
fn max_loads(model: &Sequential, batch: usize, tuning: &Tuning) -> (&'static str, usize) {
    let optimizer = Optimizer::adam().clip(Clip::GlobalNorm(1.0));
    let plan = Plan::new(model, Purpose::Training(optimizer), batch).unwrap();
    let calls = Lowered::new(&plan, tuning, LoweringMode::Step)
        .ops
        .into_iter();
    let loads = calls.flatten().map(|call| (call.entry, call.max_loads()));
    loads.max_by_key(|(_, loads)| *loads).unwrap()
}

#[test]
fn no_invocation_loads_more_than_its_bound() {
    let mnist = preset("mnist-cnn").unwrap();
    let networks = [
        (&mnist, 64),
        (&mnist, 4096),
        (&large(), 64),
        (&pooled(), 64),
        (&pooled(), 512),
        (&pooled(), 4096),
    ];
    let mut largest = Vec::new();
    for (_, class) in Tuning::CLASSES {
        for algorithm in [None, Some(PLAIN)] {
            let tuning = Tuning { algorithm, ..class };
            let of_each = networks.map(|(model, batch)| max_loads(model, batch, &tuning));
            for (entry, loads) in of_each {
                assert!(loads <= tuning.max_loads, "{entry}: {loads}, {tuning:?}");
            }
            largest.extend(of_each.into_iter().max_by_key(|(_, loads)| *loads));
        }
    }
    let (weight, bias) = ("conv2d_backward_weight", "conv2d_backward_bias");
    let expected = [
        (weight, 65_536),
        (bias, 65_490),
        (weight, 1 << 20),
        (bias, 1_032_680),
        (bias, 1_032_680),
        (bias, 1_032_680),
    ];
    assert_eq!(largest, expected);
}

/// Without parts, one invocation would load millions of values in sequence.
#[test]
fn long_sums_are_made_in_parts_and_short_ones_are_not() {
    let parts = |model: &Sequential, batch| -> Vec<&str> {
        let optimizer = Optimizer::adam().clip(Clip::GlobalNorm(1.0));
        let plan = Plan::new(model, Purpose::Training(optimizer), batch).unwrap();
        let lowered = Lowered::new(&plan, &Tuning::HARDWARE, LoweringMode::Step);
        let entries = lowered.ops.iter().flatten().map(|call| call.entry);
        entries.filter(|entry| entry.ends_with("_finish")).collect()
    };
    assert_eq!(
        parts(&large(), 128),
        [
            "batch_norm_statistics_finish",
            "batch_norm_backward_weight_finish",
            "regularize_finish"
        ]
    );
    // A penalty's sum depends only on the layer.
    assert_eq!(parts(&large(), 1), ["regularize_finish"]);
    assert!(parts(&preset("mnist-cnn").unwrap(), 64).is_empty());
    let of_batch_norm = [
        "batch_norm_statistics_finish",
        "batch_norm_backward_weight_finish",
    ];
    assert_eq!(parts(&pooled(), 512), of_batch_norm);
    let with_loss = [of_batch_norm[0], "loss_finish", of_batch_norm[1]];
    assert_eq!(parts(&pooled(), 4096), with_loss);
}

/// The loss of a batch is one workgroup unless that takes too long: the rows of a batch times their
/// classes have no bound.
#[test]
fn a_loss_of_many_rows_and_classes_has_several_workgroups() {
    let loss = |batch, tuning| {
        let optimizer = Optimizer::adam();
        let plan = Plan::new(&pooled(), Purpose::Training(optimizer), batch).unwrap();
        let calls = Lowered::new(&plan, &tuning, LoweringMode::Step)
            .ops
            .into_iter();
        let named = |call: &Call<_>| call.entry == "softmax_cross_entropy";
        let call = calls.flatten().find(named).unwrap();
        (call.workgroups(), call.max_loads())
    };
    assert_eq!(loss(1024, Tuning::HARDWARE), (1, 16 * 4000));
    assert_eq!(loss(1025, Tuning::HARDWARE), (2, 9 * 4000));
    assert_eq!(loss(4096, Tuning::HARDWARE), (4, 16 * 4000));
    assert_eq!(loss(4096, Tuning::SOFTWARE), (1, 64 * 4000));
}
