//! Checks whether a plan fits the device before anything is allocated and, if it does not, finds
//! the batch or image size that does.

use super::Options;
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::model::Sequential;
use crate::plan::{Plan, Purpose};
use crate::shape::dims;

/// Rows per step of evaluation and prediction, if they fit.
const INFERENCE_BATCH: usize = 256;

/// The plans of a trainer.
pub(super) struct Plans {
    /// Training on a batch or a micro-batch.
    pub(super) training: Plan,
    /// The update after micro-batches.
    pub(super) update: Option<Plan>,
    /// Evaluation and prediction.
    pub(super) inference: Plan,
}

/// The plans of a model for training and for inference with as many rows as also fit. With
/// micro-batches, inference has no more rows than one of them.
///
/// # Errors
/// Those of [`Plan::new`]; plans that do not fit the device, with the size that would.
pub(super) fn plans<E: Executor + ?Sized>(
    executor: &E,
    model: &Sequential,
    training: Purpose,
    options: &Options,
) -> Result<Plans> {
    let batch = options.batch_size;
    if let Some(rows) = options.rows_of_parts() {
        return of_parts(executor, model, training, (rows, batch));
    }
    let plan = Plan::new(model, training, batch)?;
    let whole = |inference| Plans {
        training: plan.clone(),
        update: None,
        inference,
    };
    let halves = (0..=INFERENCE_BATCH.ilog2()).map(|i| INFERENCE_BATCH >> i);
    for rows in halves {
        let inference = Plan::new(model, Purpose::Inference, rows);
        if let Ok(inference) = inference
            && executor.fits(&[&plan, &inference]).is_ok()
        {
            return Ok(whole(inference));
        }
    }
    let room = |model: &Sequential, batch| room(executor, model, training, batch);
    match room(model, batch) {
        Err(Error::TooLarge { needs, allows, .. }) => {
            let largest_batch = largest(batch, |batch| room(model, batch).is_ok());
            Err(Error::TooLarge {
                needs: format!("batch {batch} of {}: {needs}", dims(&model.input_shape)),
                allows,
                fits: match largest_batch {
                    Some(batch) => format!("the largest batch that fits is {batch}"),
                    None => largest_image(model, room),
                },
                largest_batch,
            })
        }
        Err(other) => Err(other),
        Ok(()) => Ok(whole(Plan::new(model, Purpose::Inference, 1)?)),
    }
}

/// The plans for micro-batches of `rows` rows. That of inference depends on `rows` alone, and not on the
/// memory that is left, so that a device with less of it gives the same bytes.
fn of_parts<E: Executor + ?Sized>(
    executor: &E,
    model: &Sequential,
    purpose: Purpose,
    (rows, batch): (usize, usize),
) -> Result<Plans> {
    let plans = |model: &Sequential, rows: usize| -> Result<Plans> {
        let [training, update] = Plan::parts(model, purpose, (rows, batch))?;
        let inference = Plan::new(model, Purpose::Inference, rows.min(INFERENCE_BATCH))?;
        executor.fits(&[&training, &update, &inference])?;
        Ok(Plans {
            training,
            update: Some(update),
            inference,
        })
    };
    plans(model, rows).map_err(|error| {
        let Error::TooLarge { needs, allows, .. } = error else {
            return error;
        };
        let largest_batch = largest(rows, |rows| plans(model, rows).is_ok());
        Error::TooLarge {
            needs: format!(
                "a micro-batch of {rows} x {}: {needs}",
                dims(&model.input_shape)
            ),
            allows,
            fits: match largest_batch {
                Some(rows) => format!("the largest micro-batch that fits is {rows}"),
                None => largest_image(model, |model, rows| plans(model, rows).map(drop)),
            },
            largest_batch,
        }
    })
}

/// Batches up to this size are tried.
const MOST: usize = 1 << 20;

/// The largest batch size, up to [`MOST`], for training `model` on the device; `None` if not even
/// one image fits.
pub(crate) fn largest_batch<E: Executor + ?Sized>(
    executor: &E,
    model: &Sequential,
    training: Purpose,
) -> Option<usize> {
    largest(MOST + 1, |batch| {
        room(executor, model, training, batch).is_ok()
    })
}

/// Whether training and, at the same time, inference of one row fit.
fn room<E: Executor + ?Sized>(
    executor: &E,
    model: &Sequential,
    training: Purpose,
    batch: usize,
) -> Result<()> {
    let training = Plan::new(model, training, batch)?;
    let inference = Plan::new(model, Purpose::Inference, 1)?;
    executor.fits(&[&training, &inference])
}

/// The largest image that fits, in words.
fn largest_image(model: &Sequential, room: impl Fn(&Sequential, usize) -> Result<()>) -> String {
    let [h, w, c] = model.input_shape;
    let scaled = |height: usize| Sequential {
        input_shape: [height, (w * height / h).max(1), c],
        ..model.clone()
    };
    // An image can also be too small for the model; then try a larger one.
    let found = largest(h, |height| {
        !matches!(room(&scaled(height), 1), Err(Error::TooLarge { .. }))
    });
    match found.filter(|&height| room(&scaled(height), 1).is_ok()) {
        Some(height) => format!(
            "not even one image fits; the largest that does is one of {}",
            dims(&scaled(height).input_shape)
        ),
        None => "not even one image fits, of whatever size; use a smaller model".into(),
    }
}

/// The largest number from 1 to `end - 1` that fits; `end` does not, and everything below a number
/// that fits does.
fn largest(end: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut good, mut bad) = (0, end);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle) {
            good = middle;
        } else {
            bad = middle;
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
