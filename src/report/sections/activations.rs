//! What each layer computes for one image.

use crate::error::Result;
use crate::inspect::LayerOutput;
use crate::report::raster::{ColourMap, Pixels, columns_for, tiles};
use crate::report::svg::{BarChart, ChartBar};
use crate::report::text::{percent, significant, slug, trimmed};
use crate::report::{Drawing, Figure, ReportBlock, ReportSection};
use crate::words::counted;

/// Maps of a layer that are shown.
const MAPS: usize = 64;
/// Units of a layer that are shown as bars.
const BARS: usize = 32;
/// The length of a strip of units relative to its height.
const STRIP: f64 = 4.0;
/// About the width of a picture.
const SIDE: usize = 640;

/// The output of every layer for one image: maps as pictures, few units as bars, many as a strip.
/// `class_names` name the units of the last layer if there are as many.
///
/// # Errors
/// An output without values.
pub fn activations(outputs: &[LayerOutput], class_names: &[String]) -> Result<ReportSection> {
    let mut figures = Vec::new();
    for (i, output) in outputs.iter().enumerate() {
        let is_last = i + 1 == outputs.len();
        let names = if is_last { class_names } else { &[] };
        let drawing = draw(output, names)?;
        let id = format!("layer-{:02}-{}", i + 1, slug(&output.layer));
        figures.push(Figure::new(id, drawing, caption(output)));
    }
    let text = "What every layer computes for this image, first to last. The colours of each layer reach from its \
                smallest value, dark purple, to its largest, yellow.";
    Ok(
        ReportSection::new("activations", "Activations of every layer")
            .with(ReportBlock::Text(text.into()))
            .with(ReportBlock::Figures(figures)),
    )
}

fn draw(output: &LayerOutput, names: &[String]) -> Result<Drawing> {
    let values = output.image(0);
    let (low, high) = range(values);
    match output.shape[..] {
        [_, width, channels] => {
            let map = |channel: usize| {
                let cells = values
                    .iter()
                    .skip(channel)
                    .step_by(channels.max(1))
                    .copied();
                let cells: Vec<f32> = cells.collect();
                Pixels::of(width, &ColourMap::Amount.colours(&cells, [low, high]))
            };
            let maps: Vec<Pixels> = (0..channels.min(MAPS)).map(map).collect();
            let columns = columns_for(maps.len(), 2.0);
            tiles(&maps, columns).enlarged_to(SIDE).to_png()
        }
        _ if !is_strip(output) => Ok(bars(output, names, high)),
        _ => {
            let cells = ColourMap::Amount.colours(values, [low, high]);
            let cells: Vec<Pixels> = cells.iter().map(|cell| Pixels::of(1, &[*cell])).collect();
            tiles(&cells, columns_for(cells.len(), STRIP))
                .enlarged_to(SIDE)
                .to_png()
        }
    }
}

/// Whether the units of a layer without maps are drawn side by side, in rows, instead of as bars.
fn is_strip(output: &LayerOutput) -> bool {
    let values = output.image(0);
    output.shape.len() != 3 && (values.len() > BARS || range(values).0 < 0.0)
}

/// The number of units, and how they are drawn.
fn units(count: usize, is_strip: bool) -> String {
    let columns = columns_for(count, STRIP);
    match counted(count, "unit") {
        units if is_strip && columns < count => format!("{units} in rows of {columns}"),
        units => units,
    }
}

fn bars(output: &LayerOutput, names: &[String], high: f32) -> Drawing {
    let values = output.image(0);
    let name = |unit: usize| match names.len() == values.len() {
        true => names[unit].clone(),
        false => unit.to_string(),
    };
    let bars = values.iter().enumerate().map(|(unit, &value)| ChartBar {
        name: name(unit),
        value: value.into(),
        text: trimmed(value.into(), 4),
        strong: value == high,
    });
    let chart = BarChart {
        label: format!("The outputs of {}", output.layer),
        bars: bars.collect(),
        most: None,
    };
    Drawing::Svg(chart.draw())
}

fn caption(output: &LayerOutput) -> String {
    let values = output.image(0);
    let (low, high) = range(values);
    let what = match output.shape[..] {
        [h, w, channels] => {
            let shown = match channels {
                ..=MAPS => String::new(),
                _ => format!(", of which the first {MAPS} are shown"),
            };
            format!("{} of {h}×{w}{shown}", counted(channels, "map"))
        }
        _ => units(values.len(), is_strip(output)),
    };
    let zeros = values.iter().filter(|value| **value == 0.0).count();
    let zeros = match zeros {
        0 => String::new(),
        _ => format!(
            "; {} are 0",
            percent(zeros as f64 / values.len().max(1) as f64)
        ),
    };
    format!(
        "{} ({}): {what}; {} to {}{zeros}.",
        output.layer,
        output.kind,
        significant(low.into()),
        significant(high.into())
    )
}

/// The smallest and the largest finite value; zeros if there is none.
pub(super) fn range(values: &[f32]) -> (f32, f32) {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let low = finite().fold(f32::INFINITY, f32::min);
    let high = finite().fold(f32::NEG_INFINITY, f32::max);
    if low <= high { (low, high) } else { (0.0, 0.0) }
}
