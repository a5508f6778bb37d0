//! Losses; see [`Op::Loss`](crate::plan::Op::Loss) for the formulas.

use super::loss_sum::LossSum;
use super::rows::{RowBlock, RowWise};
use super::softmax;
use crate::model::Loss;
use crate::plan::{LossOp, MixedLabel, RowLabels};

/// The loss and its targets.
#[derive(Clone, Copy)]
pub(super) struct LossFunction<'a> {
    loss: Loss,
    /// Outputs per row.
    width: usize,
    class_weights: Option<&'a [f32]>,
    /// The target of every output, and the amount added for the label's output.
    targets: [f32; 2],
}

impl<'a> LossFunction<'a> {
    pub fn new(loss: Loss, width: usize, class_weights: Option<&'a [f32]>) -> Self {
        Self {
            loss,
            width,
            class_weights,
            targets: loss.targets(width).map(|t| t as f32),
        }
    }

    /// The prediction for each class.
    pub fn predict(&self, x: &[f32], predictions: &mut [f32]) {
        match (self.loss, self.width) {
            (Loss::CategoricalCrossentropy { .. }, width) => {
                softmax::forward(width, x, predictions);
            }
            (Loss::BinaryCrossentropy { .. }, 1) => {
                for (x, classes) in x.iter().zip(predictions.chunks_exact_mut(2)) {
                    let p = sigmoid(*x);
                    classes.copy_from_slice(&[1.0 - p, p]);
                }
            }
            (Loss::BinaryCrossentropy { .. }, _) => {
                x.iter()
                    .zip(predictions)
                    .for_each(|(x, p)| *p = sigmoid(*x));
            }
            (Loss::MeanSquaredError, _) => predictions.copy_from_slice(x),
        }
    }

    /// The loss of the first `valid` rows.
    pub fn sum(
        &self,
        x: &[f32],
        predictions: &[f32],
        labels: RowLabels<'_>,
        valid: usize,
    ) -> LossSum {
        let mut sum = LossSum::default();
        let classes = self.loss.classes(self.width);
        let rows = x
            .chunks_exact(self.width)
            .zip(predictions.chunks_exact(classes));
        for (row, (x, predictions)) in rows.take(valid).enumerate() {
            let label = labels.row(row);
            let main = label.main();
            // Logits have the same order as the softmax's probabilities, without rounding.
            let judged = match self.loss {
                Loss::BinaryCrossentropy { .. } => predictions,
                Loss::CategoricalCrossentropy { .. } | Loss::MeanSquaredError => x,
            };
            sum.add(LossSum {
                loss: f64::from(self.weight(main)) * self.loss(x, label),
                correct: u32::from(is_first_largest(judged, main)),
            });
        }
        sum
    }

    fn loss(&self, x: &[f32], label: MixedLabel) -> f64 {
        let targets = x.iter().zip(self.row_targets(label));
        let targets = targets.map(|(&x, t)| (f64::from(x), f64::from(t)));
        let mean = |terms: f64| terms / self.width as f64;
        match self.loss {
            Loss::CategoricalCrossentropy { .. } => self.categorical(x, label),
            // Accurate where the sigmoid would round to 0 or 1.
            Loss::BinaryCrossentropy { .. } => mean(
                targets
                    .map(|(x, t)| {
                        (if x < 0.0 { 0.0 } else { x }) - t * x + (-x.abs()).exp().ln_1p()
                    })
                    .sum(),
            ),
            Loss::MeanSquaredError => mean(targets.map(|(x, t)| (x - t) * (x - t)).sum()),
        }
    }

    fn categorical(&self, x: &[f32], label: MixedLabel) -> f64 {
        let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let below = |x: &f32| f64::from(*x - largest);
        let exponentials = x.iter().map(|x| below(x).exp());
        let of_class = |class: u32| x.get(class as usize).map_or(f64::NAN, below);
        let own = match label.share {
            // Avoids 0 times infinity.
            1.0 => of_class(label.label),
            share => {
                let share = f64::from(share);
                share * of_class(label.label) + (1.0 - share) * of_class(label.other)
            }
        };
        let [off, on] = self.targets.map(f64::from);
        let others = match self.targets[0] {
            // Avoids 0 times infinity.
            0.0 => 0.0,
            _ => off * x.iter().map(below).sum::<f64>(),
        };
        exponentials.sum::<f64>().ln() - on * own - others
    }

    /// The gradient with respect to `x` of the first `valid` rows, 0 for the others; `rows` is the
    /// number of valid rows in the batch.
    pub fn gradient(
        &self,
        (predictions, labels): (&[f32], RowLabels<'_>),
        (valid, rows): (usize, usize),
        dx: &mut [f32],
    ) {
        let divisor = match self.loss {
            Loss::CategoricalCrossentropy { .. } => rows as f32,
            Loss::BinaryCrossentropy { .. } => (rows * self.width) as f32,
            Loss::MeanSquaredError => (rows * self.width) as f32 / 2.0,
        };
        let classes = self.loss.classes(self.width);
        let rows = predictions.chunks_exact(classes);
        for (row, (dx, p)) in dx.chunks_exact_mut(self.width).zip(rows).enumerate() {
            if row >= valid {
                dx.fill(0.0);
                continue;
            }
            let label = labels.row(row);
            let weight = self.weight(label.main());
            // A single output is the prediction for the second of two classes.
            let own = &p[classes - self.width..];
            for ((d, y), t) in dx.iter_mut().zip(own).zip(self.row_targets(label)) {
                *d = weight * (y - t) / divisor;
            }
        }
    }

    /// The targets of a row's outputs. A single output stands for class 1.
    fn row_targets(&self, label: MixedLabel) -> impl Iterator<Item = f32> {
        let [off, on] = self.targets;
        let first = u32::from(self.width == 1);
        (first..).map(move |class| off + on * label.share_of(class))
    }

    fn weight(&self, label: u32) -> f32 {
        let weights = self.class_weights;
        weights.map_or(1.0, |weights| weights[label as usize])
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// Whether the label's value is the first maximum and no value is NaN.
fn is_first_largest(x: &[f32], label: u32) -> bool {
    let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let first = x.iter().position(|&x| x == largest);
    first == Some(label as usize) && !x.iter().any(|x| x.is_nan())
}

/// The labels of a block's rows.
fn labels<'a>(op: &LossOp, block: &'a RowBlock<'_, '_, '_>) -> RowLabels<'a> {
    match op.targets {
        Some(targets) => RowLabels::Mixed(block.words(targets)),
        None => RowLabels::Single(block.words(op.labels)),
    }
}

impl RowWise for LossOp {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let function = LossFunction::new(self.loss, self.width, self.class_weights.as_deref());
        let (valid, rows) = (block.valid(), block.memory().part.of);
        let sum = block.write(self.predictions, |block, predictions| {
            let x = block.floats(self.x);
            function.predict(x, predictions);
            function.sum(x, predictions, labels(self, block), valid)
        });
        block.add_loss(sum.unwrap_or_default());
        if let Some(dx) = self.dx {
            block.write(dx, |block, dx| {
                let judged = (block.floats(self.predictions), labels(self, block));
                function.gradient(judged, (valid, rows), dx);
            });
        }
    }
}
