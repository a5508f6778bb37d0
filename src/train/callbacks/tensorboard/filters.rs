//! An image of a convolution's filters.

use super::event::Image;
use crate::state::{Parameter, State};

/// Width and height of a weight in pixels.
const SCALE: usize = 8;
/// Pixels between filters.
const GAP: usize = 2;

/// The filters of the model's first convolution in a square grid; `None` without a convolution.
/// Zero is mid-grey, and the largest weight is white or black. Three input channels are shown as
/// red, green and blue, any other number as their mean.
pub(super) fn picture(state: &State) -> Option<(&str, Image)> {
    let kernel = (state.layout.parameters.iter())
        .find(|p| p.shape.len() == 4 && p.name.ends_with("/kernel"))?;
    let image = FilterGrid::new(kernel)?.draw(&state.params[kernel.range()])?;
    Some((&kernel.name, image))
}

/// How the filters are arranged in the image.
struct FilterGrid {
    /// `[kh, kw, ic, oc]`.
    shape: [usize; 4],
    columns: usize,
    /// Channels of the image.
    channels: usize,
    height: usize,
    width: usize,
}

impl FilterGrid {
    fn new(kernel: &Parameter) -> Option<Self> {
        let shape: [usize; 4] = kernel.shape.as_slice().try_into().ok()?;
        let [kh, kw, ic, oc] = shape;
        let columns = (oc as f64).sqrt().ceil() as usize;
        let cells = |n: usize, size: usize| n * (size * SCALE + GAP) + GAP;
        Some(Self {
            shape,
            columns,
            channels: if ic == 3 { 3 } else { 1 },
            height: cells(oc.div_ceil(columns), kh),
            width: cells(columns, kw),
        })
    }

    fn draw(&self, weights: &[f32]) -> Option<Image> {
        let [kh, kw, _, oc] = self.shape;
        let largest = weights.iter().fold(0.0f32, |m, w| m.max(w.abs()));
        let mut pixels = vec![0; self.height * self.width * self.channels];
        for filter in 0..oc {
            let (row, column) = (filter / self.columns, filter % self.columns);
            let top = GAP + row * (kh * SCALE + GAP);
            let left = GAP + column * (kw * SCALE + GAP);
            for (y, x) in (0..kh * SCALE).flat_map(|y| (0..kw * SCALE).map(move |x| (y, x))) {
                let at = ((top + y) * self.width + left + x) * self.channels;
                for (c, pixel) in pixels[at..at + self.channels].iter_mut().enumerate() {
                    let weight = self.weight(weights, [y / SCALE, x / SCALE, c, filter]);
                    *pixel = (127.5 * (1.0 + weight / largest.max(f32::MIN_POSITIVE))) as u8;
                }
            }
        }
        Some(Image {
            height: self.height,
            width: self.width,
            colorspace: self.channels,
            encoded_image_string: self.png(&pixels).ok()?,
        })
    }

    fn weight(&self, weights: &[f32], [ky, kx, c, o]: [usize; 4]) -> f32 {
        let [_, kw, ic, oc] = self.shape;
        let of = |c: usize| weights[((ky * kw + kx) * ic + c) * oc + o];
        match self.channels {
            3 => of(c),
            _ => (0..ic).map(of).sum::<f32>() / ic as f32,
        }
    }

    fn png(&self, pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(match self.channels {
            3 => png::ColorType::Rgb,
            _ => png::ColorType::Grayscale,
        });
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels)?;
        writer.finish()?;
        Ok(bytes)
    }
}
