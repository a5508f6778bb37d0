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
//! - `page` puts all files together.

mod page;
mod plan_file;
mod program;
mod tables;

use std::fmt::Display;

use crate::data::Interpolation;
use crate::error::{Error, Result};
use crate::model::Sequential;
use crate::run::weights;
use crate::state::State;
use crate::train::Options;
use plan_file::PlanFile;

/// What a page needs to know about a network in addition to its weights.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SiteOptions {
    /// How the page trains: the batch size, the seed, the optimizer and the class weights.
    pub training: Options,
    /// The names of the classes in the order of the outputs; empty if they have none.
    pub class_names: Vec<String>,
    /// Whether pictures are single digits, to be prepared as in MNIST.
    pub digits: bool,
    /// How other pictures are resized.
    pub interpolation: Interpolation,
}

impl SiteOptions {
    /// A page that trains in this way, for classes without names, and resizes pictures.
    pub fn new(training: Options) -> Self {
        Self {
            training,
            class_names: Vec::new(),
            digits: false,
            interpolation: Interpolation::default(),
        }
    }
}

/// A site: the contents of its files.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WebSite {
    /// The text of `plan.json.gz`.
    pub plan: String,
    /// `plan.json.gz`.
    packed_plan: Vec<u8>,
    /// `weights.safetensors`.
    pub weights: Vec<u8>,
    /// What the page cannot do with this network, one line each.
    pub left_out: Vec<String>,
}

impl WebSite {
    /// The site of a network with these weights. Needs no GPU.
    ///
    /// # Errors
    /// A model that no plan can be made of, a batch size of 0, or a tensor that is larger than
    /// WebGPU guarantees.
    pub fn new(model: &Sequential, state: &State, options: &SiteOptions) -> Result<Self> {
        let plan = PlanFile::new(model, &state.layout, options)?;
        let unwritten = |e: &dyn Display| Error::Argument(format!("cannot write the page: {e}"));
        let text = serde_json::to_string(&plan).map_err(|e| unwritten(&e))?;
        let packed_plan = page::packed(&text).map_err(|e| unwritten(&e))?;
        let weights = weights::to_bytes(model, state).map_err(|e| unwritten(&e))?;
        Ok(Self {
            plan: text,
            packed_plan,
            weights,
            left_out: plan.left_out,
        })
    }
}
