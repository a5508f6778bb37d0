//! Watches over a check on a device: a driver that compiles a kernel without end, or takes all memory
//! for it, is named after a while and in the end given up.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::memory::{self, in_words};

/// What one case may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A kernel or a case that takes longer is named. Default: 30 s.
    pub slow: Duration,
    /// One that takes longer is given up. Default: 5 minutes.
    pub patience: Duration,
    /// Bytes of main memory: where the process takes more it is given up, and the kernel is named from half
    /// of it on. Default: half of what was available, if that is known.
    pub memory: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        let taken = memory::of_process().unwrap_or(0);
        Self {
            slow: Duration::from_secs(30),
            patience: Duration::from_secs(300),
            memory: memory::available().map(|bytes| taken + bytes / 2),
        }
    }
}

/// What is wrong, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It takes long, or much memory.
    Slow(String),
    /// It takes more than [`Limits`] allow, and no call of the driver can be broken off.
    Hopeless(String),
}

/// A name, and since when.
type Since = (String, Instant);

#[derive(Default)]
struct Shared {
    case: Mutex<Option<Since>>,
    ended: Mutex<bool>,
    wake: Condvar,
}

/// A thread that watches. It ends when this is dropped.
pub struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// The longest time between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// The shortest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

impl Watch {
    /// Begins. `compiling` gives the kernel that the driver is compiling, if it is known, and for how
    /// long; `tell` hears of each case or kernel that is slow once, and of what is hopeless.
    pub fn start(
        limits: Limits,
        compiling: impl Fn() -> Option<(String, Duration)> + Send + 'static,
        tell: impl Fn(Trouble) + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let watched = Arc::clone(&shared);
        let work = move || watch(&watched, limits, &compiling, &tell);
        // Without a thread to spare nobody watches.
        let thread = thread::Builder::new().spawn(work).ok();
        Self { shared, thread }
    }

    /// Says what begins now; nothing if `None`.
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
    tell: &dyn Fn(Trouble),
) {
    let mut told = None;
    // Short limits are looked at often enough to be kept.
    let pause = (limits.slow.min(limits.patience) / 10).clamp(SHORTEST_PAUSE, PAUSE);
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
                Some(Trouble::Slow(_)) if told.as_ref() == Some(&name) => {}
                Some(trouble) => {
                    tell(trouble);
                    told = Some(name);
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
            format!("at `{case}`, whose kernels it may be compiling"),
            time,
        ),
    };
    let seconds = time.as_secs_f64();
    let large = |share: u64| limits.memory.is_some_and(|most| bytes > Some(most / share));
    let taken = in_words(bytes.unwrap_or(0));
    let so_far =
        format!("the driver has been {what}, for {seconds:.0} s; the process takes {taken}");
    if time > limits.patience || large(1) {
        Some(Trouble::Hopeless(format!("given up: {so_far}")))
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
        patience: Duration::from_secs(300),
        memory: Some(4 << 30),
    };

    fn judged(seconds: u64, kernel: Option<u64>, bytes: u64) -> Option<Trouble> {
        let kernel = kernel.map(|seconds| ("matmul".to_owned(), Duration::from_secs(seconds)));
        let case = ("dense n=3", Duration::from_secs(seconds));
        judge(case, kernel, Some(bytes), LIMITS)
    }

    #[test]
    fn a_kernel_that_takes_long_or_much_memory_is_named_and_then_given_up() {
        assert_eq!(judged(29, Some(20), 1 << 30), None);
        let slow = "the driver has been compiling the kernel `matmul` of `dense n=3`, for 31 s; \
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
                why.starts_with("given up: ") && why.contains("dense n=3"),
                "{why}"
            );
        }
    }

    #[test]
    fn what_is_slow_is_told_once_and_what_is_done_is_not() {
        let (told, heard) = mpsc::channel();
        let limits = Limits {
            slow: Duration::ZERO,
            memory: None,
            ..LIMITS
        };
        let watch = Watch::start(limits, || None, move |trouble| drop(told.send(trouble)));
        watch.now(Some("a"));
        let first = heard.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(matches!(first, Trouble::Slow(why) if why.contains("`a`")));
        assert!(heard.recv_timeout(PAUSE * 3).is_err());
        watch.now(Some("b"));
        let second = heard.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(matches!(second, Trouble::Slow(why) if why.contains("`b`")));
        watch.now(None);
        drop(watch);
        assert!(heard.recv_timeout(PAUSE).is_err());
    }
}
