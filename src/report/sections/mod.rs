//! The sections of a report, each from what the library returns.
//!
//! | section | made from |
//! |---|---|
//! | [`curves`] | the epochs of a [`History`](crate::train::History) |
//! | [`confusion`], [`scores`], [`mistakes`] | a [`Classification`](crate::train::Classification) |
//! | [`calibration`] | a [`Calibration`](crate::inspect::Calibration) |
//! | [`network`] | a model |
//! | [`filters`] | a model and its weights |
//! | [`evidence`] | a [`Saliency`](crate::inspect::Saliency) and a [`GradCam`](crate::inspect::GradCam) |
//! | [`activations`] | [`LayerOutput`](crate::inspect::LayerOutput)s |
//! | [`embedding`] | a [`LayerOutput`](crate::inspect::LayerOutput) for many images |
//! | [`times`] | [`OperationTimes`] |
//! | [`rate_curve`], a figure | a [`RateCurve`](crate::train::RateCurve) |
//! | [`reproduction`] | the settings of a run |
//! | [`origin`] | the record of an imported network |
//! | [`comparison`] | several runs |

mod activations;
mod calibration;
mod comparison;
mod confusion;
mod curves;
mod embedding;
mod evidence;
mod filters;
mod mistakes;
mod network;
mod operation_times;
mod rate_curve;
mod reproduction;
mod scores;
mod times;

pub use activations::activations;
pub use calibration::calibration;
pub use comparison::{ComparedRun, comparison};
pub use confusion::confusion;
pub use curves::curves;
pub use embedding::{EmbeddedImage, embedding};
pub use evidence::{Evidence, evidence};
pub use filters::filters;
pub use mistakes::mistakes;
pub use network::network;
pub use operation_times::{OperationTime, OperationTimes};
pub use rate_curve::rate_curve;
pub use reproduction::{origin, reproduction};
pub use scores::scores;
pub use times::times;
