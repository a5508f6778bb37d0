//! Classification metrics: top-k accuracy, precision, recall, F1 and the confusion matrix.

use std::cmp::Ordering;
use std::fmt::{self, Display, Formatter};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use unicode_width::UnicodeWidthStr as _;

use super::feed::Feed;
use super::trainer::Pass;
use super::{Evaluation, Mean, Trainer};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::model::Loss;

/// The metrics of [`Trainer::classify`], computed from every image's probabilities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Classification {
    /// Loss and accuracy.
    #[serde(flatten)]
    pub scores: Evaluation,
    /// The `k` of `top_k_accuracy`.
    pub k: usize,
    /// The fraction of images whose label is among the `k` most probable classes. As in Keras, a
    /// label that ties with the last of them counts.
    pub top_k_accuracy: f64,
    /// The means of precision, recall and F1 over the classes that have images.
    pub macro_average: ClassScores,
    /// The classes without images, by index. They have no recall and are left out of the means.
    #[serde(default)]
    pub left_out: Vec<usize>,
    /// The scores of each class, by index.
    pub classes: Vec<ClassScores>,
    /// The names of the classes, if they have any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// `confusion[label][class]`: the number of images of `label` that were classified as `class`.
    pub confusion: Vec<Vec<u64>>,
    /// The misclassified images with the highest predicted probability, worst first.
    pub worst: Vec<Mistake>,
    /// The network's loss, which says whether its outputs are probabilities.
    #[serde(skip)]
    pub loss: Loss,
}

/// How well one class is distinguished from the others. As in Keras, a fraction of zero images is
/// 0.
///
/// An image counts for a single class, the first of equally probable ones. Keras's `F1Score` counts
/// it for all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClassScores {
    /// The fraction of the images classified as this class that belong to it.
    pub precision: f64,
    /// The fraction of this class's images that were classified as it.
    pub recall: f64,
    /// `2 precision recall / (precision + recall)`.
    pub f1: f64,
    /// The number of images of this class.
    pub images: u64,
}

/// A misclassified image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mistake {
    /// The image's index in the data set.
    pub index: usize,
    /// The image's file, if it has one of its own; see [`Dataset::file`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The label.
    pub label: usize,
    /// The predicted class.
    pub predicted: usize,
    /// The predicted class's probability.
    pub probability: f32,
    /// The label's probability.
    pub label_probability: f32,
}

/// Running counts of right and wrong predictions.
struct Tally {
    k: usize,
    in_top_k: u64,
    confusion: Vec<Vec<u64>>,
    mistakes: Vec<Mistake>,
}

impl Tally {
    fn new(classes: usize, k: usize) -> Self {
        Self {
            k,
            in_top_k: 0,
            confusion: vec![vec![0; classes]; classes],
            mistakes: Vec::new(),
        }
    }

    fn add(&mut self, index: usize, label: usize, probabilities: &[f32]) {
        let own = probabilities[label];
        // A NaN is never among the most probable classes, and no class is more probable than a NaN.
        let above = probabilities
            .iter()
            .filter(|p| p.partial_cmp(&&own).is_none_or(Ordering::is_gt))
            .count();
        self.in_top_k += u64::from(above < self.k);
        let predicted = most_probable(probabilities);
        self.confusion[label][predicted] += 1;
        if predicted != label {
            self.mistakes.push(Mistake {
                index,
                file: None,
                label,
                predicted,
                probability: probabilities[predicted],
                label_probability: own,
            });
        }
    }

    fn classes(&self) -> Vec<ClassScores> {
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let scores = |class: usize| {
            let hits = self.confusion[class][class];
            let images = self.confusion[class].iter().sum();
            let taken = self.confusion.iter().map(|row| row[class]).sum();
            ClassScores {
                precision: share(hits, taken),
                recall: share(hits, images),
                // The same as of precision and recall, and never 0 / 0.
                f1: share(2 * hits, images + taken),
                images,
            }
        };
        (0..self.confusion.len()).map(scores).collect()
    }

    fn worst(&mut self, count: usize) -> Vec<Mistake> {
        let by = |a: &Mistake, b: &Mistake| b.probability.total_cmp(&a.probability);
        self.mistakes.sort_by(by);
        self.mistakes.truncate(count);
        std::mem::take(&mut self.mistakes)
    }
}

/// The most probable class, the first one in a tie.
pub(super) fn most_probable(probabilities: &[f32]) -> usize {
    let mut class = 0;
    for (i, p) in probabilities.iter().enumerate() {
        if *p > probabilities[class] {
            class = i;
        }
    }
    class
}

impl<E: Executor + ?Sized> Trainer<E> {
    /// Measures what [`Trainer::evaluate`] does and, with the same weights, the top-`k` accuracy,
    /// precision, recall and F1 of each class, the confusion matrix and the `worst` mistakes.
    ///
    /// # Errors
    /// Those of [`Trainer::evaluate`]; a `k` outside 1 to the number of classes.
    ///
    /// ```
    /// use cnn_gpu::data::digits;
    /// use cnn_gpu::exec::{self, Backend, Selection};
    /// use cnn_gpu::model::preset;
    /// use cnn_gpu::train::{Options, Trainer};
    /// # let Some(model) = preset("mnist-mlp") else { return Ok(()) };
    /// let device = exec::open(&Selection::new(Backend::Cpu))?;
    /// let mut trainer = Trainer::new(model, &device, Options::default().epochs(1))?;
    /// let test = digits::generate(100, 1, 0);
    /// let found = trainer.classify(&test, 3, 5)?;
    /// assert!(found.top_k_accuracy >= found.scores.accuracy);
    /// println!("{found}");
    /// # Ok::<(), cnn_gpu::Error>(())
    /// ```
    pub fn classify(&mut self, data: &Dataset, k: usize, worst: usize) -> Result<Classification> {
        self.classify_each(data, k, worst, |_| ())
    }

    /// Like [`Trainer::classify`], and hands the probabilities of each image, in order, to `each`.
    ///
    /// # Errors
    /// Those of [`Trainer::classify`].
    pub fn classify_each(
        &mut self,
        data: &Dataset,
        k: usize,
        worst: usize,
        mut each: impl FnMut(&[f32]),
    ) -> Result<Classification> {
        self.tallied(data, (k, worst), |trainer, tally| {
            let feed = trainer.whole(data)?;
            trainer.executor.order(feed.data, &feed.in_order())?;
            let mut mean = Mean::default();
            for number in 0..feed.batches() {
                trainer.classify_batch(&feed, number, &mut mean, |index, row| {
                    tally(index, row);
                    each(row);
                })?;
            }
            Ok(mean)
        })
    }

    /// The metrics of `measure`, which hands each image's index and probabilities to its argument.
    pub(super) fn tallied(
        &mut self,
        data: &Dataset,
        (k, worst): (usize, usize),
        measure: impl FnOnce(&mut Self, &mut dyn FnMut(usize, &[f32])) -> Result<Mean>,
    ) -> Result<Classification> {
        let started = Instant::now();
        let classes = self.plan(Pass::Inference).classes;
        if !(1..=classes).contains(&k) {
            return Err(Error::Argument(format!(
                "top-k accuracy: expected a k from 1 to {classes}, the number of classes, received {k}"
            )));
        }
        let mut tally = Tally::new(classes, k);
        let mean = measure(self, &mut |index, row| {
            tally.add(index, data.labels()[index].into(), row);
        })?;
        let classes = tally.classes();
        let mut worst = tally.worst(worst);
        for mistake in &mut worst {
            mistake.file = data.file(mistake.index).map(String::from);
        }
        Ok(Classification {
            scores: Evaluation::new(&mean, started),
            k,
            top_k_accuracy: tally.in_top_k as f64 / mean.rows.max(1) as f64,
            macro_average: ClassScores::mean(&classes),
            left_out: ClassScores::left_out(&classes),
            classes,
            class_names: data.class_names.clone(),
            confusion: tally.confusion,
            worst,
            loss: self.model().loss,
        })
    }

    fn classify_batch(
        &mut self,
        feed: &Feed,
        number: usize,
        mean: &mut Mean,
        mut each: impl FnMut(usize, &[f32]),
    ) -> Result<()> {
        let step = self.inference(feed, number)?;
        self.executor.enqueue(&step)?;
        self.take_in(true, mean)?;
        let probabilities = self.executor.predictions(step.program)?;
        let classes = self.plan(Pass::Inference).classes;
        let rows = probabilities.chunks_exact(classes).zip(step.offset..);
        rows.take(step.rows)
            .for_each(|(row, index)| each(index, row));
        Ok(())
    }
}

impl ClassScores {
    /// The mean over the classes that occur.
    fn mean(classes: &[Self]) -> Self {
        let occur: Vec<&Self> = classes.iter().filter(|c| c.images > 0).collect();
        let n = occur.len().max(1) as f64;
        let mean = |of: fn(&Self) -> f64| occur.iter().map(|c| of(c)).sum::<f64>() / n;
        Self {
            precision: mean(|c| c.precision),
            recall: mean(|c| c.recall),
            f1: mean(|c| c.f1),
            images: classes.iter().map(|c| c.images).sum(),
        }
    }

    /// The indices of the classes that do not occur.
    fn left_out(classes: &[Self]) -> Vec<usize> {
        let absent = |class: &usize| classes[*class].images == 0;
        (0..classes.len()).filter(absent).collect()
    }
}

impl Display for ClassScores {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            precision,
            recall,
            f1,
            images,
        } = self;
        if *images == 0 {
            return write!(f, "{0:>9} {0:>9} {0:>9} {images:>9}", "-");
        }
        write!(f, "{precision:>9.4} {recall:>9.4} {f1:>9.4} {images:>9}")
    }
}

impl Classification {
    /// `7`, or `1 dogs`.
    fn class(&self, number: usize) -> String {
        match self.class_names.get(number) {
            Some(name) => format!("{number} {name}"),
            None => number.to_string(),
        }
    }
}

/// `text` and blanks up to `width` columns; in some scripts a character takes two.
fn padded(text: &str, width: usize) -> String {
    text.to_owned() + &" ".repeat(width.saturating_sub(text.width()))
}

/// Human-readable tables.
impl Display for Classification {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { k, worst, .. } = self;
        let names: Vec<String> = (0..self.classes.len()).map(|c| self.class(c)).collect();
        let longest = names.iter().map(|name| name.width()).max();
        let first = "label ".len() + longest.unwrap_or_default();
        let first = first.max("predicted".len());
        writeln!(f, "top-{k} accuracy  {:.4}\n", self.top_k_accuracy)?;
        writeln!(
            f,
            "{:<first$} precision    recall        F1    images",
            "class"
        )?;
        for (name, scores) in names.iter().zip(&self.classes) {
            writeln!(f, "{} {scores}", padded(name, first))?;
        }
        writeln!(f, "{:<first$} {}\n", "mean", self.macro_average)?;
        if !self.left_out.is_empty() {
            let names: Vec<&str> = self.left_out.iter().map(|&c| names[c].as_str()).collect();
            writeln!(
                f,
                "left out of the means, because they have no images: {}\n",
                names.join(", ")
            )?;
        }
        let digits = self.scores.images.to_string().len().max(4);
        write!(f, "{:<first$}", "predicted")?;
        for class in 0..self.confusion.len() {
            write!(f, " {class:>digits$}")?;
        }
        let names = names.iter().map(|name| format!("label {name}"));
        for (name, row) in names.zip(&self.confusion) {
            write!(f, "\n{}", padded(&name, first))?;
            for count in row {
                write!(f, " {count:>digits$}")?;
            }
        }
        if !worst.is_empty() {
            write!(
                f,
                "\n\nworst mistakes: image, label, predicted class, {} of predicted class and label{}",
                if self.loss.gives_probabilities() {
                    "probabilities"
                } else {
                    "outputs"
                },
                if worst[0].file.is_some() {
                    ", file"
                } else {
                    ""
                }
            )?;
        }
        for m in worst {
            let Mistake {
                index,
                label,
                predicted,
                ..
            } = m;
            let (wrong, right) = (m.probability, m.label_probability);
            write!(
                f,
                "\n{index:>8} {label:>6} {predicted:>9} {wrong:>11.4} {right:.4}"
            )?;
            if let Some(file) = &m.file {
                write!(f, " {file}")?;
            }
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels and probabilities of five images of three classes.
    const ROWS: [(usize, [f32; 3]); 5] = [
        (0, [0.7, 0.2, 0.1]),
        (0, [0.1, 0.6, 0.3]),
        (1, [0.3, 0.4, 0.3]),
        (1, [0.05, 0.05, 0.9]),
        (2, [0.5, 0.25, 0.25]),
    ];

    fn tally(k: usize) -> Tally {
        let mut tally = Tally::new(3, k);
        for (index, (label, row)) in ROWS.iter().enumerate() {
            tally.add(index, *label, row);
        }
        tally
    }

    #[test]
    fn the_confusion_matrix_has_labels_as_rows() {
        assert_eq!(
            tally(1).confusion,
            [[1, 1, 0], [0, 1, 1], [1, 0, 0]].map(Vec::from)
        );
    }

    #[test]
    fn precision_recall_and_f1_by_hand() {
        let classes = tally(1).classes();
        let scores = classes.iter().map(|c| (c.precision, c.recall, c.f1));
        let expected = [(0.5, 0.5, 0.5), (0.5, 0.5, 0.5), (0.0, 0.0, 0.0)];
        assert_eq!(scores.collect::<Vec<_>>(), expected);
        assert_eq!(
            classes.iter().map(|c| c.images).collect::<Vec<_>>(),
            [2, 2, 1]
        );
        assert!((ClassScores::mean(&classes).f1 - 1.0 / 3.0).abs() < 1e-12);
        // Of three images taken for a class of two, one is right.
        let mut tally = Tally::new(2, 1);
        for (i, label) in [0, 0, 1, 1].into_iter().enumerate() {
            tally.add(i, label, if i == 1 { &[0.1, 0.9] } else { &[0.9, 0.1] });
        }
        let first = tally.classes()[0];
        assert_eq!((first.precision, first.recall), (1.0 / 3.0, 0.5));
        assert!((first.f1 - 0.4).abs() < 1e-12);
    }

    #[test]
    fn a_class_that_never_occurs_is_left_out_of_the_means_and_named() {
        let mut tally = Tally::new(3, 1);
        tally.add(0, 0, &[0.8, 0.1, 0.1]);
        tally.add(1, 2, &[0.1, 0.2, 0.7]);
        let classes = tally.classes();
        let mean = ClassScores::mean(&classes);
        assert_eq!((mean.precision, mean.recall, mean.f1), (1.0, 1.0, 1.0));
        let found = Classification {
            scores: Evaluation::new(&Mean::default(), Instant::now()),
            k: 1,
            top_k_accuracy: 1.0,
            macro_average: mean,
            left_out: ClassScores::left_out(&classes),
            class_names: ["cat", "dog", "horse"].map(String::from).into(),
            classes,
            confusion: tally.confusion.clone(),
            worst: Vec::new(),
            loss: Loss::default(),
        };
        let text = found.to_string();
        assert!(
            text.contains("because they have no images: 1 dog\n"),
            "{text}"
        );
        let row = text.lines().find(|line| line.starts_with("1 dog"));
        let cells: Vec<&str> = row.unwrap_or_default().split_whitespace().collect();
        assert_eq!(cells, ["1", "dog", "-", "-", "-", "0"], "{text}");
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!(json["left_out"], serde_json::json!([1]));
        // One image that is taken for it in error changes the others' scores, not their number.
        tally.add(2, 0, &[0.1, 0.8, 0.1]);
        let classes = tally.classes();
        assert_eq!(ClassScores::mean(&classes).recall, 0.75);
    }

    #[test]
    fn a_label_as_probable_as_the_last_of_k_is_among_them() {
        // What keras.metrics.sparse_top_k_categorical_accuracy gives: 2, 4 and 5 of 5.
        assert_eq!([1, 2, 3].map(|k| tally(k).in_top_k), [2, 4, 5]);
        let mut nan = Tally::new(2, 1);
        nan.add(0, 0, &[f32::NAN, f32::NAN]);
        assert_eq!(nan.in_top_k, 0);
    }

    #[test]
    fn the_most_confident_mistakes_come_first() {
        let worst = tally(1).worst(2);
        let expected = Mistake {
            index: 3,
            file: None,
            label: 1,
            predicted: 2,
            probability: 0.9,
            label_probability: 0.05,
        };
        assert_eq!(worst[0], expected);
        assert_eq!((worst.len(), worst[1].index), (2, 1));
    }
}
