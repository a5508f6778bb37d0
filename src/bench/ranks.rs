//! What a training step costs on several ranks: measured, and by a model of its parts.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::workload::noise;
use crate::distributed::{Communicator, Traffic, owned};
use crate::error::{Error, Result};
use crate::exec::{DataId, Executor, median};
use crate::plan::{Plan, Purpose};
use crate::train::Trainer;

/// Minimum duration of a sample.
const SAMPLE: f64 = 0.05;
/// Intended number of samples.
const SAMPLES: usize = 9;
/// Time budget for each part that a rank measures by itself.
const PART: Duration = Duration::from_millis(600);
/// How often a message goes back and forth, at most, and for how long.
const ROUNDS: usize = 30;
const LINK: Duration = Duration::from_millis(500);
/// Micro-batches of the longer of two steps; the shorter one has one. Their difference is the time of the others.
const LONGER: usize = 5;

/// A training step on several ranks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RankedStep {
    /// The number of ranks.
    pub ranks: usize,
    /// Images per step.
    pub batch_size: usize,
    /// Images per micro-batch.
    pub micro_batch: usize,
    /// Median time of a step, on rank 0.
    pub seconds: f64,
    /// Images per second.
    pub images_per_second: f64,
    /// Number of samples behind the median.
    pub samples: usize,
    /// Steps per sample.
    pub steps_per_sample: usize,
    /// What the ranks exchanged.
    pub traffic: StepTraffic,
    /// The parts of a step.
    pub cost: StepCost,
    /// The time of a step by the model of its parts.
    pub predicted_seconds: f64,
}

/// What ranks exchange for a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StepTraffic {
    /// Bytes sent per step, by all ranks together.
    pub bytes: f64,
    /// Bytes sent per step by the rank that sends most.
    pub most_bytes: f64,
    /// Messages sent per step, by all ranks together.
    pub messages: f64,
    /// The share of the time for which a rank waits for messages and its device has nothing to compute, on average.
    pub waited: f64,
    /// That of the rank that waits longest.
    pub most_waited: f64,
}

/// A model of the time of a step, by its parts in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StepCost {
    /// T, forward and backward pass of a micro-batch.
    pub micro_batch: f64,
    /// U, the optimizer's step.
    pub update: f64,
    /// H, for taking the gradients from a device, and for giving it those of a message.
    pub handling: f64,
    /// L, the time of an empty message.
    pub latency: f64,
    /// W, bytes per second of a link; infinite, in JSON null, if there is none or its time is too short.
    pub bandwidth: f64,
    /// G, the bytes of a message with gradients.
    pub message: f64,
}

impl StepCost {
    /// The time in seconds of a step of `n` micro-batches on R ranks:
    ///
    /// ```text
    /// ceil(n / R) T  +  log2(min(n, R)) (L + G / W + H)  +  log2(R) (L + G / W)  +  H  +  U
    /// ```
    ///
    /// that is the micro-batches of a rank, the tree of their sums, the broadcast of its root, and the update. Logarithms
    /// are rounded up; a single rank has the first term and the last.
    ///
    /// ```
    /// use cnn_gpu::bench::StepCost;
    /// let mut cost = StepCost::default();
    /// cost.micro_batch = 10e-3;
    /// cost.latency = 50e-6;
    /// (cost.message, cost.bandwidth) = (4e6, 1e9);
    /// // 160 ms on one rank; 20 ms and six times 4.05 ms on eight.
    /// assert!((cost.seconds(16, 1) - 160e-3).abs() < 1e-9);
    /// assert!((cost.seconds(16, 8) - 44.3e-3).abs() < 1e-9);
    /// ```
    pub fn seconds(&self, micro_batches: usize, ranks: usize) -> f64 {
        let own = micro_batches.div_ceil(ranks) as f64 * self.micro_batch;
        if ranks == 1 {
            return own + self.update;
        }
        let hops = |ranks: usize| f64::from(ranks.next_power_of_two().trailing_zeros());
        let link = self.latency + self.message / self.bandwidth;
        let sums = hops(ranks.min(micro_batches)) * (link + self.handling);
        own + sums + hops(ranks) * link + self.handling + self.update
    }
}

impl RankedStep {
    /// Measures a step of `trainer`, with several ranks one with [`Options::micro_batch`], on noise, on this rank and those of
    /// `communicator`, all of which call it alike; it takes about `budget` and a few seconds more. Rank 0 gets the
    /// result, the others nothing. Without a communicator there is a single rank, and no time of messages. If a rank
    /// has a single micro-batch, its time includes the update.
    ///
    /// [`Options::micro_batch`]: crate::train::Options#structfield.micro_batch
    ///
    /// # Errors
    /// There are several ranks and no micro-batches, or a device or rank fails.
    pub fn measure<E: Executor + ?Sized>(
        mut trainer: Trainer<E>,
        communicator: Option<Box<dyn Communicator>>,
        budget: Duration,
    ) -> Result<Option<Self>> {
        let options = trainer.options();
        let (batch_size, optimizer) = (options.batch_size, options.optimizer);
        let micro_batch = options.micro_batch.unwrap_or(batch_size);
        // Of one image, as a batch may be larger than what fits the device.
        let plan = Plan::new(trainer.model(), Purpose::Training(optimizer), 1)?;
        let data = trainer.load_batch(&noise(&plan, batch_size)?)?;
        let mut bench = RankedBench {
            trainer,
            data,
            batch_size,
            micro_batch,
        };
        let mut communicator = communicator.filter(|ranks| ranks.size() > 1);
        // First what each rank does alone, all at the same time, as they do in training.
        let cost = bench.parts(communicator.as_deref_mut())?;
        if let Some(communicator) = communicator {
            bench.trainer.set_communicator(communicator)?;
        }
        bench.on_ranks(cost, budget)
    }
}

/// A trainer whose steps are timed.
struct RankedBench<E: Executor + ?Sized> {
    trainer: Trainer<E>,
    data: DataId,
    batch_size: usize,
    micro_batch: usize,
}

impl<E: Executor + ?Sized> RankedBench<E> {
    /// The parts of a step that need no other rank, and those of the links.
    fn parts(
        &mut self,
        communicator: Option<&mut (dyn Communicator + 'static)>,
    ) -> Result<StepCost> {
        let rows = self.micro_batch.min(self.batch_size);
        let longer = rows * LONGER.min(self.batch_size / rows);
        let (short, long) = (self.time(rows)?, self.time(longer)?);
        let more = longer.div_ceil(self.micro_batch) - 1;
        let micro_batch = match more {
            0 => short,
            more => (long - short).max(0.0) / more as f64,
        };
        let alone = StepCost {
            micro_batch,
            update: (short - micro_batch).max(0.0),
            bandwidth: f64::INFINITY,
            ..StepCost::default()
        };
        let Some(communicator) = communicator else {
            return Ok(alone);
        };
        let handled = (0..ROUNDS).map(|_| self.trainer.time_handling());
        let handled = handled.collect::<Result<Vec<_>>>()?;
        let message = handled[0].1;
        let mut handling: Vec<f64> = handled.into_iter().map(|(seconds, _)| seconds).collect();
        let latency = link(communicator, 0)?;
        let carried = link(communicator, message)? - latency;
        Ok(StepCost {
            handling: median(&mut handling),
            latency,
            // Infinite if the times cannot be told apart.
            bandwidth: message as f64 / carried.max(0.0),
            message: message as f64,
            ..alone
        })
    }

    /// The median time of a step on so many rows.
    fn time(&mut self, rows: usize) -> Result<f64> {
        // The first step compiles kernels and touches memory for the first time.
        self.trainer.time_steps(self.data, rows, 1)?;
        let started = Instant::now();
        let mut times = Vec::new();
        while times.is_empty() || started.elapsed() < PART {
            times.push(self.trainer.time_steps(self.data, rows, 4)? / 4.0);
        }
        Ok(median(&mut times))
    }

    /// Steps on all ranks.
    fn on_ranks(&mut self, cost: StepCost, budget: Duration) -> Result<Option<RankedStep>> {
        let rows = self.batch_size;
        self.trainer.time_steps(self.data, rows, 1)?;
        let once = self.trainer.time_steps(self.data, rows, 1)?;
        // Rank 0 says how many; 50 ms or more in a sample, as its end waits.
        let steps = (SAMPLE / once).ceil().clamp(1.0, 1e4) as u32;
        let samples = budget.as_secs_f64() / (once * f64::from(steps));
        let samples = samples.clamp(1.0, SAMPLES as f64) as u32;
        let [steps, samples] = self.as_rank_0([steps, samples])?;
        let (steps, samples) = (steps as usize, samples as usize);
        let before = self.trainer.traffic();
        let started = Instant::now();
        let mut times = Vec::with_capacity(samples);
        for _ in 0..samples {
            times.push(self.trainer.time_steps(self.data, rows, steps)? / steps as f64);
        }
        let elapsed = started.elapsed().as_secs_f64();
        let own = since(before, self.trainer.traffic());
        let count = (steps * samples) as f64;
        // A GPU computes while its host waits for a message.
        let idle = elapsed - count * self.busy(&cost);
        let waited = own.waited.min(idle.max(0.0)) / elapsed;
        let Some(all) = self.gather([own.sent as f64, own.messages as f64, waited])? else {
            return Ok(None);
        };
        let column = |i: usize| all.iter().map(move |rank| rank[i]);
        let traffic = StepTraffic {
            bytes: column(0).sum::<f64>() / count,
            most_bytes: column(0).fold(0.0, f64::max) / count,
            messages: column(1).sum::<f64>() / count,
            waited: column(2).sum::<f64>() / all.len() as f64,
            most_waited: column(2).fold(0.0, f64::max),
        };
        let seconds = median(&mut times);
        let micro_batches = rows.div_ceil(self.micro_batch);
        Ok(Some(RankedStep {
            ranks: all.len(),
            batch_size: rows,
            micro_batch: self.micro_batch,
            seconds,
            images_per_second: rows as f64 / seconds,
            samples,
            steps_per_sample: steps,
            traffic,
            cost,
            predicted_seconds: cost.seconds(micro_batches, all.len()),
        }))
    }

    /// The time for which this rank's device computes in a step.
    fn busy(&mut self, cost: &StepCost) -> f64 {
        let place = match self.trainer.communicator() {
            Some(ranks) => (ranks.rank(), ranks.size()),
            None => (0, 1),
        };
        let own = owned(self.batch_size.div_ceil(self.micro_batch), place);
        own.len() as f64 * cost.micro_batch + cost.update
    }

    /// The numbers of rank 0.
    fn as_rank_0(&mut self, numbers: [u32; 2]) -> Result<[u32; 2]> {
        let Some(communicator) = self.trainer.communicator() else {
            return Ok(numbers);
        };
        let bytes = communicator.broadcast(bytemuck::cast_slice(&numbers).to_vec())?;
        bytemuck::try_pod_read_unaligned(&bytes).map_err(|_| unreadable())
    }

    /// The numbers of all ranks, on rank 0.
    fn gather(&mut self, numbers: [f64; 3]) -> Result<Option<Vec<[f64; 3]>>> {
        let Some(communicator) = self.trainer.communicator() else {
            return Ok(Some(vec![numbers]));
        };
        let rank = communicator.rank();
        let all = communicator.gather(bytemuck::cast_slice(&numbers).to_vec())?;
        let read =
            |bytes: &Vec<u8>| bytemuck::try_pod_read_unaligned(bytes).map_err(|_| unreadable());
        let all = all.iter().map(read).collect::<Result<Vec<_>>>()?;
        Ok((rank == 0).then_some(all))
    }
}

fn unreadable() -> Error {
    Error::Rank("a message of another rank cannot be read".into())
}

/// What was exchanged between two moments.
fn since(before: Traffic, after: Traffic) -> Traffic {
    Traffic {
        sent: after.sent - before.sent,
        received: after.received - before.received,
        messages: after.messages - before.messages,
        waited: after.waited - before.waited,
    }
}

/// The time that a message of so many bytes takes between rank 0 and the last one; other ranks wait for them.
fn link(communicator: &mut dyn Communicator, bytes: usize) -> Result<f64> {
    let (rank, last) = (communicator.rank(), communicator.size() - 1);
    // All begin together.
    communicator.gather(Vec::new())?;
    communicator.broadcast(Vec::new())?;
    let started = Instant::now();
    let mut times = Vec::with_capacity(ROUNDS);
    loop {
        let sent = Instant::now();
        if rank == 0 {
            communicator.send(last, vec![0; bytes])?;
            communicator.receive(last)?;
            times.push(sent.elapsed().as_secs_f64() / 2.0);
            let ends = times.len() == ROUNDS || started.elapsed() > LINK;
            communicator.send(last, vec![u8::from(ends)])?;
            if ends {
                break;
            }
        } else if rank == last {
            let message = communicator.receive(0)?;
            communicator.send(0, message)?;
            if communicator.receive(0)? == [1] {
                break;
            }
        } else {
            break;
        }
    }
    // The others' times are those of rank 0.
    let seconds = if rank == 0 { median(&mut times) } else { 0.0 };
    let seconds = communicator.broadcast(seconds.to_le_bytes().to_vec())?;
    let seconds = seconds.try_into().map_err(|_| unreadable())?;
    Ok(f64::from_le_bytes(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributed::LocalCommunicator;
    use crate::exec::{Backend, Selection, open};
    use crate::model::preset;
    use crate::train::Options;

    /// What rank 0 of a group measures.
    fn measure(ranks: usize) -> RankedStep {
        let group = LocalCommunicator::group(ranks, Duration::from_secs(60));
        let all = std::thread::scope(|scope| {
            let one = |rank: LocalCommunicator| {
                let device = open(&Selection::new(Backend::Cpu)).unwrap();
                let options = Options::default().batch_size(32).micro_batch(4);
                let trainer = Trainer::new(preset("mnist-mlp").unwrap(), &device, options).unwrap();
                let communicator = (ranks > 1).then(|| Box::new(rank) as Box<dyn Communicator>);
                RankedStep::measure(trainer, communicator, Duration::from_millis(10)).unwrap()
            };
            let ranks: Vec<_> = group
                .into_iter()
                .map(|rank| scope.spawn(move || one(rank)))
                .collect();
            ranks
                .into_iter()
                .map(|rank| rank.join().unwrap())
                .collect::<Vec<_>>()
        });
        assert!(all[1..].iter().all(Option::is_none));
        all[0].unwrap()
    }

    #[test]
    fn ranks_send_the_nodes_of_the_tree_and_its_root() {
        let alone = measure(1);
        assert_eq!(alone.traffic, StepTraffic::default());
        assert_eq!((alone.cost.latency, alone.cost.handling), (0.0, 0.0));
        assert!(alone.predicted_seconds > 0.0 && alone.seconds > 0.0);
        for ranks in [2, 4] {
            let step = measure(ranks);
            // Each rank but 0 sends one node and receives the root once, with the metrics of their micro-batches.
            let messages = 2 * (ranks - 1);
            assert_eq!(step.traffic.messages, messages as f64);
            let least = messages as f64 * (step.cost.message - 20.0);
            let bytes = step.traffic.bytes;
            assert!(bytes > least && bytes < 1.01 * least, "{bytes} {least}");
            assert!(step.traffic.waited > 0.0 && step.traffic.most_waited < 1.0);
            assert!(step.cost.bandwidth > 0.0 && step.cost.micro_batch > 0.0);
        }
    }

    #[test]
    fn idle_ranks_cost_a_broadcast_and_nothing_else() {
        let cost = StepCost {
            micro_batch: 1.0,
            update: 0.5,
            handling: 0.25,
            latency: 0.125,
            bandwidth: 8.0,
            message: 1.0,
        };
        assert_eq!(cost.seconds(7, 1), 7.5);
        // Two levels of sums at 0.5, three of the broadcast at 0.25, and the last handling.
        assert_eq!(
            cost.seconds(4, 8),
            1.0 + 2.0 * 0.5 + 3.0 * 0.25 + 0.25 + 0.5
        );
        assert_eq!(
            cost.seconds(7, 3),
            3.0 + 2.0 * 0.5 + 2.0 * 0.25 + 0.25 + 0.5
        );
    }
}
