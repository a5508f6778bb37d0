//! Batches in parts, on one device or on several ranks, to the same bytes.
//!
//! A batch is cut into micro-batches; see [`Options::micro_batch`](crate::train::Options#structfield.micro_batch).
//! The gradient of each is a function of the weights, its rows and the keys of their random draws, and they are
//! summed in a binary tree whose form depends on their number alone. Several processes, the *ranks*, share the
//! micro-batches and exchange nodes of this tree through a [`Communicator`]; the update is computed by each of
//! them. The result has the same bytes for any number of ranks, on devices of one kind.
//!
//! ```
//! use std::time::Duration;
//! use cnn_gpu::data::digits;
//! use cnn_gpu::distributed::LocalCommunicator;
//! use cnn_gpu::exec::{self, Backend, Selection};
//! use cnn_gpu::model::preset;
//! use cnn_gpu::train::{Options, Trainer};
//! let data = digits::generate(64, 1, 0);
//! let hash = |ranks| {
//!     let group = LocalCommunicator::group(ranks, Duration::from_secs(60));
//!     let train = |rank: LocalCommunicator| -> cnn_gpu::Result<String> {
//!         let model = preset("mnist-mlp").ok_or(cnn_gpu::Error::Argument("no such preset".into()))?;
//!         let device = exec::open(&Selection::new(Backend::Cpu))?;
//!         let options = Options::default().epochs(1).batch_size(32).micro_batch(8);
//!         let mut trainer = Trainer::new(model, &device, options)?;
//!         trainer.set_communicator(Box::new(rank))?;
//!         trainer.fit(&data)?;
//!         Ok(trainer.state().weights_hash())
//!     };
//!     std::thread::scope(|scope| {
//!         let ranks: Vec<_> = group.into_iter().map(|rank| scope.spawn(|| train(rank))).collect();
//!         let hashes = ranks.into_iter().map(|rank| rank.join().expect("no rank panics"));
//!         hashes.collect::<cnn_gpu::Result<Vec<_>>>()
//!     })
//! };
//! assert_eq!(hash(1)?[0], hash(2)?[1]);
//! # Ok::<(), cnn_gpu::Error>(())
//! ```

mod communicator;
mod local;
mod message;
#[cfg(feature = "mpi")]
mod mpi;
mod tree;

pub use communicator::{Communicator, Traffic};
pub use local::{LocalCommunicator, SlowLink};
pub(crate) use message::{Exchange, TreeNode};
#[cfg(feature = "mpi")]
#[cfg_attr(docsrs, doc(cfg(feature = "mpi")))]
pub use mpi::{MpiCommunicator, MpiSession};
pub(crate) use tree::{TreeAct, acts, most_waiting, owned, sum};
