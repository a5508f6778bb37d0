//! The table of cases: every operation, with sizes that are awkward for some implementation.
//!
//! The sizes are primes, a batch of one, just below and above a workgroup, strides, windows that
//! reach over the edge, one channel and many, and the shapes of `mnist-cnn`. All are small, so that
//! the whole table runs in seconds. Inputs come from the counter-based generator; NaN, infinities
//! and ties are separate, named cases.

use super::Case;
use super::case::CaseBuilder;
use crate::model::Activation;
use crate::plan::{BufferId, Op, Through};
use crate::shape::dims;

/// Declares the modules and [`all`], which lists their cases in this order.
macro_rules! families {
    ($($family:ident),+ $(,)?) => {
        $(mod $family;)+

        /// All cases, grouped by operation.
        pub fn all() -> Vec<Case> {
            let cases: Vec<Case> = [$($family::cases()),+].into_iter().flatten().collect();
            let groups = cases.chunk_by(|a, b| a.op().name() == b.op().name());
            groups.flat_map(with_parts).collect()
        }
    };
}

families! {
    gather,
    affine,
    elastic,
    adjust,
    erase,
    noise,
    resize,
    mix,
    conv2d,
    pool2d,
    dense,
    activation,
    softmax,
    loss,
    dropout,
    merge,
    batch_norm,
    regularize,
    update,
}

/// The cases of an operation and, if its draws or its mean over the batch depend on the place of rows in it, two
/// of them in which the rows are a part of a batch.
fn with_parts(cases: &[Case]) -> Vec<Case> {
    let mut all = cases.to_vec();
    let depend = cases.iter().filter(|case| {
        matches!(
            case.op(),
            Op::DrawMaps(_)
                | Op::DrawNoise(_)
                | Op::AdjustContrast(_)
                | Op::AdjustBrightness(_)
                | Op::Erase(_)
                | Op::AddNoise(_)
                | Op::DrawMixes(_)
                | Op::Loss(_)
                | Op::Dropout(_)
        )
    });
    let largest = depend.clone().max_by_key(|case| case.plan.batch);
    let own: Vec<&Case> = depend.take(1).chain(largest).collect();
    let is_same = own.len() == 2 && own[0].vars == own[1].vars;
    all.extend(own.into_iter().skip(is_same.into()).map(Case::as_part));
    all
}

/// The names of the operations, in the order of the cases.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = all().iter().map(|case| case.op().name()).collect();
    names.dedup();
    names
}

/// The cases of one operation.
pub fn of(op: &str) -> Vec<Case> {
    let mut cases = all();
    cases.retain(|case| case.op().name() == op);
    cases
}

/// Parameters of these shapes, named `p0`, `p1`, ...
fn parameters(b: &mut CaseBuilder, shapes: &[&[usize]]) -> Vec<BufferId> {
    let numbered = shapes.iter().enumerate();
    numbered
        .map(|(i, shape)| b.parameter(&format!("p{i}"), shape))
        .collect()
}

/// `3x3x1x4,65`.
fn all_dims(shapes: &[&[usize]]) -> String {
    let shapes: Vec<String> = shapes.iter().map(|shape| dims(shape)).collect();
    shapes.join(",")
}

const POINTWISE: [Activation; 9] = Activation::POINTWISE;

/// `None`, and each activation whose derivative can be fused into a gradient.
fn each_through() -> impl Iterator<Item = Option<Activation>> {
    std::iter::once(None).chain(POINTWISE.map(Some))
}

/// The values of this shape that an activation keeps for its backward pass. One element in eight of
/// a ReLU's is exactly zero.
fn through(b: &mut CaseBuilder, shape: &[usize], f: Option<Activation>) -> Option<Through> {
    let activation = f?;
    let inputs = b.uniform(shape.iter().product());
    let values = inputs.into_iter().enumerate().map(|(i, x)| {
        let x = if i % 8 == 7 { 0.0 } else { 2.0 * x };
        if activation.keeps_input() {
            x
        } else {
            activation.apply(x.into()) as f32
        }
    });
    let values = values.collect();
    let y = b.input_of("through", shape, values);
    Some(Through { y, activation })
}

/// Numbers from -20 to 20 and near zero that satisfy `wanted`.
pub(crate) fn sweep(wanted: impl Fn(f64) -> bool) -> Vec<f32> {
    let steps = (-160..=160).map(|i| f64::from(i) / 8.0);
    let near_zero = (1..=28).flat_map(|i| {
        let x = 10_f64.powf(-f64::from(i) / 2.0);
        [x, -x]
    });
    let all = steps.chain(near_zero).chain([1e-25, -1e-25]);
    // `wanted` sees the rounded number, which is the one that the kernel gets.
    let all = all.map(|x| x as f32).filter(|x| wanted((*x).into()));
    all.collect()
}

fn through_name(f: Option<Activation>) -> &'static str {
    f.map_or("none", Activation::name)
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;
    use crate::plan::OpKind;

    #[test]
    fn every_operation_has_cases() {
        let cases = all();
        for &kind in OpKind::VARIANTS {
            let mut kinds = cases.iter().map(|case| OpKind::from(case.op()));
            assert!(kinds.any(|k| k == kind), "{kind:?} has no case");
        }
    }

    #[test]
    fn every_case_has_its_own_name_and_follows_those_of_its_operation() {
        let mut names = names();
        let listed = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), listed);
        let cases = all();
        let mut vars: Vec<&str> = cases.iter().map(|c| c.vars.as_str()).collect();
        vars.sort_unstable();
        for pair in vars.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
    }

    #[test]
    fn every_case_fills_what_its_operation_reads() {
        for case in all() {
            for id in case.op().reads() {
                let filled = case.inputs.iter().find(|(input, _)| *input == id);
                let len = filled.map(|(_, values)| values.len());
                let buffer = case.plan.buffer(id);
                let parameter = matches!(buffer.role, crate::plan::Role::Parameter(_));
                assert!(
                    parameter || len == Some(buffer.len()),
                    "{}: {}",
                    case.vars,
                    buffer.name
                );
            }
        }
    }
}
