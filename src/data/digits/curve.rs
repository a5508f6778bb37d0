//! Turns a skeleton into polylines: jittered nodes joined by smooth curves.

use super::draws::Draws;
use super::skeletons::Node;

/// A point in the plane: x to the right, y downwards.
pub(super) type Point = [f32; 2];

/// A stroke as the points that the pen passes through.
pub(super) type Polyline = Vec<Point>;

/// Straight pieces per span between two nodes.
const STEPS: usize = 6;

/// Draws one stroke of a skeleton, its nodes displaced by about `jitter`.
pub(super) fn trace(nodes: &[Node], jitter: f32, draws: &mut Draws) -> Polyline {
    let points: Polyline = nodes
        .iter()
        .map(|node| {
            [
                node.x + jitter * draws.bell(),
                node.y + jitter * draws.bell(),
            ]
        })
        .collect();
    let mut line = Vec::with_capacity(nodes.len() * STEPS + 1);
    line.extend(points.first());
    for span in 0..points.len().saturating_sub(1) {
        push_span(&mut line, &points, nodes, span);
    }
    line
}

/// Appends the curve from node `span` to the next one.
fn push_span(line: &mut Polyline, points: &[Point], nodes: &[Node], span: usize) {
    let (from, to) = (points[span], points[span + 1]);
    // At a corner, as at an end, the neighbour beyond it does not bend the curve.
    let before = match span {
        0 => from,
        _ if nodes[span].corner => from,
        _ => points[span - 1],
    };
    let after = match points.get(span + 2) {
        Some(&point) if !nodes[span + 1].corner => point,
        _ => to,
    };
    for step in 1..=STEPS {
        let t = step as f32 / STEPS as f32;
        line.push(
            [0, 1].map(|axis| catmull_rom(before[axis], from[axis], to[axis], after[axis], t)),
        );
    }
}

/// The Catmull-Rom spline: from `b` at t = 0 to `c` at t = 1, parallel to a-c at `b` and b-d at
/// `c`.
fn catmull_rom(a: f32, b: f32, c: f32, d: f32, t: f32) -> f32 {
    let linear = c - a;
    let square = 2.0 * a - 5.0 * b + 4.0 * c - d;
    let cube = 3.0 * (b - c) + d - a;
    b + 0.5 * t * (linear + t * (square + t * cube))
}

/// Cuts up to a share `most` of a stroke's points from each end, as in hasty writing.
pub(super) fn trim(line: &mut Polyline, most: f32, draws: &mut Draws) {
    let length = line.len() as f32;
    let head = (length * draws.range(0.0, most)) as usize;
    let tail = (length * draws.range(0.0, most)) as usize;
    if head + tail + 2 <= line.len() {
        line.truncate(line.len() - tail);
        line.drain(..head);
    }
}
