//! Elastic transformations: their draws, and images read through given fields.

use super::super::case::{Case, CaseBuilder};
use crate::model::{FillMode, Resampling, Sampling};
use crate::plan::{BlurNoise, DisplacePixels, DrawNoise, ElasticStrength, Op, RowDraws};
use crate::shape::dims;

/// Batch, height, width and channels.
const TABLE: [[usize; 4]; 7] = [
    [1, 1, 1, 1],
    [3, 1, 7, 1],
    [2, 5, 1, 3],
    [3, 9, 11, 3],
    [2, 5, 7, 4],
    [65, 3, 3, 1],
    [2, 28, 28, 1],
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for size in [[1, 1], [3, 7], [13, 22], [28, 28]] {
        cases.push(noise(3, size, [1.0, 1.0]));
    }
    cases.push(noise(9, [5, 6], [0.0, 1.0]));
    for size in [[1, 1], [3, 7], [13, 22], [28, 28], [40, 21]] {
        cases.push(blur(3, size, [1.0, 1.0]));
    }
    cases.push(blur(5, [20, 24], [0.5, 1.0]));
    cases.push(blur(2, [28, 28], [0.0, 0.25]));
    cases.push(blur(2, [9, 8], [0.0, 0.0]));
    for shape in TABLE {
        for interpolation in [Resampling::Bilinear, Resampling::Nearest] {
            cases.push(displace(shape, FillMode::Reflect, interpolation, 3.0, false));
        }
    }
    for mode in [FillMode::Constant, FillMode::Nearest, FillMode::Wrap] {
        cases.push(displace([2, 5, 4, 1], mode, Resampling::Bilinear, 9.0, false));
    }
    let mode = FillMode::Reflect;
    cases.push(displace([3, 6, 5, 1], mode, Resampling::Bilinear, 2.0, true));
    cases
}

fn noise(n: usize, size: [usize; 2], probability: [f64; 2]) -> Case {
    let mut b = CaseBuilder::new(n);
    let [h, w] = size;
    let op = Op::DrawNoise(DrawNoise {
        size,
        strength: ElasticStrength {
            probability,
            scale: [1.0, 1.0],
        },
        draws: RowDraws { number: 3 },
        series: [RowDraws { number: 4 }, RowDraws { number: 5 }],
        noise: b.output("noise", &[n, 2, h, w]),
    });
    let vars = format!("n={n} image={} probability={}", dims(&size), probability[0]);
    b.finish(op, &vars)
}

fn blur(n: usize, size: [usize; 2], scale: [f64; 2]) -> Case {
    let mut b = CaseBuilder::new(n);
    let [h, w] = size;
    let op = Op::BlurNoise(BlurNoise {
        size,
        strength: ElasticStrength {
            probability: [1.0, 1.0],
            scale,
        },
        draws: RowDraws { number: 3 },
        noise: b.input("noise", &[n, 2, h, w]),
        fields: b.output("fields", &[n, h, w, 2]),
    });
    let [least, most] = scale;
    b.finish(op, &format!("n={n} image={} scale={least}..{most}", dims(&size)))
}

/// Fields within `extent` pixels; with `nan`, some pixels are NaN.
fn displace(
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
    let mut fields = b.uniform(n * h * w * 2);
    fields.iter_mut().for_each(|by| *by *= extent);
    let op = Op::DisplacePixels(DisplacePixels {
        shape: [h, w, c],
        sampling: Sampling {
            fill_mode,
            interpolation,
            fill_value: 0.375,
        },
        range: [-0.75, 0.5],
        x,
        fields: b.input_of("fields", &[n, h, w, 2], fields),
        y: b.output("y", &shape),
    });
    let (mode, how) = (fill_mode.name(), interpolation.name());
    let input = if nan { " input=nan" } else { "" };
    let image = dims(&shape[1..]);
    b.finish(
        op,
        &format!("n={n} image={image} fill_mode={mode} interpolation={how} extent={extent}{input}"),
    )
}
