//! A training step that is ready to be timed.

use std::time::{Duration, Instant};

use super::Roofline;
use crate::data::Dataset;
use crate::error::Result;
use crate::exec::{Executor, Opened, Peak, Step, median};
use crate::model::Sequential;
use crate::optimizer::Optimizer;
use crate::plan::{Plan, Purpose};
use crate::rng::{Key, Stream};
use crate::state::{Layout, State};

/// A sample of the step's time is at least this long, so that the wait at its end does not count.
const SAMPLE: Duration = Duration::from_millis(50);
/// Samples that a budget should hold.
const SAMPLES: u32 = 8;
/// How often each part of a step is timed.
const REPEATS: usize = 20;
/// Small enough that random labels never drive the weights anywhere.
const RATE: f32 = 1e-6;

/// A model in training on a device: an executor of its own, fresh weights, a batch of noise.
pub struct Workload {
    executor: Box<dyn Executor>,
    plan: Plan,
    step: Step,
}

/// How long a step takes.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct StepTime {
    /// The median.
    pub seconds: f64,
    /// Images in a step by its time.
    pub images_per_second: f64,
    /// Samples that the median is of.
    pub samples: usize,
    /// Steps in each sample; the wait for the device at a sample's end counts.
    pub steps_per_sample: usize,
}

impl Workload {
    /// Training `model` with Adam at this batch size.
    ///
    /// # Errors
    /// As [`Plan::new`], or the device cannot run it.
    pub fn new(device: &Opened, model: &Sequential, batch: usize) -> Result<Self> {
        Self::with_optimizer(device, model, Optimizer::default(), batch)
    }

    /// Training `model` at this batch size.
    ///
    /// # Errors
    /// As [`Workload::new`].
    pub fn with_optimizer(
        device: &Opened,
        model: &Sequential,
        optimizer: Optimizer,
        batch: usize,
    ) -> Result<Self> {
        let plan = Plan::new(model, Purpose::Training(optimizer), batch)?;
        plan.layout.check_memory()?;
        let mut executor = device.executor(plan.layout.clone());
        let program = executor.compile(&plan)?;
        executor.upload(&State::new(Layout::new(model)?, 1))?;
        let step = Step {
            program,
            data: executor.load(&noise(&plan)?)?,
            offset: 0,
            rows: batch,
            rates: RATE.into(),
            key: Key::of_step(0, 1),
        };
        Ok(Self {
            executor,
            plan,
            step,
        })
    }

    /// What is trained.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Floating-point operations of a step.
    pub fn flops(&self) -> u64 {
        self.plan.ops.iter().map(|op| self.plan.flops(op)).sum()
    }

    /// Runs some steps, waits for them, and gives the seconds that took.
    ///
    /// # Errors
    /// The device failed.
    pub fn run(&mut self, steps: usize) -> Result<f64> {
        let started = Instant::now();
        for _ in 0..steps {
            self.executor.enqueue(&self.step)?;
        }
        self.executor.completed(true)?;
        Ok(started.elapsed().as_secs_f64())
    }

    /// The time of a step: after one that does not count, as many as `budget` holds, and at least
    /// one.
    ///
    /// # Errors
    /// The device failed.
    pub fn step(&mut self, budget: Duration) -> Result<StepTime> {
        // Drivers compile at the first step, and memory is touched.
        self.run(1)?;
        let started = Instant::now();
        let least = SAMPLE.min(budget / SAMPLES).as_secs_f64();
        let mut steps = 1;
        let mut last = self.run(steps)?;
        while last < least {
            steps *= 2;
            last = self.run(steps)?;
        }
        let mut times = vec![last / steps as f64];
        while started.elapsed() + Duration::from_secs_f64(last) < budget {
            last = self.run(steps)?;
            times.push(last / steps as f64);
        }
        let seconds = median(&mut times);
        Ok(StepTime {
            seconds,
            images_per_second: self.plan.batch as f64 / seconds,
            samples: times.len(),
            steps_per_sample: steps,
        })
    }

    /// The parts of a step beside what the device can do at most.
    ///
    /// # Errors
    /// The device failed.
    pub fn roofline(&mut self, peak: &Peak) -> Result<Roofline> {
        let profile = self.executor.profile(&self.plan, &self.step, REPEATS)?;
        Ok(Roofline::new(&self.plan, &profile, peak))
    }
}

/// A batch of noise with all labels in turn.
fn noise(plan: &Plan) -> Result<Dataset> {
    let pixels: usize = plan.input_shape.iter().product();
    let key = Key::new(1).stream(Stream::Check, 0);
    // A short stretch, repeated: what is drawn does not matter, and drawing takes time.
    let drawn: Vec<u8> = (0..4096).map(|i| key.bits(i) as u8).collect();
    let images = drawn.iter().copied().cycle().take(plan.batch * pixels);
    let classes = plan.classes.min(256);
    let labels = (0..plan.batch).map(|i| (i % classes) as u8);
    Ok(Dataset::new(
        "noise",
        "bench",
        plan.input_shape,
        classes,
        images.collect(),
        labels.collect(),
    )?)
}
