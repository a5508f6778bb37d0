//! What `convolve` shows: before, filter, after, pooled, side by side.

use cnn_gpu::Result;
use cnn_gpu::inspect::Matrix;

use super::Shown;
use super::greys::{GreyChoice, Greys};
use super::pass::{FilterPass, PoolPass};
use crate::cli::blocks::{terminal_columns, total_width};
use crate::cli::panel::{Panel, size};

/// The height of a picture in a file, unless its scale is given or it is larger.
const HEIGHT: usize = 200;
/// The maximum width and height of a file, in pixels.
const MAX_SIDE: usize = 32_768;
/// The maximum width of a filter's pixel in a terminal, in characters.
const CELL: usize = 4;
/// The tiles per row of a filter with many channels.
const TILES: usize = 8;

/// The rows of pictures: one, or one for each plane of colour, one for the planes together and one
/// for their sum.
pub fn rows(shown: &Shown) -> Result<Vec<Vec<Panel>>> {
    let mut rows = Vec::new();
    for (i, (name, pass)) in shown.passes.iter().enumerate() {
        let is_sum = i == 3;
        if is_sum {
            rows.push(together(shown)?);
        }
        let before = match name {
            _ if is_sum => photo(pass),
            _ => grey_input(shown, pass)?,
        };
        let title = if shown.passes.len() > 1 {
            name
        } else {
            "before"
        };
        let greys = match is_sum {
            true => sum_greys(shown, pass),
            false => shown.greys,
        };
        rows.push(row(Panel::new(title, before.0, before.1), pass, greys)?);
    }
    Ok(rows)
}

type RgbPixels = (usize, Vec<[u8; 3]>);

fn row(before: Panel, pass: &FilterPass, greys: Greys) -> Result<Vec<Panel>> {
    let mut row = vec![before, filter(pass)?, grey("after", &pass.output, greys)];
    if let Some(PoolPass { window, output, .. }) = &pass.pooled {
        row.push(grey(
            "pooled",
            output,
            pooled_greys(output, greys, window.taps()),
        ));
    }
    Ok(row)
}

/// The grey levels of a pool: those before it, unless a sum goes beyond them.
fn pooled_greys(pooled: &Matrix, greys: Greys, taps: usize) -> Greys {
    let [low, high] = pooled.range();
    match greys {
        Greys::Signed(most) if low.abs().max(high.abs()) > most * 1.001 => {
            Greys::Signed(most * taps as f32)
        }
        Greys::Range([from, to]) if high > to * 1.001 => Greys::Range([from, to * taps as f32]),
        other => other,
    }
}

/// The sum of three planes has up to three times their size.
pub fn sum_greys(shown: &Shown, pass: &FilterPass) -> Greys {
    match shown.greys {
        Greys::Clip => Greys::Range([0.0, 3.0 * 255.0]),
        Greys::Signed(_) => Greys::of(GreyChoice::Signed, &[&pass.output], None),
        Greys::Range(_) => Greys::of(GreyChoice::Range, &[&pass.output], None),
    }
}

/// The picture in colour, and its three planes after the filter as one picture in colour.
fn together(shown: &Shown) -> Result<Vec<Panel>> {
    let planes: Vec<&FilterPass> = shown.passes.iter().take(3).map(|(_, pass)| pass).collect();
    let of = |plane: fn(&FilterPass) -> Option<&Matrix>, greys: &dyn Fn(&Matrix) -> Greys| {
        let matrices: Vec<&Matrix> = planes.iter().filter_map(|pass| plane(pass)).collect();
        let &[red, green, blue] = matrices.as_slice() else {
            return None;
        };
        let level = |matrix: &Matrix, value: &f32| greys(matrix).level(*value);
        let pixels = red.values().iter().zip(green.values()).zip(blue.values());
        let pixels = pixels.map(|((r, g), b)| [level(red, r), level(green, g), level(blue, b)]);
        Some((red.columns(), pixels.collect::<Vec<[u8; 3]>>()))
    };
    let mut row = Vec::new();
    if let Some((_, sum)) = shown.passes.last() {
        let (width, pixels) = photo(sum);
        row.push(Panel::new("together", width, pixels));
    }
    if let Some(pass) = planes.first() {
        row.push(filter(pass)?);
    }
    let pooled = planes.first().and_then(|pass| pass.pooled.as_ref());
    let taps = pooled.map_or(1, |pooled| pooled.window.taps());
    let greys = shown.greys;
    if let Some((width, pixels)) = of(|pass| Some(&pass.output), &|_| greys) {
        row.push(Panel::new("after", width, pixels));
    }
    let of_pool = |matrix: &Matrix| pooled_greys(matrix, greys, taps);
    if let Some((width, pixels)) = of(|pass| Some(&pass.pooled.as_ref()?.output), &of_pool) {
        row.push(Panel::new("pooled", width, pixels));
    }
    Ok(row)
}

/// The picture that the filter slides over, or the first channel of what the layers before it make.
fn grey_input(shown: &Shown, pass: &FilterPass) -> Result<RgbPixels> {
    let first = pass.input.channel(0)?;
    let [low, high] = first.range();
    let greys = match () {
        () if pass.input.channels == 3 && pass.is_picture => return Ok(photo(pass)),
        () if shown.is_typed => Greys::of(GreyChoice::Auto, &[&first], None),
        () if high <= 1.0 && pass.kernel.is_learned => Greys::Range([0.0, 1.0]),
        () if low >= 0.0 && high <= 255.0 && !pass.kernel.is_learned => Greys::Clip,
        () => Greys::of(GreyChoice::Auto, &[&first], None),
    };
    let pixels = first.values().iter().map(|&value| [greys.level(value); 3]);
    Ok((first.columns(), pixels.collect()))
}

/// Three planes as a picture in colour: bytes, or, for a network, bytes divided by 255.
fn photo(pass: &FilterPass) -> RgbPixels {
    let image = &pass.input;
    let factor = if pass.kernel.is_learned { 255.0 } else { 1.0 };
    let level = |value: f32| (value * factor).round() as u8;
    let pixels = image.values.chunks_exact(image.channels);
    let colour = |p: &[f32]| match *p {
        [r, g, b] => [r, g, b].map(level),
        _ => [p.first().copied().map_or(0, level); 3],
    };
    (image.size[1], pixels.map(colour).collect())
}

fn grey(title: &str, matrix: &Matrix, greys: Greys) -> Panel {
    let pixels = matrix.values().iter().map(|&value| [greys.level(value); 3]);
    Panel::new(title, matrix.columns(), pixels.collect())
}

/// The filter's weights, 0 in mid-grey; several channels as tiles.
fn filter(pass: &FilterPass) -> Result<Panel> {
    let weights = &pass.kernel.weights;
    let [kh, kw] = weights.size;
    let whole = Matrix::new(1, weights.values.clone())?;
    let greys = Greys::of(GreyChoice::Signed, &[&whole], None);
    let tiles = match weights.channels {
        // Planes of colour have the same weights.
        3 if !pass.kernel.is_learned => 1,
        channels => channels,
    };
    let columns = tiles.min(TILES);
    let (width, height) = (
        columns * (kw + 1) - 1,
        tiles.div_ceil(columns) * (kh + 1) - 1,
    );
    let pixel = |i: usize| {
        let (y, x) = (i / width, i % width);
        let tile = y / (kh + 1) * columns + x / (kw + 1);
        let (ky, kx) = (y % (kh + 1), x % (kw + 1));
        match tile < tiles && ky < kh && kx < kw {
            true => [greys.level(weights.at(ky, kx, tile)); 3],
            false => [224; 3],
        }
    };
    Ok(Panel::new(
        "filter",
        width,
        (0..width * height).map(pixel).collect(),
    ))
}

/// The rows for a file: filters large enough to be seen, about a quarter as high as the pictures.
pub fn for_file(rows: &[Vec<Panel>]) -> Vec<Vec<Panel>> {
    let cell = |row: &[Panel], filter: &Panel| {
        let height = row.first().map_or(0, Panel::height);
        (height / (4 * filter.height()).max(1)).max(1)
    };
    let enlarge = |row: &Vec<Panel>| enlarged_filter(row, |filter| cell(row, filter));
    rows.iter().map(enlarge).collect()
}

/// The rows for a terminal: filters enlarged if there is room, and pictures reduced as far as
/// necessary.
pub fn for_terminal(rows: &[Vec<Panel>]) -> Vec<Vec<Panel>> {
    let columns = terminal_columns();
    let width = |row: &[Panel]| total_width(&row.iter().map(|p| p.width).collect::<Vec<usize>>());
    let fits = |row: &Vec<Panel>| {
        let mut cells = (2..=CELL).rev();
        let cell = cells.find(|&cell| width(&enlarged_filter(row, |_| cell)) <= columns);
        cell.unwrap_or(2)
    };
    let cell = rows.iter().map(fits).min().unwrap_or(1);
    let mut rows: Vec<Vec<Panel>> = (rows.iter())
        .map(|row| enlarged_filter(row, |_| cell))
        .collect();
    rows.iter_mut().for_each(|row| reduce(row, columns));
    rows
}

/// A row with its second picture, the filter, enlarged.
fn enlarged_filter(row: &[Panel], times: impl Fn(&Panel) -> usize) -> Vec<Panel> {
    let panels = row.iter().enumerate();
    panels
        .map(|(i, panel)| match i {
            1 => panel.enlarged(times(panel)),
            _ => panel.clone(),
        })
        .collect()
}

/// Reduces the pictures of a row, except the filter, to fit side by side.
fn reduce(row: &mut [Panel], columns: usize) {
    let widths: Vec<usize> = row.iter().map(|panel| panel.width).collect();
    let filter = widths.get(1).copied().unwrap_or(0);
    let total = total_width(&widths);
    if total <= columns {
        return;
    }
    let all: usize = widths.iter().sum::<usize>() - filter;
    let room = columns.saturating_sub(total - all);
    for (i, panel) in row.iter_mut().enumerate() {
        if i != 1 {
            *panel = panel.reduced((panel.width * room / all.max(1)).max(8));
        }
    }
}

/// The enlargement of a file: the given one, or one that makes the pictures easy to see.
pub fn scale(rows: &[Vec<Panel>], given: Option<u16>) -> usize {
    let height = rows.iter().flatten().map(Panel::height).max().unwrap_or(1);
    let wanted = match given {
        Some(scale) => scale.into(),
        None => HEIGHT.div_ceil(height.max(1)).min(64),
    };
    let side = size(rows).into_iter().max().unwrap_or(1);
    wanted.min(MAX_SIDE / side.max(1)).max(1)
}
