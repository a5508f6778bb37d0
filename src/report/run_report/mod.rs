//! The report of a run.
//!
//! Read `choice` and `subject` first, what a report is made from; then `tested`, `chosen` and `beginning`,
//! its parts.

mod beginning;
mod choice;
mod chosen;
mod subject;
mod tested;

pub use choice::Chosen;
pub use subject::RunReport;

use super::text::sentence;
use super::{Report, ReportSection, sections};
use crate::error::Result;
use crate::exec::Device;
use crate::train::{Options, Trainer};
use chosen::ChosenImage;
use tested::TestedImages;

impl RunReport {
    /// Makes the report; `device` computes what it shows.
    ///
    /// # Errors
    /// Test images that do not fit the model, no such image or layer, or a device failure.
    pub fn report(&self, device: &Device) -> Result<Report> {
        self.check()?;
        let options = Options::default().batch_size(1);
        let mut trainer = Trainer::new(self.model.clone(), device, options)?;
        trainer.set_state(self.state.clone())?;
        let tested = self.test.as_ref().ok();
        let tested = tested.map(|data| TestedImages::of(self, &mut trainer, data));
        let tested = tested.transpose()?;
        let image = self.image(&mut trainer, tested.as_ref())?;
        drop(trainer);
        let image_sections = match &image {
            Some(image) => image.sections(self, device)?,
            None => ChosenImage::missing().into(),
        };
        let restored = self.outcome.as_ref().and_then(|o| o.restored_epoch);
        let mut all = vec![match (&self.config, &self.import) {
            (None, Some(_)) => no_history("An imported network has no history."),
            (None, None) => no_history("Weights without a run have no history."),
            (Some(_), _) => sections::curves(&self.epochs, restored),
        }];
        all.extend(self.test_sections(tested.as_ref())?);
        all.push(sections::network(&self.model)?);
        all.push(sections::filters(&self.model, &self.state)?);
        all.extend(image_sections);
        all.push(self.embedding(device, tested.as_ref())?);
        all.push(self.times_section());
        all.push(self.reproduction());
        let report = self.beginning(tested.as_ref())?;
        Ok(all.into_iter().fold(report, Report::add))
    }

    fn times_section(&self) -> ReportSection {
        match &self.times {
            Ok(times) => sections::times(times),
            Err(why) => {
                ReportSection::missing("times", "Time per operation", sentence("No times", why))
            }
        }
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

fn no_history(why: &str) -> ReportSection {
    ReportSection::missing("curves", "Training", why)
}
