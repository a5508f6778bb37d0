//! Gives each worker of a software Vulkan adapter a core of its own, on Linux.
//!
//! Such a driver starts as many workers as there are cores, hands each the same share of every dispatch,
//! and waits for the last of them. Between two dispatches, of which there are some nine hundred a
//! second, all of them sleep. Linux wakes a thread on the core that it ran on last, unless it sees an
//! idle one, and at that moment the thread that wakes them is still on one; so two workers come to share
//! a core while another is idle, for one dispatch after the other. On two cores a worker so waited for 8
//! to 15 % of the time (`benches/RESULTS.md`, 2026-11-25). Beside a process that keeps a core busy it
//! makes no difference.
//!
//! The workers are known by what they do: of the threads that were started while the first device was
//! opened, as many as there are cores have worked for the same time, and the one that hands them their
//! work for little. Where it is not so, as with a driver that has fewer workers, all threads are left to
//! the system. No other thread is bound, and none that starts later inherits it.

#[cfg(target_os = "linux")]
pub use linux::{Start, settle};
#[cfg(not(target_os = "linux"))]
pub use other::{Start, settle};

#[cfg(target_os = "linux")]
mod linux {
    use std::cmp::Reverse;
    use std::fs;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Mutex, MutexGuard};

    use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};
    use wgpu::{AdapterInfo, Backend, DeviceType};

    use super::super::device::lock;

    /// For so long, in nanoseconds, the busiest has run when the workers are told from others.
    const LONG: u64 = 50_000_000;
    /// A worker has run for so many times as long as a thread that is none.
    const TIMES: u64 = 4;
    /// So often they are looked for; a driver that compiles has other busy threads.
    const TRIES: usize = 64;

    /// What is known of the driver's threads. A process has them once, for all of its devices.
    enum Threads {
        NotStarted,
        Started(Started),
        Settled,
    }

    /// Threads of which some are workers.
    struct Started {
        threads: Vec<Pid>,
        /// How long each had run when they were last looked at, in nanoseconds.
        before: Vec<u64>,
        cores: Vec<usize>,
        tries: usize,
    }

    static THREADS: Mutex<Threads> = Mutex::new(Threads::NotStarted);
    /// Whether there is something to settle.
    static STARTED: AtomicBool = AtomicBool::new(false);

    /// The opening of the first device, which no other runs beside.
    pub struct Start {
        threads: MutexGuard<'static, Threads>,
        before: Vec<Pid>,
    }

    impl Start {
        /// Notes which threads there are, if the driver's workers are to be started.
        pub fn of(info: &AdapterInfo) -> Option<Self> {
            if (info.device_type, info.backend) != (DeviceType::Cpu, Backend::Vulkan) {
                return None;
            }
            let threads = lock(&THREADS);
            matches!(*threads, Threads::NotStarted).then(|| Self {
                threads,
                before: all(),
            })
        }

        /// The device is open.
        pub fn done(mut self) {
            let mut later = all();
            later.retain(|thread| !self.before.contains(thread));
            let cores = cores();
            // Where the system does not tell how long threads have run, there is nothing to look for.
            let told = Path::new("/proc/self/schedstat").exists();
            let can = told && cores.len() > 1 && later.len() >= cores.len();
            *self.threads = match can {
                true => Threads::Started(Started {
                    before: run_times(&later),
                    threads: later,
                    cores,
                    tries: TRIES,
                }),
                false => Threads::Settled,
            };
            STARTED.store(can, Ordering::Relaxed);
        }
    }

    /// To be called when something has run.
    pub fn settle() {
        if !STARTED.load(Ordering::Relaxed) {
            return;
        }
        let mut threads = lock(&THREADS);
        let Threads::Started(started) = &mut *threads else {
            return;
        };
        if let Some(workers) = started.workers() {
            for (worker, core) in workers.iter().zip(&started.cores) {
                let mut only = CpuSet::new();
                only.set(*core);
                // What cannot be placed stays where it is.
                let _ = sched_setaffinity(Some(*worker), &only);
            }
        } else if started.tries > 0 {
            return;
        }
        *threads = Threads::Settled;
        STARTED.store(false, Ordering::Relaxed);
    }

    impl Started {
        /// The workers, one for each core, once they can be told.
        fn workers(&mut self) -> Option<Vec<Pid>> {
            let now = run_times(&self.threads);
            let ran = now.iter().zip(&self.before);
            let mut ran: Vec<(u64, Pid)> = (ran.map(|(now, before)| now.saturating_sub(*before)))
                .zip(self.threads.iter().copied())
                .collect();
            ran.sort_by_key(|(ran, _)| Reverse(*ran));
            if ran.first().is_none_or(|(most, _)| *most < LONG) {
                return None;
            }
            (self.before, self.tries) = (now, self.tries - 1);
            let (workers, others) = ran.split_at(self.cores.len());
            let least = workers.last().map_or(0, |(ran, _)| *ran);
            let most = others.first().map_or(0, |(ran, _)| *ran);
            let found = least * TIMES > LONG && most * TIMES < least;
            found.then(|| workers.iter().map(|(_, thread)| *thread).collect())
        }
    }

    /// The threads of this process.
    fn all() -> Vec<Pid> {
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
        let number = |task: fs::DirEntry| task.file_name().to_str()?.parse().ok();
        let mut numbers: Vec<i32> = tasks.flatten().filter_map(number).collect();
        numbers.sort_unstable();
        numbers.into_iter().filter_map(Pid::from_raw).collect()
    }

    /// The cores that this thread may use.
    fn cores() -> Vec<usize> {
        let allowed = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
        (0..CpuSet::MAX_CPU)
            .filter(|core| allowed.is_set(*core))
            .collect()
    }

    /// How long each has run, in nanoseconds; none where that is not told.
    fn run_times(threads: &[Pid]) -> Vec<u64> {
        let run_time = |thread: &Pid| {
            let path = format!("/proc/self/task/{}/schedstat", thread.as_raw_pid());
            let times = fs::read_to_string(path).ok()?;
            times.split_whitespace().next()?.parse().ok()
        };
        threads.iter().map(|t| run_time(t).unwrap_or(0)).collect()
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    /// Elsewhere threads are left to the system.
    pub struct Start;

    impl Start {
        pub fn of(_: &wgpu::AdapterInfo) -> Option<Self> {
            None
        }

        pub fn done(self) {}
    }

    pub fn settle() {}
}
