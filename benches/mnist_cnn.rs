//! Measures every operation and the whole step of `mnist-cnn`, on the CPU and on the first adapter.
//!
//! `cargo bench` runs everything, `cargo bench -- cpu/step` a part. Set `CNN_GPU_BENCH_BACKEND` to
//! `metal`, `dx12` or `gl` for a backend other than Vulkan. The unit `elem` is one floating-point
//! operation for single operations and one image for steps. Each measurement waits for the device
//! inside the timed region, so on a GPU single operations include a submission and a read-back of
//! about 0.1 ms.

use std::hint::black_box;
use std::time::Duration;

use cnn_gpu::data::{Dataset, digits};
use cnn_gpu::exec::{Backend, DataId, Inspect, Program, Selection, Step, open};
use cnn_gpu::model::{Sequential, preset};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::plan::{Plan, Purpose};
use cnn_gpu::rng::Key;
use cnn_gpu::state::{Layout, State};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const BATCH: usize = 64;
/// Steps per measurement: enough to overlap as in training.
const STEPS: usize = 8;

struct Bench {
    executor: Box<dyn Inspect>,
    plan: Plan,
    program: Program,
    data: DataId,
}

impl Bench {
    fn new(
        backend: Backend,
        model: &Sequential,
        purpose: Purpose,
        data: &Dataset,
    ) -> cnn_gpu::Result<Self> {
        let opened = open(&Selection::new(backend))?;
        let layout = Layout::new(model)?;
        let mut executor = opened.executor(layout.clone());
        let plan = Plan::new(model, purpose, BATCH)?;
        let program = executor.compile(&plan)?;
        executor.upload(&State::new(layout, 1))?;
        let data = executor.load(data)?;
        Ok(Self {
            executor,
            plan,
            program,
            data,
        })
    }

    fn step(&self) -> Step {
        let key = Key::of_step(0, 1);
        Step::new(self.program, self.data, 0..BATCH, 1e-6.into(), key)
    }

    fn op(&mut self, i: usize) {
        let step = self.step();
        let outcome = self.executor.run(i..i + 1, &step);
        black_box(self.executor.completed(true).ok());
        outcome.unwrap_or_else(|e| panic!("{e}"));
    }

    fn steps(&mut self) {
        let step = self.step();
        for _ in 0..STEPS {
            let outcome = self.executor.enqueue(&step);
            outcome.unwrap_or_else(|e| panic!("{e}"));
        }
        black_box(self.executor.completed(true).ok());
    }
}

fn backend(c: &mut Criterion, backend: Backend) {
    let Some(model) = preset("mnist-cnn") else {
        return;
    };
    let data = digits::generate(BATCH, 1, 0);
    let training = Purpose::Training(Optimizer::adam());
    let mut bench = match Bench::new(backend, &model, training, &data) {
        Ok(bench) => bench,
        Err(e) => {
            eprintln!("{backend} is not measured: {e}");
            return;
        }
    };
    let about = bench.executor.describe();
    eprintln!("{backend}: {} {}", about.adapter, about.driver);
    let mut group = c.benchmark_group(backend.name());
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(2));
    for i in 0..bench.plan.ops.len() {
        let op = &bench.plan.ops[i];
        group.throughput(Throughput::Elements(bench.plan.flops(op)));
        group.bench_function(format!("{i:02} {}", op.name()), |b| b.iter(|| bench.op(i)));
    }
    group.throughput(Throughput::Elements((BATCH * STEPS) as u64));
    group.bench_function("step training", |b| b.iter(|| bench.steps()));
    match Bench::new(backend, &model, Purpose::Inference, &data) {
        Ok(mut bench) => {
            group.bench_function("step inference", |b| b.iter(|| bench.steps()));
        }
        Err(e) => eprintln!("{backend} inference is not measured: {e}"),
    }
    group.finish();
}

fn all(c: &mut Criterion) {
    backend(c, Backend::Cpu);
    let wish = std::env::var("CNN_GPU_BENCH_BACKEND").unwrap_or_else(|_| "vulkan".into());
    match wish.parse() {
        Ok(gpu) => backend(c, gpu),
        Err(e) => eprintln!("{e}"),
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
