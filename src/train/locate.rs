//! Finds the first non-finite value behind a non-finite loss.

use super::callbacks::All;
use super::epoch::{Epoch, Fit};
use super::trainer::Pass;
use super::{Position, Trainer};
use crate::error::{Error, Result};
use crate::exec::{Executor, Step, Values};

impl<E: Executor + ?Sized> Trainer<E> {
    /// Adds the origin to a non-finite loss: repeats the steps since the last complete epoch and
    /// runs the failing step operation by operation. One of several ranks adds nothing, as it could only repeat
    /// the steps together with the others.
    pub(super) fn locate(
        &mut self,
        error: Error,
        fit: &mut Fit<'_, E>,
        epoch: &Epoch,
        callbacks: &mut All<'_, '_>,
    ) -> Error {
        match error {
            Error::NonFiniteLoss {
                loss,
                step,
                epoch: number,
                learning_rate,
                origin: None,
            } => Error::NonFiniteLoss {
                loss,
                step,
                epoch: number,
                learning_rate,
                // The error that led here is the one to report.
                origin: self.origin(step, fit, epoch, callbacks).unwrap_or_default(),
            },
            other => other,
        }
    }

    fn origin(
        &mut self,
        step: u64,
        fit: &mut Fit<'_, E>,
        epoch: &Epoch,
        callbacks: &mut All<'_, '_>,
    ) -> Result<Option<String>> {
        if self.ranks.is_some() || !fit.source.can_repeat() {
            return Ok(None);
        }
        self.forget_batches()?;
        self.executor.upload(&self.state)?;
        let first = (self.state.step - epoch.steps_before) as usize;
        let last = (step - 1 - epoch.steps_before) as usize;
        for taken in first..=last {
            let position = Position {
                step: taken,
                follows: taken > first,
                ..epoch.position()
            };
            let made = self.make_batch(fit, epoch.steps_before, &position, callbacks)?;
            let Some((batch, _)) = made else {
                return Ok(None);
            };
            if taken == last {
                self.forget_batches()?;
                for (pass, step) in self.steps_of(&batch)? {
                    let found = self.first_not_finite(pass, &step)?;
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                return Ok(None);
            }
            self.enqueue_batch(&batch)?;
            // Otherwise the metrics of finished steps would pile up.
            self.completed_batches(false)?;
        }
        Ok(None)
    }

    /// The first buffer of a step that holds a non-finite value.
    fn first_not_finite(&mut self, pass: Pass, step: &Step) -> Result<Option<String>> {
        let plan = self.plan(pass).clone();
        let Some(executor) = self.executor.inspect() else {
            return Ok(None);
        };
        for (i, op) in plan.ops.iter().enumerate() {
            executor.run(i..i + 1, step)?;
            executor.completed(true)?;
            for id in op.reads().into_iter().chain(op.writes()) {
                let values = executor.read(step.program, id)?;
                let finite = match &values {
                    Values::F32(values) => values.iter().all(|v| v.is_finite()),
                    Values::U32(_) => true,
                };
                if !finite {
                    let name = &plan.buffer(id).name;
                    return Ok(Some(format!("`{name}`, at {}", op.name())));
                }
            }
        }
        Ok(None)
    }
}
