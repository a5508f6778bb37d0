//! What ranks exchange, whatever carries it.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::words::short;

/// One of several processes, the *ranks*, that train together, and its connections to the others. Messages
/// from one rank to another arrive in the order in which they were sent.
///
/// All ranks make the same collective calls, such as [`Communicator::broadcast`] and those of a
/// [`Trainer`](crate::train::Trainer), in the same order.
pub trait Communicator: Send {
    /// This rank's number, from 0.
    fn rank(&self) -> usize;

    /// The number of ranks.
    fn size(&self) -> usize;

    /// Starts sending a message, and returns before it has arrived.
    ///
    /// # Errors
    /// [`Error::Rank`](crate::Error::Rank) if another rank has failed.
    fn send(&mut self, to: usize, message: Vec<u8>) -> Result<()>;

    /// Waits for the next message of a rank.
    ///
    /// # Errors
    /// [`Error::Rank`](crate::Error::Rank) if another rank has failed, or if no message arrived in time.
    fn receive(&mut self, from: usize) -> Result<Vec<u8>>;

    /// Lets messages that were sent move on, if the library that carries them needs calls for it, and returns at
    /// once.
    fn progress(&mut self) {}

    /// Waits until all messages that were sent have left, so that they need no further calls.
    ///
    /// # Errors
    /// [`Error::Rank`](crate::Error::Rank) if another rank has failed, or does not take them in time.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// Sets how long this rank waits for a message, at most.
    fn set_limit(&mut self, limit: Duration);

    /// What was sent and received so far, and how long this rank waited.
    fn traffic(&self) -> Traffic;

    /// Gives the message of rank 0 to all ranks; the others' `message` is not used.
    ///
    /// # Errors
    /// Those of [`Communicator::send`], [`Communicator::receive`] and [`Communicator::flush`].
    fn broadcast(&mut self, message: Vec<u8>) -> Result<Vec<u8>> {
        let (rank, size) = (self.rank(), self.size());
        // A binomial tree: a rank has the message from the one without its highest bit, and passes it on to those
        // with one more, of which the nearest has the most others to pass it on to.
        let (message, mut next) = match rank.checked_ilog2() {
            None => (message, 1),
            Some(highest) => (self.receive(rank - (1 << highest))?, 2 << highest),
        };
        while rank + next < size {
            self.send(rank + next, message.clone())?;
            // One after the other, as the nearest has most ranks to pass it on to; and before this rank returns, as
            // it may compute for long before its next call.
            self.flush()?;
            next *= 2;
        }
        Ok(message)
    }

    /// Gives the messages of all ranks, in their order, to rank 0; the others get nothing.
    ///
    /// # Errors
    /// Those of [`Communicator::send`] and [`Communicator::receive`].
    fn gather(&mut self, message: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        if self.rank() > 0 {
            self.send(0, message)?;
            return Ok(Vec::new());
        }
        let mut all = vec![message];
        for from in 1..self.size() {
            all.push(self.receive(from)?);
        }
        Ok(all)
    }
}

/// What a rank has exchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Traffic {
    /// Bytes sent to other ranks.
    pub sent: u64,
    /// Bytes received from them.
    pub received: u64,
    /// Messages sent.
    pub messages: u64,
    /// Seconds spent waiting for messages.
    pub waited: f64,
}

/// How much longer a rank waits for each level of the tree of sums above that of the rank that hangs, and how long rank 0
/// waits for a report of another that knows more about it.
pub(super) const SLACK: Duration = Duration::from_secs(1);

/// How long `rank` waits for `from`, at most. Whoever waits for a rank that hangs must be the first to say so: those that
/// wait for the sum of several ranks are more patient the more there are, and those that wait for the broadcast of
/// the root, from a lower rank, more than all others. A broadcast that is not taken is given up first, after `limit`.
pub(super) fn patience(limit: Duration, (rank, from): (usize, usize)) -> Duration {
    match from.checked_sub(rank) {
        Some(ranks) => limit + SLACK * (1 + ranks.checked_ilog2().unwrap_or(0)),
        None => 2 * limit + 32 * SLACK,
    }
}

/// The error for a rank that takes nothing.
#[cfg(feature = "mpi")]
pub(super) fn not_taken(to: usize, limit: Duration) -> Error {
    Error::Rank(format!(
        "rank {to} took no message for {} s; it hangs, or its step takes longer than this limit",
        short(limit.as_secs_f64())
    ))
}

/// The error for a rank that sends nothing.
pub(super) fn too_late(from: usize, limit: Duration) -> Error {
    Error::Rank(format!(
        "rank {from} sent nothing for {} s; it hangs, or its step takes longer than this limit",
        short(limit.as_secs_f64())
    ))
}
