//! Softmax, alone and with the cross-entropy.

/// `y = softmax(x)`, row by row.
pub(super) fn forward(width: usize, x: &[f32], y: &mut [f32]) {
    for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
        probabilities(x, y);
    }
}

/// `y = softmax(x)` of one row.
fn probabilities(x: &[f32], y: &mut [f32]) {
    let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for (x, y) in x.iter().zip(&mut *y) {
        *y = (x - largest).exp();
        total += *y;
    }
    y.iter_mut().for_each(|y| *y /= total);
}

/// `dx = y * (dy - Σ dy y)`, row by row, before any activation.
pub(super) fn backward(width: usize, dy: &[f32], y: &[f32], dx: &mut [f32]) {
    let rows = dy.chunks_exact(width).zip(y.chunks_exact(width));
    for ((dy, y), dx) in rows.zip(dx.chunks_exact_mut(width)) {
        let dot: f32 = dy.iter().zip(y).map(|(dy, y)| dy * y).sum();
        for ((dx, dy), y) in dx.iter_mut().zip(dy).zip(y) {
            *dx = y * (dy - dot);
        }
    }
}

/// What some rows add to the step's metrics.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Loss {
    pub sum: f64,
    pub correct: u32,
}

impl Loss {
    /// Adds what other rows give.
    pub fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.correct += other.correct;
    }
}

/// The weight of each class; 1 without them.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a>(pub Option<&'a [f32]>);

impl Weights<'_> {
    fn of(self, label: u32) -> f32 {
        self.0.map_or(1.0, |weights| weights[label as usize])
    }
}

/// Probabilities, and the loss of the first `valid` rows.
pub(super) fn cross_entropy(
    classes: usize,
    (logits, labels): (&[f32], &[u32]),
    weights: Weights<'_>,
    valid: usize,
    p: &mut [f32],
) -> Loss {
    forward(classes, logits, p);
    let mut loss = Loss::default();
    for (logits, &label) in logits.chunks_exact(classes).zip(labels).take(valid) {
        let Loss { sum, correct } = row_loss(logits, label);
        let sum = f64::from(weights.of(label)) * sum;
        loss.add(Loss { sum, correct });
    }
    loss
}

fn row_loss(logits: &[f32], label: u32) -> Loss {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps = logits.iter().map(|&x| f64::from(x - largest).exp());
    let own = logits.get(label as usize).copied().unwrap_or(f32::NAN);
    let first = logits.iter().position(|&x| x == largest);
    Loss {
        sum: exps.sum::<f64>().ln() - f64::from(own - largest),
        correct: u32::from(first == Some(label as usize)),
    }
}

/// `dlogits = weight * (p - 1[label]) / rows` for the first `valid` rows, 0 for the others; `rows`
/// are the batch's valid ones.
pub(super) fn cross_entropy_backward(
    classes: usize,
    (p, labels): (&[f32], &[u32]),
    weights: Weights<'_>,
    (valid, rows): (usize, usize),
    dlogits: &mut [f32],
) {
    let p = p.chunks_exact(classes).zip(labels);
    for (row, (dlogits, (p, &label))) in dlogits.chunks_exact_mut(classes).zip(p).enumerate() {
        if row >= valid {
            dlogits.fill(0.0);
            continue;
        }
        let weight = weights.of(label);
        for (i, (d, p)) in dlogits.iter_mut().zip(p).enumerate() {
            let target = if i == label as usize { 1.0 } else { 0.0 };
            *d = weight * (p - target) / rows as f32;
        }
    }
}
