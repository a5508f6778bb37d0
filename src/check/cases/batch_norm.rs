//! Batch normalization: numbers of channels that fill vectors and that do not, short batches, one
//! cell.

use super::super::case::{Case, CaseBuilder};
use crate::exec::Values;
use crate::plan::{
    BatchNorm, BatchNormBackwardInput, BatchNormBackwardWeight, BatchNormForward, BatchNormMove,
    BatchNormStatistics, BufferId, Moving, Op,
};

/// Batch, valid rows, cells per sample, channels.
const TABLE: [[usize; 4]; 12] = [
    [1, 1, 1, 1],
    [4, 4, 1, 7],
    [64, 64, 1, 64],
    [64, 33, 1, 10],
    [3, 3, 25, 3],
    [5, 4, 49, 4],
    [2, 1, 63, 5],
    [2, 2, 65, 8],
    [7, 7, 11, 65],
    [17, 16, 9, 32],
    [2, 2, 676, 32],
    [257, 255, 1, 2],
];

/// Whether there is a gamma, and a beta.
const LEARNT: [(bool, bool); 3] = [(false, false), (true, false), (false, true)];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(TABLE.map(|row| statistics(row, 0.0)));
    // Far from zero: E[x²] - E[x]² would lose all precision.
    cases.push(statistics([5, 4, 49, 4], 100.0));
    cases.extend(TABLE.map(statistics_of_part));
    cases.extend([1, 7, 64, 300].map(move_statistic));
    cases.extend(TABLE.map(|row| forward(row, (true, true))));
    cases.extend(LEARNT.map(|learnt| forward([3, 3, 25, 3], learnt)));
    cases.extend(TABLE.map(backward_weight));
    cases.extend(TABLE.map(|row| backward_input(row, true, true)));
    cases.push(backward_input([3, 2, 25, 3], false, true));
    cases.extend(TABLE.map(|row| backward_input(row, true, false)));
    cases.push(backward_input([3, 2, 25, 3], false, false));
    cases
}

fn vars([n, rows, cells, c]: [usize; 4]) -> String {
    format!("n={n} rows={rows} cells={cells} c={c}")
}

fn norm(c: usize) -> BatchNorm {
    BatchNorm { c, epsilon: 1e-3 }
}

fn statistics(row: [usize; 4], shift: f32) -> Case {
    let [n, rows, cells, c] = row;
    let mut b = CaseBuilder::new(n).rows(rows);
    let moving = ["moving_mean", "moving_variance"].map(|name| b.parameter(name, &[c]));
    let x = b.uniform(n * cells * c);
    let x = x.into_iter().map(|x| x + shift).collect();
    let op = Op::BatchNormStatistics(BatchNormStatistics {
        norm: norm(c),
        x: b.input_of("x", &[n, cells, c], x),
        mean: b.output("mean", &[c]),
        variance: b.output("variance", &[c]),
        moving: Moving::Move {
            moving,
            momentum: 0.75,
        },
    });
    b.finish(op, &format!("{} shift={shift}", vars(row)))
}

/// The statistics of a micro-batch.
fn statistics_of_part(row: [usize; 4]) -> Case {
    let [n, rows, cells, c] = row;
    let mut b = CaseBuilder::new(n).rows(rows).part(n, 3 * n + 1);
    let moving = ["moving_mean", "moving_variance"].map(|name| b.parameter(name, &[c]));
    let op = Op::BatchNormStatistics(BatchNormStatistics {
        norm: norm(c),
        x: b.input("x", &[n, cells, c]),
        mean: b.output("mean", &[c]),
        variance: b.output("variance", &[c]),
        moving: Moving::Parts(moving.map(|moving| b.gradient(moving))),
    });
    b.finish(op, &format!("{} first={n} of={}", vars(row), 3 * n + 1))
}

fn move_statistic(c: usize) -> Case {
    let mut b = CaseBuilder::new(1);
    let moving = b.parameter("moving_mean", &[c]);
    let (now, values) = (b.gradient(moving), b.uniform(c));
    b.fill(now, Values::F32(values));
    let op = Op::BatchNormMove(BatchNormMove {
        moving,
        now,
        momentum: 0.75,
    });
    b.finish(op, &format!("c={c}"))
}

/// Means and variances of the channels.
fn known(b: &mut CaseBuilder, c: usize) -> [BufferId; 2] {
    let mean = b.input("mean", &[c]);
    let variance = b.uniform(c);
    let variance = variance.into_iter().map(|v| v.abs() + 0.01).collect();
    [mean, b.input_of("variance", &[c], variance)]
}

fn forward(row: [usize; 4], (scale, center): (bool, bool)) -> Case {
    let [n, rows, cells, c] = row;
    let mut b = CaseBuilder::new(n).rows(rows);
    let gamma = scale.then(|| b.parameter("gamma", &[c]));
    let beta = center.then(|| b.parameter("beta", &[c]));
    let [mean, variance] = known(&mut b, c);
    let op = Op::BatchNormForward(BatchNormForward {
        norm: norm(c),
        x: b.input("x", &[n, cells, c]),
        mean,
        variance,
        gamma,
        beta,
        y: b.output("y", &[n, cells, c]),
    });
    b.finish(op, &format!("{} scale={scale} center={center}", vars(row)))
}

fn backward_weight(row: [usize; 4]) -> Case {
    let [n, rows, cells, c] = row;
    let mut b = CaseBuilder::new(n).rows(rows);
    let [gamma, beta] = ["gamma", "beta"].map(|name| b.parameter(name, &[c]));
    let [mean, variance] = known(&mut b, c);
    let op = Op::BatchNormBackwardWeight(BatchNormBackwardWeight {
        norm: norm(c),
        x: b.input("x", &[n, cells, c]),
        dy: b.input("dy", &[n, cells, c]),
        mean,
        variance,
        dgamma: b.gradient(gamma),
        dbeta: b.gradient(beta),
    });
    b.finish(op, &vars(row))
}

/// `batch`: whether the statistics are the batch's.
fn backward_input(row: [usize; 4], scale: bool, batch: bool) -> Case {
    let [n, rows, cells, c] = row;
    let mut b = CaseBuilder::new(n).rows(rows);
    let gamma = scale.then(|| b.parameter("gamma", &[c]));
    let beta = b.parameter("beta", &[c]);
    let [mean, variance] = known(&mut b, c);
    let dgamma = match gamma {
        Some(gamma) => {
            let (id, values) = (b.gradient(gamma), b.uniform(c));
            b.fill(id, Values::F32(values));
            id
        }
        None => b.input("d gamma", &[c]),
    };
    let (dbeta, values) = (b.gradient(beta), b.uniform(c));
    b.fill(dbeta, Values::F32(values));
    let op = Op::BatchNormBackwardInput(BatchNormBackwardInput {
        norm: norm(c),
        x: b.input("x", &[n, cells, c]),
        dy: b.input("dy", &[n, cells, c]),
        mean,
        variance,
        gamma,
        sums: batch.then_some([dgamma, dbeta]),
        dx: b.output("dx", &[n, cells, c]),
    });
    b.finish(op, &format!("{} scale={scale} batch={batch}", vars(row)))
}
