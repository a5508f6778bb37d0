//! Losses; see [`crate::plan::Op::Loss`] for the formulas.

use super::softmax::probabilities;
use super::{Definition, rounded};
use crate::exec::host::Memory;
use crate::model::Loss;
use crate::plan::{LossOp, MixedLabel, RowLabels};

impl Definition for LossOp {
    fn run(&self, m: &mut Memory<'_>) {
        let Self {
            loss,
            width,
            x,
            labels,
            targets,
            predictions,
            dx,
            class_weights,
        } = self;
        let x = m.floats(*x);
        let labels = match targets {
            Some(targets) => RowLabels::Mixed(m.words(*targets)),
            None => RowLabels::Single(m.words(*labels)),
        };
        let function = ReferenceLoss {
            loss: *loss,
            width: *width,
            class_weights: class_weights.as_deref(),
        };
        let batch = function.batch((m.rows, m.part.of), x, labels);
        m.metrics.loss_sum = batch.sum;
        m.metrics.correct = batch.correct;
        m.put(*predictions, batch.predictions);
        if let Some(dx) = dx {
            m.put(*dx, batch.dx);
        }
    }
}

/// The loss and its targets.
pub(super) struct ReferenceLoss<'a> {
    pub(super) loss: Loss,
    /// Outputs per row.
    pub(super) width: usize,
    pub(super) class_weights: Option<&'a [f32]>,
}

/// The result for a batch.
pub(super) struct BatchLoss {
    /// Sum of the valid rows' losses.
    pub(super) sum: f32,
    /// Number of valid rows whose largest output is the label's.
    pub(super) correct: u32,
    pub(super) predictions: Vec<f32>,
    /// The gradient; zero in the other rows.
    pub(super) dx: Vec<f32>,
}

/// The result for a row.
struct RowLoss {
    loss: f64,
    predictions: Vec<f64>,
    /// The gradient of the row's own loss.
    dx: Vec<f64>,
}

impl ReferenceLoss<'_> {
    /// Evaluates all rows, of which the first `rows` are valid; the gradient is that of a mean over `of`.
    pub(super) fn batch(
        &self,
        (rows, of): (usize, usize),
        x: &[f32],
        labels: RowLabels<'_>,
    ) -> BatchLoss {
        let (mut sum, mut correct) = (0.0, 0);
        let (mut predictions, mut dx) = (Vec::new(), Vec::new());
        for (r, x) in x.chunks_exact(self.width).enumerate() {
            let mixed = labels.row(r);
            let row = self.row(x, mixed);
            let label = mixed.main() as usize;
            if r < rows {
                let weight = self.class_weights.map_or(1.0, |w| f64::from(w[label]));
                sum += weight * row.loss;
                correct += u32::from(is_first_largest(&self.judged(x, &row), label));
                dx.extend(row.dx.iter().map(|d| weight * d / of as f64));
            } else {
                dx.extend(vec![0.0; self.width]);
            }
            predictions.extend(row.predictions);
        }
        BatchLoss {
            sum: sum as f32,
            correct,
            predictions: rounded(predictions),
            dx: rounded(dx),
        }
    }

    /// The values whose maximum is the predicted class. Sigmoids of large logits round to 1, as in
    /// Keras and in predictions; for a softmax, the logits keep the order without rounding.
    fn judged(&self, x: &[f32], row: &RowLoss) -> Vec<f32> {
        match self.loss {
            Loss::BinaryCrossentropy { .. } => rounded(row.predictions.clone()),
            Loss::CategoricalCrossentropy { .. } | Loss::MeanSquaredError => x.to_vec(),
        }
    }

    fn row(&self, x: &[f32], label: MixedLabel) -> RowLoss {
        let targets = self.targets(label);
        match self.loss {
            Loss::CategoricalCrossentropy { .. } => categorical(x, &targets),
            Loss::BinaryCrossentropy { .. } => binary(x, &targets),
            Loss::MeanSquaredError => squared(x, &targets),
        }
    }

    /// The target of each output. A single output stands for class 1.
    fn targets(&self, label: MixedLabel) -> Vec<f64> {
        let [off, on] = self.loss.targets(self.width);
        let first = usize::from(self.width == 1);
        let share = |i: usize| f64::from(label.share_of((i + first) as u32));
        (0..self.width).map(|i| off + on * share(i)).collect()
    }
}

fn categorical(x: &[f32], targets: &[f64]) -> RowLoss {
    let (predictions, log_sum) = probabilities(x);
    let terms = x.iter().zip(targets).filter(|(_, t)| **t != 0.0);
    RowLoss {
        loss: terms.map(|(&x, t)| t * (log_sum - f64::from(x))).sum(),
        dx: predictions
            .iter()
            .zip(targets)
            .map(|(p, t)| p - t)
            .collect(),
        predictions,
    }
}

/// `-t ln p - (1 - t) ln (1 - p) = max(x, 0) - t x + ln (1 + exp(-|x|))`, which is accurate where
/// `p` would round to 0 or 1.
fn binary(x: &[f32], targets: &[f64]) -> RowLoss {
    let n = x.len() as f64;
    let pairs = || x.iter().map(|&x| f64::from(x)).zip(targets);
    let losses = pairs().map(|(x, t)| {
        let positive = if x < 0.0 { 0.0 } else { x };
        positive - t * x + (-x.abs()).exp().ln_1p()
    });
    let p = || pairs().map(|(x, t)| (1.0 / (1.0 + (-x).exp()), t));
    let own = |p: f64| {
        if x.len() == 1 {
            vec![1.0 - p, p]
        } else {
            vec![p]
        }
    };
    RowLoss {
        loss: losses.sum::<f64>() / n,
        dx: p().map(|(p, t)| (p - t) / n).collect(),
        predictions: p().flat_map(|(p, _)| own(p)).collect(),
    }
}

fn squared(x: &[f32], targets: &[f64]) -> RowLoss {
    let n = x.len() as f64;
    let distances = || x.iter().zip(targets).map(|(&x, t)| f64::from(x) - t);
    RowLoss {
        loss: distances().map(|d| d * d).sum::<f64>() / n,
        dx: distances().map(|d| 2.0 * d / n).collect(),
        predictions: x.iter().map(|&x| f64::from(x)).collect(),
    }
}

/// Whether no value before the label's is as large and none after it is larger. False if any value
/// is NaN.
fn is_first_largest(x: &[f32], label: usize) -> bool {
    let Some(&own) = x.get(label) else {
        return false;
    };
    x[..label].iter().all(|&x| x < own) && x[label..].iter().all(|&x| x <= own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f32, b: f64) -> bool {
        (f64::from(a) - b).abs() <= 1e-7 * b.abs()
    }

    fn function(loss: Loss, width: usize) -> ReferenceLoss<'static> {
        ReferenceLoss {
            loss,
            width,
            class_weights: None,
        }
    }

    fn categorical(rows: usize, x: &[f32], labels: &[u32], weights: Option<&[f32]>) -> BatchLoss {
        let class_weights = weights;
        let function = ReferenceLoss {
            class_weights,
            ..function(Loss::default(), 2)
        };
        function.batch((rows, rows), x, RowLabels::Single(labels))
    }

    #[test]
    fn cross_entropy_by_hand() {
        let ln3 = 3f32.ln();
        let loss = categorical(2, &[0.0, ln3, 5.0, 5.0, 9.0, 0.0], &[1, 1, 0], None);
        // -ln 0.75 - ln 0.5; the tie goes to class 0, and the third row is not valid.
        assert!(close(loss.sum, (8.0f64 / 3.0).ln()), "{}", loss.sum);
        assert_eq!(loss.correct, 1);
        assert!(close(loss.predictions[1], 0.75));
        assert!(loss.predictions[4] > 0.99);
        assert!(close(loss.dx[0], 0.125) && close(loss.dx[1], -0.125));
        assert_eq!(loss.dx[2..], [0.25, -0.25, 0.0, 0.0]);
    }

    #[test]
    fn class_weights_scale_the_loss_and_its_gradient_but_not_the_count() {
        let logits = [0.0, 3f32.ln(), 5.0, 5.0];
        let loss = categorical(2, &logits, &[1, 0], Some(&[0.0, 4.0]));
        assert!(close(loss.sum, 4.0 * (4.0f64 / 3.0).ln()), "{}", loss.sum);
        assert!(close(loss.dx[0], 0.5) && close(loss.dx[1], -0.5));
        assert_eq!((&loss.dx[2..], loss.correct), (&[0.0, 0.0][..], 2));
    }

    #[test]
    fn the_loss_of_large_logits_is_exact() {
        let loss = categorical(2, &[1e4, -1e4, 1e4, 1e4], &[1, 1], None);
        assert!(close(loss.sum, 2e4 + 2f64.ln()), "{}", loss.sum);
        let binary = function(Loss::binary_crossentropy(), 1);
        let loss = binary.batch((2, 2), &[1e4, -1e4], RowLabels::Single(&[0, 1]));
        assert!(close(loss.sum, 2e4), "{}", loss.sum);
    }

    #[test]
    fn smoothed_cross_entropy_by_hand() {
        let smooth = Loss::default().with_label_smoothing(0.5).unwrap();
        let loss = function(smooth, 2).batch((1, 1), &[0.0, 3f32.ln()], RowLabels::Single(&[1]));
        // -0.75 ln 0.75 - 0.25 ln 0.25
        let expected = -0.75 * 0.75f64.ln() - 0.25 * 0.25f64.ln();
        assert!(close(loss.sum, expected), "{}", loss.sum);
        assert!(loss.dx.iter().all(|d| d.abs() < 1e-7), "{:?}", loss.dx);
    }

    #[test]
    fn binary_cross_entropy_by_hand() {
        let ln3 = 3f32.ln();
        let loss = function(Loss::binary_crossentropy(), 2);
        let loss = loss.batch((1, 1), &[ln3, 0.0], RowLabels::Single(&[0]));
        // (-ln 0.75 - ln 0.5) / 2
        assert!(close(loss.sum, (8.0f64 / 3.0).ln() / 2.0), "{}", loss.sum);
        assert!(close(loss.dx[0], -0.125) && close(loss.dx[1], 0.25));
        let single = function(Loss::binary_crossentropy(), 1);
        let loss = single.batch((3, 3), &[ln3, ln3, 0.0], RowLabels::Single(&[1, 0, 0]));
        assert!(close(loss.predictions[0], 0.25) && close(loss.predictions[1], 0.75));
        assert_eq!(
            loss.correct, 2,
            "zero is class 0, as the first of equal ones is"
        );
        assert!(close(loss.dx[0], -0.25 / 3.0) && close(loss.dx[1], 0.25));
    }

    #[test]
    fn mean_squared_error_by_hand() {
        let loss = function(Loss::MeanSquaredError, 2);
        let loss = loss.batch((2, 2), &[0.5, 0.5, 0.0, 3.0], RowLabels::Single(&[1, 1]));
        assert_eq!((loss.sum, loss.correct), (0.25 + 2.0, 1));
        assert_eq!(loss.dx, [0.25, -0.25, 0.0, 1.0]);
        assert_eq!(loss.predictions, [0.5, 0.5, 0.0, 3.0]);
    }

    /// Class 1 with a share of 3/4 and class 0 with the rest; then equal shares, where the smaller class
    /// is the row's.
    #[test]
    fn a_mixed_row_has_a_target_of_both_classes_and_counts_as_the_larger() {
        let (quarter, half) = (1 << 22, 1 << 23);
        let targets = [1, 0, 3 * quarter, 0, 1, 0, half, 0, 0, 1, quarter, 0];
        let logits = [0.0, 3f32.ln(), 5.0, 5.0, 0.0, 3f32.ln()];
        let weighted = ReferenceLoss {
            class_weights: Some(&[2.0, 1.0]),
            ..function(Loss::default(), 2)
        };
        let loss = weighted.batch((3, 3), &logits, RowLabels::Mixed(&targets));
        // The entropy of the shares, and ln 2 with the weight of class 0.
        let entropy = -0.75 * 0.75f64.ln() - 0.25 * 0.25f64.ln();
        let expected = 2.0 * entropy + 2.0 * 2f64.ln();
        assert!(close(loss.sum, expected), "{}", loss.sum);
        assert_eq!(loss.correct, 3);
        assert!(loss.dx.iter().all(|d| d.abs() < 1e-7), "{:?}", loss.dx);
        let single = function(Loss::binary_crossentropy(), 1);
        let loss = single.batch((1, 1), &[0.0], RowLabels::Mixed(&targets));
        assert!(
            close(loss.dx[0], 0.5 - 0.75) && loss.correct == 0,
            "{}",
            loss.dx[0]
        );
    }

    #[test]
    fn nan_is_never_hidden() {
        for (loss, width) in [
            (Loss::default(), 2),
            (Loss::binary_crossentropy(), 2),
            (Loss::binary_crossentropy(), 1),
            (Loss::MeanSquaredError, 2),
        ] {
            let x = [f32::NAN, 0.0];
            let loss = function(loss, width);
            let loss = loss.batch((1, 1), &x[..width], RowLabels::Single(&[0]));
            assert!(loss.sum.is_nan() && loss.dx[0].is_nan());
            assert_eq!(loss.correct, 0);
        }
    }
}
