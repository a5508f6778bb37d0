//! Runs the operations of a plan one by one, on values written by hand.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::exec::{BatchPart, DataId, Device, GradientSum, Inspect, Program, Step, Values};
use crate::model::Sequential;
use crate::optimizer::Rates;
use crate::plan::{BufferId, Gather, Plan, Purpose};
use crate::rng::Key;
use crate::state::{Layout, State};

/// A compiled plan, its weights and its device.
pub(super) struct OpRunner {
    pub plan: Plan,
    /// The key of the random draws.
    pub key: Key,
    program: Program,
    executor: Box<dyn Inspect>,
}

impl OpRunner {
    /// Compiles `model` for `purpose` with the largest batch up to `batch` that fits the device.
    ///
    /// # Errors
    /// Those of [`Plan::new`]; weights of another model; not even one image fits.
    pub fn new(
        device: &Device,
        (model, state): (&Sequential, &State),
        purpose: Purpose,
        batch: usize,
    ) -> Result<Self> {
        let layout = Layout::new(model)?;
        if *layout != *state.layout {
            return Err(model.error("the weights are those of another model".into()));
        }
        layout.check_memory()?;
        let mut executor = device.executor(layout);
        let plan = fitting(&*executor, model, purpose, batch)?;
        let program = executor.compile(&plan)?;
        executor.upload(state)?;
        Ok(Self {
            plan,
            key: Key::of_step(0, 1),
            program,
            executor,
        })
    }

    /// The buffer that holds the images.
    pub fn input(&self) -> Result<BufferId> {
        let gather = self.plan.ops.first().and_then(|op| op.downcast::<Gather>());
        let found = gather.map(|gather| gather.x);
        found.ok_or_else(|| Error::device("the plan has no input; please report this model"))
    }

    /// Fills a buffer; values that are missing at its end become 0.
    pub fn write(&mut self, buffer: BufferId, values: &[f32]) -> Result<()> {
        let mut values = values.to_vec();
        values.resize(self.plan.buffer(buffer).len(), 0.0);
        (self.executor).write(self.program, buffer, &Values::F32(values))
    }

    /// Runs some operations on the first `rows` rows. The gather, operation 0, must not be one.
    pub fn run(&mut self, ops: Range<usize>, rows: usize) -> Result<()> {
        let step = Step {
            program: self.program,
            // Only the gather reads the data set.
            data: DataId(0),
            offset: 0,
            rows,
            rates: Rates::default(),
            key: self.key,
            part: BatchPart::whole(rows),
            sum: GradientSum::default(),
        };
        self.executor.run(ops, &step)?;
        // Discards the metrics.
        self.executor.completed(true).map(drop)
    }

    /// The contents of a float buffer.
    pub fn read(&mut self, buffer: BufferId) -> Result<Vec<f32>> {
        let values = self.executor.read(self.program, buffer)?;
        Ok(values.into_f32())
    }
}

/// The plan with the largest batch that fits: `batch`, its half, and so on.
fn fitting(
    executor: &dyn Inspect,
    model: &Sequential,
    purpose: Purpose,
    batch: usize,
) -> Result<Plan> {
    let mut batch = batch.max(1);
    loop {
        let plan = Plan::new(model, purpose, batch)?;
        match executor.fits(&[&plan]) {
            Ok(()) => return Ok(plan),
            Err(error) if batch == 1 => return Err(error),
            Err(_) => batch /= 2,
        }
    }
}
