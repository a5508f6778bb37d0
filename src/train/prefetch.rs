//! Prefetching: threads generate batches while the device works on earlier ones.
//!
//! Each thread claims the next unclaimed batch number, so any number of threads generates the same
//! batches, which are returned in order. At most [`AHEAD`] batches per thread are ready but not yet
//! used: a slow device throttles the threads, and memory stays bounded.

use std::any::Any;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::data::{Batch, Generator};
use crate::error::Result;

/// Batches ahead of the device, per thread.
const AHEAD: u64 = 4;
/// Upper bound of the default number of threads.
const MAX_THREADS: usize = 16;

/// The outcome of generating one batch; a panic is passed on to the consumer.
type Made = thread::Result<Result<Option<Batch>>>;

/// The batches being generated.
pub(super) struct Prefetch<'a> {
    generator: &'a dyn Generator,
    window: u64,
    end: u64,
    queue: Mutex<Queue>,
    /// Notified when a batch is ready, is taken, or is no longer needed.
    changed: Condvar,
}

struct Queue {
    /// The next unclaimed number.
    next: u64,
    /// The next number to return.
    wanted: u64,
    ready: BTreeMap<u64, Made>,
    stopped: bool,
}

/// Stops the threads when dropped, also while panicking.
struct Stop<'a, 'b>(&'a Prefetch<'b>);

impl Drop for Stop<'_, '_> {
    fn drop(&mut self) {
        self.0.queue().stopped = true;
        self.0.changed.notify_all();
    }
}

/// Runs `work`, which consumes batches, while `threads` threads generate them.
pub(super) fn with_prefetch<T>(
    generator: &dyn Generator,
    numbers: Range<u64>,
    threads: usize,
    work: impl FnOnce(&Prefetch<'_>) -> T,
) -> T {
    generator.begin(numbers.start);
    let prefetch = Prefetch {
        generator,
        window: AHEAD * threads as u64,
        end: numbers.end,
        queue: Mutex::new(Queue {
            next: numbers.start,
            wanted: numbers.start,
            ready: BTreeMap::new(),
            stopped: false,
        }),
        changed: Condvar::new(),
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| prefetch.make());
        }
        let _stop = Stop(&prefetch);
        work(&prefetch)
    })
}

/// The number of hardware threads, bounded.
pub(super) fn default_threads() -> usize {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    threads.min(MAX_THREADS)
}

impl Prefetch<'_> {
    /// Waits for the next batch; `None` if the generator is exhausted.
    pub(super) fn take(&self) -> Result<Option<Batch>> {
        let mut queue = self.queue();
        loop {
            let wanted = queue.wanted;
            if let Some(made) = queue.ready.remove(&wanted) {
                queue.wanted += 1;
                drop(queue);
                self.changed.notify_all();
                return made.unwrap_or_else(|panic: Box<dyn Any + Send>| resume_unwind(panic));
            }
            queue = self.wait(queue);
        }
    }

    /// Whether the next batch is ready.
    pub(super) fn is_ready(&self) -> bool {
        let queue = self.queue();
        queue.ready.contains_key(&queue.wanted)
    }

    /// The body of each thread.
    fn make(&self) {
        while let Some(number) = self.claim() {
            let made = catch_unwind(AssertUnwindSafe(|| self.generator.batch(number)));
            self.queue().ready.insert(number, made);
            self.changed.notify_all();
        }
    }

    /// Waits for room and claims the next number; `None` when no more batches are needed.
    fn claim(&self) -> Option<u64> {
        let mut queue = self.queue();
        while !queue.stopped && queue.next < self.end {
            if queue.next < queue.wanted + self.window {
                queue.next += 1;
                return Some(queue.next - 1);
            }
            queue = self.wait(queue);
        }
        None
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'q>(&self, queue: MutexGuard<'q, Queue>) -> MutexGuard<'q, Queue> {
        let waited = self.changed.wait(queue);
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;

    /// Batches labelled with their number, some of which take long.
    #[derive(Default)]
    struct Numbers {
        made: AtomicU64,
    }

    impl Generator for Numbers {
        fn shape(&self) -> [usize; 3] {
            [1, 1, 1]
        }

        fn batch(&self, number: u64) -> Result<Option<Batch>> {
            assert_ne!(number, 99, "ninety-nine");
            thread::sleep(Duration::from_micros(number % 7 * 50));
            self.made.fetch_add(1, Ordering::Relaxed);
            Ok(Some(Batch::new(vec![number as u8], vec![0])))
        }
    }

    #[test]
    fn batches_come_in_order_from_any_number_of_threads() {
        for threads in [1, 2, 7] {
            let taken: Vec<u8> = with_prefetch(&Numbers::default(), 3..60, threads, |prefetch| {
                let take = |_| prefetch.take().unwrap().unwrap().images[0];
                (3..60).map(take).collect()
            });
            assert_eq!(taken, (3..60).collect::<Vec<u8>>());
        }
    }

    #[test]
    fn no_more_are_made_than_may_wait() {
        let numbers = Numbers::default();
        with_prefetch(&numbers, 0..90, 2, |prefetch| {
            prefetch.take().unwrap();
            thread::sleep(Duration::from_millis(100));
        });
        let made = numbers.made.load(Ordering::Relaxed);
        assert!((1..=1 + 2 * AHEAD).contains(&made), "{made}");
    }

    #[test]
    #[should_panic(expected = "ninety-nine")]
    fn a_panic_reaches_whoever_takes_the_batch() {
        with_prefetch(&Numbers::default(), 95..110, 3, |prefetch| {
            (95..110).for_each(|_| drop(prefetch.take()));
        });
    }
}
