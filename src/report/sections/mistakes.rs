//! The worst mistakes.

use super::confusion::names;
use crate::data::Dataset;
use crate::error::Result;
use crate::report::raster::image;
use crate::report::text::prediction;
use crate::report::{Figure, ReportBlock, ReportSection};
use crate::train::Classification;
use crate::words::thousands;

/// The misclassified images that the network was most sure of, with their pictures and
/// probabilities. `data` are the images that were classified.
///
/// # Errors
/// Images without pixels.
pub fn mistakes(found: &Classification, data: &Dataset) -> Result<ReportSection> {
    let (names, loss) = (names(found), found.loss);
    let wrong = found.scores.images - found.scores.correct;
    if wrong == 0 {
        let why = format!(
            "All {} test images are classified correctly.",
            thousands(found.scores.images)
        );
        return Ok(ReportSection::missing("mistakes", "Worst mistakes", why));
    }
    let mut figures = Vec::new();
    for mistake in found
        .worst
        .iter()
        .filter(|mistake| mistake.index < data.len())
    {
        let [label, predicted] = [mistake.label, mistake.predicted].map(|class| &names[class]);
        let file = mistake.file.as_ref();
        let file = file.map_or(String::new(), |file| format!(", {file}"));
        let caption = format!(
            "{label}, taken for {predicted} with {}; {label} had {}. Image {}{file}.",
            prediction(mistake.probability, loss),
            prediction(mistake.label_probability, loss),
            mistake.index
        );
        let drawing = image(data.image(mistake.index), data.shape())?;
        let id = format!("mistake-{}", mistake.index);
        figures.push(Figure::new(id, drawing, caption));
    }
    let text = format!(
        "{} of {} test images are classified wrongly. These are the ones that the network was most sure of.",
        thousands(wrong),
        thousands(found.scores.images)
    );
    Ok(ReportSection::new("mistakes", "Worst mistakes")
        .with(ReportBlock::Text(text))
        .with(ReportBlock::Gallery(figures)))
}
