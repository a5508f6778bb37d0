//! What only software adapters need: copies of tensors in images, which they read faster than
//! buffers, and compiling a step's kernels on several cores.

mod compile_ahead;
pub mod image_copies;

pub use compile_ahead::CompileAhead;
