//! The training loop, evaluation, prediction, history and callbacks.
//!
//! A [`Trainer`] combines a model, its state and an executor. It never waits within an epoch: it
//! enqueues steps, polls for the metrics of finished ones, and waits at the end of the epoch.
//!
//! ```
//! use cnn_gpu::data::digits;
//! use cnn_gpu::exec::{self, Backend, Selection};
//! use cnn_gpu::model::{Activation, Conv2D, Dense, Flatten, MaxPooling2D, Sequential};
//! use cnn_gpu::train::{Options, Trainer};
//!
//! let train = digits::generate(2_000, 1, 0);
//! let test = digits::generate(200, 1, 2_000);
//! let model = Sequential::new([28, 28, 1])
//!     .add(Conv2D::new(8, 5).strides(2).activation(Activation::Relu))
//!     .add(MaxPooling2D::new(2))
//!     .add(Flatten::new())
//!     .add(Dense::new(10).activation(Activation::Softmax));
//!
//! let device = exec::open(&Selection::new(Backend::Cpu))?;
//! let mut trainer = Trainer::new(model, &device, Options::default().epochs(2))?;
//! let history = trainer.fit(&train)?;
//! let scores = trainer.evaluate(&test)?;
//! println!("{scores}");
//! assert!(history.epochs[1].loss < history.epochs[0].loss);
//! assert!(scores.accuracy > 0.5);
//! # Ok::<(), cnn_gpu::Error>(())
//! ```
//!
//! A trainer, with its executor, callbacks and keeper, is [`Send`]: it can run in a worker thread
//! that receives commands through a channel, while the main thread stays responsive.
//!
//! ```
//! use std::sync::mpsc;
//! use std::thread;
//!
//! use cnn_gpu::data::digits;
//! use cnn_gpu::exec::{self, Backend, Selection};
//! use cnn_gpu::model::preset;
//! use cnn_gpu::train::{Callback, EpochLogs, Options, Trainer, Verdict};
//! use cnn_gpu::train::callbacks::CONTINUE;
//! use cnn_gpu::state::State;
//!
//! /// Sends each epoch's metrics to another thread.
//! struct Sender(mpsc::Sender<EpochLogs>);
//!
//! impl Callback for Sender {
//!     fn on_epoch_end(&mut self, logs: &EpochLogs, _state: &State) -> Verdict {
//!         // The receiver may have been dropped.
//!         let _ = self.0.send(logs.clone());
//!         CONTINUE
//!     }
//! }
//!
//! # let Some(model) = preset("mnist-mlp") else { return Ok(()) };
//! let device = exec::open(&Selection::new(Backend::Cpu))?;
//! let mut trainer = Trainer::new(model, &device, Options::default().epochs(3))?;
//! let (sender, epochs) = mpsc::channel();
//! let worker = thread::spawn(move || -> cnn_gpu::Result<Trainer> {
//!     trainer.fit_with(&digits::generate(300, 1, 0), &mut [&mut Sender(sender)])?;
//!     Ok(trainer)
//! });
//! let losses: Vec<f64> = epochs.iter().map(|logs| logs.loss).collect();
//! assert_eq!(losses.len(), 3);
//! let Ok(trained) = worker.join() else { panic!("the worker panicked") };
//! let scores = trained?.evaluate(&digits::generate(20, 1, 300))?;
//! assert_eq!(scores.images, 20);
//! # Ok::<(), cnn_gpu::Error>(())
//! ```

pub mod callbacks;
mod classification;
mod epoch;
mod epoch_logs;
mod evaluation;
mod feed;
mod find_rate;
mod generated_data;
mod history;
mod interrupt;
mod locate;
mod metric;
mod metrics;
mod options;
mod pending_batches;
mod prediction;
mod prefetch;
mod rank_group;
mod ranks;
mod residents;
pub(crate) mod room;
mod snapshot;
mod source;
mod stream;
mod test_time_augmentation;
mod timing;
mod trainer;
mod training_batch;

pub use callbacks::{Callback, Verdict};
pub use classification::{ClassScores, Classification, Mistake};
pub use epoch_logs::EpochLogs;
pub use evaluation::Evaluation;
pub use feed::TrainingData;
pub use find_rate::{RateCurve, RatePoint, RateSweep, SweepEnding};
pub use generated_data::{GeneratedData, ValidationData};
pub use history::{Ending, History, Position, Progress, Training};
pub use interrupt::Interrupt;
pub use metric::{Metric, Mode};
pub use metrics::Mean;
pub use options::{Options, Verbose};
pub use prediction::Prediction;
pub use snapshot::{Keeper, PartialEpoch, Snapshot};
pub use test_time_augmentation::TestTimeAugmentation;
pub use trainer::Trainer;
