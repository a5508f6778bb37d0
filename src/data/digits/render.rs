//! Renders polylines as 28x28 grey pixels, scaled and centred like MNIST's digits.
//!
//! MNIST's digits were scaled to fit a box of 20x20 pixels, keeping their aspect ratio, and moved
//! by whole pixels until their centre of mass was in the middle of a field of 28x28.

use super::curve::{Point, Polyline};

/// Height and width of an image.
pub(super) const SIDE: usize = 28;
/// The side of the box that a digit fills in its longer direction.
const BOX: f32 = 20.0;
/// The margin around the box.
const MARGIN: f32 = 4.0;

/// A pen: the thickness of its line, and how that varies.
pub(super) struct Pen {
    /// Half the line's thickness in pixels.
    pub(super) radius: f32,
    /// The relative thickness at the start, the middle and the end of a stroke.
    pub(super) pressure: [f32; 3],
    /// The width of the fading edge in pixels.
    pub(super) softness: f32,
}

type Canvas = [[f32; SIDE]; SIDE];

/// Renders the strokes.
pub(super) fn render(strokes: &mut [Polyline], pen: &Pen) -> [u8; SIDE * SIDE] {
    fit(strokes, pen.radius);
    let mut canvas = [[0.0; SIDE]; SIDE];
    for stroke in strokes.iter() {
        draw_stroke(&mut canvas, stroke, pen);
    }
    centred(&canvas)
}

/// Scales and moves the strokes so that they fill the box, including their thickness.
fn fit(strokes: &mut [Polyline], radius: f32) {
    let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
    for point in strokes.iter().flatten() {
        for axis in 0..2 {
            low[axis] = low[axis].min(point[axis]);
            high[axis] = high[axis].max(point[axis]);
        }
    }
    let extent = (high[0] - low[0]).max(high[1] - low[1]).max(0.05);
    let scale = (BOX - 2.0 * radius) / extent;
    for point in strokes.iter_mut().flatten() {
        for axis in 0..2 {
            let middle = 0.5 * (low[axis] + high[axis]);
            point[axis] = (point[axis] - middle) * scale + MARGIN + 0.5 * BOX;
        }
    }
}

fn draw_stroke(canvas: &mut Canvas, stroke: &[Point], pen: &Pen) {
    let spans = stroke.len().max(2) as f32 - 1.0;
    let radius = |index: usize| pen.radius * pressure(&pen.pressure, index as f32 / spans);
    for (index, ends) in stroke.windows(2).enumerate() {
        let radii = [radius(index), radius(index + 1)];
        draw_segment(canvas, [ends[0], ends[1]], radii, pen.softness);
    }
}

/// Interpolates the three pressures along a stroke, with `t` from 0 to 1.
fn pressure(at: &[f32; 3], t: f32) -> f32 {
    if t < 0.5 {
        at[0] + (at[1] - at[0]) * 2.0 * t
    } else {
        at[1] + (at[2] - at[1]) * (2.0 * t - 1.0)
    }
}

fn draw_segment(canvas: &mut Canvas, [a, b]: [Point; 2], radii: [f32; 2], softness: f32) {
    let reach = radii[0].max(radii[1]) + softness;
    let columns = pixels(a[0].min(b[0]) - reach, a[0].max(b[0]) + reach);
    let rows = pixels(a[1].min(b[1]) - reach, a[1].max(b[1]) + reach);
    let along = [b[0] - a[0], b[1] - a[1]];
    let inverse = 1.0 / (along[0] * along[0] + along[1] * along[1]).max(1e-6);
    for row in rows {
        for column in columns.clone() {
            let from = [column as f32 + 0.5 - a[0], row as f32 + 0.5 - a[1]];
            let t = ((from[0] * along[0] + from[1] * along[1]) * inverse).clamp(0.0, 1.0);
            let (x, y) = (from[0] - t * along[0], from[1] - t * along[1]);
            let radius = radii[0] + (radii[1] - radii[0]) * t;
            let ink = (radius - (x * x + y * y).sqrt()) / softness + 0.5;
            let pixel = &mut canvas[row][column];
            *pixel = pixel.max(ink.min(1.0));
        }
    }
}

/// The pixels from one coordinate to another, clipped to the canvas.
fn pixels(low: f32, high: f32) -> std::ops::Range<usize> {
    // Casts saturate, so the range stays inside.
    (low as usize).min(SIDE)..(high as usize + 1).min(SIDE)
}

/// The canvas as bytes, moved by whole pixels so that its centre of mass is in the middle.
fn centred(canvas: &Canvas) -> [u8; SIDE * SIDE] {
    let (mut mass, mut moment) = (0.0, [0.0; 2]);
    for (row, line) in canvas.iter().enumerate() {
        for (column, &ink) in line.iter().enumerate() {
            mass += ink;
            moment[0] += ink * (column as f32 + 0.5);
            moment[1] += ink * (row as f32 + 0.5);
        }
    }
    let shift = moment.map(|m| whole_shift(0.5 * SIDE as f32 - m / f32::max(mass, 1e-6)));
    let mut image = [0; SIDE * SIDE];
    for (index, byte) in image.iter_mut().enumerate() {
        let row = (index / SIDE).checked_add_signed(-shift[1]);
        let column = (index % SIDE).checked_add_signed(-shift[0]);
        if let (Some(row), Some(column)) = (row, column)
            && let Some(ink) = canvas.get(row).and_then(|line| line.get(column))
        {
            *byte = (ink * 255.0 + 0.5) as u8;
        }
    }
    image
}

/// The nearest whole number of pixels within the margin, so that no ink leaves the field.
fn whole_shift(shift: f32) -> isize {
    let shift = shift.clamp(-MARGIN, MARGIN);
    (shift + MARGIN + 0.5) as isize - MARGIN as isize
}
