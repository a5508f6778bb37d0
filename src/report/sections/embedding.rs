//! Images as points in a plane.

use crate::error::Result;
use crate::inspect::LayerOutput;
use crate::inspect::embedding::{Pca, Tsne};
use crate::report::svg::{Scatter, ScatterPoint};
use crate::report::text::{percent, trimmed};
use crate::report::{Drawing, Figure, ReportBlock, ReportSection};
use crate::words::counted;

/// An image of an embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbeddedImage {
    /// Its index in its data set.
    pub index: usize,
    /// Its label.
    pub label: usize,
    /// The predicted class.
    pub predicted: usize,
}

impl EmbeddedImage {
    /// An image with its label and the predicted class.
    pub fn new(index: usize, label: usize, predicted: usize) -> Self {
        Self {
            index,
            label,
            predicted,
        }
    }
}

/// The outputs of a layer for many images, placed in a plane by principal component analysis and by
/// t-SNE. `images` are those of `output`, in order; `class_names` names every class.
///
/// # Errors
/// Outputs that are not finite, or too many.
pub fn embedding(
    output: &LayerOutput,
    images: &[EmbeddedImage],
    class_names: &[String],
    seed: u64,
) -> Result<ReportSection> {
    let pca = Pca::new(&output.values, output.size(), 2)?;
    let map = Tsne::default()
        .seed(seed)
        .embed(&output.values, output.size())?;
    let axis = |i: usize| {
        let share = pca.explained.get(i).copied().unwrap_or(0.0);
        format!("component {} ({} of the variance)", i + 1, percent(share))
    };
    let linear = pca.scores.iter().map(|score| {
        let along = |i: usize| score.get(i).copied().unwrap_or(0.0);
        [along(0), along(1)]
    });
    let draw = |places: Vec<[f64; 2]>, label: &str, [x_label, y_label]: [String; 2]| {
        let scatter = Scatter {
            label: format!("{label} of {}", counted(images.len(), "image")),
            x_label,
            y_label,
            points: points(places, images, class_names),
            names: class_names,
        };
        Drawing::Svg(scatter.draw())
    };
    let mistakes = "Wrongly classified images have a rim.";
    let figures = vec![
        Figure::new(
            "pca",
            draw(linear.collect(), "Principal components", [axis(0), axis(1)]),
            format!(
                "The two principal components, the directions in which the outputs vary most. {mistakes}"
            ),
        ),
        Figure::new(
            "tsne",
            draw(map.points.clone(), "t-SNE", [String::new(), String::new()]),
            format!(
                "t-SNE (perplexity {}, seed {seed}, divergence {}): near neighbours stay near, other distances mean \
                 little. {mistakes}",
                trimmed(map.perplexity, 1),
                trimmed(map.divergence, 3)
            ),
        ),
    ];
    let text = format!(
        "The {} of {} for {}, each a point in the colour of its label. The last layer tells the classes apart \
         by these outputs alone.",
        counted(output.size(), "output"),
        output.layer,
        counted(images.len(), "test image")
    );
    Ok(
        ReportSection::new("embedding", "The last hidden layer in a plane")
            .with(ReportBlock::Text(text))
            .with(ReportBlock::Figures(figures)),
    )
}

fn points(
    places: Vec<[f64; 2]>,
    images: &[EmbeddedImage],
    class_names: &[String],
) -> Vec<ScatterPoint> {
    let name = |class: usize| match class_names.get(class) {
        Some(name) => name.clone(),
        None => class.to_string(),
    };
    let point = |(place, image): (_, &EmbeddedImage)| {
        let wrong = image.label != image.predicted;
        let taken = match wrong {
            true => format!(", taken for {}", name(image.predicted)),
            false => String::new(),
        };
        ScatterPoint {
            place,
            class: image.label,
            strong: wrong,
            title: format!("image {}: {}{taken}", image.index, name(image.label)),
        }
    };
    places.into_iter().zip(images).map(point).collect()
}
