//! Whether a device has room for a plan, asked before anything is made on it; and if not, for which
//! batch or image it has.

use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::model::Sequential;
use crate::plan::{Plan, Purpose};
use crate::shape::dims;

/// Rows in a step of evaluation and prediction, where there is room for them.
const INFERENCE_BATCH: usize = 256;

/// The plan for `purpose`.
///
/// # Errors
/// As [`Plan::new`]; or the device has no room for it, and then the error says for what it has.
pub(super) fn plan<E: Executor + ?Sized>(
    executor: &E,
    model: &Sequential,
    purpose: Purpose,
    batch: usize,
) -> Result<Plan> {
    let plan = Plan::new(model, purpose, batch)?;
    let Err(error) = executor.fits(&plan) else {
        return Ok(plan);
    };
    let fits = |model: &Sequential, batch| fits(executor, model, purpose, batch);
    Err(match error {
        Error::TooLarge { needs, allows, .. } => Error::TooLarge {
            needs: format!("batch {batch} of {}: {needs}", dims(&model.input_shape)),
            allows,
            fits: what_fits(model, batch, fits),
        },
        other => other,
    })
}

/// The plan for inference, with as many rows as there is room for.
pub(super) fn inference<E: Executor + ?Sized>(executor: &E, model: &Sequential) -> Result<Plan> {
    let purpose = Purpose::Inference;
    let mut halves = (0..=INFERENCE_BATCH.ilog2()).map(|i| INFERENCE_BATCH >> i);
    let batch = halves.find(|batch| fits(executor, model, purpose, *batch));
    plan(executor, model, purpose, batch.unwrap_or(1))
}

fn fits<E: Executor + ?Sized>(
    executor: &E,
    model: &Sequential,
    purpose: Purpose,
    batch: usize,
) -> bool {
    Plan::new(model, purpose, batch).is_ok_and(|plan| executor.fits(&plan).is_ok())
}

/// In words.
fn what_fits(
    model: &Sequential,
    batch: usize,
    fits: impl Fn(&Sequential, usize) -> bool,
) -> String {
    if let Some(batch) = largest(batch, |batch| fits(model, batch)) {
        return format!("the largest batch that fits is {batch} (--batch-size {batch})");
    }
    let [h, w, c] = model.input_shape;
    let scaled = |height: usize| Sequential {
        input_shape: [height, (w * height / h).max(1), c],
        ..model.clone()
    };
    match largest(h, |height| fits(&scaled(height), 1)) {
        Some(height) => format!(
            "not even one image fits; the largest that does is one of {}",
            dims(&scaled(height).input_shape)
        ),
        None => "not even one image fits, of whatever size; use a smaller model".into(),
    }
}

/// The largest number from 1 to `end`, which itself does not fit, that does; if there is one that
/// does, all below it do as well.
fn largest(end: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut good, mut bad) = (0, end);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        match fits(middle) {
            true => good = middle,
            false => bad = middle,
        }
    }
    (good > 0).then_some(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_that_fits_is_found() {
        for limit in 0..20 {
            let found = largest(20, |n| n <= limit);
            assert_eq!(found, (limit > 0).then_some(limit));
        }
        assert_eq!(largest(1, |_| false), None);
    }
}
