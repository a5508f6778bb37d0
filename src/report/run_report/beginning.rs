//! The beginning of a run's report.

use super::subject::RunReport;
use super::tested::TestedImages;
use crate::error::Result;
use crate::report::Report;
use crate::report::text::{accuracy, capitalized, significant};
use crate::run::DataRecord;
use crate::words::{counted, thousands};

impl RunReport {
    /// The title and what to see first.
    pub(super) fn beginning(&self, tested: Option<&TestedImages<'_>>) -> Result<Report> {
        let mut report = Report::new(&self.title).summary(self.summary());
        if let Some(tested) = tested {
            let scores = &tested.found.scores;
            report = report
                .fact("test accuracy", accuracy(scores.accuracy))
                .fact("test loss", significant(scores.loss))
                .fact("test images", thousands(scores.images));
        }
        if let Some(share) = self.validation_accuracy() {
            report = report.fact("validation accuracy", accuracy(share));
        }
        if let Some(epoch) = self.outcome.as_ref().and_then(|o| o.restored_epoch) {
            report = report.fact("restored epoch", epoch.to_string());
        }
        if !self.epochs.is_empty() {
            report = report.fact("epochs", self.epochs.len().to_string());
        }
        let parameters = self.model.parameter_count()?;
        Ok(report.fact("parameters", thousands(parameters as u64)))
    }

    /// What was trained, on what, and how it ended.
    fn summary(&self) -> String {
        let layers = counted(self.model.layers.len(), "layer");
        let mut summary = match self.model.name.as_str() {
            // Keras's name for a network without one.
            "sequential" => format!("A network with {layers}"),
            name => format!("The network {name} with {layers}"),
        };
        if let Some(config) = &self.config {
            summary += &format!(", trained on {}", data(&config.dataset));
            if !self.epochs.is_empty() {
                summary += &format!(" for {}", counted(self.epochs.len(), "epoch"));
            }
            summary += &format!(" on {}", config.last_device().adapter);
        }
        summary.push('.');
        let Some(outcome) = &self.outcome else {
            return summary;
        };
        if outcome.interrupted {
            let steps = thousands(outcome.steps);
            summary +=
                &format!(" It was interrupted after {steps} steps, whose weights these are.");
        }
        if let Some(reason) = &outcome.stop_reason {
            summary += &format!(" {}.", capitalized(reason.trim_end_matches('.')));
        }
        summary
    }

    /// That of the restored epoch, otherwise the last one that was measured.
    fn validation_accuracy(&self) -> Option<f64> {
        let restored = self
            .outcome
            .as_ref()
            .and_then(|outcome| outcome.restored_epoch);
        let restored = self.epochs.iter().find(|logs| Some(logs.epoch) == restored);
        let mut measured = self
            .epochs
            .iter()
            .rev()
            .filter_map(|logs| logs.val_accuracy);
        restored
            .and_then(|logs| logs.val_accuracy)
            .or_else(|| measured.next())
    }
}

/// `digits`, or `folder pets` if only the path tells which one it is.
fn data(record: &DataRecord) -> String {
    let spec = record.spec().ok();
    let name = spec.as_ref().and_then(|spec| spec.path()?.file_name());
    match name {
        Some(path) => format!("{} {}", record.name, path.to_string_lossy()),
        None => record.name.clone(),
    }
}
