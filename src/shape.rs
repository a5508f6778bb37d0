//! Windows over images: the input cells that a convolution or pool reads for each output cell.

use serde::{Deserialize, Serialize};

/// Whether windows may extend past the edge of the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// Only whole windows: `out = floor((in - kernel) / stride) + 1`.
    #[default]
    Valid,
    /// `out = ceil(in / stride)`, with `max((out - 1) * stride + kernel - in, 0)` cells of padding
    /// in total; if that is odd, the extra cell is at the end, as in TensorFlow.
    Same,
}

/// One size for both axes or one per axis: `3` and `[3, 3]` mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "OneOrTwo", into = "[usize; 2]")]
pub struct Pair(pub [usize; 2]);

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected an integer or two of them, like 3 or [3, 2]"
)]
enum OneOrTwo {
    One(usize),
    Two([usize; 2]),
}

impl From<OneOrTwo> for Pair {
    fn from(value: OneOrTwo) -> Self {
        match value {
            OneOrTwo::One(n) => Self([n, n]),
            OneOrTwo::Two(pair) => Self(pair),
        }
    }
}

impl From<Pair> for [usize; 2] {
    fn from(pair: Pair) -> Self {
        pair.0
    }
}

impl From<usize> for Pair {
    fn from(n: usize) -> Self {
        Self([n, n])
    }
}

impl From<[usize; 2]> for Pair {
    fn from(pair: [usize; 2]) -> Self {
        Self(pair)
    }
}

impl From<(usize, usize)> for Pair {
    fn from((h, w): (usize, usize)) -> Self {
        Self([h, w])
    }
}

/// The largest window size or stride, limited by the devices' index type.
const MOST: usize = (1 << 31) - 1;

/// A `kh` x `kw` window that moves over an `ih` x `iw` image with strides `sh`, `sw` and has
/// `oh` x `ow` positions. The window of output cell `(oy, ox)` starts at input cell
/// `(oy * sh - pad_top, ox * sw - pad_left)`; its cells are `dh` rows and `dw` columns apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the letters are explained above")]
pub struct Window {
    pub ih: usize,
    pub iw: usize,
    pub kh: usize,
    pub kw: usize,
    pub sh: usize,
    pub sw: usize,
    pub dh: usize,
    pub dw: usize,
    pub pad_top: usize,
    pub pad_left: usize,
    pub oh: usize,
    pub ow: usize,
}

/// One cell under a window: its position in the kernel and in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "kernel and input, row and column")]
pub struct Cell {
    pub ky: usize,
    pub kx: usize,
    pub iy: usize,
    pub ix: usize,
}

impl Window {
    /// Places `kernel` over `input` (height, width).
    ///
    /// # Errors
    /// A size that is zero or too large to index, or a `valid` window larger than its input.
    pub fn new(
        input: [usize; 2],
        kernel: Pair,
        strides: Pair,
        padding: Padding,
    ) -> Result<Self, String> {
        Self::dilated(input, (kernel, 1.into()), strides, padding)
    }

    /// Places `kernel`, whose cells are `dilation` apart, over `input` (height, width).
    ///
    /// # Errors
    /// As [`Window::new`].
    pub fn dilated(
        input: [usize; 2],
        (kernel, dilation): (Pair, Pair),
        strides: Pair,
        padding: Padding,
    ) -> Result<Self, String> {
        let (Pair([kh, kw]), Pair([sh, sw])) = (kernel, strides);
        let Pair([dh, dw]) = dilation;
        if dh == 0 || dw == 0 {
            return Err(format!("dilation {dh}x{dw} must be at least 1"));
        }
        if kh == 0 || kw == 0 || sh == 0 || sw == 0 {
            return Err(format!(
                "kernel or pool size {kh}x{kw} and strides {sh}x{sw} must be at least 1"
            ));
        }
        let reach = |k: usize, d: usize| (k - 1).saturating_mul(d).saturating_add(1);
        let (reach_h, reach_w) = (reach(kh, dh), reach(kw, dw));
        if [reach_h.saturating_mul(reach_w), sh, sw]
            .into_iter()
            .any(|size| size > MOST)
        {
            return Err(format!(
                "a window of {reach_h}x{reach_w} with strides of {sh}x{sw} is too large: expected at most 2^31 - 1 cells and strides of no more"
            ));
        }
        let fit = |i: usize, k: usize, s: usize| match padding {
            Padding::Valid if k > i => None,
            Padding::Valid => Some(((i - k) / s + 1, 0)),
            Padding::Same => {
                let out = i.div_ceil(s);
                let needed = ((out - 1) * s).saturating_add(k);
                Some((out, needed.saturating_sub(i) / 2))
            }
        };
        let [ih, iw] = input;
        match (fit(ih, reach_h, sh), fit(iw, reach_w, sw)) {
            (Some((oh, pad_top)), Some((ow, pad_left))) => Ok(Self {
                ih,
                iw,
                kh,
                kw,
                sh,
                sw,
                dh,
                dw,
                pad_top,
                pad_left,
                oh,
                ow,
            }),
            _ => Err(format!(
                "the window of {reach_h}x{reach_w} is larger than its input of {ih}x{iw}; use padding = \"same\" or a smaller window"
            )),
        }
    }

    /// 1x1 windows over a framed image. Windows over the frame (the given numbers of rows above and
    /// below, columns left and right) contain no cell of the image.
    pub fn framing(
        [ih, iw]: [usize; 2],
        [top, bottom]: [usize; 2],
        [left, right]: [usize; 2],
    ) -> Self {
        Self {
            ih,
            iw,
            kh: 1,
            kw: 1,
            sh: 1,
            sw: 1,
            dh: 1,
            dw: 1,
            pad_top: top,
            pad_left: left,
            oh: top + ih + bottom,
            ow: left + iw + right,
        }
    }

    /// The input row that output row `oy` reads at kernel row `ky`, unless it is padding.
    pub fn row(&self, oy: usize, ky: usize) -> Option<usize> {
        (oy * self.sh + ky * self.dh)
            .checked_sub(self.pad_top)
            .filter(|&iy| iy < self.ih)
    }

    /// The input column that output column `ox` reads at kernel column `kx`, unless it is padding.
    pub fn column(&self, ox: usize, kx: usize) -> Option<usize> {
        (ox * self.sw + kx * self.dw)
            .checked_sub(self.pad_left)
            .filter(|&ix| ix < self.iw)
    }

    /// The cells that output cell `(oy, ox)` reads, in row-major order, without padding.
    pub fn cells(&self, oy: usize, ox: usize) -> impl Iterator<Item = Cell> + use<> {
        let window = *self;
        (0..self.taps()).filter_map(move |tap| {
            let (ky, kx) = (tap / window.kw, tap % window.kw);
            let (iy, ix) = (window.row(oy, ky)?, window.column(ox, kx)?);
            Some(Cell { ky, kx, iy, ix })
        })
    }

    /// Number of kernel cells.
    pub fn taps(&self) -> usize {
        self.kh * self.kw
    }
}

/// A shape in text: `28x28x1`.
pub fn dims(shape: &[usize]) -> String {
    let parts: Vec<String> = shape.iter().map(ToString::to_string).collect();
    parts.join("x")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_puts_the_odd_cell_at_the_end() {
        let w = Window::new([28, 28], 3.into(), 2.into(), Padding::Same).unwrap();
        assert_eq!((w.oh, w.pad_top), (14, 0));
        assert_eq!(w.row(13, 2), None);
        let w = Window::new([7, 7], [2, 5].into(), 1.into(), Padding::Same).unwrap();
        assert_eq!((w.oh, w.ow, w.pad_top, w.pad_left), (7, 7, 0, 2));
    }

    #[test]
    fn dilated_cells_lie_apart() {
        let dilated =
            |padding| Window::dilated([7, 9], (3.into(), [2, 3].into()), 1.into(), padding);
        let w = dilated(Padding::Valid).unwrap();
        assert_eq!(
            (w.oh, w.ow, w.row(2, 2), w.column(0, 2)),
            (3, 3, Some(6), Some(6))
        );
        let w = dilated(Padding::Same).unwrap();
        assert_eq!((w.oh, w.ow, w.pad_top, w.pad_left), (7, 9, 2, 3));
        let e =
            Window::dilated([4, 9], (3.into(), 2.into()), 1.into(), Padding::Valid).unwrap_err();
        assert!(e.contains("5x5"), "{e}");
    }

    #[test]
    fn valid_drops_what_does_not_fill_a_window() {
        let w = Window::new([13, 13], 2.into(), 2.into(), Padding::Valid).unwrap();
        assert_eq!((w.oh, w.ow), (6, 6));
    }

    #[test]
    fn fails_when_kernel_is_larger_than_input() {
        let e = Window::new([3, 3], 5.into(), 1.into(), Padding::Valid).unwrap_err();
        assert!(e.contains("5x5") && e.contains("3x3"), "{e}");
    }
}
