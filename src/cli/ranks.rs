//! This process as one of several that `mpirun` starts, the ranks.

use std::time::Duration;

use anyhow::Context as _;
use cnn_gpu::distributed::Communicator;
#[cfg(feature = "mpi")]
use cnn_gpu::distributed::{MpiCommunicator, MpiSession};
use cnn_gpu::words::counted;
use cnn_gpu::{Error, Result};

use super::exit::Exit;
#[cfg(feature = "mpi")]
use super::output;
use super::output::say;
use super::sha256;

/// The rows of a micro-batch under MPI if none are given, whatever the number of ranks.
pub const MICRO_BATCH: usize = 16;

/// How long a rank that has failed waits for rank 0 to end all, before it does so itself.
#[cfg(feature = "mpi")]
const GRACE: Duration = Duration::from_secs(10);

/// This process among the ranks; alone without `mpirun`.
pub struct Ranks {
    /// Whether `mpirun` started this process, be it as the only rank.
    pub launched: bool,
    /// This rank's number, and how many there are.
    place: (usize, usize),
    /// Likewise, among those on this machine.
    pub local: (usize, usize),
    /// How many of those on this machine may run on the same processor cores as this one, itself included.
    pub sharers: usize,
    /// How long a rank waits for another one, once training has begun.
    limit: Duration,
    communicator: Option<Box<dyn Communicator>>,
    #[cfg(feature = "mpi")]
    session: Option<MpiSession>,
}

/// How long a rank waits for another one before training: rank 0 may download data, and all read them.
const SET_UP: Duration = Duration::from_secs(24 * 60 * 60);

/// The environment variable that, if it is `0`, makes processes of `mpirun` independent of each other.
const SWITCH: &str = "CNN_GPU_MPI";

/// The number of processes that `mpirun`, `mpiexec` or `srun` has started, if one did, as Open MPI, MPICH, Intel's
/// MPI and PMIx say; `Some(None)` if they do not say it.
fn launched() -> Option<Option<usize>> {
    launched_in(|name| std::env::var(name).ok())
}

fn launched_in(variable: impl Fn(&str) -> Option<String>) -> Option<Option<usize>> {
    if variable(SWITCH).is_some_and(|value| value == "0") {
        return None;
    }
    let number = |name: &str| variable(name)?.parse::<usize>().ok();
    let known = number("OMPI_COMM_WORLD_SIZE").or_else(|| number("PMI_SIZE"));
    if known.is_some() {
        return Some(known);
    }
    variable("PMIX_RANK").map(|_| number("SLURM_STEP_NUM_TASKS"))
}

/// The hash of this program's file, or nothing if it cannot be read.
pub fn binary() -> String {
    let bytes = std::env::current_exe().and_then(std::fs::read);
    bytes.map_or(String::new(), |bytes| sha256::of(&bytes))
}

/// What the processes that run on the same cores have in common: on Linux the set of these cores.
#[cfg(feature = "mpi")]
fn cores() -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with("Cpus_allowed:"));
    let mut hasher = DefaultHasher::new();
    line.hash(&mut hasher);
    hasher.finish()
}

impl Ranks {
    fn alone() -> Self {
        Self {
            launched: false,
            place: (0, 1),
            local: (0, 1),
            sharers: 1,
            limit: Duration::ZERO,
            communicator: None,
            #[cfg(feature = "mpi")]
            session: None,
        }
    }

    /// Joins the other ranks, if `mpirun` started this process. A rank waits for another one for at most `limit`.
    ///
    /// # Errors
    /// MPI cannot be used.
    #[cfg(feature = "mpi")]
    pub fn start(limit: Duration) -> Result<Self> {
        if launched().is_none() {
            return Ok(Self::alone());
        }
        let session = MpiSession::start()?;
        let communicator = MpiCommunicator::new(&session, limit);
        let place = (communicator.rank(), communicator.size());
        if place.0 > 0 {
            output::silence(true);
        }
        let (local, sharers) = session.on_this_machine(cores());
        Ok(Self {
            launched: true,
            place,
            local,
            sharers,
            limit,
            communicator: Some(Box::new(communicator)),
            session: Some(session),
        })
    }

    /// Refuses to be one of several processes.
    ///
    /// # Errors
    /// `mpirun` started several.
    #[cfg(not(feature = "mpi"))]
    pub fn start(_limit: Duration) -> Result<Self> {
        match launched() {
            Some(Some(size)) if size > 1 => Err(Error::Argument(format!(
                "this program is one of {size} processes of mpirun or srun, and was built without its cargo feature \
                 `mpi`; build it with `--features mpi` to train together, or set {SWITCH}=0 to train {size} networks \
                 independently"
            ))),
            _ => Ok(Self::alone()),
        }
    }

    /// Whether this is rank 0, which alone writes.
    pub fn is_first(&self) -> bool {
        self.place.0 == 0
    }

    /// Whether there is no other rank.
    pub fn is_alone(&self) -> bool {
        self.place.1 == 1
    }

    /// The number of ranks.
    pub fn size(&self) -> usize {
        self.place.1
    }

    /// Warns if a batch has fewer micro-batches than there are ranks.
    pub fn warn_of_idle(&self, batch_size: usize, micro_batch: Option<usize>) {
        let parts = micro_batch.map_or(1, |rows| batch_size.div_ceil(rows.max(1)));
        if parts < self.size() {
            say(&format!(
                "warning: a batch has {}, so {} of the processes only wait; raise --batch-size or lower --micro-batch",
                counted(parts, "micro-batch"),
                self.size() - parts
            ));
        }
    }

    /// The connection to the others, if there are any, with the limit of set-up.
    fn others(&mut self) -> Option<&mut dyn Communicator> {
        let communicator = self.communicator.as_mut().filter(|_| self.place.1 > 1)?;
        communicator.set_limit(SET_UP);
        Some(communicator.as_mut())
    }

    /// Calls `f` on rank 0 first, and on the others once that has succeeded, however long it takes.
    ///
    /// # Errors
    /// Those of `f`; a rank has failed.
    pub fn first_on_rank_0<T>(
        &mut self,
        f: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let is_first = self.is_first();
        let Some(communicator) = self.others() else {
            return f();
        };
        if is_first {
            let made = f()?;
            communicator.broadcast(Vec::new())?;
            return Ok(made);
        }
        communicator.broadcast(Vec::new())?;
        f()
    }

    /// Checks that all ranks have the same facts, in one order: names and values.
    ///
    /// # Errors
    /// The first rank and fact that differ.
    pub fn agree(
        &mut self,
        facts: impl FnOnce() -> anyhow::Result<Vec<(String, String)>>,
    ) -> anyhow::Result<()> {
        let Some(communicator) = self.others() else {
            return Ok(());
        };
        let own = serde_json::to_vec(&facts()?).context("cannot describe this rank")?;
        let all = communicator.gather(own)?;
        let all: Vec<Vec<(String, String)>> = (all.iter())
            .map(|facts| serde_json::from_slice(facts).unwrap_or_default())
            .collect();
        let verdict = difference(&all).unwrap_or_default();
        let verdict = communicator.broadcast(verdict.into_bytes())?;
        match String::from_utf8_lossy(&verdict) {
            verdict if verdict.is_empty() => Ok(()),
            verdict => Err(Error::Argument(verdict.into_owned()).into()),
        }
    }

    /// The connection to the others, if there are any, for a trainer.
    pub fn communicator(&mut self) -> Option<Box<dyn Communicator>> {
        let mut communicator = self.communicator.take().filter(|_| self.place.1 > 1)?;
        communicator.set_limit(self.limit);
        Some(communicator)
    }

    /// Ends all ranks after an error of this one, which rank 0 prints.
    #[cfg(feature = "mpi")]
    pub fn end(self, outcome: anyhow::Result<Exit>) -> anyhow::Result<Exit> {
        let Some(session) = self.session.as_ref().filter(|_| self.place.1 > 1) else {
            return outcome;
        };
        outcome.inspect_err(|error| {
            let line = super::with_hint(error);
            if self.place.0 > 0 {
                session.report(self.place.0, &line);
                // The first one to go on ends the others, so that there is one line.
                std::thread::sleep(GRACE + Duration::from_secs(self.place.0 as u64));
                output::silence(false);
                say(&format!("error: rank {} failed: {line}", self.place.0));
            } else {
                say(&format!("error: {line}"));
            }
            session.abort(Exit::of(error) as i32);
        })
    }

    /// Returns the outcome.
    #[cfg(not(feature = "mpi"))]
    pub fn end(self, outcome: anyhow::Result<Exit>) -> anyhow::Result<Exit> {
        outcome
    }
}

/// The first rank whose facts differ from those of rank 0, and how.
fn difference(all: &[Vec<(String, String)>]) -> Option<String> {
    let (first, others) = all.split_first()?;
    others.iter().zip(1..).find_map(|(other, rank)| {
        let differing = |(ours, theirs): (&(String, String), &(String, String))| {
            (ours != theirs).then(|| {
                let (name, expected) = ours;
                format!(
                    "rank {rank} has another {name} than rank 0: expected {expected}, received {}; start the same \
                     program with the same arguments and files on all machines",
                    theirs.1
                )
            })
        };
        let differing = first.iter().zip(other).find_map(differing);
        let is_longer = first.len() != other.len();
        differing.or_else(|| {
            is_longer.then(|| format!("rank {rank} runs another version of this program than rank 0"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_between_ranks_is_named() {
        let facts = |seed: &str| {
            let facts = [("version", "1"), ("seed", seed)];
            facts
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec()
        };
        assert_eq!(difference(&[facts("1"), facts("1")]), None);
        let message = difference(&[facts("1"), facts("1"), facts("2")]).unwrap();
        assert!(
            message.starts_with("rank 2 has another seed than rank 0: expected 1, received 2;"),
            "{message}"
        );
        let message = difference(&[facts("1"), Vec::new()]).unwrap();
        assert!(message.contains("another version"), "{message}");
    }

    #[test]
    fn the_number_of_processes_is_that_of_their_launcher() {
        let launched = |variables: &[(&str, &str)]| {
            launched_in(|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(launched(&[]), None);
        // A job's step alone says nothing of MPI.
        assert_eq!(launched(&[("SLURM_STEP_NUM_TASKS", "4")]), None);
        assert_eq!(launched(&[("OMPI_COMM_WORLD_SIZE", "4")]), Some(Some(4)));
        assert_eq!(launched(&[("PMI_SIZE", "1")]), Some(Some(1)));
        assert_eq!(launched(&[("PMIX_RANK", "0")]), Some(None));
        let srun = [("PMIX_RANK", "0"), ("SLURM_STEP_NUM_TASKS", "3")];
        assert_eq!(launched(&srun), Some(Some(3)));
        assert_eq!(launched(&[("PMI_SIZE", "3"), (SWITCH, "0")]), None);
    }

    #[test]
    fn a_process_without_mpirun_is_alone() {
        let ranks = Ranks::alone();
        assert!(ranks.is_first() && ranks.is_alone() && !ranks.launched);
    }
}
