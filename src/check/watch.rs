//! A watchdog for checks on a device: reports a driver that takes too long or too much memory to
//! compile a kernel, and finally has the check aborted.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::memory::{self, in_words};

/// The limits of one case.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A kernel or case that takes longer is reported. Default: 30 s.
    pub slow: Duration,
    /// A kernel or case that takes longer is aborted. Default: 5 minutes.
    pub abort_after: Duration,
    /// Bytes of main memory. If the process takes more, the check is aborted; from half of it on,
    /// the kernel is reported. Default: half of what is available at the start, if known.
    pub memory: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        let taken = memory::of_process().unwrap_or(0);
        Self {
            slow: Duration::from_secs(30),
            abort_after: Duration::from_secs(300),
            memory: memory::available().map(|bytes| taken + bytes / 2),
        }
    }
}

/// A problem, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A kernel or case takes long, or much memory.
    Slow(String),
    /// It exceeds the [`Limits`], and a call of the driver cannot be interrupted.
    Hopeless(String),
}

/// A name and a starting time.
type Since = (String, Instant);

#[derive(Default)]
struct Shared {
    case: Mutex<Option<Since>>,
    ended: Mutex<bool>,
    wake: Condvar,
}

/// The watchdog's thread, which ends when this is dropped.
pub struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// The longest interval between two checks of the limits.
const PAUSE: Duration = Duration::from_millis(200);
/// The shortest interval.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

impl Watch {
    /// Starts watching. `compiling` returns the kernel that the driver is compiling, if known, and
    /// for how long it has been. `report` is called once for each slow case or kernel, and for
    /// hopeless ones.
    pub fn start(
        limits: Limits,
        compiling: impl Fn() -> Option<(String, Duration)> + Send + 'static,
        report: impl Fn(Trouble) + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let watched = Arc::clone(&shared);
        let work = move || watch(&watched, limits, &compiling, &report);
        // If no thread can be started, the check runs unwatched.
        let thread = thread::Builder::new().spawn(work).ok();
        Self { shared, thread }
    }

    /// Sets the case that starts now, or none.
    pub fn now(&self, case: Option<&str>) {
        *lock(&self.shared.case) = case.map(|case| (case.to_owned(), Instant::now()));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        *lock(&self.shared.ended) = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic has been reported.
            let _ = thread.join();
        }
    }
}

fn watch(
    shared: &Shared,
    limits: Limits,
    compiling: &dyn Fn() -> Option<(String, Duration)>,
    report: &dyn Fn(Trouble),
) {
    let mut reported = None;
    // Short limits need short intervals.
    let pause = (limits.slow.min(limits.abort_after) / 10).clamp(SHORTEST_PAUSE, PAUSE);
    let mut ended = lock(&shared.ended);
    while !*ended {
        let case = lock(&shared.case).clone();
        if let Some((case, since)) = case {
            let kernel = compiling();
            let name = kernel
                .as_ref()
                .map_or(case.clone(), |(name, _)| name.clone());
            match judge(
                (&case, since.elapsed()),
                kernel,
                memory::of_process(),
                limits,
            ) {
                Some(Trouble::Slow(_)) if reported.as_ref() == Some(&name) => {}
                Some(trouble) => {
                    report(trouble);
                    reported = Some(name);
                }
                None => {}
            }
        }
        let waited = shared.wake.wait_timeout(ended, pause);
        ended = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}

fn judge(
    (case, time): (&str, Duration),
    kernel: Option<(String, Duration)>,
    bytes: Option<u64>,
    limits: Limits,
) -> Option<Trouble> {
    let (what, time) = match kernel {
        Some((kernel, time)) => (format!("compiling the kernel `{kernel}` of `{case}`"), time),
        None => (
            format!("working on `{case}`, perhaps compiling its kernels"),
            time,
        ),
    };
    let seconds = time.as_secs_f64();
    let large = |share: u64| limits.memory.is_some_and(|most| bytes > Some(most / share));
    let taken = in_words(bytes.unwrap_or(0));
    let so_far =
        format!("the driver has been {what} for {seconds:.0} s; the process takes {taken}");
    if time > limits.abort_after || large(1) {
        Some(Trouble::Hopeless(format!("aborted: {so_far}")))
    } else if time > limits.slow || large(2) {
        Some(Trouble::Slow(so_far))
    } else {
        None
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const LIMITS: Limits = Limits {
        slow: Duration::from_secs(30),
        abort_after: Duration::from_secs(300),
        memory: Some(4 << 30),
    };

    fn judged(seconds: u64, kernel: Option<u64>, bytes: u64) -> Option<Trouble> {
        let kernel = kernel.map(|seconds| ("matmul".to_owned(), Duration::from_secs(seconds)));
        let case = ("dense n=3", Duration::from_secs(seconds));
        judge(case, kernel, Some(bytes), LIMITS)
    }

    #[test]
    fn a_kernel_that_takes_long_or_much_memory_is_reported_and_then_aborted() {
        assert_eq!(judged(29, Some(20), 1 << 30), None);
        let slow = "the driver has been compiling the kernel `matmul` of `dense n=3` for 31 s; \
                    the process takes 1.0 GiB";
        assert_eq!(
            judged(40, Some(31), 1 << 30),
            Some(Trouble::Slow(slow.into()))
        );
        assert!(matches!(judged(1, None, 3 << 30), Some(Trouble::Slow(_))));
        let hopeless = [judged(301, None, 1), judged(1, None, 5 << 30)];
        for trouble in hopeless {
            let Some(Trouble::Hopeless(why)) = trouble else {
                panic!("{trouble:?}");
            };
            assert!(
                why.starts_with("aborted: ") && why.contains("dense n=3"),
                "{why}"
            );
        }
    }

    #[test]
    fn a_slow_case_is_reported_once_and_a_finished_one_is_not() {
        let (reports, received) = mpsc::channel();
        let limits = Limits {
            slow: Duration::ZERO,
            memory: None,
            ..LIMITS
        };
        let watch = Watch::start(limits, || None, move |trouble| drop(reports.send(trouble)));
        watch.now(Some("a"));
        let first = received.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(matches!(first, Trouble::Slow(why) if why.contains("`a`")));
        assert!(received.recv_timeout(PAUSE * 3).is_err());
        watch.now(Some("b"));
        let second = received.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(matches!(second, Trouble::Slow(why) if why.contains("`b`")));
        watch.now(None);
        drop(watch);
        assert!(received.recv_timeout(PAUSE).is_err());
    }
}
