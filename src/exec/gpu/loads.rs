//! Test of the bound on the work of one invocation, over the plans of some networks.
//!
//! Drivers reset a GPU after some two seconds in one dispatch, which takes at least as long as the
//! loads of its slowest invocation.

use super::lower::{Lowered, Mode};
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
fn most_loads(model: &Sequential, batch: usize, tuning: &Tuning) -> (&'static str, usize) {
    let optimizer = Optimizer::adam().clip(Clip::GlobalNorm(1.0));
    let plan = Plan::new(model, Purpose::Training(optimizer), batch).unwrap();
    let calls = Lowered::new(&plan, tuning, Mode::Step).ops.into_iter();
    let loads = calls.flatten().map(|call| (call.entry, call.most_loads()));
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
    ];
    let mut largest = Vec::new();
    for (_, class) in Tuning::CLASSES {
        for algorithm in [None, Some(PLAIN)] {
            let tuning = Tuning { algorithm, ..class };
            let of_each = networks.map(|(model, batch)| most_loads(model, batch, &tuning));
            for (entry, loads) in of_each {
                assert!(loads <= tuning.most_loads, "{entry}: {loads}, {tuning:?}");
            }
            largest.extend(of_each.into_iter().max_by_key(|(_, loads)| *loads));
        }
    }
    let hardware = [65_016, 65_402].map(|loads| ("conv2d_backward_bias", loads));
    let software = [("conv2d_backward_bias", 1_032_680); 4];
    assert_eq!(largest, [&hardware[..], &software[..]].concat());
}

/// Without parts, one invocation would load millions of values in sequence.
#[test]
fn long_sums_are_made_in_parts_and_short_ones_are_not() {
    let parts = |model: &Sequential, batch| -> Vec<&str> {
        let optimizer = Optimizer::adam().clip(Clip::GlobalNorm(1.0));
        let plan = Plan::new(model, Purpose::Training(optimizer), batch).unwrap();
        let lowered = Lowered::new(&plan, &Tuning::HARDWARE, Mode::Step);
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
}
