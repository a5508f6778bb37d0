//! Affine maps: their draws, and images read through given ones.

use super::super::case::{Case, CaseBuilder};
use crate::model::{FillMode, Resampling, Sampling};
use crate::plan::{AffineMap, AffinePart, AffineTransform, DrawMaps, MapDraw, Op, RowDraws};
use crate::shape::dims;

const MODES: [FillMode; 4] = [
    FillMode::Reflect,
    FillMode::Constant,
    FillMode::Nearest,
    FillMode::Wrap,
];

/// Batch, height, width and channels.
const TABLE: [[usize; 4]; 9] = [
    [1, 1, 1, 1],
    [3, 1, 7, 1],
    [2, 5, 1, 3],
    [5, 7, 6, 1],
    [3, 9, 11, 3],
    [2, 5, 7, 4],
    [3, 4, 3, 8],
    [65, 3, 3, 1],
    [2, 28, 28, 1],
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = draws();
    for shape in TABLE {
        for mode in MODES {
            for interpolation in [Resampling::Bilinear, Resampling::Nearest] {
                cases.push(transform(shape, mode, interpolation, 1.0, false));
            }
        }
    }
    for mode in MODES {
        // Places several images away.
        cases.push(transform([2, 5, 4, 1], mode, Resampling::Bilinear, 9.0, false));
        cases.push(transform([2, 5, 4, 1], mode, Resampling::Nearest, 9.0, false));
    }
    cases.extend([[1, 1], [3, 4], [6, 5], [9, 10]].map(|to| cut([3, 7, 6, 3], to)));
    cases.push(transform(
        [3, 6, 5, 1],
        FillMode::Reflect,
        Resampling::Bilinear,
        1.0,
        true,
    ));
    cases
}

/// Every movement on its own, and all of them joined.
fn draws() -> Vec<Case> {
    let flip = |horizontal, vertical| AffinePart::Flip {
        horizontal,
        vertical,
    };
    let zoom = |width| AffinePart::Zoom {
        height: [-0.5, 0.25],
        width,
    };
    let parts = [
        ("flip", flip(true, true)),
        ("horizontal-flip", flip(true, false)),
        ("vertical-flip", flip(false, true)),
        ("rotation", AffinePart::Rotate { turns: [-1.0, 1.0] }),
        (
            "translation",
            AffinePart::Translate {
                height: [-0.5, 0.5],
                width: [0.0, 0.25],
            },
        ),
        ("zoom", zoom(None)),
        ("zoom-of-each", zoom(Some([-0.1, 0.9]))),
        (
            "shear",
            AffinePart::Shear {
                x: [-0.5, 0.5],
                y: [0.1, 0.2],
            },
        ),
        ("crop", AffinePart::Crop { to: [1, 1] }),
    ];
    let all: Vec<AffinePart> = parts.iter().map(|(_, part)| *part).collect();
    let single = parts.map(|(name, part)| (name, vec![part]));
    let mut cases = Vec::new();
    for (name, parts) in single.into_iter().chain([("all", all)]) {
        for (n, size) in [(1, [1, 1]), (65, [7, 12])] {
            let mut b = CaseBuilder::new(n);
            let parts = parts.iter().zip(3..);
            let parts = parts.map(|(&part, number)| MapDraw {
                part,
                draws: RowDraws { number },
            });
            let op = Op::DrawMaps(DrawMaps {
                parts: parts.collect(),
                size,
                maps: b.output("maps", &[n, AffineMap::LEN]),
            });
            let vars = format!("n={n} image={} moves={name}", dims(&size));
            cases.push(b.finish(op, &vars));
        }
    }
    cases
}

/// A part of each image, from a corner or the middle, read by whole pixels.
fn cut([n, h, w, c]: [usize; 4], to: [usize; 2]) -> Case {
    let mut b = CaseBuilder::new(n);
    let middle = |len: usize, to: usize| (to as f32 - len as f32) / 2.0;
    let mut rows = Vec::new();
    for row in 0..n {
        let mut map = AffineMap::IDENTITY.row();
        // To the first pixel, and further.
        (map[2], map[5]) = (middle(w, to[1]) + row as f32, middle(h, to[0]));
        rows.extend(map);
    }
    let op = Op::AffineTransform(AffineTransform {
        shape: [h, w, c],
        to,
        sampling: Sampling {
            interpolation: Resampling::Nearest,
            ..Sampling::default()
        },
        x: b.input("x", &[n, h, w, c]),
        maps: b.input_of("maps", &[n, AffineMap::LEN], rows),
        y: b.output("y", &[n, to[0], to[1], c]),
    });
    b.finish(op, &format!("n={n} image={} to={}", dims(&[h, w, c]), dims(&to)))
}

/// Maps within `extent` of the identity, of which the first changes nothing and the second mirrors
/// both axes. With `nan`, some pixels are NaN.
fn transform(
    [n, h, w, c]: [usize; 4],
    fill_mode: FillMode,
    interpolation: Resampling,
    extent: f32,
    nan: bool,
) -> Case {
    let mut b = CaseBuilder::new(n);
    let shape = [n, h, w, c];
    let mut x = b.uniform(shape.iter().product());
    if nan {
        x.iter_mut().step_by(7).for_each(|x| *x = f32::NAN);
    }
    let x = b.input_of("x", &shape, x);
    let moves = b.uniform(n * AffineMap::LEN);
    let mut rows = Vec::with_capacity(moves.len());
    for (row, moves) in moves.chunks_exact(AffineMap::LEN).enumerate() {
        let mut map = AffineMap::IDENTITY.row();
        match row {
            0 if n > 1 => {}
            1 => [map[0], map[4]] = [-1.0, -1.0],
            _ => {
                for (map, by) in map.iter_mut().zip(moves).take(6) {
                    *map += 0.9 * extent * by;
                }
            }
        }
        rows.extend(map);
    }
    let maps = b.input_of("maps", &[n, AffineMap::LEN], rows);
    let op = Op::AffineTransform(AffineTransform {
        shape: [h, w, c],
        to: [h, w],
        sampling: Sampling {
            fill_mode,
            interpolation,
            fill_value: 0.375,
        },
        x,
        maps,
        y: b.output("y", &shape),
    });
    let (mode, how) = (fill_mode.name(), interpolation.name());
    let image = dims(&shape[1..]);
    let input = if nan { " input=nan" } else { "" };
    let vars = format!("n={n} image={image} fill_mode={mode} interpolation={how} extent={extent}");
    b.finish(op, &format!("{vars}{input}"))
}
