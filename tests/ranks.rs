//! Several ranks train to the same bytes as one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use cnn_gpu::data::{Dataset, digits};
use cnn_gpu::distributed::LocalCommunicator;
use cnn_gpu::exec::{self, Backend, Executor, Selection};
use cnn_gpu::model::{
    Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten, RandomTranslation,
    Regularizer, Sequential,
};
use cnn_gpu::optimizer::{Clip, Optimizer};
use cnn_gpu::state::Layout;
use cnn_gpu::train::callbacks::{
    CONTINUE, EarlyStopping, ReduceLROnPlateau, TerminateOnNaN, Verdict,
};
use cnn_gpu::train::{
    Callback, Ending, EpochLogs, Evaluation, History, Interrupt, Keeper, Metric, Options, Position,
    Progress, Snapshot, Trainer,
};
use cnn_gpu::{Error, Result};
use common::failing::Failing;
use common::test_backend;

fn model() -> Sequential {
    let dense = Dense::new(10).activation(Activation::Softmax);
    Sequential::new([28, 28, 1])
        .add(RandomTranslation::new(0.1, 0.1))
        .add(Conv2D::new(4, 5).strides(3).activation(Activation::Relu))
        .add(BatchNormalization::new())
        .add(Flatten::new())
        .add(Dropout::new(0.2))
        .add(dense.kernel_regularizer(Regularizer::l2(1e-3)))
}

/// Batches of 24, in micro-batches of 5, 5, 5, 5 and 4; the last has 13.
fn options() -> Options {
    let mut optimizer = Optimizer::adam();
    optimizer.clip = Some(Clip::GlobalNorm(1.0));
    optimizer.ema_momentum = Some(0.9);
    optimizer.ema_overwrite_frequency = Some(3);
    Options::default()
        .epochs(3)
        .batch_size(24)
        .micro_batch(5)
        .class_weight([(3, 2.0)])
        .mixup(0.2)
        .optimizer(optimizer)
}

fn data() -> (Dataset, Dataset) {
    (digits::generate(61, 1, 0), digits::generate(23, 1, 100))
}

/// What must be the same on all ranks, for any number of them.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    weights: String,
    epochs: Vec<EpochLogs>,
    ending: Ending,
    scores: [f64; 2],
}

impl Outcome {
    fn new(trainer: &Trainer, history: &History, scores: &Evaluation) -> Self {
        let mut epochs = history.epochs.clone();
        for epoch in &mut epochs {
            (epoch.seconds, epoch.images_per_second) = (0.0, 0.0);
        }
        Self {
            weights: trainer.state().weights_hash(),
            epochs,
            ending: history.ending,
            scores: [scores.loss, scores.accuracy],
        }
    }
}

fn trainer(backend: Backend, rank: LocalCommunicator, options: Options) -> Result<Trainer> {
    let device = exec::open(&Selection::new(backend))?;
    let mut trainer = Trainer::new(model(), &device, options)?;
    trainer.set_communicator(Box::new(rank))?;
    Ok(trainer)
}

/// What each rank of a group of `size` returns.
fn each<T: Send>(
    size: usize,
    limit: Duration,
    f: impl Fn(LocalCommunicator) -> T + Sync,
) -> Vec<T> {
    let group = LocalCommunicator::group(size, limit);
    std::thread::scope(|scope| {
        let f = &f;
        let ranks = group.into_iter().map(|rank| scope.spawn(move || f(rank)));
        let ranks: Vec<_> = ranks.collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

const LIMIT: Duration = Duration::from_secs(120);

fn train(backend: Backend, size: usize) -> Vec<Outcome> {
    each(size, LIMIT, |rank| {
        let mut trainer = trainer(backend, rank, options()).unwrap();
        let (training, validation) = data();
        let mut stopping = EarlyStopping::new(Metric::ValLoss);
        let mut reduce = ReduceLROnPlateau::new(Metric::ValLoss);
        let history = trainer
            .fit_with((&training, &validation), &mut [&mut reduce, &mut stopping])
            .unwrap();
        let scores = trainer.evaluate(&validation).unwrap();
        Outcome::new(&trainer, &history, &scores)
    })
}

#[test]
fn one_to_seven_ranks_give_the_same_bytes_on_the_cpu() {
    let one = train(Backend::Cpu, 1).remove(0);
    assert_eq!(one.epochs.len(), 3);
    for size in [2, 3, 4, 7] {
        for outcome in train(Backend::Cpu, size) {
            assert_eq!(outcome, one, "{size} ranks");
        }
    }
}

#[test]
fn one_to_four_ranks_give_the_same_bytes_on_a_gpu() {
    let one = train(test_backend(), 1).remove(0);
    for size in [2, 3, 4] {
        for outcome in train(test_backend(), size) {
            assert_eq!(outcome, one, "{size} ranks");
        }
    }
}

/// Keeps the last snapshot, and takes one after each step.
struct Kept<'a>(&'a Mutex<Vec<Snapshot>>);

impl Keeper for Kept<'_> {
    fn is_due(&mut self, _position: &Position) -> bool {
        true
    }

    fn keep(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.0.lock().unwrap().push(snapshot.clone());
        Ok(())
    }
}

#[test]
fn another_number_of_ranks_resumes_to_the_same_bytes() {
    static SNAPSHOTS: Mutex<Vec<Snapshot>> = Mutex::new(Vec::new());
    let (training, validation) = data();
    let whole = each(3, LIMIT, |rank| {
        let is_first = cnn_gpu::distributed::Communicator::rank(&rank) == 0;
        let mut trainer = trainer(Backend::Cpu, rank, options()).unwrap();
        if is_first {
            trainer.set_keeper(Box::new(Kept(&SNAPSHOTS)));
        }
        trainer.fit((&training, &validation)).unwrap();
        trainer.state().weights_hash()
    });
    let snapshots = SNAPSHOTS.lock().unwrap().clone();
    // Within an epoch, and after one.
    for (snapshot, size) in [(1, 1), (2, 2), (4, 4)] {
        let resumed = each(size, LIMIT, |rank| {
            let mut trainer = trainer(Backend::Cpu, rank, options()).unwrap();
            trainer.resume(snapshots[snapshot].clone()).unwrap();
            trainer.fit((&training, &validation)).unwrap();
            trainer.state().weights_hash()
        });
        for hash in resumed {
            assert_eq!(hash, whole[0], "snapshot {snapshot}, {size} ranks");
        }
    }
}

/// Raises an interrupt after the first steps.
struct Stop(Interrupt);

impl Callback for Stop {
    fn on_epoch_begin(&mut self, progress: &Progress) -> Verdict {
        if progress.epoch == 2 {
            self.0.raise();
        }
        CONTINUE
    }
}

#[test]
fn an_interrupt_of_one_rank_stops_all_after_the_same_step() {
    let (training, _) = data();
    let stopped = each(3, LIMIT, |rank| {
        let is_last = cnn_gpu::distributed::Communicator::rank(&rank) == 2;
        let mut trainer = trainer(Backend::Cpu, rank, options()).unwrap();
        let interrupt = Interrupt::new();
        trainer.set_interrupt(interrupt.clone());
        let mut stop = Stop(interrupt);
        let mut callbacks: Vec<&mut dyn Callback> = Vec::new();
        if is_last {
            callbacks.push(&mut stop);
        }
        let history = trainer.fit_with(&training, &mut callbacks).unwrap();
        (
            history.ending,
            trainer.state().step,
            trainer.state().weights_hash(),
        )
    });
    assert_eq!(stopped[0].0, Ending::Interrupted);
    // The first step of the second epoch.
    assert_eq!(stopped[0].1, 4);
    assert_eq!(stopped[0], stopped[1]);
    assert_eq!(stopped[0], stopped[2]);
}

#[test]
fn a_loss_that_is_not_finite_ends_all_ranks_at_the_same_step() {
    static SNAPSHOTS: Mutex<Vec<Snapshot>> = Mutex::new(Vec::new());
    let (training, test) = data();
    let mut options = options();
    options.optimizer = Optimizer::sgd().with_learning_rate(1e30);
    // With TerminateOnNaN the ranks evaluate together afterwards.
    for quietly in [false, true] {
        let ended = each(3, LIMIT, |rank| {
            let is_first = cnn_gpu::distributed::Communicator::rank(&rank) == 0;
            let mut trainer = trainer(Backend::Cpu, rank, options.clone()).unwrap();
            if is_first {
                trainer.set_keeper(Box::new(Kept(&SNAPSHOTS)));
            }
            let mut terminate = TerminateOnNaN::default();
            let mut callbacks: Vec<&mut dyn Callback> = Vec::new();
            if quietly {
                callbacks.push(&mut terminate);
            }
            let ended = match trainer.fit_with(&training, &mut callbacks) {
                Ok(history) => {
                    let scores = trainer.evaluate(&test).unwrap();
                    format!("{:?} {} {}", history.ending, scores.loss, scores.images)
                }
                Err(Error::NonFiniteLoss { step, origin, .. }) => {
                    format!("not finite at step {step}, {origin:?}")
                }
                Err(other) => panic!("{other}"),
            };
            (ended, trainer.state().weights_hash())
        });
        let expected = if quietly {
            "Stopped "
        } else {
            "not finite at step 2, None"
        };
        assert!(ended[0].0.starts_with(expected), "{}", ended[0].0);
        assert_eq!(ended[0], ended[1]);
        assert_eq!(ended[0], ended[2]);
    }
}

#[test]
fn an_interrupt_of_a_rank_without_micro_batches_stops_all() {
    let (training, validation) = data();
    // 5 micro-batches at most, and 7 ranks.
    let stopped = each(7, LIMIT, |rank| {
        let number = cnn_gpu::distributed::Communicator::rank(&rank);
        let mut trainer = trainer(Backend::Cpu, rank, options()).unwrap();
        let interrupt = Interrupt::new();
        trainer.set_interrupt(interrupt.clone());
        let mut stop = Stop(interrupt);
        let mut callbacks: Vec<&mut dyn Callback> = Vec::new();
        // One that has none of 5.
        if number == 3 {
            callbacks.push(&mut stop);
        }
        let data = (&training, &validation);
        let history = trainer.fit_with(data, &mut callbacks).unwrap();
        (history.ending, trainer.state().step)
    });
    assert_eq!(stopped, vec![(Ending::Interrupted, 4); 7]);
}

#[test]
fn a_rank_that_ends_or_hangs_is_an_error_of_the_others_in_time() {
    let (training, _) = data();
    for hangs in [false, true] {
        let limit = Duration::from_millis(if hangs { 300 } else { 60_000 });
        let errors = each(2, limit, |rank| {
            if cnn_gpu::distributed::Communicator::rank(&rank) == 1 {
                if hangs {
                    std::thread::sleep(Duration::from_secs(2));
                } else {
                    rank.fail("the device was lost");
                }
                return None;
            }
            let mut trainer = trainer(Backend::Cpu, rank, options()).unwrap();
            let error = trainer.fit(&training).unwrap_err();
            assert!(matches!(error, Error::Rank(_)), "{error}");
            // The weights of the last complete epoch.
            assert_eq!(trainer.state().step, 0);
            Some(error.to_string())
        });
        let message = errors[0].clone().unwrap();
        let expected = if hangs {
            "rank 1 sent nothing for 0.3 s"
        } else {
            "rank 1 failed: the device was lost"
        };
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_device_lost_at_any_call_ends_all_ranks_and_keeps_the_complete_epochs() {
    let (training, validation) = data();
    // Without a moving average, which would replace the weights at the end.
    let options = || options().epochs(2).optimizer(Optimizer::adam());
    // The weights after each epoch.
    let complete = |trainer: &Trainer| (trainer.state().step, trainer.state().weights_hash());
    let kept = [0, 1, 2].map(|epochs| {
        let alone = LocalCommunicator::group(1, LIMIT).remove(0);
        let mut trainer = trainer(Backend::Cpu, alone, options().epochs(epochs.max(1))).unwrap();
        if epochs > 0 {
            trainer.fit(&training).unwrap();
        }
        complete(&trainer)
    });
    let run = |fails_at| {
        let calls = Mutex::new(0);
        let ended = each(3, LIMIT, |rank| {
            let number = cnn_gpu::distributed::Communicator::rank(&rank);
            let layout = Layout::new(&model()).unwrap();
            let mut executor: Box<dyn Executor> = common::cpu(layout);
            let mut counted = None;
            if number == 1 {
                let lost = || Error::DeviceLost("the cable".into());
                let (failing, calls) = Failing::at(executor, fails_at, lost);
                (executor, counted) = (failing, Some(calls));
            }
            let mut trainer = Trainer::with_executor(model(), executor, options())?;
            trainer.set_communicator(Box::new(rank))?;
            let ended = trainer.fit_with((&training, &validation), &mut []);
            if let Some(counted) = counted {
                *calls.lock().unwrap() = counted.load(Relaxed);
            }
            if number == 0 && ended.is_err() {
                let left = complete(&trainer);
                assert!(kept.contains(&left), "call {fails_at}: {left:?}, {kept:?}");
            }
            ended.map(drop)
        });
        (ended, calls.into_inner().unwrap())
    };
    let (ended, calls) = run(usize::MAX);
    assert!(ended.iter().all(Result::is_ok) && calls > 40, "{calls}");
    for fails_at in (0..calls).step_by(3) {
        let (ended, _) = run(fails_at);
        let lost = matches!(ended[1], Err(Error::DeviceLost(_)));
        assert!(lost, "call {fails_at}: {:?}", ended[1]);
        for rank in [0, 2] {
            // After the last exchange the others need nothing more of this rank.
            let ranks_error = matches!(ended[rank], Err(Error::Rank(_)));
            assert!(
                ranks_error || ended[rank].is_ok() && fails_at + 8 > calls,
                "call {fails_at} of {calls}, rank {rank}: {:?}",
                ended[rank]
            );
        }
    }
}

#[test]
fn ranks_with_other_weights_are_refused_after_an_epoch() {
    let (training, _) = data();
    let errors = each(3, LIMIT, |rank| {
        let number = cnn_gpu::distributed::Communicator::rank(&rank);
        let mut trainer = trainer(Backend::Cpu, rank, options()).unwrap();
        if number == 1 {
            let mut state = trainer.state().clone();
            state.params[0] += 1.0;
            trainer.set_state(state).unwrap();
        }
        trainer.fit(&training).unwrap_err().to_string()
    });
    for message in errors {
        assert!(
            message.contains("rank 1 has other weights than rank 0"),
            "{message}"
        );
    }
}

#[test]
fn ranks_need_micro_batches() {
    let rank = LocalCommunicator::group(1, LIMIT).remove(0);
    let mut options = options();
    options.micro_batch = None;
    let error = trainer(Backend::Cpu, rank, options).err().unwrap();
    assert!(
        error
            .to_string()
            .contains("expected the option micro_batch"),
        "{error}"
    );
}
