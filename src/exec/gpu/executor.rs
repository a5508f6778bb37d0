//! Runs steps: many dispatches per step, many steps per submission, and no waiting in between.
//!
//! The values that change from step to step lie in a small uniform with a slot per step. Losses and
//! correct counts come back the same way, copied at the end of a submission and read once the copy
//! is done. The number of submissions in flight is bounded, and their length is adapted to some 25
//! ms each: short enough for Ctrl-C and any driver's watchdog, long enough to make the overhead
//! negligible.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wgpu::{Buffer, BufferDescriptor, BufferUsages, CommandEncoder, MapMode, SubmissionIndex};

use super::buffers::Arenas;
use super::data::GpuData;
use super::device::GpuDevice;
use super::dispatch::Dispatch;
use super::gradient_sums::GradientSums;
use super::lower::{Lowered, LoweringMode};
use super::pace::{MAX_STEPS, Pace};
use super::profile;
use super::program::GpuProgram;
use super::recorder::Recorder;
use super::software::CompileAhead;
use super::steps::{METRICS_BYTES, Steps};
use super::warm_up::warm_up;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::exec::{
    DataId, Description, Executor, GradientSum, Inspect, MemoryUse, Profile, Program, Step,
    StepMetrics, Values, loaded, loaded_mut,
};
use crate::plan::{BufferId, Plan, PlanPart};
use crate::state::{Layout, State};

/// A submission whose metrics have not been read.
struct UnderWay {
    submission: SubmissionIndex,
    staging: Buffer,
    mapped: Arc<AtomicBool>,
    rows: Vec<u32>,
    submitted: Instant,
}

/// An executor on a GPU.
pub struct GpuExecutor {
    gpu: Arc<GpuDevice>,
    layout: Arc<Layout>,
    steps: Steps,
    arenas: Option<Arenas>,
    sums: GradientSums,
    programs: Vec<GpuProgram>,
    /// For each program that has run, the threads that compiled its kernels ahead, if any.
    ahead: HashMap<Program, Option<CompileAhead>>,
    /// The data sets by handle; `None` once unloaded.
    data: Vec<Option<GpuData>>,
    /// Steps not yet submitted.
    queued: Vec<Step>,
    pace: Pace,
    under_way: VecDeque<UnderWay>,
    idle_staging: Vec<Buffer>,
    metrics: Vec<StepMetrics>,
}

impl GpuExecutor {
    /// An executor for models with this layout, with all parameters zero.
    pub fn new(gpu: Arc<GpuDevice>, layout: Arc<Layout>) -> Self {
        Self {
            steps: gpu.steps(),
            gpu,
            layout,
            arenas: None,
            sums: GradientSums::default(),
            programs: Vec::new(),
            ahead: HashMap::new(),
            data: Vec::new(),
            queued: Vec::new(),
            pace: Pace::default(),
            under_way: VecDeque::new(),
            idle_staging: Vec::new(),
            metrics: Vec::new(),
        }
    }

    /// Makes room for the sums of gradients after a step.
    fn make_room(&mut self, sum: GradientSum) -> Result<()> {
        let Some(arenas) = &self.arenas else {
            return Err(Error::Argument("the plan is not compiled".into()));
        };
        let arenas = (&*self.layout, arenas);
        self.sums
            .reserve(&self.gpu, &self.steps.layout, arenas, sum)
    }

    fn arenas(&mut self) -> Result<&Arenas> {
        if self.arenas.is_none() {
            self.arenas = Some(self.gpu.arenas(&self.layout)?);
        }
        self.arenas
            .as_ref()
            .ok_or_else(|| Error::device("the arenas were not made"))
    }

    /// Binds the step's data set to its program unless it is bound already.
    fn bind_data(&mut self, step: &Step) -> Result<()> {
        let data = loaded(&self.data, step.data)?;
        if step.offset + step.rows > data.len {
            return Err(Error::Argument(format!(
                "rows {} to {} lie outside the data set's {}",
                step.offset,
                step.offset + step.rows,
                data.len
            )));
        }
        let Some(arenas) = &self.arenas else {
            return Err(Error::Argument("the plan is not compiled".into()));
        };
        let program = &mut self.programs[step.program.0];
        program.bind_data(&self.gpu, &self.steps, arenas, (step.data, data))
    }

    /// Submits the queued steps.
    fn flush(&mut self) -> Result<()> {
        if self.queued.is_empty() {
            return Ok(());
        }
        while self.under_way.len() >= self.pace.max_in_flight() {
            self.reap(true)?;
        }
        // Writes are ordered with submissions: those in flight still see their own values.
        self.gpu.write_steps(&self.steps, &self.queued);
        let staging = self.staging();
        let submission = self.submit(&staging);
        self.watch(submission, staging);
        self.gpu.check()
    }

    /// Submits the queued steps and waits for all submissions.
    fn drain(&mut self) -> Result<()> {
        self.flush()?;
        while self.reap(true)? > 0 {}
        Ok(())
    }

    /// Submits the queued steps, in one submission unless a single long step is split; returns the
    /// last one.
    fn submit(&self, staging: &Buffer) -> SubmissionIndex {
        let steps = self.queued.iter().enumerate();
        let dispatches: Vec<(usize, &Dispatch)> = steps
            .flat_map(|(i, step)| {
                let program = &self.programs[step.program.0];
                let dispatches = program
                    .step(step.data)
                    .chain(self.sums.dispatches(step.sum));
                dispatches.map(move |dispatch| (i, dispatch))
            })
            .collect();
        let parts = match self.queued.len() {
            1 => self.pace.parts,
            _ => 1,
        };
        let per_part = dispatches.len().div_ceil(parts).max(1);
        let last = dispatches.len().saturating_sub(1) / per_part * per_part;
        let count = self.queued.len();
        if self.queued.iter().any(|step| !self.has_loss(step)) {
            // Where there is no loss to begin with, penalties are added to what is there.
            self.gpu.clear(&self.steps.metrics);
        }
        for part in dispatches[..last].chunks(per_part) {
            self.record(part, |_| {});
        }
        self.record(&dispatches[last..], |encoder| {
            self.steps.copy_metrics(encoder, count, staging);
        })
    }

    fn has_loss(&self, step: &Step) -> bool {
        self.programs[step.program.0].plan.part != PlanPart::Update
    }

    /// Submits dispatches, each with the slot of its step, followed by the commands of `then`.
    fn record(
        &self,
        dispatches: &[(usize, &Dispatch)],
        then: impl FnOnce(&mut CommandEncoder),
    ) -> SubmissionIndex {
        let mut recorder = Recorder::new(&self.gpu, &self.steps);
        for (i, dispatch) in dispatches {
            recorder.select(*i);
            recorder.dispatch(dispatch);
        }
        self.gpu.queue.submit([recorder.finish(then)])
    }

    fn watch(&mut self, submission: SubmissionIndex, staging: Buffer) {
        let mapped = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&mapped);
        staging.map_async(MapMode::Read, .., move |outcome| {
            // Fails only if the device is lost, which is reported elsewhere.
            flag.store(outcome.is_ok(), Ordering::Release);
        });
        self.under_way.push_back(UnderWay {
            submission,
            staging,
            mapped,
            rows: self.queued.drain(..).map(|s| s.rows as u32).collect(),
            submitted: Instant::now(),
        });
    }

    fn staging(&mut self) -> Buffer {
        self.idle_staging.pop().unwrap_or_else(|| {
            self.gpu.device.create_buffer(&BufferDescriptor {
                label: Some("metrics read back"),
                size: MAX_STEPS as u64 * METRICS_BYTES,
                usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        })
    }

    /// Collects the metrics of finished submissions; waits for the oldest if `wait`. Returns the
    /// number of submissions.
    fn reap(&mut self, wait: bool) -> Result<usize> {
        if !wait {
            // Even with nothing in flight, so that a lost device is noticed.
            self.gpu.poll()?;
        }
        let Some(oldest) = self.under_way.front() else {
            return Ok(0);
        };
        if wait {
            self.gpu.wait(Some(oldest.submission.clone()))?;
            self.gpu.wait_for_callback(&oldest.mapped)?;
        }
        let (submitted, now) = (oldest.submitted, Instant::now());
        let finished = self.under_way.iter();
        let count = finished
            .take_while(|done| done.mapped.load(Ordering::Acquire))
            .count();
        if count == 0 {
            return if wait {
                Err(Error::DeviceLost("a finished copy cannot be read".into()))
            } else {
                Ok(0)
            };
        }
        self.ahead.values().flatten().for_each(CompileAhead::stop);
        self.pace.finished(count, submitted, now);
        for done in self.under_way.drain(..count).collect::<Vec<_>>() {
            self.take_metrics(&done)?;
            done.staging.unmap();
            self.idle_staging.push(done.staging);
        }
        Ok(count)
    }

    fn take_metrics(&mut self, done: &UnderWay) -> Result<()> {
        let view = done
            .staging
            .get_mapped_range(..)
            .map_err(|e| Error::DeviceLost(e.to_string()))?;
        let words: &[[u32; 2]] = bytemuck::cast_slice(&view);
        for (&rows, &[loss, correct]) in done.rows.iter().zip(words) {
            self.metrics.push(StepMetrics {
                loss_sum: f32::from_bits(loss),
                correct,
                rows,
            });
        }
        Ok(())
    }
}

impl Executor for GpuExecutor {
    fn describe(&self) -> Description {
        self.gpu.describe()
    }

    fn fits(&self, plans: &[&Plan]) -> Result<()> {
        self.gpu.fits(plans)
    }

    fn needs(&self, plans: &[&Plan]) -> Result<Option<MemoryUse>> {
        self.gpu.needs(plans).map(Some)
    }

    fn budget(&self) -> Option<u64> {
        (self.gpu.budget)()
    }

    fn compile(&mut self, plan: &Plan) -> Result<Program> {
        crate::exec::check_layout(&self.layout, plan)?;
        self.arenas()?;
        let Some(arenas) = &self.arenas else {
            return Err(Error::device("the arenas were not made"));
        };
        let lowered = Lowered::new(plan, &self.gpu.tuning(), LoweringMode::Step);
        self.gpu
            .compile(lowered.ops.iter().flatten(), &self.steps.layout)?;
        let program = GpuProgram::new(&self.gpu, &self.steps, arenas, plan, lowered)?;
        self.programs.push(program);
        Ok(Program(self.programs.len() - 1))
    }

    fn upload(&mut self, state: &State) -> Result<()> {
        self.flush()?;
        let gpu = Arc::clone(&self.gpu);
        let arenas = self.arenas()?;
        for (buffer, values) in [
            (&arenas.params, &state.params),
            (&arenas.moment_1, &state.m),
            (&arenas.moment_2, &state.v),
            (&arenas.average, &state.average),
        ] {
            if values.is_empty() {
                gpu.clear(buffer);
            } else {
                gpu.write_bytes(buffer, 0, bytemuck::cast_slice(values))?;
            }
        }
        gpu.check()
    }

    fn download(&mut self, state: &mut State) -> Result<()> {
        self.flush()?;
        let gpu = Arc::clone(&self.gpu);
        let bytes = 4 * self.layout.len as u64;
        let arenas = self.arenas()?;
        state.make_moments();
        for (buffer, values) in [
            (&arenas.params, &mut state.params),
            (&arenas.moment_1, &mut state.m),
            (&arenas.moment_2, &mut state.v),
            (&arenas.average, &mut state.average),
        ] {
            if values.is_empty() {
                // The state has no moving average.
                continue;
            }
            *values = bytemuck::pod_collect_to_vec(&gpu.read_back(buffer, 0, bytes)?);
        }
        Ok(())
    }

    fn load(&mut self, data: &Dataset) -> Result<DataId> {
        self.data.push(Some(GpuData::new(&self.gpu, data)?));
        Ok(DataId(self.data.len() - 1))
    }

    fn reload(&mut self, data: DataId, samples: &Dataset) -> Result<()> {
        // A write takes effect before the next submission, so only queued steps could see it too
        // early.
        if self.queued.iter().any(|step| step.data == data) {
            self.flush()?;
        }
        loaded_mut(&mut self.data, data)?.reload(&self.gpu, samples)
    }

    fn order(&mut self, data: DataId, order: &[u32]) -> Result<()> {
        self.flush()?;
        loaded_mut(&mut self.data, data)?.set_order(&self.gpu, order)
    }

    fn unload(&mut self, data: DataId) -> Result<()> {
        self.flush()?;
        loaded(&self.data, data)?;
        for program in &mut self.programs {
            program.unbind_data(data);
        }
        // Submissions in flight keep their buffers alive.
        self.data[data.0] = None;
        self.gpu.poll()
    }

    fn enqueue(&mut self, step: &Step) -> Result<()> {
        self.bind_data(step)?;
        self.make_room(step.sum)?;
        let plan = &self.programs[step.program.0].plan;
        (self.ahead.entry(step.program))
            .or_insert_with(|| CompileAhead::start(&self.gpu, plan, warm_up));
        self.queued.push(*step);
        if self.queued.len() >= self.pace.steps {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn start(&mut self) -> Result<()> {
        self.flush()
    }

    fn completed(&mut self, wait: bool) -> Result<Vec<StepMetrics>> {
        if wait {
            self.drain()?;
            self.pace.pause();
        } else {
            self.reap(false)?;
        }
        Ok(std::mem::take(&mut self.metrics))
    }

    fn predictions(&mut self, program: Program) -> Result<Vec<f32>> {
        let id = self.programs[program.0].plan.predictions()?;
        Ok(self.read(program, id)?.into_f32())
    }

    fn gradients(&mut self) -> Result<Vec<f32>> {
        self.flush()?;
        let gpu = Arc::clone(&self.gpu);
        let bytes = 4 * self.layout.len as u64;
        let gradients = &self.arenas()?.gradients;
        Ok(bytemuck::pod_collect_to_vec(
            &gpu.read_back(gradients, 0, bytes)?,
        ))
    }

    fn set_gradients(&mut self, values: &[f32], sum: GradientSum) -> Result<()> {
        crate::exec::check_gradients(&self.layout, values)?;
        self.flush()?;
        let gpu = Arc::clone(&self.gpu);
        let gradients = &self.arenas()?.gradients;
        gpu.write_bytes(gradients, 0, bytemuck::cast_slice(values))?;
        self.make_room(sum)?;
        self.gpu.submit_now(&self.steps, self.sums.dispatches(sum));
        self.gpu.check()
    }

    fn inspect(&mut self) -> Option<&mut dyn Inspect> {
        Some(self)
    }
}

impl Inspect for GpuExecutor {
    fn run(&mut self, ops: Range<usize>, step: &Step) -> Result<()> {
        self.drain()?;
        let gathers = self.programs[step.program.0].plan.ops[ops.clone()]
            .iter()
            .any(|op| op.downcast::<crate::plan::Gather>().is_some());
        if gathers {
            self.bind_data(step)?;
        }
        self.gpu
            .write_steps(&self.steps, std::slice::from_ref(step));
        let Some(arenas) = &self.arenas else {
            return Err(Error::Argument("the plan is not compiled".into()));
        };
        let program = &mut self.programs[step.program.0];
        program.prepare_alone(&self.gpu, &self.steps, arenas)?;
        let dispatches = program.alone(ops, step.data);
        self.gpu.submit_now(&self.steps, dispatches);
        let bytes = self.gpu.read_back(&self.steps.metrics, 0, METRICS_BYTES)?;
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        self.metrics.push(StepMetrics {
            loss_sum: f32::from_bits(words[0]),
            correct: words[1],
            rows: step.rows as u32,
        });
        Ok(())
    }

    fn profile(&mut self, _plan: &Plan, step: &Step, budget: Duration) -> Result<Profile> {
        self.bind_data(step)?;
        self.drain()?;
        self.gpu
            .write_steps(&self.steps, std::slice::from_ref(step));
        let program = &self.programs[step.program.0];
        profile::measure(&self.gpu, &self.steps, (program, step.data), budget)
    }

    fn write(&mut self, program: Program, id: BufferId, values: &Values) -> Result<()> {
        self.flush()?;
        let Some(arenas) = &self.arenas else {
            return Err(Error::Argument("the plan is not compiled".into()));
        };
        let program = &mut self.programs[program.0];
        crate::exec::check_values(program.plan.buffer(id), values)?;
        program.make(&self.gpu, id)?;
        let (buffer, range) = program.location(arenas, id);
        let bytes: &[u8] = match values {
            Values::F32(v) => bytemuck::cast_slice(v),
            Values::U32(v) => bytemuck::cast_slice(v),
        };
        self.gpu.write_bytes(buffer, range.start, bytes)
    }

    fn fused_into(&self, program: Program) -> Vec<Option<usize>> {
        self.programs[program.0].fused_into.clone()
    }

    fn intact(&mut self, program: Program) -> Result<()> {
        self.flush()?;
        match &self.arenas {
            Some(_) if !self.sums.are_intact(&self.gpu)? => Err(Error::device(
                "a kernel wrote past the end of a sum of gradients",
            )),
            Some(arenas) => self.programs[program.0].intact(&self.gpu, arenas),
            None => Ok(()),
        }
    }

    fn read(&mut self, program: Program, id: BufferId) -> Result<Values> {
        self.flush()?;
        let Some(arenas) = &self.arenas else {
            return Err(Error::Argument("the plan is not compiled".into()));
        };
        let program = &mut self.programs[program.0];
        program.make(&self.gpu, id)?;
        let (buffer, range) = program.location(arenas, id);
        let bytes = self
            .gpu
            .read_back(buffer, range.start, range.end - range.start)?;
        Ok(program.plan.buffer(id).element.values(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::digits;
    use crate::exec::test_backend;
    use crate::model::preset;
    use crate::train::{Options, Trainer};

    fn device() -> Arc<GpuDevice> {
        let found = GpuDevice::find(test_backend(), None);
        Arc::new(found.unwrap_or_else(|e| {
            panic!("the GPU tests need an adapter, such as lavapipe: {e}");
        }))
    }

    /// Bytes allocated on the device under this label; `None` if the backend keeps no record, as
    /// on Metal and OpenGL.
    fn bytes_of(gpu: &GpuDevice, label: &str) -> Option<u64> {
        let report = gpu.device.generate_allocator_report()?;
        let allocations = report.allocations.iter();
        let named = allocations.filter(|allocation| allocation.name == label);
        Some(named.map(|allocation| allocation.size).sum())
    }

    #[test]
    fn an_unloaded_data_set_takes_no_memory_and_no_step() {
        let gpu = device();
        let model = preset("mnist-mlp").unwrap();
        let layout = Layout::new(&model).unwrap();
        let mut executor = GpuExecutor::new(Arc::clone(&gpu), layout);
        let plan = Plan::new(&model, crate::plan::Purpose::Inference, 8).unwrap();
        let program = executor.compile(&plan).unwrap();
        let loaded = [20, 24].map(|n| executor.load(&digits::generate(n, 1, 0)).unwrap());
        let key = crate::rng::Key::of_step(0, 1);
        let step = |data| Step::new(program, data, 0..8, crate::optimizer::Rates::default(), key);
        for data in loaded {
            executor.enqueue(&step(data)).unwrap();
        }
        let both = bytes_of(&gpu, "data set images");
        // Steps enqueued earlier still run.
        executor.unload(loaded[0]).unwrap();
        assert_eq!(executor.completed(true).unwrap().len(), 2);
        gpu.poll().unwrap();
        let one = bytes_of(&gpu, "data set images");
        if let (Some(both), Some(one)) = (both, one) {
            assert!(one > 0 && one <= both - 20 * 28 * 28, "{both}, {one}");
        }
        let refused = executor.enqueue(&step(loaded[0])).unwrap_err().to_string();
        assert_eq!(refused, "data set 0 is not loaded");
        assert!(executor.unload(loaded[0]).is_err());
        executor.enqueue(&step(loaded[1])).unwrap();
        assert_eq!(executor.completed(true).unwrap().len(), 1);
    }

    #[test]
    fn a_step_in_several_submissions_gives_the_same_bytes() {
        let gpu = device();
        let digits = digits::generate(24, 1, 0);
        let trained = |parts| {
            let model = preset("mnist-mlp").unwrap();
            let layout = Layout::new(&model).unwrap();
            let mut executor = GpuExecutor::new(Arc::clone(&gpu), layout);
            executor.pace.parts = parts;
            let options = Options::default().epochs(2).batch_size(8);
            let mut trainer = Trainer::with_executor(model, Box::new(executor), options).unwrap();
            trainer.fit((&digits, &digits)).unwrap();
            trainer.state().weights_hash()
        };
        let whole = trained(1);
        assert_eq!([2, 3, 64].map(trained), [(); 3].map(|()| whole.clone()));
    }
}
