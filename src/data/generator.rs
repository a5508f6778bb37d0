//! Batches made on the fly, for data that is larger than memory or has no end.
//!
//! A [`Generator`] makes each batch from its number, so that any number of threads can make them in
//! any order with the same result; [`Trainer::fit_generator`](crate::train::Trainer::fit_generator)
//! trains on them. Batch numbers continue from epoch to epoch. [`FromIter`] wraps an iterator,
//! whose batches can only be made one after another.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::Result;

/// Labelled images, as bytes or floats.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Batch {
    /// The pixels as bytes, `[n, h, w, c]`; empty if they are floats.
    pub images: Vec<u8>,
    /// The pixels as floats, `[n, h, w, c]`, from a generator that [gives
    /// floats](Generator::gives_floats); otherwise empty.
    pub floats: Vec<f32>,
    /// The class of each image: `[n]`.
    pub labels: Vec<u8>,
}

impl Batch {
    /// A batch of pixels `[n, h, w, c]` and the class of each image `[n]`.
    pub fn new(images: Vec<u8>, labels: Vec<u8>) -> Self {
        Self {
            images,
            labels,
            ..Self::default()
        }
    }

    /// A batch of pixels `[n, h, w, c]` as floats, which a network receives as they are, and the
    /// class of each image `[n]`.
    pub fn from_floats(floats: Vec<f32>, labels: Vec<u8>) -> Self {
        Self {
            floats,
            labels,
            ..Self::default()
        }
    }
}

/// Makes batches of labelled images; each is a pure function of its number.
///
/// ```
/// use cnn_gpu::data::{Batch, Generator};
///
/// /// Stripes: horizontal for class 0, vertical for class 1.
/// struct Stripes;
///
/// impl Generator for Stripes {
///     fn shape(&self) -> [usize; 3] {
///         [8, 8, 1]
///     }
///     fn batch(&self, number: u64) -> cnn_gpu::Result<Option<Batch>> {
///         let mut batch = Batch::default();
///         for row in 0..32 {
///             let class = (number + row) % 2;
///             let dark = |i: u64| (if class == 0 { i / 8 } else { i % 8 } + row / 2) % 2 == 0;
///             batch.images.extend((0..64).map(|i| if dark(i) { 0 } else { 255 }));
///             batch.labels.push(class as u8);
///         }
///         Ok(Some(batch))
///     }
/// }
/// assert_eq!(Stripes.batch(3)?.unwrap_or_default().labels.len(), 32);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
pub trait Generator: Sync {
    /// The name in messages. Default `generator`.
    fn name(&self) -> String {
        "generator".into()
    }

    /// Height, width and channels of an image.
    fn shape(&self) -> [usize; 3];

    /// Whether batches hold floats instead of bytes. Default: they do not.
    fn gives_floats(&self) -> bool {
        false
    }

    /// The class names. If there are any, the model must have the same number of classes. Default:
    /// none.
    fn class_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// Batches per epoch, unless `steps_per_epoch` is set. Default: unknown.
    fn steps(&self) -> Option<usize> {
        None
    }

    /// Called once before training with the number of the first batch. Default: does nothing.
    fn begin(&self, _first: u64) {}

    /// Batch `number`, counted from 0 over all epochs; `None` after the last. It holds 1 to
    /// `batch_size` images, or, to evaluate on, any number of them.
    ///
    /// # Errors
    /// Why the batch cannot be made. The error ends training. One that waits for something can look at the trainer's
    /// [`Interrupt`](crate::train::Interrupt) and fail once it is raised: training then keeps the steps taken.
    fn batch(&self, number: u64) -> Result<Option<Batch>>;
}

/// A [`Generator`] that takes its batches from an iterator, in order, whichever thread asks first.
///
/// ```
/// use cnn_gpu::data::{Batch, FromIter, Generator};
/// let batches = (0..3).map(|i| Batch::new(vec![i; 4], vec![i]));
/// let generator = FromIter::new([2, 2, 1], batches);
/// assert_eq!(generator.batch(0)?.unwrap_or_default().labels, [0]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
pub struct FromIter<I> {
    shape: [usize; 3],
    turn: Mutex<Turn<I>>,
    passed: Condvar,
}

struct Turn<I> {
    next: u64,
    batches: I,
}

impl<I: Iterator<Item = Batch> + Send> FromIter<I> {
    /// A generator of images with this height, width and number of channels.
    pub fn new(shape: [usize; 3], batches: I) -> Self {
        Self {
            shape,
            turn: Mutex::new(Turn { next: 0, batches }),
            passed: Condvar::new(),
        }
    }

    fn turn(&self) -> MutexGuard<'_, Turn<I>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the waiting threads, even if the iterator panics.
struct Wake<'a>(&'a Condvar);

impl Drop for Wake<'_> {
    fn drop(&mut self) {
        self.0.notify_all();
    }
}

impl<I: Iterator<Item = Batch> + Send> Generator for FromIter<I> {
    fn name(&self) -> String {
        "iterator".into()
    }

    fn shape(&self) -> [usize; 3] {
        self.shape
    }

    fn begin(&self, first: u64) {
        self.turn().next = first;
    }

    fn batch(&self, number: u64) -> Result<Option<Batch>> {
        let _wake = Wake(&self.passed);
        let mut turn = self.turn();
        while turn.next < number {
            let waited = self.passed.wait(turn);
            turn = waited.unwrap_or_else(PoisonError::into_inner);
        }
        // Before calling the iterator, so that no thread waits for one that panics.
        turn.next = number + 1;
        Ok(turn.batches.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iterators_batches_come_in_order_on_any_number_of_threads() {
        let batch = |i: u8| Batch::new(vec![i; 4], vec![i]);
        let generator = FromIter::new([2, 2, 1], (0..40).map(batch));
        generator.begin(100);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let generator = &generator;
                scope.spawn(move || {
                    for i in (thread..40).step_by(4) {
                        let made = generator.batch(100 + u64::from(i)).unwrap();
                        assert_eq!(made, Some(batch(i)));
                    }
                });
            }
        });
        assert_eq!(generator.batch(140).unwrap(), None);
    }
}
