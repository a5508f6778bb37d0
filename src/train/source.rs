//! Where the rows of each step come from: a data set that resides on the device, or a stream of
//! batches uploaded in chunks.

use std::ops::Range;
use std::sync::Arc;

use crate::data::{Batch, Dataset, Generator};
use crate::error::{Error, Result};
use crate::exec::{DataId, Executor};
use crate::shape::dims;

use super::feed::Feed;
use super::prefetch::Prefetch;
use super::{Options, Position};

/// Maximum bytes of images in a chunk, unless a single batch is larger.
const CHUNK_BYTES: usize = 4 << 20;
/// Maximum number of batches in a chunk.
const CHUNK_BATCHES: usize = 32;

/// The rows of one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    pub(super) data: DataId,
    pub(super) offset: usize,
    pub(super) rows: usize,
}

/// Supplies the rows of each step.
pub(super) trait Source<E: Executor + ?Sized> {
    /// Steps per epoch.
    fn steps(&self) -> usize;

    /// Whether steps can be requested again.
    fn can_repeat(&self) -> bool;

    /// The rows of the step at `position`. Steps are requested in order, from any starting point.
    fn rows(&mut self, executor: &mut E, options: &Options, position: &Position) -> Result<Rows>;
}

/// A part of a data set on the device, iterated over in a new order in each pass.
pub(super) struct Resident {
    pub(super) feed: Feed,
    pub(super) steps: usize,
}

impl<E: Executor + ?Sized> Source<E> for Resident {
    fn steps(&self) -> usize {
        self.steps
    }

    fn can_repeat(&self) -> bool {
        true
    }

    /// The epoch's number determines them, so a run continues in another process as it would in
    /// this one.
    fn rows(&mut self, executor: &mut E, options: &Options, position: &Position) -> Result<Rows> {
        let (before, batches) = (position.steps_before(), self.feed.batches());
        let (pass, batch) = (before / batches, before % batches);
        if batch == 0 || !position.follows {
            executor.order(self.feed.data, &self.feed.order(options, pass))?;
        }
        let (offset, rows) = self.feed.batch(batch);
        Ok(Rows {
            data: self.feed.data,
            offset,
            rows,
        })
    }
}

/// The batches of a generator, double-buffered: one chunk on the device is refilled while the steps
/// of the other run.
pub(super) struct Streamed<'a> {
    prefetch: &'a Prefetch<'a>,
    generator: &'a dyn Generator,
    steps: usize,
    batch: usize,
    /// Whether batches with more than `batch` rows are cut into several.
    cuts: bool,
    classes: usize,
    chunks: [DataId; 2],
    current: usize,
    /// A batch that is being cut, and the number of its rows that were uploaded.
    begun: Option<(Batch, usize)>,
    /// Offset and rows of the current chunk's unused batches, last first.
    left: Vec<(usize, usize)>,
    /// Batches used or uploaded so far, and in total.
    taken: usize,
    total: usize,
}

impl<'a> Streamed<'a> {
    /// Batches for `total` steps, `steps` per epoch.
    pub(super) fn new(
        generator: &'a dyn Generator,
        prefetch: &'a Prefetch<'a>,
        chunks: [DataId; 2],
        (steps, total): (usize, usize),
        (batch, classes): (usize, usize),
    ) -> Self {
        Self {
            prefetch,
            generator,
            steps,
            batch,
            cuts: false,
            classes,
            chunks,
            current: 0,
            begun: None,
            left: Vec::new(),
            taken: 0,
            total,
        }
    }

    /// Allows batches with more rows than a step has, and cuts them: only training needs whole ones.
    pub(super) fn cutting(mut self) -> Self {
        self.cuts = true;
        self
    }

    /// Whether all rows of all batches were used.
    pub(super) fn is_used_up(&self) -> bool {
        self.left.is_empty() && self.is_uploaded()
    }

    fn is_uploaded(&self) -> bool {
        self.begun.is_none() && self.taken == self.total
    }

    /// Fills the other chunk: waits for one batch and takes all others that are ready.
    fn refill(&mut self, executor: &mut (impl Executor + ?Sized)) -> Result<()> {
        if !self.prefetch.is_ready() {
            // Flush, so that the device does not wait for the generator as well.
            executor.start()?;
        }
        let shape = self.generator.shape();
        let (mut images, mut floats, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        let pixels = shape.iter().product::<usize>();
        while self.left.len() < batches_in_chunk(self.batch, shape)
            && !self.is_uploaded()
            && (self.left.is_empty() || self.begun.is_some() || self.prefetch.is_ready())
        {
            let (batch, first) = match self.begun.take() {
                Some(begun) => begun,
                None => (self.next()?, 0),
            };
            let rows = first..batch.labels.len().min(first + self.batch);
            self.left.push((labels.len(), rows.len()));
            images.extend_from_slice(part(&batch.images, &rows, pixels));
            floats.extend_from_slice(part(&batch.floats, &rows, pixels));
            labels.extend_from_slice(&batch.labels[rows.clone()]);
            if rows.end < batch.labels.len() {
                self.begun = Some((batch, rows.end));
            }
        }
        self.left.reverse();
        self.current = 1 - self.current;
        let (name, source) = (self.generator.name(), "made on the fly");
        let chunk = match self.generator.gives_floats() {
            true => {
                let floats = Arc::new(floats);
                Dataset::from_floats(name, source, shape, self.classes, floats, labels)
            }
            false => Dataset::new(name, source, shape, self.classes, images, labels),
        }?;
        executor.reload(self.chunks[self.current], &chunk)
    }

    /// The next batch, checked.
    fn next(&mut self) -> Result<Batch> {
        let Some(batch) = self.prefetch.take()? else {
            return Err(Error::Argument(format!(
                "generator `{}` ran dry after {} of {} batches; expected {} for each epoch: lower \
                 steps_per_epoch or the epochs, or have it go on",
                self.generator.name(),
                self.taken,
                self.total,
                self.steps
            )));
        };
        self.check(&batch)?;
        self.taken += 1;
        Ok(batch)
    }

    fn check(&self, batch: &Batch) -> Result<()> {
        let shape = self.generator.shape();
        let rows = batch.labels.len();
        let (pixels, others, kind) = match self.generator.gives_floats() {
            true => (batch.floats.len(), batch.images.len(), "floats"),
            false => (batch.images.len(), batch.floats.len(), "bytes"),
        };
        let problem = if rows == 0 || rows > self.batch && !self.cuts {
            let range = match self.cuts {
                true => "at least 1".into(),
                false => format!("1 to {}", self.batch),
            };
            format!("expected {range} images in a batch, received {rows}")
        } else if pixels != rows * shape.iter().product::<usize>() || others != 0 {
            let more = match others {
                0 => "",
                _ => ", and pixels of the other kind",
            };
            format!(
                "expected {rows} images of {}, one for each label, received {pixels} {kind}{more}",
                dims(&shape)
            )
        } else if let Some(label) = batch
            .labels
            .iter()
            .find(|l| usize::from(**l) >= self.classes)
        {
            format!(
                "expected labels below {}, the classes of the last layer, received {label}",
                self.classes
            )
        } else {
            return Ok(());
        };
        let (name, taken) = (self.generator.name(), self.taken);
        Err(Error::Argument(format!(
            "generator `{name}`, batch {taken}: {problem}"
        )))
    }
}

impl<E: Executor + ?Sized> Source<E> for Streamed<'_> {
    fn steps(&self) -> usize {
        self.steps
    }

    fn can_repeat(&self) -> bool {
        false
    }

    fn rows(&mut self, executor: &mut E, _options: &Options, _position: &Position) -> Result<Rows> {
        self.next_rows(executor)
    }
}

impl Streamed<'_> {
    /// The rows of the next batch.
    pub(super) fn next_rows(&mut self, executor: &mut (impl Executor + ?Sized)) -> Result<Rows> {
        if self.left.is_empty() {
            self.refill(executor)?;
        }
        let Some((offset, rows)) = self.left.pop() else {
            return Err(Error::Argument("more steps than batches".into()));
        };
        Ok(Rows {
            data: self.chunks[self.current],
            offset,
            rows,
        })
    }
}

/// The pixels of some rows of a batch; none if it has those of the other kind.
fn part<'a, T>(pixels: &'a [T], rows: &Range<usize>, each: usize) -> &'a [T] {
    let part = pixels.get(rows.start * each..rows.end * each);
    part.unwrap_or_default()
}

/// Batches per chunk: enough to keep the device busy while the next chunk is filled.
pub(super) fn batches_in_chunk(batch: usize, shape: [usize; 3]) -> usize {
    let bytes = batch * shape.iter().product::<usize>();
    (CHUNK_BYTES / bytes.max(1)).clamp(1, CHUNK_BATCHES)
}
