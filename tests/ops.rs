//! Every case of every operation, on every executor, against the reference.
//!
//! A failure prints the case; its words select it: `cnn-gpu selfcheck --op 'dense_forward n=3'`.
//! Tests of the GPU fail where there is none; `CNN_GPU_TEST_BACKEND` chooses another backend than
//! Vulkan.

mod common;

use cnn_gpu::check::{Factory, cases, check_case};

fn check(factory: Factory<'_>) {
    let cases = cases::all();
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

#[test]
fn every_operation_agrees_with_the_reference_on_the_cpu() {
    check(&common::cpu);
}

#[test]
fn every_operation_agrees_with_the_reference_on_the_gpu() {
    check(&common::gpu);
}
