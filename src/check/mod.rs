//! Checks a device's results: one table of cases for the tests, `selfcheck` and the benchmarks.
//!
//! This module is internal: it may change in any version.
//!
//! - [`cases`]: for every operation, small problems with awkward sizes ([`Case`]).
//! - [`check_case`]: runs a case on any executor and compares the results with the reference.
//! - [`steps`]: whole steps of small networks, with the kernels that operations share in a step.
//! - [`fixture`]: whole models with Keras's results.
//! - [`trajectory`]: a short training run, compared with the CPU's.
//! - [`compare`]: compares two executors operation by operation, up to the first buffer that
//!   differs.
//! - [`OpsReport`]: what `selfcheck` prints.

mod case;
pub mod cases;
mod compare;
pub mod fixture;
mod ops_report;
mod result;
mod run;
pub mod steps;
mod trajectory;
mod watch;

use std::sync::Arc;

pub use case::{Case, GatherSource};
pub use compare::{Divergence, Problem, compare};
pub use fixture::Fixture;
pub use ops_report::{CheckEvent, OpRow, OpsReport, check_ops};
pub(crate) use result::difference;
pub use result::{CaseResult, OutputResult};
pub use run::check_case;
pub use steps::{StepCase, check_step};
pub use trajectory::{Trajectory, trajectory};
pub use watch::{Limits, Trouble, Watch};

use crate::exec::Inspect;
use crate::state::Layout;

/// Makes the executor under test: a new one for each case, with the case's parameters.
pub type Factory<'a> = &'a dyn Fn(Arc<Layout>) -> Box<dyn Inspect>;
