//! The image of a run's report to look at closely.

use super::choice::Chosen;
use super::subject::RunReport;
use super::tested::TestedImages;
use crate::error::{Error, Result};
use crate::exec::Device;
use crate::inspect::{ForwardPass, grad_cam, saliency, to_floats};
use crate::report::ReportSection;
use crate::report::sections::{Evidence, activations, evidence};
use crate::train::{Prediction, Trainer};

/// The chosen image.
pub(super) struct ChosenImage {
    title: String,
    pixels: Vec<u8>,
    prediction: Prediction,
    /// Its label, if known.
    label: Option<usize>,
}

impl RunReport {
    /// The chosen image; `None` if that is a test image, and there are none.
    pub(super) fn image(
        &self,
        trainer: &mut Trainer,
        tested: Option<&TestedImages<'_>>,
    ) -> Result<Option<ChosenImage>> {
        let index = match (&self.chosen, tested) {
            (Chosen::Other { name, pixels }, _) => {
                return other_image(trainer, name, pixels).map(Some);
            }
            (Chosen::Worst, None) => return Ok(None),
            (Chosen::Test(index), None) => {
                return Err(Error::Argument(format!(
                    "no image {index}: there are no test images"
                )));
            }
            (Chosen::Worst, Some(tested)) => tested.worst(),
            (Chosen::Test(index), Some(tested)) => tested.checked(*index)?,
        };
        Ok(tested.map(|tested| {
            let label = usize::from(tested.data.labels()[index]);
            let file = tested.data.file(index);
            let file = file.map_or(String::new(), |file| format!(" ({file})"));
            let name = self.class_name(label);
            ChosenImage {
                title: format!("Test image {index}{file}, labelled {name}"),
                pixels: tested.data.image(index).to_vec(),
                prediction: tested.predictions[index].clone(),
                label: Some(label),
            }
        }))
    }
}

fn other_image(trainer: &mut Trainer, name: &str, pixels: &[u8]) -> Result<ChosenImage> {
    let mut predictions = trainer.predict(pixels)?;
    let prediction = predictions
        .pop()
        .ok_or_else(|| Error::Argument(format!("{name}: expected an image, received nothing")))?;
    Ok(ChosenImage {
        title: name.to_owned(),
        pixels: pixels.to_vec(),
        prediction,
        label: None,
    })
}

impl ChosenImage {
    /// The sections that there would be with an image.
    pub(super) fn missing() -> [ReportSection; 2] {
        let why = "No image to look at: there are no test images; choose one with --image FILE.";
        [
            ("evidence", "What the network looks at"),
            ("activations", "Activations of every layer"),
        ]
        .map(|(id, title)| ReportSection::missing(id, title, why))
    }

    /// What the network looks at, and what its layers make of the image.
    pub(super) fn sections(&self, of: &RunReport, device: &Device) -> Result<Vec<ReportSection>> {
        let floats = to_floats(&self.pixels);
        let names = of.names()?;
        let shown = Evidence {
            loss: of.model.loss,
            probabilities: &self.prediction.probabilities,
            class_names: &names,
            ..Evidence::new(&self.title, &self.pixels, of.model.input_shape)
        };
        let shown = self.explained(of, device, &floats, shown)?;
        let outputs = ForwardPass::new(device, &of.model, &of.state)?.all(&floats)?;
        Ok(vec![evidence(&shown)?, activations(&outputs, &names)?])
    }

    /// Adds what speaks for the predicted class and, if that is wrong, for the label.
    fn explained<'a>(
        &self,
        of: &RunReport,
        device: &Device,
        floats: &[f32],
        shown: Evidence<'a>,
    ) -> Result<Evidence<'a>> {
        let (model, state, layer) = (&of.model, &of.state, of.layer.as_deref());
        let predicted = self.prediction.class;
        let mut classes = vec![predicted];
        classes.extend(self.label.filter(|label| *label != predicted));
        let saliencies = classes
            .iter()
            .map(|&class| saliency(device, model, state, floats, class));
        let cams = classes
            .iter()
            .map(|&class| grad_cam(device, model, state, floats, class, layer));
        let grad_cams = match cams.collect::<Result<Vec<_>>>() {
            Ok(cams) => Ok(cams),
            // A model without a convolution has none; a layer that was asked for must do.
            Err(Error::Model { message, .. }) if layer.is_none() => {
                Err(format!("the network {message}"))
            }
            Err(error @ Error::Layer { .. }) if layer.is_none() => Err(error.to_string()),
            Err(error) => return Err(error),
        };
        Ok(Evidence {
            saliencies: saliencies.collect::<Result<_>>()?,
            grad_cams,
            ..shown
        })
    }
}
