//! MixUp and CutMix.

use super::super::case::{Case, CaseBuilder};
use crate::plan::{DrawMixes, MixRows, Mixing, Op, RowDraws, SHARE_ONE};
use crate::shape::dims;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = draws();
    cases.extend(images());
    cases
}

/// Rows, and how many of them are valid.
const ROWS: [[usize; 2]; 6] = [[1, 1], [2, 2], [5, 1], [7, 5], [65, 64], [257, 255]];

fn draws() -> Vec<Case> {
    let both = |alpha| [(Some(alpha), None), (None, Some([0.0, alpha])), (Some(alpha), Some([0.5, 1.0]))];
    let mut cases = Vec::new();
    for rows in ROWS {
        cases.extend(both(0.2).map(|kinds| draw(rows, [11, 13], kinds)));
    }
    for alpha in [1e-6, 0.1, 1.0, 2.0, 32.0] {
        cases.push(draw([64, 61], [5, 9], (Some(alpha), None)));
        cases.push(draw([64, 61], [5, 9], (None, Some([alpha, alpha]))));
    }
    for size in [[1, 1], [1, 9], [9, 1], [28, 28], [3, 4099]] {
        cases.push(draw([9, 8], size, (None, Some([0.0, 1.0]))));
    }
    cases
}

fn draw([n, rows]: [usize; 2], size: [usize; 2], (mixup, cutmix): (Option<f64>, Option<[f64; 2]>)) -> Case {
    let mut b = CaseBuilder::new(n).rows(rows).classes(10);
    let key = b.key();
    let label = |r: usize| if r < rows { key.bits(r as u32) % 10 } else { 0 };
    let op = Op::DrawMixes(DrawMixes {
        mixing: Mixing { mixup, cutmix },
        size,
        draws: RowDraws { number: 7 },
        labels: b.words("labels", &[n], (0..n).map(label).collect()),
        mixes: b.output_words("mixes", &[n, DrawMixes::LEN]),
        targets: b.output_words("targets", &[n, 4]),
    });
    let image = dims(&size);
    b.finish(op, &format!("n={n} rows={rows} image={image} mixup={mixup:?} cutmix={cutmix:?}").replace(", ", ".."))
}

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

fn images() -> Vec<Case> {
    let kinds = ["mixup", "cutmix", "nan"];
    TABLE.into_iter().flat_map(|shape| kinds.map(|kind| mix(shape, kind))).collect()
}

/// Each row with the next. NaN stays out of rows that are not mixed, and in those that a box covers.
fn mix(shape: [usize; 4], kind: &str) -> Case {
    let [n, h, w, c] = shape;
    let mut b = CaseBuilder::new(n);
    let mut x = b.uniform(shape.iter().product());
    if kind == "nan" {
        x.iter_mut().skip(1).step_by(5).for_each(|x| *x = f32::NAN);
    }
    let key = b.key();
    let row = |r: usize| {
        let [a, b] = key.pair(r as u32);
        let ends = |bits: u32, len: usize| {
            let [first, second] = [bits & 0xffff, bits >> 16].map(|end| end % (len as u32 + 1));
            [first.min(second), first.max(second)]
        };
        let ([top, bottom], [left, right]) = (ends(a, h), ends(b, w));
        let partner = ((r + 1) % n) as u32;
        match (kind, r % 3) {
            (_, 2) => [r as u32, SHARE_ONE, 0, 0, 0, 0, 0, 0],
            ("mixup", _) => [partner, 1 + (a >> 8) % (SHARE_ONE - 1), 0, 0, 0, 0, 0, 0],
            _ => [partner, SHARE_ONE, 0, 0, top, bottom, left, right],
        }
    };
    let op = Op::MixRows(MixRows {
        shape: [h, w, c],
        x: b.input_of("x", &shape, x),
        mixes: b.words("mixes", &[n, DrawMixes::LEN], (0..n).flat_map(row).collect()),
        y: b.output("y", &shape),
    });
    b.finish(op, &format!("n={n} image={} kind={kind}", dims(&shape[1..])))
}
