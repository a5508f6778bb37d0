//! Which pixels speak for a class.

use crate::error::Result;
use crate::inspect::{GradCam, Saliency};
use crate::model::Loss;
use crate::report::raster::{ColourMap, Pixels, image, rgb};
use crate::report::svg::{BarChart, ChartBar};
use crate::report::text::prediction;
use crate::report::{Drawing, Figure, ReportBlock, ReportSection};

/// About the width and height of a picture.
const SIDE: usize = 336;
/// Classes that are listed with their probabilities.
const LISTED: usize = 10;

/// An image, what the network takes it for, and what speaks for some classes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Evidence<'a> {
    /// What the image is, in words, such as `Test image 17, a 9`.
    pub title: String,
    /// The pixels, `[h, w, c]`.
    pub pixels: &'a [u8],
    /// Height, width and channels.
    pub shape: [usize; 3],
    /// The loss that the network was trained with. After the mean squared error its outputs are not probabilities.
    /// Default: cross-entropy.
    pub loss: Loss,
    /// The probability of each class.
    pub probabilities: &'a [f32],
    /// The names of the classes.
    pub class_names: &'a [String],
    /// The saliency of the pixels for some classes.
    pub saliencies: Vec<Saliency>,
    /// The Grad-CAM for some classes, or why there is none.
    pub grad_cams: std::result::Result<Vec<GradCam>, String>,
}

impl<'a> Evidence<'a> {
    /// An image without any evidence yet.
    pub fn new(title: impl Into<String>, pixels: &'a [u8], shape: [usize; 3]) -> Self {
        Self {
            title: title.into(),
            pixels,
            shape,
            loss: Loss::default(),
            probabilities: &[],
            class_names: &[],
            saliencies: Vec::new(),
            grad_cams: Ok(Vec::new()),
        }
    }
}

/// One image with its probabilities, saliency and Grad-CAM.
///
/// # Errors
/// An image without pixels.
pub fn evidence(found: &Evidence<'_>) -> Result<ReportSection> {
    let mut figures = vec![
        Figure::new(
            "image",
            image(found.pixels, found.shape)?,
            format!("{}.", found.title),
        ),
        probabilities(found),
    ];
    for saliency in &found.saliencies {
        figures.push(saliency_figure(found, saliency)?);
    }
    for cam in found.grad_cams.iter().flatten() {
        figures.push(cam_figure(found, cam)?);
    }
    let section = ReportSection::new("evidence", "What the network looks at")
        .with(ReportBlock::Figures(figures));
    Ok(match &found.grad_cams {
        Ok(_) => section,
        Err(why) => section.with(ReportBlock::Missing(format!("No Grad-CAM: {why}."))),
    })
}

fn name(found: &Evidence<'_>, class: usize) -> String {
    match found.class_names.get(class) {
        Some(name) => name.clone(),
        None => class.to_string(),
    }
}

fn probabilities(found: &Evidence<'_>) -> Figure {
    let is_probability = found.loss.gives_probabilities();
    let (what, most) = match is_probability {
        true => ("Probabilities", "most probable"),
        false => ("Outputs", "largest"),
    };
    let mut classes: Vec<usize> = (0..found.probabilities.len()).collect();
    let p = found.probabilities;
    classes.sort_by(|&a, &b| p[b].total_cmp(&p[a]).then(a.cmp(&b)));
    let bars = classes
        .iter()
        .take(LISTED)
        .enumerate()
        .map(|(i, &class)| ChartBar {
            name: name(found, class),
            value: p[class].into(),
            text: prediction(p[class], found.loss),
            strong: i == 0,
        });
    let chart = BarChart {
        label: format!("{what} of the classes of {}", found.title),
        bars: bars.collect(),
        most: is_probability.then_some(1.0),
    };
    let caption = match p.len() {
        ..=LISTED => format!("{what} of the classes."),
        n => format!("{what} of the {LISTED} {most} of {n} classes."),
    };
    Figure::new("probabilities", Drawing::Svg(chart.draw()), caption)
}

fn saliency_figure(found: &Evidence<'_>, saliency: &Saliency) -> Result<Figure> {
    let map = saliency.map();
    let most = map.iter().copied().fold(0.0, f32::max);
    let heat = ColourMap::Heat.colours(&map, [0.0, most.max(f32::MIN_POSITIVE)]);
    let image = rgb(found.pixels, found.shape[2]);
    // A shadow of the image, in grey, where the saliency is no brighter.
    let colours = heat.iter().zip(&image).map(|(heat, pixel)| {
        let grey = match found.shape[2] {
            3 => brightness(pixel),
            _ => 1.0 - brightness(pixel),
        };
        heat.map(|part| part.max((90.0 * grey) as u8))
    });
    let colours: Vec<[u8; 3]> = colours.collect();
    let picture = Pixels::of(found.shape[1], &colours).enlarged_to(SIDE);
    let class = name(found, saliency.class);
    let caption = format!(
        "Saliency for {class}: the brighter a pixel, the more a small change of it changes the score (the \
         gradient of the logit), over a grey shadow of the image."
    );
    let id = format!("saliency-{}", saliency.class);
    Ok(Figure::new(id, picture.to_png()?, caption))
}

/// From 0, black, to 1, white.
fn brightness(pixel: &[u8; 3]) -> f32 {
    pixel.iter().map(|&part| f32::from(part)).sum::<f32>() / (3.0 * 255.0)
}

fn cam_figure(found: &Evidence<'_>, cam: &GradCam) -> Result<Figure> {
    let [height, width, channels] = found.shape;
    let enlarged = cam.enlarged([height, width]);
    let image = rgb(found.pixels, channels);
    let colours = image.iter().zip(&enlarged).map(|(pixel, &heat)| {
        let colour = ColourMap::Amount.colour(heat);
        // The darker the image, the darker the colour.
        let light = 0.25 + 0.75 * brightness(pixel);
        colour.map(|part| (light * f32::from(part)) as u8)
    });
    let picture = Pixels::of(width, &colours.collect::<Vec<_>>()).enlarged_to(SIDE);
    let (class, [h, w]) = (name(found, cam.class), cam.shape);
    let none = match cam.map.iter().all(|value| *value == 0.0) {
        true => " There is no evidence for this class in any place.",
        false => "",
    };
    let caption = format!(
        "Grad-CAM for {class}: yellow where the {h}×{w} output of {} speaks for the class, dark purple where it does \
         not; dark parts of the image darken it.{none}",
        cam.layer
    );
    let id = format!("grad-cam-{}", cam.class);
    Ok(Figure::new(id, picture.to_png()?, caption))
}
