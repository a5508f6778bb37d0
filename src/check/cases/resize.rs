//! Resizing.

use super::super::case::{Case, CaseBuilder};
use super::{each_through, through, through_name};
use crate::model::Activation;
use crate::plan::{Op, ResizeBackward, ResizeForward, ResizeShape};
use crate::shape::dims;

/// Rows and columns.
type ImageSides = [usize; 2];

/// The image, the window's start, the window, the result, and channels.
const TABLE: [(ImageSides, ImageSides, ImageSides, ImageSides, usize); 12] = [
    ([1, 1], [0, 0], [1, 1], [2, 3], 1),
    ([5, 7], [0, 0], [5, 7], [5, 7], 1),
    ([5, 7], [1, 2], [3, 4], [3, 4], 1),
    ([7, 5], [0, 1], [7, 3], [4, 2], 3),
    ([9, 11], [1, 0], [7, 11], [3, 5], 3),
    ([4, 3], [0, 0], [4, 3], [7, 11], 1),
    ([4, 6], [1, 1], [2, 4], [5, 5], 4),
    ([6, 4], [2, 0], [1, 4], [3, 2], 8),
    ([13, 2], [0, 0], [13, 2], [1, 1], 1),
    ([3, 5], [0, 0], [3, 5], [31, 2], 2),
    ([40, 40], [0, 0], [40, 40], [32, 32], 3),
    ([32, 28], [2, 0], [28, 28], [28, 28], 1),
];

pub(super) fn cases() -> Vec<Case> {
    let shapes = || {
        TABLE.map(|(from, start, window, to, channels)| ResizeShape {
            from,
            start,
            window,
            to,
            channels,
        })
    };
    let mut cases: Vec<Case> = shapes().map(|shape| forward(3, shape, false)).into();
    cases.push(forward(65, shapes()[3], false));
    cases.push(forward(2, shapes()[5], true));
    cases.extend(shapes().map(|shape| backward(3, shape, None)));
    for f in each_through().flatten() {
        cases.push(backward(2, shapes()[3], Some(f)));
        cases.push(backward(2, shapes()[6], Some(f)));
    }
    cases
}

fn vars(n: usize, shape: &ResizeShape) -> String {
    let pair = |[a, b]: [usize; 2]| format!("{a},{b}");
    format!(
        "n={n} image={} start={} window={} to={}",
        dims(&[shape.from[0], shape.from[1], shape.channels]),
        pair(shape.start),
        dims(&shape.window),
        dims(&shape.to)
    )
}

/// With `nan`, every seventh pixel is NaN.
fn forward(n: usize, shape: ResizeShape, nan: bool) -> Case {
    let mut b = CaseBuilder::new(n);
    let ([h, w], [oh, ow], c) = (shape.from, shape.to, shape.channels);
    let mut x = b.uniform(n * h * w * c);
    if nan {
        x.iter_mut().step_by(7).for_each(|x| *x = f32::NAN);
    }
    let op = Op::ResizeForward(ResizeForward {
        shape,
        x: b.input_of("x", &[n, h, w, c], x),
        y: b.output("y", &[n, oh, ow, c]),
    });
    let input = if nan { " input=nan" } else { "" };
    b.finish(op, &format!("{}{input}", vars(n, &shape)))
}

fn backward(n: usize, shape: ResizeShape, f: Option<Activation>) -> Case {
    let mut b = CaseBuilder::new(n);
    let ([h, w], [oh, ow], c) = (shape.from, shape.to, shape.channels);
    let op = Op::ResizeBackward(ResizeBackward {
        shape,
        dy: b.input("dy", &[n, oh, ow, c]),
        through: through(&mut b, &[n, h, w, c], f),
        dx: b.output("dx", &[n, h, w, c]),
    });
    b.finish(op, &format!("{} through={}", vars(n, &shape), through_name(f)))
}
