//! Ranks that are processes, on one machine or several, connected by MPI.

use std::collections::VecDeque;
use std::os::raw::{c_int, c_void};
use std::time::{Duration, Instant};

use mpi::environment::{Threading, Universe};
use mpi::ffi;
use mpi::point_to_point::{Destination as _, Message, Source as _};
use mpi::raw::AsRawMut as _;
use mpi::topology::{Communicator as _, SimpleCommunicator};
use mpi::traits::CommunicatorCollectives as _;

use super::communicator::{Communicator, SLACK, Traffic, not_taken, patience, too_late};
use crate::error::{Error, Result};

/// The tag of messages between ranks.
const DATA: c_int = 1;
/// The tag of the report of a rank that has failed.
const FAILED: c_int = 2;
/// The most bytes of such a report.
const REPORT: usize = 1000;
/// Messages travel in pieces of this many bytes, as MPI counts in `int`; the last piece is shorter, perhaps empty.
const PIECE: usize = 1 << 30;
/// The exit code of a program that panics.
const PANIC: c_int = 101;
/// How long a waiting rank looks for a message all the time, before it sleeps in between, and for how long. Ranks that
/// sleep at once would keep each other asleep: a message that comes and goes would take two sleeps.
const ATTENTION: Duration = Duration::from_millis(1);
const SLEEP: Duration = Duration::from_micros(50);
/// How long a communicator that is dropped waits for what is being sent.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// MPI, from its start to its end, which is when this is dropped.
pub struct MpiSession(Universe);

/// A rank that MPI connects to the others.
pub struct MpiCommunicator {
    rank: usize,
    size: usize,
    limit: Duration,
    /// Whether another rank has failed or hangs.
    failed: bool,
    under_way: VecDeque<Sending>,
    traffic: Traffic,
}

/// A piece that is being sent.
struct Sending {
    to: usize,
    /// MPI reads it until the request is complete.
    _piece: Vec<u8>,
    request: Request,
}

/// A handle of MPI's, which in some libraries is a pointer.
struct Request(ffi::MPI_Request);

#[expect(
    unsafe_code,
    reason = "a pointer of the MPI library in a type that moves between threads"
)]
// SAFETY: MPI is started for calls from any thread, one at a time, and the communicator is not shared.
unsafe impl Send for Request {}

impl Drop for MpiSession {
    /// Ends all ranks if this one panics; MPI's end would wait for them, and they for this one.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.world().abort(PANIC);
        }
    }
}

impl MpiSession {
    /// Starts MPI.
    ///
    /// # Errors
    /// MPI was started before, or allows calls from its main thread only.
    pub fn start() -> Result<Self> {
        let Some((universe, threading)) = mpi::initialize_with_threading(Threading::Serialized)
        else {
            return Err(Error::Rank("MPI was started before in this process".into()));
        };
        if threading < Threading::Serialized {
            return Err(Error::Rank(
                "the MPI library allows calls from one thread only: expected MPI_THREAD_SERIALIZED"
                    .into(),
            ));
        }
        Ok(Self(universe))
    }

    /// This rank's number among those on its machine, how many these are, and how many of them pass the same
    /// `value`, this one included. All ranks must call it.
    pub fn on_this_machine(&self, value: u64) -> ((usize, usize), usize) {
        let world = self.0.world();
        let local = world.split_shared(world.rank());
        let place = (local.rank() as usize, local.size() as usize);
        let mut all = vec![0_u64; place.1];
        local.all_gather_into(&value, &mut all[..]);
        (place, all.iter().filter(|other| **other == value).count())
    }

    /// Tells rank 0 why this one, `rank`, has failed.
    pub fn report(&self, rank: usize, why: &str) {
        if rank > 0 {
            let mut line = format!("rank {rank} failed: {why}");
            // Short, so that MPI sends it at once.
            line.truncate(line.floor_char_boundary(REPORT));
            let world = self.0.world();
            world
                .process_at_rank(0)
                .send_with_tag(line.as_bytes(), FAILED);
        }
    }

    /// Ends all ranks at once.
    pub fn abort(&self, code: i32) -> ! {
        self.0.world().abort(code)
    }
}

impl MpiCommunicator {
    /// All ranks of a session, of which each waits for a message for at most `limit`.
    pub fn new(session: &MpiSession, limit: Duration) -> Self {
        let world = session.0.world();
        Self {
            rank: world.rank() as usize,
            size: world.size() as usize,
            limit,
            failed: false,
            under_way: VecDeque::new(),
            traffic: Traffic::default(),
        }
    }

    /// Completes what has been sent.
    #[expect(unsafe_code, reason = "calls the MPI library")]
    fn complete(&mut self) {
        while let Some(oldest) = self.under_way.front_mut() {
            let mut done = 0;
            // SAFETY: the request was made by MPI_Isend and is not complete, as it is removed when it is.
            unsafe {
                ffi::MPI_Test(&mut oldest.request.0, &mut done, ffi::RSMPI_STATUS_IGNORE);
            }
            if done == 0 {
                break;
            }
            self.under_way.pop_front();
        }
    }

    #[expect(unsafe_code, reason = "calls the MPI library")]
    fn send_piece(&mut self, to: usize, piece: Vec<u8>) {
        // SAFETY: a handle for MPI_Isend to set.
        let mut request = unsafe { ffi::RSMPI_REQUEST_NULL };
        // SAFETY: the piece is kept, and does not move in memory, until the request is complete; its length is at
        // most PIECE.
        unsafe {
            ffi::MPI_Isend(
                piece.as_ptr().cast::<c_void>(),
                piece.len() as c_int,
                ffi::RSMPI_UINT8_T,
                to as c_int,
                DATA,
                ffi::RSMPI_COMM_WORLD,
                &mut request,
            );
        }
        self.under_way.push_back(Sending {
            to,
            _piece: piece,
            request: Request(request),
        });
    }

    fn receive_piece(&mut self, from: usize, started: Instant) -> Result<Vec<u8>> {
        let world = world();
        loop {
            self.complete();
            let source = world.process_at_rank(from as c_int);
            if let Some((message, status)) = source.immediate_matched_probe_with_tag(DATA) {
                let piece = vec![0_u8; status.count(u8_type()) as usize];
                return self.take_piece(message, piece, (from, started));
            }
            self.check()?;
            self.in_time(from, started)?;
            pause(started);
        }
    }

    /// Receives a piece that has begun to arrive; the rest comes only while its sender makes calls.
    #[expect(unsafe_code, reason = "calls the MPI library")]
    fn take_piece(
        &mut self,
        mut message: Message,
        mut piece: Vec<u8>,
        (from, started): (usize, Instant),
    ) -> Result<Vec<u8>> {
        // SAFETY: a handle for MPI_Imrecv to set.
        let mut request = unsafe { ffi::RSMPI_REQUEST_NULL };
        // SAFETY: the message was matched and not received; the piece has its length, and is kept until the request is
        // complete, or for ever.
        unsafe {
            ffi::MPI_Imrecv(
                piece.as_mut_ptr().cast::<c_void>(),
                piece.len() as c_int,
                ffi::RSMPI_UINT8_T,
                message.as_raw_mut(),
                &mut request,
            );
        }
        let begun = Instant::now();
        loop {
            let mut done = 0;
            // SAFETY: the request was made by MPI_Imrecv and is not complete.
            unsafe {
                ffi::MPI_Test(&mut request, &mut done, ffi::RSMPI_STATUS_IGNORE);
            }
            if done != 0 {
                return Ok(piece);
            }
            self.complete();
            if let Err(error) = self.check().and_then(|()| self.in_time(from, started)) {
                // MPI may still write to it.
                std::mem::forget(piece);
                return Err(error);
            }
            pause(begun);
        }
    }

    /// Checks that a rank is not too late with a message for which this one has waited since `started`.
    fn in_time(&mut self, from: usize, started: Instant) -> Result<()> {
        if started.elapsed() < patience(self.limit, (self.rank, from)) {
            return Ok(());
        }
        // Rank `from` may itself wait for the one that hangs, and say so at this moment.
        let late = Instant::now();
        while self.rank == 0 && late.elapsed() < SLACK {
            self.check()?;
            std::thread::sleep(SLEEP);
        }
        self.failed = true;
        Err(too_late(from, self.limit))
    }

    /// Looks for the report of a rank that has failed.
    fn check(&mut self) -> Result<()> {
        let world = world();
        let Some((message, status)) = world.any_process().immediate_matched_probe_with_tag(FAILED)
        else {
            return Ok(());
        };
        let mut line = vec![0_u8; status.count(u8_type()) as usize];
        message.matched_receive_into(&mut line[..]);
        self.failed = true;
        Err(Error::Rank(String::from_utf8_lossy(&line).into_owned()))
    }
}

/// Lets others run before the next look of a rank that has waited since `started`.
fn pause(started: Instant) {
    if started.elapsed() < ATTENTION {
        std::thread::yield_now();
    } else {
        std::thread::sleep(SLEEP);
    }
}

/// All ranks.
fn world() -> SimpleCommunicator {
    SimpleCommunicator::world()
}

fn u8_type() -> mpi::datatype::SystemDatatype {
    use mpi::datatype::Equivalence as _;
    u8::equivalent_datatype()
}

impl Communicator for MpiCommunicator {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn send(&mut self, to: usize, mut message: Vec<u8>) -> Result<()> {
        self.check()?;
        self.traffic.sent += message.len() as u64;
        self.traffic.messages += 1;
        while message.len() >= PIECE {
            let rest = message.split_off(PIECE);
            self.send_piece(to, std::mem::replace(&mut message, rest));
        }
        self.send_piece(to, message);
        self.complete();
        Ok(())
    }

    fn receive(&mut self, from: usize) -> Result<Vec<u8>> {
        let started = Instant::now();
        let mut message = self.receive_piece(from, started)?;
        let mut last = message.len();
        while last == PIECE {
            let piece = self.receive_piece(from, started)?;
            last = piece.len();
            message.extend(piece);
        }
        self.traffic.received += message.len() as u64;
        self.traffic.waited += started.elapsed().as_secs_f64();
        Ok(message)
    }

    fn progress(&mut self) {
        self.complete();
    }

    fn flush(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            self.complete();
            let Some(to) = self.under_way.front().map(|oldest| oldest.to) else {
                break;
            };
            self.check()?;
            if started.elapsed() >= self.limit {
                self.failed = true;
                return Err(not_taken(to, self.limit));
            }
            pause(started);
        }
        self.traffic.waited += started.elapsed().as_secs_f64();
        Ok(())
    }

    fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}

impl Drop for MpiCommunicator {
    /// Waits a little for what is being sent, unless another rank has failed; MPI's end waits for the rest.
    fn drop(&mut self) {
        let started = Instant::now();
        while !self.failed && !self.under_way.is_empty() && started.elapsed() < LAST_WAIT {
            self.complete();
            std::thread::yield_now();
        }
        // MPI may still read what was not sent.
        for sending in self.under_way.drain(..) {
            std::mem::forget(sending);
        }
    }
}
