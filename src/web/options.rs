//! What a page needs to know about a network in addition to its weights.

use crate::data::Interpolation;
use crate::train::Options;

/// What a page needs to know about a network in addition to its weights.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SiteOptions {
    /// How the page trains: the batch size, the seed, the optimizer, the class weights, and how images
    /// are mixed.
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
