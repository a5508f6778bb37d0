//! The 2x2 tiles of an output and the 4x4 patches of the input that they read.

use crate::shape::Window;

/// The 2x2 tiles of the output.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    pub(super) window: Window,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// One tile, and the patch of the input that it reads.
#[derive(Clone, Copy, Default)]
pub(super) struct WinogradTile {
    /// Its place among all tiles.
    pub(super) index: usize,
    pub(super) sample: usize,
    /// Row and column of its first output cell.
    pub(super) y: usize,
    pub(super) x: usize,
    /// Whether its patch lies within the image and its cells within the output.
    pub(super) whole: bool,
}

impl Tiles {
    /// Tiles that cover the output.
    pub(super) fn new(window: &Window) -> Self {
        Self::grid(window, [window.oh.div_ceil(2), window.ow.div_ceil(2)])
    }

    /// Rows and columns of tiles.
    pub(super) fn grid(window: &Window, [rows, columns]: [usize; 2]) -> Self {
        Self {
            window: *window,
            rows,
            columns,
        }
    }

    pub(super) fn per_sample(&self) -> usize {
        self.rows * self.columns
    }

    /// The tile with this index among those of all samples.
    #[inline(always)]
    pub(super) fn tile(&self, index: usize) -> WinogradTile {
        let w = &self.window;
        let (sample, place) = (index / self.per_sample(), index % self.per_sample());
        let (y, x) = (place / self.columns * 2, place % self.columns * 2);
        WinogradTile {
            index,
            sample,
            y,
            x,
            whole: w.pad_top <= y
                && y + 4 <= w.ih + w.pad_top
                && w.pad_left <= x
                && x + 4 <= w.iw + w.pad_left
                && y + 2 <= w.oh
                && x + 2 <= w.ow,
        }
    }

    /// The index of the first cell of a whole tile's patch among the cells of all images.
    #[inline(always)]
    pub(super) fn first_patch_cell(&self, tile: &WinogradTile) -> usize {
        let w = &self.window;
        (tile.sample * w.ih + tile.y - w.pad_top) * w.iw + tile.x - w.pad_left
    }

    /// The index of a cell of the tile's patch among the cells of all images, if it lies within its
    /// image.
    #[inline(always)]
    pub(super) fn patch_cell(
        &self,
        tile: &WinogradTile,
        row: usize,
        column: usize,
    ) -> Option<usize> {
        let w = &self.window;
        let iy = (tile.y + row).wrapping_sub(w.pad_top);
        let ix = (tile.x + column).wrapping_sub(w.pad_left);
        (tile.whole || (iy < w.ih && ix < w.iw)).then(|| (tile.sample * w.ih + iy) * w.iw + ix)
    }

    /// The index of the tile's first cell among the cells of all outputs.
    #[inline(always)]
    pub(super) fn first_output_cell(&self, tile: &WinogradTile) -> usize {
        let w = &self.window;
        (tile.sample * w.oh + tile.y) * w.ow + tile.x
    }

    /// The index of one of the tile's cells among the cells of all outputs, if it exists.
    #[inline(always)]
    pub(super) fn output_cell(
        &self,
        tile: &WinogradTile,
        row: usize,
        column: usize,
    ) -> Option<usize> {
        let w = &self.window;
        let (oy, ox) = (tile.y + row, tile.x + column);
        (tile.whole || (oy < w.oh && ox < w.ow)).then(|| (tile.sample * w.oh + oy) * w.ow + ox)
    }
}

/// Some consecutive tiles.
#[derive(Clone, Copy)]
pub(super) struct TileRange {
    pub(super) tiles: Tiles,
    pub(super) first: usize,
    pub(super) count: usize,
}
