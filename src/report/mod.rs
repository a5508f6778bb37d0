//! Reports: a training run as one HTML file with pictures.
//!
//! A [`Report`] is a title, some facts and [`ReportSection`]s. [`sections`] makes them from what training,
//! evaluation and [`inspect`](crate::inspect) return; [`RunReport`] makes all of them for a run, as
//! `cnn-gpu report` does. The file needs no network and no JavaScript, follows the reader's choice
//! of light or dark, and has the same bytes for the same contents.
//!
//! ```
//! use cnn_gpu::report::{Report, sections};
//! use cnn_gpu::train::EpochLogs;
//!
//! let (mut first, mut second) = (EpochLogs::default(), EpochLogs::default());
//! (first.epoch, first.loss, first.accuracy) = (1, 0.8, 0.7);
//! (second.epoch, second.loss, second.accuracy) = (2, 0.5, 0.9);
//!
//! let report = Report::new("My network")
//!     .fact("accuracy", "0.90")
//!     .add(sections::curves(&[first, second], None));
//! let html = report.to_html();
//! assert!(html.contains("<svg") && !html.contains("<script"));
//! assert_eq!(report.pictures().count(), 3); // loss, accuracy and learning rate
//! ```

mod drawing;
mod html;
mod page;
mod picture_folder;
mod raster;
mod run_report;
mod section;
pub mod sections;
mod svg;
mod text;

pub use drawing::Drawing;
pub use page::Report;
pub use run_report::{Chosen, RunReport};
pub use section::{Figure, ReportBlock, ReportSection, Table};
