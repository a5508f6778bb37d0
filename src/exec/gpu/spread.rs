//! Gives each worker of a software adapter a core of its own, on Linux.
//!
//! Such a driver starts as many workers as there are cores, hands each the same share of every dispatch,
//! and waits for the last of them. Between two dispatches, of which there are some seven hundred a
//! second, all of them sleep. Linux wakes a thread on the core that it ran on last, unless it sees an
//! idle one, and at that moment the thread that wakes them is still on one; so two workers come to share
//! a core while another is idle, for one dispatch after the other. On two cores a worker so waited for 8
//! to 15 % of the time, and training took 1.15 times as long (`benches/RESULTS.md`, 2026-11-25). Beside
//! a process that keeps a core busy there is no difference.

#[cfg(target_os = "linux")]
pub use linux::Threads;
#[cfg(not(target_os = "linux"))]
pub use other::Threads;

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeSet;
    use std::fs;

    use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};

    /// The threads of this process at one time.
    pub struct Threads(BTreeSet<i32>);

    impl Threads {
        /// Those there are now.
        pub fn now() -> Self {
            let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
            let number = |task: fs::DirEntry| task.file_name().to_str()?.parse().ok();
            Self(tasks.flatten().filter_map(number).collect())
        }

        /// Spreads those that were started since over the cores that this thread may use, in the order
        /// in which they were started, if there is one for each core at least. Drivers start their
        /// workers in a row. What cannot be placed stays where it is: that costs time and nothing else.
        pub fn spread_later_ones(&self) {
            let Ok(allowed) = sched_getaffinity(None) else {
                return;
            };
            let cores: Vec<usize> = (0..CpuSet::MAX_CPU)
                .filter(|core| allowed.is_set(*core))
                .collect();
            let now = Self::now();
            let later: Vec<i32> = now.0.difference(&self.0).copied().collect();
            if self.0.is_empty() || cores.len() < 2 || later.len() < cores.len() {
                return;
            }
            for (thread, core) in later.into_iter().zip(cores.iter().cycle()) {
                let mut only = CpuSet::new();
                only.set(*core);
                // It may have ended since.
                let _ = sched_setaffinity(Pid::from_raw(thread), &only);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    /// Elsewhere threads are left to the system.
    pub struct Threads;

    impl Threads {
        pub fn now() -> Self {
            Self
        }

        pub fn spread_later_ones(&self) {}
    }
}
