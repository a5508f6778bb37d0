//! A trained network as a static site that computes with WebGPU, training included.
//!
//! The site consists of the page's own files, which lie in the folder `web` of the sources, and of
//! two that belong to the network: `plan.json.gz`, the dispatches that the GPU executor prepares for a
//! prediction, an evaluation and a training step (`docs/web.md` describes it), and
//! `weights.safetensors`. Equal networks give equal files.
//!
//! - `program` turns a recorded plan into the entries of `plan.json`,
//! - `tables` holds the texts, kernels and buffers that programs share,
//! - `plan_file` is the whole of `plan.json`,
//! - `options` holds what a page needs to know in addition to the weights,
//! - `page` puts all files together.

mod options;
mod page;
mod plan_file;
mod program;
mod tables;

pub use options::SiteOptions;
pub use page::WebSite;
