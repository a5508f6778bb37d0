//! `cnn-gpu bench --mpi`: what a step costs on the processes that `mpirun` starts.

use std::fmt::Write as _;

use cnn_gpu::bench::{RankedStep, StepCost};
use cnn_gpu::exec::Device;
use cnn_gpu::model::Sequential;
use cnn_gpu::train::{Options, Trainer};
use cnn_gpu::words::counted;
use serde::Serialize;

use super::{BUDGET, milliseconds};
use crate::cli::device::{in_words, kind};
use crate::cli::output::count;
use crate::cli::ranks::{self, Ranks};
use crate::cli::sha256;

/// The numbers of ranks for which the model of the cost predicts a step.
const PREDICTED: [usize; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// A step on several processes, and what the model of its cost says for other numbers of them.
#[derive(Serialize)]
pub struct RanksReport {
    #[serde(flatten)]
    step: RankedStep,
    /// The share of a rank's time for which it does not wait, on average.
    busy: f64,
    predictions: Vec<PredictedStep>,
}

/// A row of the predictions.
#[derive(Serialize)]
struct PredictedStep {
    ranks: usize,
    seconds: f64,
    images_per_second: f64,
    /// The speed relative to that of one such rank.
    speedup: f64,
}

impl RanksReport {
    /// Measures on all ranks; nothing on others than rank 0.
    pub fn measure(
        device: &Device,
        model: &Sequential,
        sizes: (usize, usize),
        ranks: &mut Ranks,
    ) -> anyhow::Result<Option<Self>> {
        // Ranks that do something else would wait for each other.
        ranks.agree(|| {
            let facts = [
                ("version", env!("CARGO_PKG_VERSION").into()),
                ("binary", ranks::binary()),
                ("model", sha256::of(&serde_json::to_vec(model)?)),
                ("batch size", sizes.0.to_string()),
                ("size of the micro-batches", sizes.1.to_string()),
                ("kind of device", kind(&in_words(&device.describe()))),
            ];
            Ok(facts.map(|(name, value)| (name.into(), value)).to_vec())
        })?;
        let options = Options::default().batch_size(sizes.0).micro_batch(sizes.1);
        let trainer = Trainer::new(model.clone(), device, options)?;
        let step = RankedStep::measure(trainer, ranks.communicator(), BUDGET)?;
        Ok(step.map(Self::new))
    }

    fn new(step: RankedStep) -> Self {
        let micro_batches = step.batch_size.div_ceil(step.micro_batch);
        let one = step.cost.seconds(micro_batches, 1);
        let most = micro_batches.max(step.ranks).next_power_of_two();
        let rows = PREDICTED
            .into_iter()
            .filter(|&ranks| step.ranks > 1 && ranks <= most);
        let predict = |ranks| {
            let seconds = step.cost.seconds(micro_batches, ranks);
            PredictedStep {
                ranks,
                seconds,
                images_per_second: step.batch_size as f64 / seconds,
                speedup: one / seconds,
            }
        };
        Self {
            busy: 1.0 - step.traffic.waited,
            predictions: rows.map(predict).collect(),
            step,
        }
    }

    /// The report for people.
    pub fn text(&self) -> String {
        let RankedStep { traffic, cost, .. } = self.step;
        let step = &self.step;
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "ranks       {}, for {} of {} in a step",
            step.ranks,
            counted(step.batch_size.div_ceil(step.micro_batch), "micro-batch"),
            counted(step.micro_batch.min(step.batch_size), "image"),
        );
        let _ = writeln!(
            out,
            "step        {}, {} images/s; median of {} x {}",
            milliseconds(step.seconds),
            count(step.images_per_second.round() as u64),
            step.samples,
            step.steps_per_sample,
        );
        if step.ranks == 1 {
            let _ = writeln!(
                out,
                "a single process; `mpirun -n 2 cnn-gpu bench --mpi` measures two"
            );
            return out;
        }
        let _ = writeln!(
            out,
            "sent        {} per step in {} messages, at most {} by one rank",
            kilobytes(traffic.bytes),
            traffic.messages,
            kilobytes(traffic.most_bytes),
        );
        let _ = writeln!(
            out,
            "waited      {:.0} % of the time on average, {:.0} % by the rank that waits longest",
            100.0 * traffic.waited,
            100.0 * traffic.most_waited,
        );
        let _ = write!(out, "{}", cost_lines(&cost, step.ranks));
        let _ = writeln!(
            out,
            "model       {} for this step, {:.2} times what was measured\n",
            milliseconds(step.predicted_seconds),
            step.predicted_seconds / step.seconds,
        );
        let _ = writeln!(
            out,
            "{:>5} {:>12} {:>10} {:>9}",
            "ranks", "step", "images/s", "speed-up"
        );
        for row in &self.predictions {
            let _ = writeln!(
                out,
                "{:>5} {:>12} {:>10} {:>9.2}",
                row.ranks,
                milliseconds(row.seconds),
                count(row.images_per_second.round() as u64),
                row.speedup,
            );
        }
        let _ = writeln!(
            out,
            "predicted for this batch by the model in docs/distributed.md, if each rank has such a device, or such a share \
             of the\nprocessor, and such a link; the speed-up is that over one of them"
        );
        out
    }
}

/// The parts of a step.
fn cost_lines(cost: &StepCost, ranks: usize) -> String {
    let bandwidth = match cost.bandwidth.is_finite() {
        true => format!("{:.2} GB/s", cost.bandwidth / 1e9),
        false => "too fast to measure".into(),
    };
    format!(
        "link        {:.1} us, {bandwidth} between ranks 0 and {} (an empty message, one of {})\n\
         parts       {} for a micro-batch, {} for the update, {} for taking and setting gradients\n",
        1e6 * cost.latency,
        ranks - 1,
        kilobytes(cost.message),
        milliseconds(cost.micro_batch),
        milliseconds(cost.update),
        milliseconds(cost.handling),
    )
}

fn kilobytes(bytes: f64) -> String {
    format!("{} kB", count((bytes / 1e3).round() as u64))
}
