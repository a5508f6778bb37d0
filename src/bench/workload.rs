//! A training step, prepared for timing.

use std::time::{Duration, Instant};

use super::Roofline;
use crate::data::Dataset;
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::exec::StepMetrics;
use crate::exec::{BatchPart, Device, GradientSum, Inspect, MemoryUse, Peak, Step, median};
use crate::model::Sequential;
use crate::optimizer::Optimizer;
use crate::plan::{Plan, Purpose};
use crate::rng::{Key, Stream};
use crate::state::{Layout, State};
use crate::train::room::largest_batch;

/// Minimum duration of a sample, which makes the wait at its end negligible.
const SAMPLE: Duration = Duration::from_millis(50);
/// Intended number of samples in a time budget.
const SAMPLES: u32 = 8;
/// Time budget for the parts of a step.
const PARTS: Duration = Duration::from_secs(1);
/// Small enough that training on random labels does not move the weights noticeably.
const RATE: f32 = 1e-6;
/// Of the initial weights.
const SEED: u64 = 1;

/// A model in training on a device, with a separate executor, fresh weights and a batch of noise.
pub struct Workload {
    executor: Box<dyn Inspect>,
    model: Sequential,
    training: Purpose,
    plan: Plan,
    step: Step,
}

/// What training takes of the device's memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct StepMemory {
    /// All that is allocated: the sum of `parts`.
    pub bytes: u64,
    /// What is allocated for which purpose.
    pub parts: MemoryUse,
    /// What all tensors of the plan would take, weights included. Fused operations need no memory
    /// for those between them.
    pub all_tensors: u64,
    /// The largest batch that fits, up to 2^20; `None` if not even one image does.
    pub largest_batch: Option<usize>,
    /// Memory available to training, if known. If not, only the adapter's limits bound
    /// `largest_batch`.
    pub available: Option<u64>,
}

/// The duration of a step.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct StepTime {
    /// The median.
    pub seconds: f64,
    /// Images per second.
    pub images_per_second: f64,
    /// Number of samples behind the median.
    pub samples: usize,
    /// Steps per sample; each sample includes the wait for the device at its end.
    pub steps_per_sample: usize,
}

impl Workload {
    /// Prepares training of `model` with Adam at this batch size.
    ///
    /// # Errors
    /// Those of [`Plan::new`]; the device cannot run the plan.
    pub fn new(device: &Device, model: &Sequential, batch: usize) -> Result<Self> {
        Self::with_optimizer(device, model, Optimizer::default(), batch)
    }

    /// Prepares training of `model` at this batch size.
    ///
    /// # Errors
    /// As [`Workload::new`].
    pub fn with_optimizer(
        device: &Device,
        model: &Sequential,
        optimizer: Optimizer,
        batch: usize,
    ) -> Result<Self> {
        let training = Purpose::Training(optimizer);
        let plan = Plan::new(model, training, batch)?;
        plan.layout.check_memory()?;
        let mut executor = device.executor(plan.layout.clone());
        let program = executor.compile(&plan)?;
        executor.upload(&State::new(Layout::new(model)?, SEED))?;
        let step = Step {
            program,
            data: executor.load(&noise(&plan, batch)?)?,
            offset: 0,
            rows: batch,
            rates: RATE.into(),
            key: Key::of_step(0, 1),
            part: BatchPart::whole(batch),
            sum: GradientSum::default(),
        };
        Ok(Self {
            executor,
            model: model.clone(),
            training,
            plan,
            step,
        })
    }

    /// The training plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The device memory that training takes; `None` if the executor does not count it.
    ///
    /// # Errors
    /// The plan is larger than the device allows.
    pub fn memory(&self) -> Result<Option<StepMemory>> {
        let needs = self.executor.needs(&[&self.plan])?;
        Ok(needs.map(|parts| StepMemory {
            bytes: parts.total(),
            parts,
            all_tensors: self.plan.all_bytes(),
            largest_batch: largest_batch(&*self.executor, &self.model, self.training),
            available: self.executor.budget(),
        }))
    }

    /// Floating-point operations per step.
    pub fn flops(&self) -> u64 {
        self.plan.ops.iter().map(|op| self.plan.flops(op)).sum()
    }

    /// Runs `steps` steps, waits for them, and returns the time in seconds.
    ///
    /// # Errors
    /// The device fails.
    pub fn run(&mut self, steps: usize) -> Result<f64> {
        let started = Instant::now();
        for _ in 0..steps {
            self.executor.enqueue(&self.step)?;
        }
        self.executor.completed(true)?;
        Ok(started.elapsed().as_secs_f64())
    }

    /// Runs steps, and returns the metrics of each.
    ///
    /// # Errors
    /// The device fails.
    #[cfg(feature = "gpu")]
    pub(crate) fn observed(&mut self, steps: usize) -> Result<Vec<StepMetrics>> {
        for _ in 0..steps {
            self.executor.enqueue(&self.step)?;
        }
        self.executor.completed(true)
    }

    /// The state after all steps so far.
    ///
    /// # Errors
    /// The device fails.
    #[cfg(feature = "gpu")]
    pub(crate) fn state(&mut self) -> Result<State> {
        let mut state = State::new(self.plan.layout.clone(), SEED);
        self.executor.download(&mut state)?;
        Ok(state)
    }

    /// Measures a step: after one warm-up step, as many as fit in `budget`, at least one.
    ///
    /// # Errors
    /// The device fails.
    pub fn step(&mut self, budget: Duration) -> Result<StepTime> {
        // The first step compiles kernels and touches memory for the first time.
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

    /// The parts of a step relative to the device's roofline.
    ///
    /// # Errors
    /// The device fails.
    pub fn roofline(&mut self, peak: &Peak) -> Result<Roofline> {
        let profile = self.executor.profile(&self.plan, &self.step, PARTS)?;
        Ok(Roofline::new(&self.plan, &profile, peak))
    }
}

/// `rows` images of noise for a plan; the labels cycle through all classes.
pub(super) fn noise(plan: &Plan, rows: usize) -> Result<Dataset> {
    let pixels: usize = plan.input_shape.iter().product();
    let key = Key::new(1).stream(Stream::Check, 0);
    // Repeats a short sequence: the values do not matter, and drawing takes time.
    let drawn: Vec<u8> = (0..4096).map(|i| key.bits(i) as u8).collect();
    let images = drawn.iter().copied().cycle().take(rows * pixels);
    let classes = plan.classes.min(256);
    let labels = (0..rows).map(|i| (i % classes) as u8);
    Ok(Dataset::new(
        "noise",
        "bench",
        plan.input_shape,
        classes,
        images.collect(),
        labels.collect(),
    )?)
}
