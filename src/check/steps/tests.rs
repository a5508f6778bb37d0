//! Tests of the checks of steps: they find errors, and pass without them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::{CaseResult, difference};
use super::run::{TOLERANCE, Trial};
use super::{StepCase, all, check_step};
use crate::exec::host::{HostExecutor, Kernels, Memory};
use crate::exec::reference::{Reference, ReferenceExecutor};
use crate::exec::{Description, Inspect};
use crate::plan::{DenseBackwardWeight, Op};
use crate::rng::{Key, Stream};

/// The reference, except for operations that the function handles: it returns whether it did.
struct But(fn(&Op, &mut Memory<'_>) -> bool);

impl Kernels for But {
    fn describe(&self) -> Description {
        Reference.describe()
    }

    fn run(&mut self, op: &Op, m: &mut Memory<'_>) {
        if !self.0(op, m) {
            Reference.run(op, m);
        }
    }
}

fn check(case: &StepCase, instead: fn(&Op, &mut Memory<'_>) -> bool) -> CaseResult {
    let factory =
        |layout| -> Box<dyn Inspect> { Box::new(HostExecutor::new(But(instead), layout)) };
    check_step(&factory, case)
}

#[test]
fn every_step_passes_on_the_reference_and_fails_where_nothing_is_computed() {
    for case in all() {
        let result = check(&case, |_, _| false);
        assert!(result.passes(), "{}", result.message());
        assert!(!check(&case, |_, _| true).passes(), "{} passes", case.vars);
    }
}

#[test]
fn a_wrong_gradient_is_named_with_the_dispatch_that_it_comes_from() {
    let result = check(&all()[0], |op, m| {
        let Op::DenseBackwardWeight(DenseBackwardWeight { dw, outputs: 7, .. }) = op else {
            return false;
        };
        Reference.run(op, m);
        let mut values = m.take(*dw);
        values[3] += 0.01;
        m.put(*dw, values);
        true
    });
    let message = result.message();
    let start = "training_step pools optimizer=sgd n=5\n    \
                 `gradient of dense/kernel` (from dense_backward_weight) is off by ";
    assert!(message.starts_with(start), "{message}");
    assert!(
        message.contains("allowed 1.0e-4: element 3 of "),
        "{message}"
    );
}

#[test]
fn steps_that_differ_from_run_to_run_are_a_failure() {
    static RUN: AtomicU32 = AtomicU32::new(0);
    let result = check(&all()[0], |op, m| {
        let Op::DenseBackwardWeight(DenseBackwardWeight { dw, .. }) = op else {
            return false;
        };
        Reference.run(op, m);
        let mut values = m.take(*dw);
        values[0] += 1e-7 * RUN.fetch_add(1, Ordering::Relaxed) as f32;
        m.put(*dw, values);
        true
    });
    let message = result.message();
    assert!(message.contains("run 2 of the same steps"), "{message}");
}

/// Otherwise a correct device with different rounding could fail.
#[test]
fn no_step_depends_on_the_last_bits_of_its_weights() {
    for case in all() {
        let trial = Trial::new(&case).unwrap();
        let run = |trial: &Trial| {
            let mut executor = ReferenceExecutor::reference(Arc::clone(&trial.plan.layout));
            trial.run(&mut executor, 1).unwrap()
        };
        let expected = run(&trial);
        for draw in 0..4 {
            let mut other = Trial::new(&case).unwrap();
            let key = Key::new(2).stream(Stream::Check, draw);
            for (i, w) in other.state.params.iter_mut().enumerate() {
                *w *= 1.0 + 1e-6 * (key.uniform(i as u32) - 0.5);
            }
            for (a, b) in run(&other).into_iter().zip(&expected) {
                let (error, _) = difference(&a.values, &b.values, None);
                assert!(error <= TOLERANCE, "{}: {} by {error:e}", case.vars, a.name);
            }
        }
    }
}
