//! Ranks within one process, for tests and for measuring what links cost.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::communicator::{Communicator, Traffic, too_late};
use crate::error::{Error, Result};

/// How long a rank waits before it looks whether another one has failed.
const LOOK: Duration = Duration::from_millis(5);

/// A link between ranks that is slower than memory: each message takes `latency` and its bytes
/// `1 / bytes_per_second` each.
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

    /// The time that a message takes.
    pub fn time(&self, bytes: usize) -> Duration {
        let carried = bytes as f64 / self.bytes_per_second;
        self.latency + Duration::try_from_secs_f64(carried).unwrap_or(Duration::MAX)
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
    traffic: Traffic,
}

/// A message and when it was sent.
struct Parcel {
    message: Vec<u8>,
    sent: Instant,
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

    /// Delays messages to this rank as this link would.
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
        let sent = Instant::now();
        let gone = |_| Error::Rank(format!("rank {to} has ended"));
        self.to[to].send(Parcel { message, sent }).map_err(gone)
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
            if started.elapsed() >= self.limit {
                return Err(too_late(from, self.limit));
            }
        };
        if let Some(link) = self.link {
            let due = parcel.sent + link.time(parcel.message.len());
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
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
    fn a_link_delays_messages() {
        let link = SlowLink::new(Duration::from_millis(20), 1e6);
        assert_eq!(link.time(10_000), Duration::from_millis(30));
        let group = LocalCommunicator::group(2, Duration::from_secs(5));
        let [mut first, second] = <[_; 2]>::try_from(group).ok().unwrap();
        let mut second = second.over(link);
        let started = Instant::now();
        first.send(1, vec![0; 10_000]).unwrap();
        second.receive(0).unwrap();
        assert!(started.elapsed() >= Duration::from_millis(30));
        assert_eq!(
            (first.traffic().sent, second.traffic().received),
            (10_000, 10_000)
        );
    }
}
