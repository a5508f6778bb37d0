//! Networks from and for other programs: Keras, PyTorch and ONNX.
//!
//! A [`Network`] is what travels: a model, its weights and, where the format can hold them, the
//! state of the optimizer, the names of the classes and how inputs are prepared. Each format has a
//! module with a function that writes a network ([`Export`]) and one that reads it ([`Import`]).
//! Both name what they left behind; what a format or this crate cannot express is refused by the
//! name of its layer or node.

mod compare;
mod description;
mod element_order;
mod format;
pub mod keras;
mod network;
pub mod onnx;
mod outputs;
mod pixels;
mod read;
pub mod torch;

pub use compare::{inference_form, with_training_details};
pub use description::NetworkDescription;
pub use format::Format;
pub use network::{Export, Import, Match, Network};
pub use read::{ImportOptions, read, record};
