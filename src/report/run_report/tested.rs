//! What the network of a run's report makes of the test images.

use super::subject::RunReport;
use crate::data::{Dataset, mix};
use crate::error::{Error, Result};
use crate::exec::Device;
use crate::inspect::{Calibration, ForwardPass, to_floats};
use crate::report::ReportSection;
use crate::report::sections::{self, EmbeddedImage, embedding};
use crate::report::text::sentence;
use crate::rng::DEFAULT_SEED;
use crate::train::{Classification, Prediction, Trainer};

/// The bins of the calibration.
const BINS: usize = 15;
/// The most values of the last hidden layer that are embedded.
const MOST_VALUES: usize = 8 << 20;

/// What the network makes of the test images.
pub(super) struct TestedImages<'a> {
    pub data: &'a Dataset,
    pub found: Classification,
    pub predictions: Vec<Prediction>,
}

impl<'a> TestedImages<'a> {
    /// Classifies the test images.
    pub fn of(report: &RunReport, trainer: &mut Trainer, data: &'a Dataset) -> Result<Self> {
        let mut predictions = Vec::with_capacity(data.len());
        let k = report.class_count()?.min(3);
        let found = trainer.classify_each(data, k, report.worst, |probabilities| {
            predictions.push(probabilities.into());
        })?;
        Ok(Self {
            data,
            found,
            predictions,
        })
    }

    fn label(&self, index: usize) -> usize {
        self.data.labels()[index].into()
    }

    fn probability(&self, index: usize, class: usize) -> f32 {
        let probabilities = &self.predictions[index].probabilities;
        probabilities.get(class).copied().unwrap_or_default()
    }

    /// The index of the worst mistake or, without mistakes, of the image whose label is least
    /// probable.
    pub fn worst(&self) -> usize {
        let all = 0..self.predictions.len();
        let confidence = |i: usize| self.probability(i, self.predictions[i].class);
        let wrong = all
            .clone()
            .filter(|&i| self.predictions[i].class != self.label(i));
        let worst = wrong.min_by(|&a, &b| confidence(b).total_cmp(&confidence(a)));
        let own = |i: usize| self.probability(i, self.label(i));
        worst
            .or_else(|| all.min_by(|&a, &b| own(a).total_cmp(&own(b))))
            .unwrap_or_default()
    }

    /// The index, if there is such an image.
    pub fn checked(&self, index: usize) -> Result<usize> {
        let count = self.predictions.len();
        if index < count {
            return Ok(index);
        }
        Err(Error::Argument(format!(
            "no image {index}: expected an index below {count}, the number of test images"
        )))
    }
}

impl RunReport {
    pub(super) fn test_sections(
        &self,
        tested: Option<&TestedImages<'_>>,
    ) -> Result<Vec<ReportSection>> {
        let Some(tested) = tested else {
            let what = "No confusion matrix, scores, mistakes, calibration and embedding";
            let why = self.test.as_ref().err().map_or("", String::as_str);
            let why = sentence(what, why);
            return Ok(vec![ReportSection::missing(
                "confusion",
                "Test images",
                why,
            )]);
        };
        Ok(vec![
            sections::confusion(&tested.found),
            sections::scores(&tested.found),
            sections::mistakes(&tested.found, tested.data)?,
            self.calibration(tested),
        ])
    }

    fn calibration(&self, tested: &TestedImages<'_>) -> ReportSection {
        if !self.model.loss.gives_probabilities() {
            let why = "The network was trained with the mean squared error, so its outputs are no probabilities.";
            return ReportSection::missing("calibration", "Calibration", why);
        }
        let pairs = tested
            .predictions
            .iter()
            .enumerate()
            .map(|(i, prediction)| {
                let class = prediction.class;
                (tested.probability(i, class), class == tested.label(i))
            });
        sections::calibration(&Calibration::new(pairs, BINS))
    }

    pub(super) fn embedding(
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
            .map_or(DEFAULT_SEED, |c| c.training.seed);
        let count = self.points.min((MOST_VALUES / size.max(1)).max(10));
        let mut indices = mix::order(tested.data.labels(), seed);
        indices.truncate(count);
        indices.sort_unstable();
        let images = indices
            .iter()
            .map(|&i| i as usize)
            .map(|i| EmbeddedImage::new(i, tested.label(i), tested.predictions[i].class));
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
        // What precedes the only weights is computed from the pixels by rules alone.
        let is_hidden = |last: &usize| layers[..*last].iter().any(|l| l.parameter_count() > 0);
        let last = last.filter(is_hidden);
        let source = last.and_then(|last| layers[last].from.first().copied().flatten());
        let before = source.and_then(|source| layers.get(source));
        Ok(before.map(|layer| (layer.name.clone(), layer.output.iter().product())))
    }
}
