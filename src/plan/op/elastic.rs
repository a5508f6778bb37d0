//! Elastic transformations: fields of random displacements, and images read through them.

use super::affine::image;
use super::draws::RowDraws;
use super::{Op, Operation, Rounding};
use crate::model::{Activation, Sampling};
use crate::plan::{BufferId, Builder, Element, Plan, Role, Value};
use crate::rng::Key;

/// How often and how strongly images are distorted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ElasticStrength {
    /// The bounds of the probability, which is drawn too.
    pub probability: [f64; 2],
    /// The bounds of the scale, in [0, 1].
    pub scale: [f64; 2],
}

/// Lower bound and extent in units of 2^-16.
fn bounds([lower, upper]: [f64; 2]) -> [u32; 2] {
    let units = [lower, upper].map(|end| (end * 65_536.0).round() as u32);
    [units[0], units[1] - units[0]]
}

/// A number between bounds in units of 2^-16, from the 16 upper bits of a draw.
fn between([lower, extent]: [u32; 2], bits: u32) -> u32 {
    lower + ((u64::from(extent) * u64::from(bits >> 16)) >> 16) as u32
}

impl ElasticStrength {
    /// The largest height or width of an image, for products in 32 bits.
    pub const MAX_SIDE: usize = 1 << 14;

    /// Lower bound and extent of the probability in units of 2^-16.
    pub fn probability_bounds(&self) -> [u32; 2] {
        bounds(self.probability)
    }

    /// Lower bound and extent of the scale in units of 2^-16.
    pub fn scale_bounds(&self) -> [u32; 2] {
        bounds(self.scale)
    }

    /// Whether no image is ever distorted.
    pub fn is_none(&self) -> bool {
        self.probability[1] == 0.0 || self.scale[1] == 0.0
    }

    /// Cells of the largest blur's kernel on either side of its middle.
    pub fn max_reach(&self, size: [usize; 2]) -> usize {
        let [lower, extent] = self.scale_bounds();
        Blur::new(size, lower + extent).reach
    }
}

/// The displacements of a batch before they are scaled: normal noise, blurred by a Gaussian.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blur {
    /// The standard deviation, in pixels.
    pub sigma: f64,
    /// Cells of the kernel on either side of its middle.
    pub reach: usize,
    /// What the blurred noise is multiplied by.
    pub strength: f64,
}

impl Blur {
    /// Of images with a scale in units of 2^-16.
    fn new([h, w]: [usize; 2], scale: u32) -> Self {
        let share = f64::from(scale) / 65_536.0;
        let (least, most) = (h.min(w) as f64, h.max(w) as f64);
        let sigma = 0.05 * least * share;
        // The kernel has floor(6 sigma) cells, or one more to be odd; in integers, so that all devices
        // agree.
        let cells = 3 * h.min(w) as u64 * u64::from(scale) / 655_360;
        Self {
            sigma,
            reach: (cells / 2) as usize,
            strength: 0.1 * most * share * sigma,
        }
    }

    /// The kernel from its middle on.
    pub fn weights(&self) -> Vec<f64> {
        let weight = |d: usize| match d {
            // Also where the deviation is zero.
            0 => 1.0,
            _ => (-0.5 * (d as f64 / self.sigma).powi(2)).exp(),
        };
        let half: Vec<f64> = (0..=self.reach).map(weight).collect();
        let sum = 2.0 * half.iter().sum::<f64>() - 1.0;
        half.into_iter().map(|weight| weight / sum).collect()
    }
}

/// Draws normal numbers for each pixel of each image, one for the displacement to the right and one
/// for that down; 0 for images that are not distorted, of which draw 1 is not below U(probability).
#[derive(Clone, Debug, PartialEq)]
pub struct DrawNoise {
    /// Height and width of the images.
    pub size: [usize; 2],
    /// How often.
    pub strength: ElasticStrength,
    /// Draws 0 and 1 of each row: probability and decision.
    pub draws: RowDraws,
    /// The numbers to the right and down: series from which each pixel of the batch has a draw.
    pub series: [RowDraws; 2],
    /// The numbers, `[n, 2, h, w]`.
    pub noise: BufferId,
}

impl DrawNoise {
    /// Whether the image in this row of the batch is distorted.
    pub fn acts_on(&self, key: Key, row: usize) -> bool {
        let draw = |i| self.draws.bits(key, row, i);
        draw(1) >> 16 < between(self.strength.probability_bounds(), draw(0))
    }
}

/// Makes displacements of noise, as Keras does:
///
/// ```text
/// s = U(scale), one for the batch       sigma = 0.05 * min(h, w) * s       alpha = 0.1 * max(h, w) * s
/// fields = alpha * blur(sigma * noise), a Gaussian blur of deviation sigma with floor(6 sigma) | 1 cells
///          per axis and zeros around the image
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BlurNoise {
    /// Height and width of the images.
    pub size: [usize; 2],
    /// How strongly.
    pub strength: ElasticStrength,
    /// Draw 2 of the batch's first row: the scale.
    pub draws: RowDraws,
    /// The noise, `[n, 2, h, w]`.
    pub noise: BufferId,
    /// The displacements, `[n, h, w, 2]`.
    pub fields: BufferId,
}

impl BlurNoise {
    /// The blur of a batch.
    pub fn blur(&self, key: Key) -> Blur {
        let bits = self.draws.bits(key, 0, 2);
        Blur::new(self.size, between(self.strength.scale_bounds(), bits))
    }
}

/// `y[oy, ox] = clip(x at (oy + fields[oy, ox, 1], ox + fields[oy, ox, 0]))`; see [`Sampling`].
#[derive(Clone, Debug, PartialEq)]
pub struct DisplacePixels {
    /// Height, width and channels of an image.
    pub shape: [usize; 3],
    /// How the images are read.
    pub sampling: Sampling,
    /// The range that the result is clipped to.
    pub range: [f64; 2],
    /// The images, `[n, h, w, c]`.
    pub x: BufferId,
    /// The displacements, `[n, h, w, 2]`.
    pub fields: BufferId,
    /// The result, `[n, h, w, c]`.
    pub y: BufferId,
}

impl Builder {
    /// Adds an elastic transformation; returns `x` unchanged unless the plan trains.
    ///
    /// # Errors
    /// `x` is not an image.
    pub fn elastic(
        &mut self,
        x: Value,
        strength: ElasticStrength,
        sampling: Sampling,
        range: [f64; 2],
    ) -> Result<Value, String> {
        if !self.augments() || strength.is_none() {
            return Ok(x);
        }
        let shape = image(&x)?;
        let [h, w, _] = shape;
        let (draws, series) = (self.row_draws(), [self.row_draws(), self.row_draws()]);
        let mut buffer = |what: &str, shape: [usize; 3]| {
            let (name, shape) = (format!("{} {what}", self.layer), self.batched(&shape));
            self.buffer(name, shape, Element::F32, Role::Intermediate)
        };
        let (noise, fields) = (buffer("noise", [2, h, w]), buffer("fields", [h, w, 2]));
        self.push(Op::DrawNoise(DrawNoise {
            size: [h, w],
            strength,
            draws,
            series,
            noise,
        }));
        self.push(Op::BlurNoise(BlurNoise {
            size: [h, w],
            strength,
            draws,
            noise,
            fields,
        }));
        let y = self.value(x.shape.clone(), Activation::Linear);
        self.push(Op::DisplacePixels(DisplacePixels {
            shape,
            sampling,
            range,
            x: x.buffer,
            fields,
            y: y.buffer,
        }));
        Ok(y)
    }
}

impl Operation for DrawNoise {
    fn name(&self) -> &'static str {
        "draw_noise"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.noise]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        plan.elements(self.noise)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Exponential
    }

    fn reads_summary(&self) -> Option<String> {
        Some("random draws".into())
    }
}

impl Operation for BlurNoise {
    fn name(&self) -> &'static str {
        "blur_noise"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.noise]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.fields]
    }

    /// Along both axes.
    fn flops(&self, plan: &Plan) -> u64 {
        let cells = 2 * self.strength.max_reach(self.size) + 1;
        4 * cells as u64 * plan.elements(self.fields)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Exponential
    }
}

impl Operation for DisplacePixels {
    fn name(&self) -> &'static str {
        "displace_pixels"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.x, self.fields]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    /// Two for the place of a pixel, and six for each of its channels.
    fn flops(&self, plan: &Plan) -> u64 {
        let [h, w, c] = self.shape;
        (plan.batch * h * w * (2 + 6 * c)) as u64
    }

    fn rounding(&self) -> Rounding {
        Rounding::Place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_that_of_keras() {
        // int(6 sigma) | 1 cells.
        for (side, cells) in [(6, 1), (7, 3), (28, 9), (32, 9), (224, 67)] {
            let blur = Blur::new([side, side + 3], 65_536);
            assert_eq!(2 * blur.reach + 1, cells, "{side}");
            assert!((blur.sigma - 0.05 * side as f64).abs() < 1e-12);
            let weights = blur.weights();
            let sum = 2.0 * weights.iter().sum::<f64>() - weights[0];
            assert!((sum - 1.0).abs() < 1e-12);
        }
        assert_eq!(Blur::new([28, 28], 0).weights(), [1.0]);
    }
}
