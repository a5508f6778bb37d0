//! Predictions averaged over variants of each image.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::time::Instant;

use serde::{Deserialize, Serialize, Serializer};

use super::classification::most_probable;
use super::trainer::Pass;
use super::{Classification, Evaluation, Mean, Prediction, Trainer};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::plan::{Op, Penalty};
use crate::shape::dims;
use crate::state::Parameter;

/// Which variants of an image a prediction is averaged over. What is averaged is the output of the
/// last layer: the probabilities, or the outputs of a network trained with the mean squared error.
///
/// | name | variants and their weights |
/// |---|---|
/// | `flip` | the image 1/2, mirrored left to right 1/2 |
/// | `shift` | the image 1/2, shifted down and right by a pixel 1/4, up and left by a pixel 1/4 |
/// | `flip+shift` | those of `shift`, each one half as it is and one half mirrored: six |
///
/// What a shift brings in is reflected about the centre of the edge's pixels, `c b|a b c`. These are
/// the variants and weights of airbench (Jordan, 2024), which averages logits instead.
///
/// ```
/// use cnn_gpu::train::TestTimeAugmentation;
/// let both: TestTimeAugmentation = "flip+shift".parse()?;
/// assert_eq!((both, both.variants()), (TestTimeAugmentation::FlipAndShift, 6));
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TestTimeAugmentation {
    /// `flip`.
    Flip,
    /// `shift`.
    Shift,
    /// `flip+shift`.
    FlipAndShift,
}

/// A variant of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ImageVariant {
    /// By how many pixels it is shifted down and right, before it is mirrored.
    shift: isize,
    is_mirrored: bool,
    /// Its share of the average.
    weight: f64,
}

impl TestTimeAugmentation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Flip, Self::Shift, Self::FlipAndShift];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flip => "flip",
            Self::Shift => "shift",
            Self::FlipAndShift => "flip+shift",
        }
    }

    /// The number of variants of an image.
    pub fn variants(self) -> usize {
        self.list().len()
    }

    /// Whether images are mirrored.
    pub fn flips(self) -> bool {
        self != Self::Shift
    }

    /// What is averaged, in words.
    pub fn description(self) -> &'static str {
        match self {
            Self::Flip => "the image and its mirror image",
            Self::Shift => {
                "the image (1/2) and the image shifted by a pixel down and right (1/4) and up and left (1/4)"
            }
            Self::FlipAndShift => {
                "the image (1/2) and the image shifted by a pixel down and right (1/4) and up and left (1/4), \
                 each with its mirror image"
            }
        }
    }

    fn list(self) -> Vec<ImageVariant> {
        let shifts: &[(isize, f64)] = match self {
            Self::Flip => &[(0, 1.0)],
            Self::Shift | Self::FlipAndShift => &[(0, 0.5), (1, 0.25), (-1, 0.25)],
        };
        let mirrored: &[bool] = match self {
            Self::Shift => &[false],
            Self::Flip | Self::FlipAndShift => &[false, true],
        };
        let of_shift = |&(shift, share): &(isize, f64)| {
            mirrored.iter().map(move |&is_mirrored| ImageVariant {
                shift,
                is_mirrored,
                weight: share / mirrored.len() as f64,
            })
        };
        shifts.iter().flat_map(of_shift).collect()
    }

    /// Checks that images of this shape have these variants.
    fn check(self, [h, w, c]: [usize; 3]) -> Result<()> {
        let (needed, is_enough) = match self {
            Self::Flip => ("a width of at least 2", w >= 2),
            Self::Shift | Self::FlipAndShift => ("at least 2x2 pixels", h >= 2 && w >= 2),
        };
        match is_enough {
            true => Ok(()),
            false => Err(Error::Argument(format!(
                "test-time augmentation {self}: expected images with {needed}, received {}",
                dims(&[h, w, c])
            ))),
        }
    }
}

impl ImageVariant {
    /// This variant of images `[n, h, w, c]`.
    fn of(self, images: &[u8], [h, w, c]: [usize; 3]) -> Vec<u8> {
        let place = |i: usize, n: usize| reflected(i as isize - self.shift, n);
        let columns: Vec<usize> = (0..w)
            .map(|x| if self.is_mirrored { w - 1 - x } else { x })
            .map(|x| place(x, w))
            .collect();
        let mut varied = Vec::with_capacity(images.len());
        for image in images.chunks_exact(h * w * c) {
            for y in 0..h {
                let row = &image[place(y, h) * w * c..][..w * c];
                for x in &columns {
                    varied.extend_from_slice(&row[x * c..][..c]);
                }
            }
        }
        varied
    }
}

/// The index of the pixel that lies at `i`, at most one pixel outside `n >= 2` of them.
fn reflected(i: isize, n: usize) -> usize {
    let last = n as isize - 1;
    (last - (last - i.abs()).abs()).unsigned_abs()
}

impl Display for TestTimeAugmentation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TestTimeAugmentation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|one| one.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::Argument(format!(
                "no test-time augmentation `{text}`: expected one of {names}"
            ))
        })
    }
}

impl Serialize for TestTimeAugmentation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for TestTimeAugmentation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

impl<E: Executor + ?Sized> Trainer<E> {
    /// As [`Trainer::predict`], averaged over variants of each image.
    ///
    /// # Errors
    /// As [`Trainer::predict`]; images too small for the variants.
    ///
    /// ```
    /// use cnn_gpu::data::digits;
    /// use cnn_gpu::exec::{self, Backend, Selection};
    /// use cnn_gpu::model::preset;
    /// use cnn_gpu::train::{Options, TestTimeAugmentation, Trainer};
    /// # let Some(model) = preset("mnist-mlp") else { return Ok(()) };
    /// let data = digits::generate(3, 1, 0);
    /// let device = exec::open(&Selection::new(Backend::Cpu))?;
    /// let mut trainer = Trainer::new(model, &device, Options::default())?;
    /// let averaged = trainer.predict_averaged(data.images(), TestTimeAugmentation::Shift)?;
    /// let sum: f32 = averaged[0].probabilities.iter().sum();
    /// assert!((sum - 1.0).abs() < 1e-5);
    /// # Ok::<(), cnn_gpu::Error>(())
    /// ```
    pub fn predict_averaged(
        &mut self,
        images: &[u8],
        variants: TestTimeAugmentation,
    ) -> Result<Vec<Prediction>> {
        let shape = self.model().input_shape;
        variants.check(shape)?;
        let mut sums: Vec<Vec<f64>> = Vec::new();
        for variant in variants.list() {
            let predictions = self.predict(&variant.of(images, shape))?;
            let terms = predictions.into_iter().map(|prediction| {
                let outputs = prediction.probabilities.into_iter();
                outputs
                    .map(|p| variant.weight * f64::from(p))
                    .collect::<Vec<f64>>()
            });
            if sums.is_empty() {
                sums = terms.collect();
            } else {
                for (sum, term) in sums.iter_mut().zip(terms) {
                    sum.iter_mut().zip(term).for_each(|(a, b)| *a += b);
                }
            }
        }
        let rounded = |sum: Vec<f64>| -> Vec<f32> { sum.into_iter().map(|p| p as f32).collect() };
        let means = sums.into_iter().map(rounded);
        Ok(means.map(|mean| Prediction::from(&mean[..])).collect())
    }

    /// As [`Trainer::evaluate`], for predictions averaged over variants of each image. The loss is
    /// that of the average, whose probabilities a logarithm takes from 1e-7 to 1 - 1e-7, as in Keras,
    /// plus the penalties.
    ///
    /// # Errors
    /// As [`Trainer::evaluate`]; images too small for the variants.
    pub fn evaluate_averaged(
        &mut self,
        data: &Dataset,
        variants: TestTimeAugmentation,
    ) -> Result<Evaluation> {
        let started = Instant::now();
        let mean = self.measure_averaged(data, variants, |_, _| ())?;
        Ok(Evaluation::new(&mean, started))
    }

    /// As [`Trainer::classify`], for predictions averaged over variants of each image, with the loss
    /// of [`Trainer::evaluate_averaged`].
    ///
    /// # Errors
    /// As [`Trainer::classify`]; images too small for the variants.
    pub fn classify_averaged(
        &mut self,
        data: &Dataset,
        variants: TestTimeAugmentation,
        k: usize,
        worst: usize,
    ) -> Result<Classification> {
        self.tallied(data, (k, worst), |trainer, each| {
            trainer.measure_averaged(data, variants, each)
        })
    }

    /// Loss and accuracy of averaged predictions, of which each goes to `each` with its image's index.
    fn measure_averaged(
        &mut self,
        data: &Dataset,
        variants: TestTimeAugmentation,
        mut each: impl FnMut(usize, &[f32]),
    ) -> Result<Mean> {
        self.check(data)?;
        if data.floats().is_some() {
            return Err(Error::Argument(format!(
                "data set `{}` holds floats: predictions are averaged over variants of images as bytes",
                data.name
            )));
        }
        let (loss, width) = (
            self.model().loss,
            self.model().output_shape()?.iter().product(),
        );
        let penalties = self.penalties();
        let size: usize = data.shape().iter().product();
        let batch = self.plan(Pass::Inference).batch;
        let mut mean = Mean::default();
        let labels = data.labels().chunks(batch);
        for (images, labels) in data.images().chunks(batch * size).zip(labels) {
            let predictions = self.predict_averaged(images, variants)?;
            for (prediction, &label) in predictions.iter().zip(labels) {
                let (row, label) = (&prediction.probabilities[..], usize::from(label));
                let is_number = row.iter().all(|p| !p.is_nan());
                each(mean.rows as usize, row);
                mean.rows += 1;
                mean.correct += u64::from(is_number && most_probable(row) == label);
                mean.loss_sum += penalties + loss.of_predictions(row, label, width);
            }
            mean.steps += 1;
        }
        Ok(mean)
    }

    /// The penalties on the parameters.
    fn penalties(&self) -> f64 {
        let regularize = |op: &Op| match op {
            Op::Regularize(op) => op.penalties.clone(),
            _ => Vec::new(),
        };
        let all = self.plan(Pass::Inference).ops.iter().flat_map(regularize);
        // Parameters are the first buffers, in the layout's order.
        let parameter = |penalty: &Penalty| {
            let place = self.state.layout.parameters.get(penalty.w.0);
            place.map_or(0..0, Parameter::range)
        };
        all.map(|penalty| {
            let values = &self.state.params[parameter(&penalty)];
            (penalty.regularizer).penalty(values.iter().map(|&w| f64::from(w)))
        })
        .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_shifted_with_reflection_and_then_mirrored() {
        // 3x3 pixels of one channel, and PyTorch's pad(..., 1, "reflect") of them.
        let image = [0, 1, 2, 3, 4, 5, 6, 7, 8];
        let of = |shift, is_mirrored| {
            let weight = 1.0;
            let variant = ImageVariant {
                shift,
                is_mirrored,
                weight,
            };
            variant.of(&image, [3, 3, 1])
        };
        assert_eq!(of(0, false), image);
        assert_eq!(of(0, true), [2, 1, 0, 5, 4, 3, 8, 7, 6]);
        assert_eq!(of(1, false), [4, 3, 4, 1, 0, 1, 4, 3, 4]);
        assert_eq!(of(-1, false), [4, 5, 4, 7, 8, 7, 4, 5, 4]);
        assert_eq!(of(-1, true), [4, 5, 4, 7, 8, 7, 4, 5, 4]);
        // Two images of two channels.
        let variant = ImageVariant {
            shift: 1,
            is_mirrored: true,
            weight: 1.0,
        };
        let images: Vec<u8> = (0..24).collect();
        let first = [8, 9, 6, 7, 8, 9, 2, 3, 0, 1, 2, 3];
        let varied = variant.of(&images, [2, 3, 2]);
        assert_eq!(varied[..12], first);
        assert_eq!(varied[12..], first.map(|byte| byte + 12));
    }

    #[test]
    fn weights_sum_to_one_and_names_are_read_back() {
        for one in TestTimeAugmentation::ALL {
            let sum: f64 = one.list().iter().map(|variant| variant.weight).sum();
            assert_eq!(sum, 1.0);
            assert_eq!(one.name().parse::<TestTimeAugmentation>().unwrap(), one);
        }
        let message = "rotate".parse::<TestTimeAugmentation>().unwrap_err();
        assert!(message.to_string().contains("flip, shift, flip+shift"));
        let [flip, shift, _] = TestTimeAugmentation::ALL;
        assert!(flip.check([1, 2, 1]).is_ok() && shift.check([1, 2, 1]).is_err());
    }
}
