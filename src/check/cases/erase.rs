//! Erased areas.

use super::super::case::{Case, CaseBuilder};
use crate::plan::{Erase, EraseAreas, Op, RowDraws};
use crate::shape::dims;

/// Batch, height, width and channels.
const TABLE: [[usize; 4]; 9] = [
    [1, 1, 1, 1],
    [7, 1, 9, 1],
    [5, 8, 1, 3],
    [5, 7, 6, 1],
    [3, 9, 11, 3],
    [4, 5, 7, 4],
    [65, 4, 4, 1],
    [6, 28, 28, 1],
    [2, 3, 1000, 1],
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in TABLE {
        for fill_value in [None, Some(0.25)] {
            cases.push(erase(shape, [0.0, 1.0], [0.02, 0.33], fill_value));
        }
    }
    let shape = [9, 6, 5, 1];
    cases.push(erase(shape, [1.0, 1.0], [1.0, 1.0], Some(0.25)));
    cases.push(erase(shape, [1.0, 1.0], [0.0, 1.0], Some(2.0)));
    cases.push(erase(shape, [0.25, 0.75], [0.5, 0.5], None));
    cases.push(erase(shape, [0.0, 0.0], [0.0, 1.0], None));
    cases
}

/// With NaN among the pixels, which only erasing removes.
fn erase(
    shape: [usize; 4],
    probability: [f64; 2],
    scale: [f64; 2],
    fill_value: Option<f64>,
) -> Case {
    let [n, h, w, c] = shape;
    let mut b = CaseBuilder::new(n);
    let mut x = b.uniform(shape.iter().product());
    x.iter_mut().skip(1).step_by(5).for_each(|x| *x = f32::NAN);
    let op = Op::Erase(Erase {
        shape: [h, w, c],
        areas: EraseAreas {
            probability,
            scale,
            fill_value,
            range: [-0.5, 1.5],
        },
        draws: RowDraws { number: 7 },
        noise: RowDraws { number: 8 },
        x: b.input_of("x", &shape, x),
        y: b.output("y", &shape),
    });
    let fill = fill_value.map_or("noise".into(), |value| value.to_string());
    let [[least, most], [low, high]] = [probability, scale];
    let image = dims(&shape[1..]);
    let vars = format!("n={n} image={image} p={least}..{most} scale={low}..{high} fill={fill}");
    b.finish(op, &vars)
}
