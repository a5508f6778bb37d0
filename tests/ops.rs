//! Every case of every operation, on every executor, against the reference.
//!
//! A failure prints the case; its words select it: `cnn-gpu selfcheck --op 'dense_forward n=3'`.
//! Tests of the GPU fail where there is none; `CNN_GPU_TEST_BACKEND` chooses another backend than
//! Vulkan.

mod common;

use cnn_gpu::check::{Factory, cases, check_case};
use cnn_gpu::plan::Op;

#[test]
fn every_operation_has_cases() {
    for name in Op::NAMES {
        assert!(
            !cases::of(name).is_empty(),
            "operation `{name}` has no case"
        );
    }
}

fn check(factory: Factory<'_>, op: &str) {
    let cases = cases::of(op);
    let results = cases.iter().map(|case| check_case(factory, case));
    let failures: Vec<String> = results
        .filter(|result| !result.passes())
        .map(|result| result.message())
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {} cases differ from the reference:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

/// One test per operation and executor, named as the operation is.
macro_rules! operations {
    ($($op:ident)*) => {
        const TESTED: &[&str] = &[$(stringify!($op)),*];

        mod cpu {
            $(#[test]
            fn $op() {
                super::check(&super::common::cpu, stringify!($op));
            })*
        }

        mod gpu {
            $(#[test]
            fn $op() {
                super::check(&super::common::gpu, stringify!($op));
            })*
        }
    };
}

operations! {
    gather
    conv2d_forward
    conv2d_backward_input
    conv2d_backward_weight
    pool2d_forward
    pool2d_backward
    dense_forward
    dense_backward_input
    dense_backward_weight
    activation_forward
    activation_backward
    softmax_forward
    softmax_backward
    softmax_cross_entropy
    sigmoid_cross_entropy
    mean_squared_error
    dropout
    rescale
    batch_norm_statistics
    batch_norm_forward
    batch_norm_backward_weight
    batch_norm_backward_input
    regularize
    clip_by_value
    clip_by_norm
    sgd_update
    rmsprop_update
    adam_update
}

#[test]
fn every_operation_is_tested_on_every_executor() {
    assert_eq!(TESTED, Op::NAMES);
}
