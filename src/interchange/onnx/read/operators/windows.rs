//! The attributes of convolutions and pools that place windows.

use super::super::inputs::Inputs;
use super::super::placement::{Placement, Sides};
use crate::error::FormatError;

/// Images have fewer pixels than this.
const MOST_PIXELS: usize = 1 << 31;

/// One size, stride and so on for each axis behind the second.
pub(super) struct WindowAxes {
    pub sizes: Vec<usize>,
    pub strides: Vec<usize>,
    pub dilations: Vec<usize>,
    /// The cells before each axis, then those behind it.
    pads: Vec<usize>,
    padding: AutoPad,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AutoPad {
    Explicit,
    Valid,
    SameUpper,
    SameLower,
}

impl WindowAxes {
    /// The attributes for windows of these sizes.
    ///
    /// # Errors
    /// An attribute with fewer or more numbers, or a negative one.
    pub fn new(inputs: &Inputs<'_>, sizes: Vec<usize>) -> Result<Self, FormatError> {
        let n = sizes.len();
        let each = |name, n, default| -> Result<Vec<usize>, FormatError> {
            let found = inputs.node.sizes(name, n)?;
            Ok(found.unwrap_or_else(|| vec![default; n]))
        };
        let padding = match inputs.node.text("auto_pad") {
            None | Some("" | "NOTSET") => AutoPad::Explicit,
            Some("VALID") => AutoPad::Valid,
            Some("SAME_UPPER") => AutoPad::SameUpper,
            Some("SAME_LOWER") => AutoPad::SameLower,
            Some(other) => return Err(inputs.node.error(format!("unknown auto_pad `{other}`"))),
        };
        let axes = Self {
            strides: each("strides", n, 1)?,
            dilations: each("dilations", n, 1)?,
            pads: each("pads", 2 * n, 0)?,
            sizes,
            padding,
        };
        let all = [&axes.sizes, &axes.strides, &axes.dilations];
        if all.into_iter().flatten().any(|&n| n == 0) {
            return Err(inputs
                .node
                .error("a window size, stride or dilation of 0; expected at least 1"));
        }
        Ok(axes)
    }

    /// Whether nothing moves along axis `i`: windows of one cell, one after the other.
    pub fn is_trivial(&self, i: usize) -> bool {
        let one = |sizes: &[usize]| sizes.get(i) == Some(&1);
        one(&self.sizes) && one(&self.strides) && self.sides(i) == [0, 0]
    }

    fn sides(&self, i: usize) -> [usize; 2] {
        let side = |i: usize| self.pads.get(i).copied().unwrap_or(0);
        match self.padding {
            AutoPad::Explicit => [side(i), side(i + self.sizes.len())],
            AutoPad::Valid | AutoPad::SameUpper | AutoPad::SameLower => [0, 0],
        }
    }

    /// The number of windows along each axis over an array of this shape; `None` if it is smaller
    /// than one, or `same` was asked for.
    pub fn outputs(&self, sizes: &[usize]) -> Option<Vec<usize>> {
        if matches!(self.padding, AutoPad::SameUpper | AutoPad::SameLower) {
            return None;
        }
        let along = |(i, &size): (usize, &usize)| {
            let [before, behind] = self.sides(i);
            let reach = (self.sizes.get(i)?.checked_sub(1)?)
                .checked_mul(*self.dilations.get(i)?)?
                .checked_add(1)?;
            let padded = size.checked_add(before)?.checked_add(behind)?;
            padded
                .checked_sub(reach)?
                .checked_div(*self.strides.get(i)?)?
                .checked_add(1)
        };
        sizes.iter().enumerate().map(along).collect()
    }

    /// The index of the cell under `tap` of the window at `output`, unless that is padding.
    pub fn cell(&self, sizes: &[usize], output: &[usize], tap: &[usize]) -> Option<usize> {
        (sizes.iter().enumerate()).try_fold(0, |cell: usize, (i, &size)| {
            let start = output.get(i)?.checked_mul(*self.strides.get(i)?)?;
            let inner = tap.get(i)?.checked_mul(*self.dilations.get(i)?)?;
            let [before, _] = self.sides(i);
            let at = start.checked_add(inner)?.checked_sub(before)?;
            (at < size).then(|| cell * size + at)
        })
    }

    /// The windows over images of this height and width, along two of the axes; `None` is an axis
    /// along which windows have one cell.
    ///
    /// # Errors
    /// Windows that are too large.
    pub fn placement(
        &self,
        inputs: &Inputs<'_>,
        image: [usize; 2],
        axes: [Option<usize>; 2],
    ) -> Result<Placement, FormatError> {
        let both = |all: &[usize]| axes.map(|i| i.and_then(|i| all.get(i)).copied().unwrap_or(1));
        let explicit: Sides = axes.map(|i| i.map_or([0, 0], |i| self.sides(i)));
        let placement = Placement {
            size: both(&self.sizes),
            strides: both(&self.strides),
            dilation: both(&self.dilations),
            pads: explicit,
        };
        let pads = match self.padding {
            AutoPad::Explicit | AutoPad::Valid => Some(explicit),
            AutoPad::SameUpper => placement.same(image),
            AutoPad::SameLower => {
                (placement.same(image)).map(|sides| sides.map(|[before, behind]| [behind, before]))
            }
        };
        let pads = pads.ok_or_else(|| inputs.node.error("its windows are too large"))?;
        Ok(Placement { pads, ..placement })
    }
}

/// The height and width of what windows over images of this size make.
///
/// # Errors
/// An image is smaller than a window, or padding makes it too large.
pub(super) fn outputs(
    inputs: &Inputs<'_>,
    over: &Placement,
    image: [usize; 2],
) -> Result<[usize; 2], FormatError> {
    let made = over.outputs(image).ok_or_else(|| {
        let [[h, w], [ih, iw]] = [over.size, image];
        (inputs.node).error(format!(
            "windows of {h}x{w} do not fit into images of {ih}x{iw}"
        ))
    })?;
    match made[0].checked_mul(made[1]) {
        Some(pixels) if pixels < MOST_PIXELS => Ok(made),
        _ => Err(inputs.node.error(format!(
            "its pads {:?} make images of {}x{}; expected fewer than 2^31 pixels",
            over.pads, made[0], made[1]
        ))),
    }
}
