//! Every case of every operation, and every step of the small networks, on every executor, against
//! the reference.
//!
//! A failure prints the case; its words select it: `cnn-gpu selfcheck --op 'dense_forward n=3'`.
//! GPU tests fail without an adapter; `CNN_GPU_TEST_BACKEND` selects a backend other than Vulkan.

mod common;

use cnn_gpu::check::{CaseResult, Factory, cases, check_case, check_step, steps};

fn check(results: impl Iterator<Item = CaseResult>) {
    let results: Vec<CaseResult> = results.collect();
    let failures: Vec<String> = (results.iter())
        .filter(|result| !result.passes())
        .map(|result| result.message())
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {} cases differ from the reference:\n{}",
        failures.len(),
        results.len(),
        failures.join("\n")
    );
}

fn check_ops(factory: Factory<'_>) {
    check(cases::all().iter().map(|case| check_case(factory, case)));
}

fn check_steps(factory: Factory<'_>) {
    check(steps::all().iter().map(|case| check_step(factory, case)));
}

#[test]
fn every_operation_agrees_with_the_reference_on_the_cpu() {
    check_ops(&common::cpu);
}

#[test]
fn every_operation_agrees_with_the_reference_on_the_gpu() {
    check_ops(&common::gpu);
}

#[test]
fn steps_agree_with_the_reference_on_the_cpu() {
    check_steps(&common::cpu);
}

#[test]
fn steps_agree_with_the_reference_on_the_gpu() {
    check_steps(&common::gpu);
}
