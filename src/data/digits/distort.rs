//! Distortions of handwriting: slant, rotation, aspect ratio, and a smooth bending of the page.

use super::curve::Point;
use super::draws::Draws;

/// The number of cells of the bending field along each axis.
const CELLS: usize = 3;

/// A random smooth map of the plane.
pub(super) struct Distortion {
    /// Displacements at the corners of a grid over the unit square.
    grid: [[Point; CELLS + 1]; CELLS + 1],
    matrix: [[f32; 2]; 2],
}

impl Distortion {
    /// Draws a map; `bend` is the size of the elastic displacements.
    pub(super) fn draw(bend: f32, draws: &mut Draws) -> Self {
        let mut grid = [[[0.0; 2]; CELLS + 1]; CELLS + 1];
        for point in grid.iter_mut().flatten() {
            *point = [bend * draws.bell(), bend * draws.bell()];
        }
        Self {
            grid,
            matrix: draw_matrix(draws),
        }
    }

    /// Applies the map to a point.
    pub(super) fn apply(&self, point: Point) -> Point {
        let [dx, dy] = self.displacement(point);
        let (x, y) = (point[0] + dx - 0.5, point[1] + dy - 0.5);
        self.matrix.map(|row| row[0] * x + row[1] * y)
    }

    fn displacement(&self, point: Point) -> Point {
        let (column, right) = cell(point[0]);
        let (row, down) = cell(point[1]);
        [0, 1].map(|axis| {
            let at = |r: usize, c: usize| self.grid[r][c][axis];
            let top = blend(at(row, column), at(row, column + 1), right);
            let bottom = blend(at(row + 1, column), at(row + 1, column + 1), right);
            blend(top, bottom, down)
        })
    }
}

/// The grid cell of a coordinate, and the position in it, eased so that cells join smoothly.
fn cell(coordinate: f32) -> (usize, f32) {
    let scaled = coordinate.clamp(0.0, 1.0) * CELLS as f32;
    let index = (scaled as usize).min(CELLS - 1);
    let t = scaled - index as f32;
    (index, t * t * (3.0 - 2.0 * t))
}

fn blend(from: f32, to: f32, t: f32) -> f32 {
    from + (to - from) * t
}

/// Rotation x slant x aspect.
fn draw_matrix(draws: &mut Draws) -> [[f32; 2]; 2] {
    let aspect = (0.85 + 0.2 * draws.bell()).clamp(0.6, 1.6);
    // Most people's writing leans to the right: the top (smaller y) goes to larger x.
    let slant = -(0.12 + 0.26 * draws.bell());
    // The half-angle formulas give an exact rotation from the tangent of half the angle.
    let half = 0.06 * draws.bell();
    let norm = 1.0 + half * half;
    let (cos, sin) = ((1.0 - half * half) / norm, 2.0 * half / norm);
    [
        [cos * aspect, cos * slant - sin],
        [sin * aspect, sin * slant + cos],
    ]
}
