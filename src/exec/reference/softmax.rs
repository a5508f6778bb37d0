//! Softmax, forward and backward, and with the loss in one.

use super::rounded;

/// `y[r, i] = exp(x[r, i]) / Σ_j exp(x[r, j])`.
pub(super) fn forward(width: usize, x: &[f32]) -> Vec<f32> {
    let rows = x.chunks_exact(width);
    rounded(rows.flat_map(|x| probabilities(x).0).collect())
}

/// `dx[r, i] = y[r, i] * (dy[r, i] - Σ_j dy[r, j] * y[r, j])`.
pub(super) fn backward(width: usize, dy: &[f32], y: &[f32]) -> Vec<f64> {
    let mut dx = Vec::with_capacity(y.len());
    for (dy, y) in dy.chunks_exact(width).zip(y.chunks_exact(width)) {
        let pairs = || {
            let pairs = dy.iter().zip(y);
            pairs.map(|(&dy, &y)| (f64::from(dy), f64::from(y)))
        };
        let dot: f64 = pairs().map(|(dy, y)| dy * y).sum();
        dx.extend(pairs().map(|(dy, y)| y * (dy - dot)));
    }
    dx
}

/// What the loss makes of a batch.
pub(super) struct Loss {
    /// Of the valid rows' losses.
    pub(super) sum: f32,
    /// Valid rows whose largest logit is the label's.
    pub(super) correct: u32,
    pub(super) probabilities: Vec<f32>,
    /// Zero in the rows that are not valid.
    pub(super) dlogits: Vec<f32>,
}

/// `loss[r] = -weight * ln softmax(logits)[r, label[r]]`,
/// `dlogits[r, i] = weight * (softmax(logits)[r, i] - (i == label[r])) / rows`.
pub(super) fn cross_entropy(
    classes: usize,
    rows: usize,
    logits: &[f32],
    labels: &[u32],
    class_weights: Option<&[f32]>,
) -> Loss {
    let (mut sum, mut correct) = (0.0, 0);
    let (mut p, mut dlogits) = (Vec::new(), Vec::new());
    for (r, logits) in logits.chunks_exact(classes).enumerate() {
        let label = labels[r] as usize;
        let (row, log_sum) = probabilities(logits);
        if r < rows {
            let logit = logits.get(label).map_or(f64::NAN, |&x| f64::from(x));
            let weight = class_weights.map_or(1.0, |weights| f64::from(weights[label]));
            sum += weight * (log_sum - logit);
            correct += u32::from(is_first_largest(logits, label));
            let hit = |i: usize| f64::from(u8::from(i == label));
            let scale = weight / rows as f64;
            dlogits.extend((row.iter().enumerate()).map(|(i, p)| scale * (p - hit(i))));
        } else {
            dlogits.extend(vec![0.0; classes]);
        }
        p.extend(row);
    }
    Loss {
        sum: sum as f32,
        correct,
        probabilities: rounded(p),
        dlogits: rounded(dlogits),
    }
}

/// `softmax(x)` and `ln Σ exp(x)` of one row. The largest is subtracted first, so that the
/// exponentials do not overflow.
fn probabilities(x: &[f32]) -> (Vec<f64>, f64) {
    let largest = f64::from(x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let exponentials = x.iter().map(|&x| (f64::from(x) - largest).exp());
    let sum: f64 = exponentials.clone().sum();
    (exponentials.map(|e| e / sum).collect(), largest + sum.ln())
}

/// No logit before the label's is as large, and none after it is larger. Never true beside a NaN.
fn is_first_largest(logits: &[f32], label: usize) -> bool {
    let Some(&logit) = logits.get(label) else {
        return false;
    };
    logits[..label].iter().all(|&x| x < logit) && logits[label..].iter().all(|&x| x <= logit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f32, b: f64) -> bool {
        (f64::from(a) - b).abs() <= 1e-7 * b.abs()
    }

    #[test]
    fn forward_by_hand() {
        let ln3 = 3f32.ln();
        let y = forward(2, &[0.0, ln3, 1e4, -1e4, 7.0, 7.0]);
        assert!(close(y[0], 0.25) && close(y[1], 0.75), "{y:?}");
        assert_eq!(y[2..], [1.0, 0.0, 0.5, 0.5]);
    }

    #[test]
    fn backward_by_hand() {
        assert_eq!(backward(2, &[1.0, 3.0], &[0.25, 0.75]), [-0.375, 0.375]);
    }

    #[test]
    fn cross_entropy_by_hand() {
        let ln3 = 3f32.ln();
        let loss = cross_entropy(2, 2, &[0.0, ln3, 5.0, 5.0, 9.0, 0.0], &[1, 1, 0], None);
        // -ln 0.75 - ln 0.5; the tie goes to class 0, and the third row is not valid.
        assert!(close(loss.sum, (8.0f64 / 3.0).ln()), "{}", loss.sum);
        assert_eq!(loss.correct, 1);
        assert!(close(loss.probabilities[1], 0.75));
        assert!(loss.probabilities[4] > 0.99);
        assert!(close(loss.dlogits[0], 0.125) && close(loss.dlogits[1], -0.125));
        assert_eq!(loss.dlogits[2..], [0.25, -0.25, 0.0, 0.0]);
    }

    #[test]
    fn class_weights_scale_the_loss_and_its_gradient_but_not_the_count() {
        let logits = [0.0, 3f32.ln(), 5.0, 5.0];
        let loss = cross_entropy(2, 2, &logits, &[1, 0], Some(&[0.0, 4.0]));
        assert!(close(loss.sum, 4.0 * (4.0f64 / 3.0).ln()), "{}", loss.sum);
        assert!(close(loss.dlogits[0], 0.5) && close(loss.dlogits[1], -0.5));
        assert_eq!((&loss.dlogits[2..], loss.correct), (&[0.0, 0.0][..], 2));
    }

    #[test]
    fn the_loss_of_large_logits_is_exact() {
        let loss = cross_entropy(2, 2, &[1e4, -1e4, 1e4, 1e4], &[1, 1], None);
        assert!(close(loss.sum, 2e4 + 2f64.ln()), "{}", loss.sum);
    }

    #[test]
    fn nan_is_never_hidden() {
        let loss = cross_entropy(2, 1, &[f32::NAN, 0.0], &[0], None);
        assert!(loss.sum.is_nan() && loss.dlogits.iter().all(|d| d.is_nan()));
        assert_eq!(loss.correct, 0);
    }
}
