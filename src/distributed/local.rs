//! Ranks within one process, for tests and for measuring what links cost.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::communicator::{Communicator, Traffic, patience, too_late};
use crate::error::{Error, Result};

/// How long a rank waits before it looks whether another one has failed.
const LOOK: Duration = Duration::from_millis(5);

/// The link of a rank to the others that is slower than memory: it carries `bytes_per_second`, one message after the
/// other, and each arrives `latency` later.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SlowLink {
    /// The time of an empty message.
    pub latency: Duration,
    /// Bytes per second.
    pub bytes_per_second: f64,
}

impl SlowLink {
    /// A link.
    pub fn new(latency: Duration, bytes_per_second: f64) -> Self {
        Self {
            latency,
            bytes_per_second,
        }
    }

    /// The time for which a message occupies the link.
    pub fn time(&self, bytes: usize) -> Duration {
        let carried = bytes as f64 / self.bytes_per_second;
        Duration::try_from_secs_f64(carried).unwrap_or(Duration::MAX)
    }
}

/// A rank that is a thread of this process.
pub struct LocalCommunicator {
    rank: usize,
    /// To and from each rank.
    to: Vec<Sender<Parcel>>,
    from: Vec<Receiver<Parcel>>,
    /// What went wrong on some rank.
    failure: Arc<Mutex<Option<String>>>,
    limit: Duration,
    link: Option<SlowLink>,
    /// When the link has carried all that was sent.
    free_at: Instant,
    traffic: Traffic,
}

/// A message and when it arrives.
struct Parcel {
    message: Vec<u8>,
    due: Instant,
}

impl LocalCommunicator {
    /// The ranks of a group of `size`, connected to each other. Each waits for a message for at most `limit`.
    pub fn group(size: usize, limit: Duration) -> Vec<Self> {
        let failure = Arc::new(Mutex::new(None));
        let mut group: Vec<Self> = (0..size)
            .map(|rank| Self {
                rank,
                to: Vec::new(),
                from: Vec::new(),
                failure: Arc::clone(&failure),
                limit,
                link: None,
                free_at: Instant::now(),
                traffic: Traffic::default(),
            })
            .collect();
        for from in 0..size {
            for to in 0..size {
                let (sender, receiver) = channel();
                group[from].to.push(sender);
                group[to].from.push(receiver);
            }
        }
        group
    }

    /// Delays messages of this rank as this link would.
    #[must_use]
    pub fn over(mut self, link: SlowLink) -> Self {
        self.link = Some(link);
        self
    }

    /// Tells the other ranks that this one has failed.
    pub fn fail(&self, why: &str) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert_with(|| format!("rank {} failed: {why}", self.rank));
    }

    fn check(&self) -> Result<()> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match &*failure {
            Some(why) => Err(Error::Rank(why.clone())),
            None => Ok(()),
        }
    }
}

impl Communicator for LocalCommunicator {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn send(&mut self, to: usize, message: Vec<u8>) -> Result<()> {
        self.check()?;
        self.traffic.sent += message.len() as u64;
        self.traffic.messages += 1;
        let mut due = Instant::now();
        if let Some(link) = self.link {
            self.free_at = self.free_at.max(due) + link.time(message.len());
            due = self.free_at + link.latency;
        }
        let gone = |_| Error::Rank(format!("rank {to} has ended"));
        self.to[to].send(Parcel { message, due }).map_err(gone)
    }

    fn receive(&mut self, from: usize) -> Result<Vec<u8>> {
        let started = Instant::now();
        let parcel = loop {
            match self.from[from].recv_timeout(LOOK.min(self.limit)) {
                Ok(parcel) => break parcel,
                Err(RecvTimeoutError::Timeout) => self.check()?,
                Err(RecvTimeoutError::Disconnected) => {
                    self.check()?;
                    return Err(Error::Rank(format!("rank {from} has ended")));
                }
            }
            if started.elapsed() >= patience(self.limit, (self.rank, from)) {
                return Err(too_late(from, self.limit));
            }
        };
        std::thread::sleep(parcel.due.saturating_duration_since(Instant::now()));
        self.traffic.received += parcel.message.len() as u64;
        self.traffic.waited += started.elapsed().as_secs_f64();
        Ok(parcel.message)
    }

    fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each rank of a group returns.
    fn each<T: Send>(size: usize, f: impl Fn(LocalCommunicator) -> T + Sync) -> Vec<T> {
        let group = LocalCommunicator::group(size, Duration::from_secs(20));
        std::thread::scope(|scope| {
            let f = &f;
            let ranks: Vec<_> = group
                .into_iter()
                .map(|rank| scope.spawn(move || f(rank)))
                .collect();
            ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
        })
    }

    #[test]
    fn a_message_of_rank_0_reaches_all_and_those_of_all_reach_rank_0() {
        for size in 1..10 {
            let heard = each(size, |mut rank| {
                let own = vec![rank.rank() as u8; rank.rank() + 1];
                (
                    rank.broadcast(own.clone()).unwrap(),
                    rank.gather(own).unwrap(),
                )
            });
            for (rank, (broadcast, gathered)) in heard.into_iter().enumerate() {
                assert_eq!(broadcast, [0], "{rank} of {size}");
                let all: Vec<Vec<u8>> = (0..size).map(|r| vec![r as u8; r + 1]).collect();
                assert_eq!(gathered, if rank == 0 { all } else { Vec::new() });
            }
        }
    }

    #[test]
    fn a_rank_that_fails_hangs_or_ends_is_an_error_of_the_others() {
        let mut group = LocalCommunicator::group(3, Duration::from_millis(20));
        let [mut first, second, third] =
            <[_; 3]>::try_from(std::mem::take(&mut group)).ok().unwrap();
        let late = first.receive(1).unwrap_err().to_string();
        assert!(late.starts_with("rank 1 sent nothing for 0.02 s"), "{late}");
        second.fail("the device was lost");
        let failed = first.receive(2).unwrap_err().to_string();
        assert!(
            failed.contains("rank 1 failed: the device was lost"),
            "{failed}"
        );
        drop(third);
        assert!(first.send(2, Vec::new()).is_err());
    }

    #[test]
    fn a_link_carries_one_message_after_the_other() {
        let link = SlowLink::new(Duration::from_millis(20), 1e6);
        assert_eq!(link.time(10_000), Duration::from_millis(10));
        let group = LocalCommunicator::group(3, Duration::from_secs(5));
        let [first, mut second, mut third] = <[_; 3]>::try_from(group).ok().unwrap();
        let mut first = first.over(link);
        let started = Instant::now();
        first.send(1, vec![0; 10_000]).unwrap();
        first.send(2, vec![0; 5_000]).unwrap();
        second.receive(0).unwrap();
        assert!(started.elapsed() >= Duration::from_millis(30));
        third.receive(0).unwrap();
        assert!(started.elapsed() >= Duration::from_millis(35));
        assert_eq!(
            (first.traffic().sent, second.traffic().received),
            (15_000, 10_000)
        );
    }

    #[test]
    fn whoever_waits_for_a_rank_that_hangs_says_so_first() {
        let limit = Duration::from_secs(10);
        // Rank 7 of 8 hangs: rank 6 waits for it, 4 for 6, 0 for 4, and all others for the broadcast.
        let order = [(6, 7), (4, 6), (0, 4), (1, 0)].map(|pair| patience(limit, pair));
        assert!(
            order[0] > limit,
            "a broadcast that is not taken comes first"
        );
        assert!(
            order
                .windows(2)
                .all(|pair| pair[0] + Duration::from_secs(1) <= pair[1])
        );
    }
}
