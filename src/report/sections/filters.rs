//! The filters of the first layer with weights.

use crate::error::Result;
use crate::model::Sequential;
use crate::report::raster::{ColourMap, Pixels, columns_for, tiles};
use crate::report::text::significant;
use crate::report::{Figure, ReportBlock, ReportSection};
use crate::state::{Parameter, State};
use crate::words::counted;

/// Filters that are shown.
const MOST: usize = 128;
/// About the width of the picture.
const SIDE: usize = 720;

/// The filters of the first layer with weights: the kernels of a convolution, or the weights with
/// which each unit of a dense layer sees the image.
///
/// # Errors
/// As [`Sequential::resolve`].
pub fn filters(model: &Sequential, state: &State) -> Result<ReportSection> {
    let missing = |why: &str| ReportSection::missing("filters", "First filters", why);
    let is_kernel = |p: &&Parameter| p.name.ends_with("/kernel");
    let Some(kernel) = state.layout.parameters.iter().find(is_kernel) else {
        return Ok(missing("The network has no layer with a kernel."));
    };
    let layer = kernel.name.trim_end_matches("/kernel");
    let resolved = model.resolve()?;
    let first = resolved.iter().find(|resolved| resolved.name == layer);
    let Some(shape) = first.and_then(|first| shape(kernel, model.input_shape, &first.input)) else {
        return Ok(missing(
            "The first layer with weights does not see the image itself, so its weights make no picture.",
        ));
    };
    let weights = &state.params[kernel.range()];
    let (count, size) = (shape[3], format!("{}×{}", shape[0], shape[1]));
    let figure = Figure::new(
        "filter-grid",
        draw(weights, shape)?,
        caption(weights, shape, layer),
    );
    let text = match kernel.shape.len() {
        2 => format!(
            "{} of the layer {layer}, each with a weight for every pixel of {size}, as they are now.",
            counted(count, "unit")
        ),
        _ => format!(
            "{} of {size} in the layer {layer}: its weights as they are now.",
            counted(count, "filter")
        ),
    };
    Ok(ReportSection::new("filters", "First filters")
        .with(ReportBlock::Text(text))
        .with(ReportBlock::Figures(vec![figure])))
}

/// Height, width, input channels and number of the filters. A dense layer's units see the whole
/// image.
fn shape(kernel: &Parameter, image: [usize; 3], input: &[usize]) -> Option<[usize; 4]> {
    match kernel.shape[..] {
        [h, w, channels, filters] => Some([h, w, channels, filters]),
        [inputs, units] => {
            let [h, w, channels] = image;
            (inputs == h * w * channels && input == [inputs]).then_some([h, w, channels, units])
        }
        _ => None,
    }
}

/// Filters of three channels are shown in colours, all others channel by channel by their mean.
fn draw(weights: &[f32], [h, w, channels, filters]: [usize; 4]) -> Result<crate::report::Drawing> {
    let largest = weights
        .iter()
        .fold(0.0_f32, |most, weight| most.max(weight.abs()));
    let at = |cell: usize, channel: usize, filter: usize| {
        let index = (cell * channels + channel) * filters + filter;
        weights.get(index).copied().unwrap_or_default()
    };
    let filter = |filter: usize| {
        let cells = 0..h * w;
        if channels == 3 {
            let byte = |weight: f32| ((weight / largest + 1.0) * 127.5).clamp(0.0, 255.0) as u8;
            let colours =
                cells.map(|cell| [0, 1, 2].map(|channel| byte(at(cell, channel, filter))));
            return Pixels::of(w, &colours.collect::<Vec<_>>());
        }
        let mean = |cell| (0..channels).map(|c| at(cell, c, filter)).sum::<f32>() / channels as f32;
        let means: Vec<f32> = cells.map(mean).collect();
        Pixels::of(w, &ColourMap::Sign.colours(&means, [-largest, largest]))
    };
    let shown: Vec<Pixels> = (0..filters.min(MOST)).map(filter).collect();
    let columns = columns_for(shown.len(), 2.0 * h as f64 / w as f64);
    tiles(&shown, columns).enlarged_to(SIDE).to_png()
}

fn caption(weights: &[f32], [_, _, channels, filters]: [usize; 4], layer: &str) -> String {
    let (low, high) = super::activations::range(weights);
    let colours = match channels {
        1 => "Blue weights are negative, red ones positive, white ones near 0.",
        3 => "The weights of the three channels are shown as red, green and blue; grey is 0.",
        _ => "The mean of the channels: blue is negative, red positive, white near 0.",
    };
    let shown = match filters {
        ..=MOST => String::new(),
        _ => format!(" The first {MOST} of {filters}."),
    };
    format!(
        "The kernel of {layer}. {colours} Weights from {} to {}.{shown}",
        significant(low.into()),
        significant(high.into())
    )
}
