//! Writes event files for TensorBoard.

mod event;
mod filters;
mod record;
mod wire;

use std::path::{Path, PathBuf};

use super::{CONTINUE, Callback, Verdict};
use crate::error::Result;
use crate::state::State;
use crate::train::EpochLogs;
use event::{Histogram, SummaryValue, ValueKind};
use record::EventFile;

/// Writes event files that TensorBoard reads, with Keras's folders, names and steps: `train` has
/// `epoch_loss`, `epoch_accuracy`, `epoch_learning_rate`, a histogram of every parameter
/// (`conv2d/kernel/histogram`) and an image of the first convolution's filters
/// (`conv2d/kernel/image`); `validation` has `epoch_loss` and `epoch_accuracy`. The first epoch is
/// step 0. View them with `tensorboard --logdir DIR`.
///
/// # Errors
/// A file that cannot be written ends training with that error.
///
/// ```
/// use cnn_gpu::train::callbacks::TensorBoard;
/// # let folder = tempfile::tempdir()?;
/// # let logs = folder.path().join("logs");
/// let mut board = TensorBoard::create(&logs)?.histogram_freq(5).write_images(false);
/// # let _ = board;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TensorBoard {
    folder: PathBuf,
    train: EventFile,
    /// Created when there is something to write.
    validation: Option<EventFile>,
    histogram_freq: usize,
    write_images: bool,
}

impl TensorBoard {
    /// Writes new files below `folder`, next to those of earlier runs, with histograms and images
    /// after every epoch.
    ///
    /// # Errors
    /// The folder or the file cannot be created.
    pub fn create(folder: &Path) -> Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            train: EventFile::create(&folder.join("train"))?,
            validation: None,
            histogram_freq: 1,
            write_images: true,
        })
    }

    /// Sets after how many epochs histograms and images are written; 0: never.
    pub fn histogram_freq(mut self, epochs: usize) -> Self {
        self.histogram_freq = epochs;
        self
    }

    /// Sets whether to draw the first convolution's filters.
    pub fn write_images(mut self, write: bool) -> Self {
        self.write_images = write;
        self
    }

    fn weights(&self, state: &State) -> Vec<SummaryValue> {
        let parameters = state.layout.parameters.iter().filter_map(|p| {
            let histogram = Histogram::new(&state.params[p.range()])?;
            let tag = format!("{}/histogram", p.name);
            Some(value(tag, ValueKind::Histo(histogram)))
        });
        let picture = (self.write_images.then(|| filters::picture(state)).flatten())
            .map(|(name, image)| value(format!("{name}/image"), ValueKind::Image(image)));
        parameters.chain(picture).collect()
    }
}

fn value(tag: impl Into<String>, kind: ValueKind) -> SummaryValue {
    SummaryValue {
        tag: tag.into(),
        kind,
    }
}

fn scalar(tag: &str, number: f64) -> SummaryValue {
    value(tag, ValueKind::SimpleValue(number as f32))
}

impl Callback for TensorBoard {
    fn name(&self) -> &'static str {
        "TensorBoard"
    }

    fn on_epoch_end(&mut self, logs: &EpochLogs, state: &State) -> Verdict {
        let step = logs.epoch as i64 - 1;
        let mut values = vec![
            scalar("epoch_loss", logs.loss),
            scalar("epoch_accuracy", logs.accuracy),
            scalar("epoch_learning_rate", logs.learning_rate.into()),
        ];
        if self.histogram_freq > 0 && (step as usize).is_multiple_of(self.histogram_freq) {
            values.extend(self.weights(state));
        }
        self.train.write(step, values)?;
        if let (Some(loss), Some(accuracy)) = (logs.val_loss, logs.val_accuracy) {
            let file = match &mut self.validation {
                Some(file) => file,
                none => none.insert(EventFile::create(&self.folder.join("validation"))?),
            };
            let values = vec![
                scalar("epoch_loss", loss),
                scalar("epoch_accuracy", accuracy),
            ];
            file.write(step, values)?;
        }
        CONTINUE
    }
}
