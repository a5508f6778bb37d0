//! The report of a run.

use super::sections::{
    self, EmbeddedImage, Evidence, OperationTimes, activations, embedding, evidence,
};
use super::text::significant;
use super::{Report, ReportSection};
use crate::data::{Dataset, mix};
use crate::error::{Error, Result};
use crate::exec::Device;
use crate::inspect::{Calibration, ForwardPass, grad_cam, saliency, to_floats};
use crate::model::{Loss, Sequential};
use crate::run::{Config, ImportRecord, RunFolder, RunOutcome};
use crate::state::State;
use crate::train::{Classification, EpochLogs, Options, Prediction, Trainer};
use crate::words::{counted, thousands};

/// The bins of the calibration.
const BINS: usize = 15;
/// The most values of the last hidden layer that are embedded.
const MOST_VALUES: usize = 8 << 20;

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

/// The image of a report to look at closely.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Chosen {
    /// The test image whose label is least probable.
    #[default]
    Worst,
    /// A test image, by its index.
    Test(usize),
    /// Another image.
    Other {
        /// Its name.
        name: String,
        /// Its pixels, `[h, w, c]`.
        pixels: Vec<u8>,
    },
}

/// What the network makes of the test images.
struct TestedImages<'a> {
    data: &'a Dataset,
    found: Classification,
    predictions: Vec<Prediction>,
}

/// The chosen image.
struct ChosenImage {
    title: String,
    pixels: Vec<u8>,
    prediction: Prediction,
    /// Its label, if known.
    label: Option<usize>,
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

    /// Makes the report; `device` computes what it shows.
    ///
    /// # Errors
    /// Test images that do not fit the model, no such image or layer, or a device failure.
    pub fn report(&self, device: &Device) -> Result<Report> {
        self.check()?;
        let options = Options::default().batch_size(1);
        let mut trainer = Trainer::new(self.model.clone(), device, options)?;
        trainer.set_state(self.state.clone())?;
        let tested = match &self.test {
            Ok(data) => Some(self.tested(&mut trainer, data)?),
            Err(_) => None,
        };
        let image = self.image(&mut trainer, tested.as_ref())?;
        drop(trainer);
        let mut report = self.beginning(tested.as_ref())?;
        let restored = self
            .outcome
            .as_ref()
            .and_then(|outcome| outcome.restored_epoch);
        report
            .sections
            .push(sections::curves(&self.epochs, restored));
        report.sections.extend(self.test_sections(tested.as_ref())?);
        report.sections.push(sections::network(&self.model)?);
        report
            .sections
            .push(sections::filters(&self.model, &self.state)?);
        report
            .sections
            .extend(self.image_sections(device, image.as_ref())?);
        report
            .sections
            .push(self.embedding(device, tested.as_ref())?);
        report.sections.push(match &self.times {
            Ok(times) => sections::times(times),
            Err(why) => {
                ReportSection::missing("times", "Time per operation", sentence("No times", why))
            }
        });
        report.sections.push(self.reproduction());
        Ok(report)
    }

    /// Checks the name of the layer, before anything is read or computed, as it may be mistyped.
    ///
    /// # Errors
    /// The model has no such layer.
    pub fn check(&self) -> Result<()> {
        let Some(layer) = &self.layer else {
            return Ok(());
        };
        let layers = self.model.resolve()?;
        if layers.iter().any(|l| l.name == *layer) {
            return Ok(());
        }
        let names: Vec<String> = layers.into_iter().map(|layer| layer.name).collect();
        Err(self.model.error(format!(
            "no layer `{layer}`: expected one of {}",
            names.join(", ")
        )))
    }

    fn tested<'a>(&self, trainer: &mut Trainer, data: &'a Dataset) -> Result<TestedImages<'a>> {
        let classes = self.class_count()?;
        let found = trainer.classify(data, classes.min(3), self.worst)?;
        Ok(TestedImages {
            data,
            found,
            predictions: trainer.predict(data.images())?,
        })
    }

    fn class_count(&self) -> Result<usize> {
        let outputs: usize = self.model.output_shape()?.iter().product();
        Ok(self.model.loss.classes(outputs))
    }

    fn name(&self, class: usize) -> String {
        match self.class_names.get(class) {
            Some(name) => name.clone(),
            None => class.to_string(),
        }
    }

    fn names(&self) -> Result<Vec<String>> {
        Ok((0..self.class_count()?)
            .map(|class| self.name(class))
            .collect())
    }

    fn image(
        &self,
        trainer: &mut Trainer,
        tested: Option<&TestedImages<'_>>,
    ) -> Result<Option<ChosenImage>> {
        if let Chosen::Other { name, pixels } = &self.chosen {
            let mut predictions = trainer.predict(pixels)?;
            let prediction = predictions.pop().ok_or_else(|| {
                Error::Argument(format!("{name}: expected an image, received nothing"))
            })?;
            return Ok(Some(ChosenImage {
                title: name.clone(),
                pixels: pixels.clone(),
                prediction,
                label: None,
            }));
        }
        let Some(tested) = tested else {
            return match self.chosen {
                Chosen::Test(index) => Err(Error::Argument(format!(
                    "no image {index}: there are no test images"
                ))),
                _ => Ok(None),
            };
        };
        let index = self.index(tested)?;
        let label = usize::from(tested.data.labels()[index]);
        Ok(Some(ChosenImage {
            title: format!("Test image {index}, labelled {}", self.name(label)),
            pixels: tested.data.image(index).to_vec(),
            prediction: tested.predictions[index].clone(),
            label: Some(label),
        }))
    }

    fn index(&self, tested: &TestedImages<'_>) -> Result<usize> {
        let count = tested.predictions.len();
        match self.chosen {
            Chosen::Test(index) if index >= count => Err(Error::Argument(format!(
                "no image {index}: expected an index below {count}, the number of test images"
            ))),
            Chosen::Test(index) => Ok(index),
            _ => {
                let own = |&i: &usize| {
                    let label = usize::from(tested.data.labels()[i]);
                    let own = tested.predictions[i].probabilities.get(label);
                    own.copied().unwrap_or_default()
                };
                let worst = (0..count).min_by(|a, b| own(a).total_cmp(&own(b)));
                Ok(worst.unwrap_or_default())
            }
        }
    }

    /// The title and what to see first.
    fn beginning(&self, tested: Option<&TestedImages<'_>>) -> Result<Report> {
        let network = &self.model.name;
        let layers = counted(self.model.layers.len(), "layer");
        let summary = match &self.config {
            Some(config) => format!(
                "The network {network} with {layers}, trained on {} for {} on {}.",
                config.dataset.name,
                counted(self.epochs.len(), "epoch"),
                config.last_device().adapter
            ),
            None => format!("The network {network} with {layers}."),
        };
        let mut report = Report::new(&self.title).summary(summary);
        if let Some(tested) = tested {
            let scores = &tested.found.scores;
            report = report
                .fact("test accuracy", format!("{:.4}", scores.accuracy))
                .fact("test loss", significant(scores.loss))
                .fact("test images", thousands(scores.images));
        }
        if let Some(accuracy) = self.validation_accuracy() {
            report = report.fact("validation accuracy", format!("{accuracy:.4}"));
        }
        if let Some(reason) = self.outcome.as_ref().and_then(|o| o.stop_reason.as_ref()) {
            report = report.fact("stopped", reason);
        }
        let parameters = self.model.parameter_count()?;
        Ok(report
            .fact("epochs", self.epochs.len().to_string())
            .fact("parameters", thousands(parameters as u64)))
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

    fn test_sections(&self, tested: Option<&TestedImages<'_>>) -> Result<Vec<ReportSection>> {
        let Some(tested) = tested else {
            let why = self.test.as_ref().err().cloned().unwrap_or_default();
            let why = sentence(
                "No confusion matrix, scores, mistakes, calibration and embedding",
                &why,
            );
            return Ok(vec![ReportSection::missing(
                "confusion",
                "Test images",
                why,
            )]);
        };
        Ok(vec![
            sections::confusion(&tested.found)?,
            sections::scores(&tested.found),
            sections::mistakes(&tested.found, tested.data)?,
            self.calibration(tested),
        ])
    }

    fn calibration(&self, tested: &TestedImages<'_>) -> ReportSection {
        if self.model.loss == Loss::MeanSquaredError {
            let why = "The network was trained with the mean squared error, so its outputs are no probabilities.";
            return ReportSection::missing("calibration", "Calibration", why);
        }
        let pairs = tested.predictions.iter().zip(tested.data.labels());
        let pairs = pairs.map(|(prediction, &label)| {
            let confidence = prediction.probabilities.get(prediction.class);
            let is_right = prediction.class == usize::from(label);
            (confidence.copied().unwrap_or_default(), is_right)
        });
        sections::calibration(&Calibration::new(pairs, BINS))
    }

    fn image_sections(
        &self,
        device: &Device,
        image: Option<&ChosenImage>,
    ) -> Result<Vec<ReportSection>> {
        let Some(image) = image else {
            let why =
                "No image to look at: there are no test images; choose one with --image FILE.";
            let ids = [
                ("evidence", "What the network looks at"),
                ("activations", "Activations of every layer"),
            ];
            return Ok(ids
                .map(|(id, title)| ReportSection::missing(id, title, why))
                .into());
        };
        let floats = to_floats(&image.pixels);
        let names = self.names()?;
        let mut classes = vec![image.prediction.class];
        classes.extend(image.label.filter(|label| *label != image.prediction.class));
        let of = |&class: &usize| saliency(device, &self.model, &self.state, &floats, class);
        let saliencies = classes.iter().map(of).collect::<Result<_>>()?;
        let layer = self.layer.as_deref();
        let of = |&class: &usize| grad_cam(device, &self.model, &self.state, &floats, class, layer);
        let cams: Result<Vec<_>> = classes.iter().map(of).collect();
        let grad_cams = match cams {
            Ok(cams) => Ok(cams),
            // A model without a convolution has none; a layer that was asked for must do.
            Err(error @ (Error::Model { .. } | Error::Layer { .. })) if layer.is_none() => {
                Err(error.to_string())
            }
            Err(error) => return Err(error),
        };
        let outputs = ForwardPass::new(device, &self.model, &self.state)?.all(&floats)?;
        Ok(vec![
            evidence(&Evidence {
                probabilities: &image.prediction.probabilities,
                class_names: &names,
                saliencies,
                grad_cams,
                ..Evidence::new(&image.title, &image.pixels, self.model.input_shape)
            })?,
            activations(&outputs, &names)?,
        ])
    }

    fn embedding(
        &self,
        device: &Device,
        tested: Option<&TestedImages<'_>>,
    ) -> Result<ReportSection> {
        let missing = |why: &str| {
            Ok(ReportSection::missing(
                "embedding",
                "The last hidden layer in a plane",
                why,
            ))
        };
        let Some(tested) = tested else {
            return missing("No embedding: there are no test images.");
        };
        let Some((layer, size)) = self.last_hidden()? else {
            return missing("No embedding: the network has no hidden layer.");
        };
        let seed = self
            .config
            .as_ref()
            .map_or(crate::rng::DEFAULT_SEED, |c| c.training.seed);
        let count = self.points.min((MOST_VALUES / size.max(1)).max(10));
        let mut indices = mix::order(tested.data.labels(), seed);
        indices.truncate(count);
        indices.sort_unstable();
        let images = indices.iter().map(|&i| i as usize).map(|i| {
            let label = usize::from(tested.data.labels()[i]);
            EmbeddedImage::new(i, label, tested.predictions[i].class)
        });
        let images: Vec<EmbeddedImage> = images.collect();
        let pixels = images
            .iter()
            .flat_map(|image| tested.data.image(image.index));
        let floats = to_floats(&pixels.copied().collect::<Vec<u8>>());
        let output = ForwardPass::new(device, &self.model, &self.state)?.of(&layer, &floats)?;
        match embedding(&output, &images, &self.names()?, seed) {
            Err(Error::Argument(why)) => missing(&sentence("No embedding", &why)),
            section => section,
        }
    }

    /// The layer whose output the last layer with weights reads, with its number of outputs.
    fn last_hidden(&self) -> Result<Option<(String, usize)>> {
        let layers = self.model.resolve()?;
        let last = layers.iter().rposition(|layer| layer.parameter_count() > 0);
        let before = last.and_then(|last| layers.get(last.checked_sub(1)?));
        Ok(before.map(|layer| (layer.name.clone(), layer.output.iter().product())))
    }

    fn reproduction(&self) -> ReportSection {
        let hash = self.state.weights_hash();
        match (&self.config, &self.import) {
            (Some(config), _) => sections::reproduction(config, &hash),
            (None, Some(import)) => sections::origin(import, &hash),
            (None, None) => {
                let why = format!(
                    "The weights do not belong to the folder of a run, so how they were trained is not known. Their \
                     hash is {hash}."
                );
                ReportSection::missing("reproduction", "How to repeat this run", why)
            }
        }
    }
}

/// `No times: they were not measured.`
fn sentence(what: &str, why: &str) -> String {
    format!("{what}: {}.", why.trim_end_matches('.'))
}
