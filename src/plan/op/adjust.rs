//! Contrast and brightness of images.

use super::affine::image;
use super::draws::RowDraws;
use super::{Op, Operation, Rounding};
use crate::model::Activation;
use crate::plan::{BufferId, Builder, Plan, Value};
use crate::rng::Key;

/// `y = clip((x - mean) * f + mean)` with the mean of each channel of each image, and a factor drawn
/// for each image.
#[derive(Clone, Debug, PartialEq)]
pub struct AdjustContrast {
    /// Height, width and channels of an image.
    pub shape: [usize; 3],
    /// The least and the largest factor.
    pub scales: [f64; 2],
    /// The range that the result is clipped to.
    pub range: [f64; 2],
    /// The factors' draws.
    pub draws: RowDraws,
    /// The images, `[n, h, w, c]`.
    pub x: BufferId,
    /// The result, `[n, h, w, c]`.
    pub y: BufferId,
}

impl AdjustContrast {
    /// The factor of a row.
    pub fn scale(&self, key: Key, row: usize) -> f64 {
        self.draws.between(key, row, 0, self.scales)
    }
}

/// `y = clip(x + f * (range[1] - range[0]))` with a share `f` drawn for each image.
#[derive(Clone, Debug, PartialEq)]
pub struct AdjustBrightness {
    /// The least and the largest share.
    pub shares: [f64; 2],
    /// The range of pixels, that the result is clipped to.
    pub range: [f64; 2],
    /// The shares' draws.
    pub draws: RowDraws,
    /// The images, `[n, h, w, c]`.
    pub x: BufferId,
    /// The result, `[n, h, w, c]`.
    pub y: BufferId,
}

impl AdjustBrightness {
    /// The least and the largest number that is added.
    pub fn deltas(&self) -> [f64; 2] {
        let [low, high] = self.range;
        self.shares.map(|share| share * (high - low))
    }

    /// What is added to the pixels of a row.
    pub fn delta(&self, key: Key, row: usize) -> f64 {
        self.draws.between(key, row, 0, self.deltas())
    }
}

impl Builder {
    /// Adds a random contrast with a factor between `scales`; returns `x` unchanged unless the plan
    /// trains.
    ///
    /// # Errors
    /// `x` is not an image.
    pub fn adjust_contrast(
        &mut self,
        x: Value,
        scales: [f64; 2],
        range: [f64; 2],
    ) -> Result<Value, String> {
        if !self.augments() {
            return Ok(x);
        }
        let shape = image(&x)?;
        let draws = self.row_draws();
        let y = self.value(x.shape.clone(), Activation::Linear);
        self.push(Op::AdjustContrast(AdjustContrast {
            shape,
            scales,
            range,
            draws,
            x: x.buffer,
            y: y.buffer,
        }));
        Ok(y)
    }

    /// Adds a random brightness with a share of the range between `shares`; returns `x` unchanged
    /// unless the plan trains.
    ///
    /// # Errors
    /// `x` is not an image.
    pub fn adjust_brightness(
        &mut self,
        x: Value,
        shares: [f64; 2],
        range: [f64; 2],
    ) -> Result<Value, String> {
        if !self.augments() {
            return Ok(x);
        }
        image(&x)?;
        let draws = self.row_draws();
        let y = self.value(x.shape.clone(), Activation::Linear);
        self.push(Op::AdjustBrightness(AdjustBrightness {
            shares,
            range,
            draws,
            x: x.buffer,
            y: y.buffer,
        }));
        Ok(y)
    }
}

impl Operation for AdjustContrast {
    fn name(&self) -> &'static str {
        "adjust_contrast"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.x]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        4 * plan.elements(self.y)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Sum
    }
}

impl Operation for AdjustBrightness {
    fn name(&self) -> &'static str {
        "adjust_brightness"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.x]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        plan.elements(self.y)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Few
    }
}
