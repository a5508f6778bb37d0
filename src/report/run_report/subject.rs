//! What the report of a run is made from.

use super::choice::Chosen;
use crate::data::Dataset;
use crate::error::Result;
use crate::inspect::check_layer;
use crate::model::Sequential;
use crate::report::sections::OperationTimes;
use crate::run::{Config, ImportRecord, RunFolder, RunOutcome};
use crate::state::State;
use crate::train::EpochLogs;

/// Everything that the report of a run is made from. What is missing is named in the report.
///
/// ```no_run
/// use std::path::Path;
/// use cnn_gpu::exec::{self, Selection};
/// use cnn_gpu::report::RunReport;
/// use cnn_gpu::run::RunFolder;
/// # let test = cnn_gpu::data::digits::generate(100, 1, 0);
///
/// let folder = RunFolder::open(Path::new("runs/first"))?;
/// let device = exec::open(&Selection::default())?;
/// let report = RunReport::of(&folder)?.test(test).report(&device)?;
/// report.save(&folder.report_path())?;
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunReport {
    /// The title.
    pub title: String,
    /// The network.
    pub model: Sequential,
    /// Its weights.
    pub state: State,
    /// The run's settings, if the weights belong to a run.
    pub config: Option<Config>,
    /// Where the network came from, if it was imported.
    pub import: Option<ImportRecord>,
    /// The completed epochs.
    pub epochs: Vec<EpochLogs>,
    /// The run's result, if it has ended.
    pub outcome: Option<RunOutcome>,
    /// The test images, or why there are none.
    pub test: Result<Dataset, String>,
    /// The names of the classes, if they have any.
    pub class_names: Vec<String>,
    /// The image whose activations and evidence are shown. Default: the worst mistake.
    pub chosen: Chosen,
    /// The layer whose output Grad-CAM weights. Default: the last convolution.
    pub layer: Option<String>,
    /// The number of worst mistakes. Default 12.
    pub worst: usize,
    /// The most images in the embedding. Default 1,000.
    pub points: usize,
    /// The times of the operations, or why there are none.
    pub times: Result<OperationTimes, String>,
}

impl RunReport {
    /// A report of a network without a run.
    pub fn new(title: impl Into<String>, model: Sequential, state: State) -> Self {
        Self {
            title: title.into(),
            model,
            state,
            config: None,
            import: None,
            epochs: Vec::new(),
            outcome: None,
            test: Err("no test images were given".into()),
            class_names: Vec::new(),
            chosen: Chosen::Worst,
            layer: None,
            worst: 12,
            points: 1000,
            times: Err("they were not measured".into()),
        }
    }

    /// The report of a run, from its folder.
    ///
    /// # Errors
    /// The run has no weights yet, or one of its files is invalid.
    pub fn of(folder: &RunFolder) -> Result<Self> {
        let (model, state) = folder.weights()?;
        let config = folder.config()?;
        let name = folder.path().file_name();
        let title = name.map_or_else(|| model.name.clone(), |name| name.to_string_lossy().into());
        Ok(Self {
            class_names: config.dataset.class_names.clone(),
            config: Some(config),
            epochs: folder.history()?,
            outcome: folder.outcome()?,
            ..Self::new(title, model, state)
        })
    }

    /// Sets the test images.
    #[must_use]
    pub fn test(self, test: Dataset) -> Self {
        let test = Ok(test);
        Self { test, ..self }
    }

    /// Sets the image to look at closely.
    #[must_use]
    pub fn chosen(self, chosen: Chosen) -> Self {
        Self { chosen, ..self }
    }

    /// Sets the layer whose output Grad-CAM weights.
    #[must_use]
    pub fn layer(self, layer: impl Into<String>) -> Self {
        let layer = Some(layer.into());
        Self { layer, ..self }
    }

    /// Sets the times of the operations.
    #[must_use]
    pub fn times(self, times: OperationTimes) -> Self {
        let times = Ok(times);
        Self { times, ..self }
    }

    /// Checks the name of the layer, before anything is read or computed, as it may be mistyped.
    ///
    /// # Errors
    /// The model has no such layer, or Grad-CAM cannot weight its output.
    pub fn check(&self) -> Result<()> {
        match &self.layer {
            Some(layer) => check_layer(&self.model, &self.state, layer),
            None => Ok(()),
        }
    }

    /// The number of classes.
    pub(super) fn class_count(&self) -> Result<usize> {
        let outputs: usize = self.model.output_shape()?.iter().product();
        Ok(self.model.loss.classes(outputs))
    }

    /// The name of a class, or its number.
    pub(super) fn class_name(&self, class: usize) -> String {
        match self.class_names.get(class) {
            Some(name) => name.clone(),
            None => class.to_string(),
        }
    }

    /// The names of all classes.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let classes = 0..self.class_count()?;
        Ok(classes.map(|class| self.class_name(class)).collect())
    }
}
