//! Checks the model of what a step costs on many ranks: 8 and 64 of them, with simulated devices that take a fixed
//! time for a micro-batch and links that delay each message, but with the real exchange of gradients.
//!
//! `cargo bench --bench rank_costs` prints what was measured beside what the model predicts, and fails if they differ by
//! more than a fifth. A table follows of what the model says for devices and links that were not simulated.

use std::time::{Duration, Instant};

use cnn_gpu::Result;
use cnn_gpu::bench::{RankedStep, StepCost};
use cnn_gpu::data::Dataset;
use cnn_gpu::distributed::{Communicator, LocalCommunicator, SlowLink};
use cnn_gpu::exec::{DataId, Description, Executor, GradientSum, Program, Step, StepMetrics};
use cnn_gpu::internal::NullExecutor;
use cnn_gpu::model::preset;
use cnn_gpu::plan::{Op, Plan};
use cnn_gpu::state::{Layout, State};
use cnn_gpu::train::{Options, Trainer};

/// A device that computes nothing, in a fixed time.
struct SimulatedDevice {
    inner: NullExecutor,
    /// The time of a step of each program.
    times: Vec<Duration>,
    micro_batch: Duration,
    update: Duration,
    gradients: usize,
    /// When it will have finished all steps.
    busy_until: Instant,
}

impl SimulatedDevice {
    fn new(gradients: usize, micro_batch: Duration, update: Duration) -> Self {
        Self {
            inner: NullExecutor::default(),
            times: Vec::new(),
            micro_batch,
            update,
            gradients,
            busy_until: Instant::now(),
        }
    }

    fn wait(&self) {
        std::thread::sleep(self.busy_until.saturating_duration_since(Instant::now()));
    }
}

impl Executor for SimulatedDevice {
    fn describe(&self) -> Description {
        self.inner.describe()
    }

    fn compile(&mut self, plan: &Plan) -> Result<Program> {
        let computes = plan.ops.iter().any(|op| matches!(op, Op::Gather(_)));
        self.times.push(if computes {
            self.micro_batch
        } else {
            self.update
        });
        self.inner.compile(plan)
    }

    fn upload(&mut self, state: &State) -> Result<()> {
        self.inner.upload(state)
    }

    fn download(&mut self, state: &mut State) -> Result<()> {
        self.inner.download(state)
    }

    fn load(&mut self, data: &Dataset) -> Result<DataId> {
        self.inner.load(data)
    }

    fn reload(&mut self, data: DataId, samples: &Dataset) -> Result<()> {
        self.inner.reload(data, samples)
    }

    fn order(&mut self, data: DataId, order: &[u32]) -> Result<()> {
        self.inner.order(data, order)
    }

    fn unload(&mut self, data: DataId) -> Result<()> {
        self.inner.unload(data)
    }

    fn enqueue(&mut self, step: &Step) -> Result<()> {
        self.busy_until = self.busy_until.max(Instant::now()) + self.times[step.program.0];
        self.inner.enqueue(step)?;
        // They would pile up.
        self.inner.steps.clear();
        Ok(())
    }

    fn completed(&mut self, wait: bool) -> Result<Vec<StepMetrics>> {
        if wait {
            self.wait();
        }
        self.inner.completed(wait)
    }

    fn predictions(&mut self, program: Program) -> Result<Vec<f32>> {
        self.inner.predictions(program)
    }

    fn gradients(&mut self) -> Result<Vec<f32>> {
        self.wait();
        Ok(vec![0.0; self.gradients])
    }

    fn set_gradients(&mut self, _values: &[f32], _sum: GradientSum) -> Result<()> {
        Ok(())
    }
}

/// A step of `micro_batches` on `ranks`, which take `micro_batch` for each.
fn simulate(
    ranks: usize,
    micro_batches: usize,
    micro_batch: Duration,
    link: SlowLink,
) -> Result<RankedStep> {
    let one = |rank: LocalCommunicator| {
        let model = preset("mnist-cnn").ok_or(cnn_gpu::Error::Argument("no such preset".into()))?;
        let gradients = Layout::new(&model)?.len;
        let device = SimulatedDevice::new(gradients, micro_batch, Duration::from_millis(1));
        let options = Options::default().batch_size(micro_batches).micro_batch(1);
        let trainer = Trainer::with_executor(model, Box::new(device), options)?;
        let communicator = Box::new(rank.over(link)) as Box<dyn Communicator>;
        RankedStep::measure(trainer, Some(communicator), Duration::from_secs(4))
    };
    std::thread::scope(|scope| {
        let group = LocalCommunicator::group(ranks, Duration::from_secs(60));
        let ranks: Vec<_> = group
            .into_iter()
            .map(|rank| scope.spawn(move || one(rank)))
            .collect();
        let steps = ranks
            .into_iter()
            .map(|rank| rank.join().expect("no rank panics"));
        let steps = steps.collect::<Result<Vec<_>>>()?;
        steps[0].ok_or(cnn_gpu::Error::Rank("rank 0 has no result".into()))
    })
}

fn main() -> Result<()> {
    let ms = Duration::from_millis;
    let mut worst = 1.0_f64;
    println!(
        "{:>5} {:>13} {:>11} {:>8} {:>10} {:>9} {:>10} {:>8} {:>6}",
        "ranks",
        "micro-batches",
        "each",
        "latency",
        "bandwidth",
        "measured",
        "predicted",
        "of it",
        "waited"
    );
    for (ranks, micro_batches, each, latency, bandwidth) in [
        (8, 8, 40, 1, 100e6),
        (8, 64, 10, 1, 100e6),
        (8, 32, 40, 5, 20e6),
        (64, 64, 100, 2, 100e6),
        (64, 256, 50, 2, 50e6),
        (64, 16, 100, 2, 100e6),
    ] {
        let link = SlowLink::new(ms(latency), bandwidth);
        let step = simulate(ranks, micro_batches, ms(each), link)?;
        let ratio = step.predicted_seconds / step.seconds;
        worst = worst.max(ratio).max(1.0 / ratio);
        println!(
            "{ranks:>5} {micro_batches:>13} {each:>8} ms {latency:>5} ms {:>5.0} MB/s {:>6.1} ms {:>7.1} ms {:>8.2} {:>4.0} %",
            bandwidth / 1e6,
            1e3 * step.seconds,
            1e3 * step.predicted_seconds,
            ratio,
            100.0 * step.traffic.waited,
        );
    }
    if worst > 1.2 {
        let line = format!(
            "the model is {worst:.2} times off; expected 1.2 at most, on a machine without other load"
        );
        return Err(cnn_gpu::Error::Rank(line));
    }
    println!("\npredicted for devices and links that were not simulated:");
    println!(
        "{:>22} {:>12} {:>6} {:>10} {:>9}",
        "network", "micro-batch", "ranks", "step", "speed-up"
    );
    // Bytes of the gradients, and the time of a micro-batch.
    for (network, message, micro_batch) in [
        ("93,322 parameters", 373e3, 1e-3),
        ("2 million parameters", 8e6, 10e-3),
        ("25 million parameters", 100e6, 50e-3),
    ] {
        // Eight devices on one machine, and 64 machines with 10 Gbit/s.
        for (ranks, latency, bandwidth) in [(8, 2e-6, 10e9), (64, 30e-6, 1.25e9)] {
            let mut cost = StepCost::default();
            (cost.micro_batch, cost.update, cost.handling) =
                (micro_batch, 0.1e-3, 0.1e-3 + message / 5e9);
            (cost.latency, cost.bandwidth, cost.message) = (latency, bandwidth, message);
            let seconds = cost.seconds(4 * ranks, ranks);
            println!(
                "{network:>22} {:>9.0} ms {ranks:>6} {:>7.1} ms {:>9.1}",
                1e3 * micro_batch,
                1e3 * seconds,
                cost.seconds(4 * ranks, 1) / seconds
            );
        }
    }
    Ok(())
}
