//! Whether a classifier's probabilities can be taken at their word.

/// The calibration of a classifier: of the images classified with 90 % probability, 90 % should be
/// classified correctly.
///
/// Images are sorted into bins of equal width by the probability of their predicted class, the
/// *confidence* (Guo et al., "On Calibration of Modern Neural Networks", 2017).
///
/// ```
/// use cnn_gpu::inspect::Calibration;
/// // Two images with 80 % confidence, of which one is right, and one with 100 % that is right.
/// let found = Calibration::new([(0.8, true), (0.8, false), (1.0, true)], 15);
/// assert_eq!(found.bins.len(), 15);
/// assert!((found.expected_error - 0.2).abs() < 1e-6); // 2/3 * |0.5 - 0.8| + 1/3 * 0
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Calibration {
    /// The bins, from 0 to 1.
    pub bins: Vec<CalibrationBin>,
    /// The number of images.
    pub images: u64,
    /// The expected calibration error (ECE): the mean difference of confidence and accuracy, over
    /// the bins weighted by their images.
    pub expected_error: f64,
    /// The maximum calibration error (MCE): the largest such difference of any bin.
    pub maximum_error: f64,
}

/// The images with confidences in an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CalibrationBin {
    /// Where the interval starts, exclusive.
    pub from: f64,
    /// Where it ends, inclusive.
    pub to: f64,
    /// The number of images.
    pub images: u64,
    /// Their mean confidence; 0 without images.
    pub confidence: f64,
    /// The fraction of them that is classified correctly; 0 without images.
    pub accuracy: f64,
}

impl CalibrationBin {
    /// Accuracy minus confidence: negative if the network is too sure of itself.
    pub fn gap(&self) -> f64 {
        self.accuracy - self.confidence
    }
}

impl Calibration {
    /// Sorts images, each with its confidence and whether it is classified correctly, into `bins`
    /// bins, at least one. A confidence outside 0 to 1 counts as the nearer of the two, one that is
    /// not a number as 0.
    pub fn new(images: impl IntoIterator<Item = (f32, bool)>, bins: usize) -> Self {
        let count = bins.max(1);
        let mut sums = vec![(0_u64, 0.0_f64, 0_u64); count];
        for (confidence, is_right) in images {
            // Not a clamp, which would keep a value that is not a number.
            let confidence = if confidence > 0.0 {
                f64::from(confidence).min(1.0)
            } else {
                0.0
            };
            let bin = (confidence * count as f64).ceil() as usize;
            let (images, sum, right) = &mut sums[bin.clamp(1, count) - 1];
            *images += 1;
            *sum += confidence;
            *right += u64::from(is_right);
        }
        let edge = |i: usize| i as f64 / count as f64;
        let bins = sums.iter().enumerate();
        let bins = bins.map(|(i, &(images, sum, right))| CalibrationBin {
            from: edge(i),
            to: edge(i + 1),
            images,
            confidence: sum / images.max(1) as f64,
            accuracy: right as f64 / images.max(1) as f64,
        });
        Self::of(bins.collect())
    }

    fn of(bins: Vec<CalibrationBin>) -> Self {
        let images: u64 = bins.iter().map(|bin| bin.images).sum();
        let share = |bin: &CalibrationBin| bin.images as f64 / images.max(1) as f64;
        let gaps = bins.iter().map(|bin| share(bin) * bin.gap().abs());
        Self {
            images,
            expected_error: gaps.sum(),
            maximum_error: bins.iter().map(|bin| bin.gap().abs()).fold(0.0, f64::max),
            bins,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_end_at_their_upper_edge() {
        let found = Calibration::new(
            [(0.0, false), (0.5, true), (0.500_001, true), (1.0, true)],
            2,
        );
        assert_eq!(found.bins[0].images, 2);
        assert_eq!((found.bins[1].from, found.bins[1].to), (0.5, 1.0));
        assert_eq!(found.bins[1].images, 2);
    }

    #[test]
    fn errors_by_hand() {
        let sure = std::iter::repeat_n((0.75, true), 3).chain([(0.75, false)]);
        let found = Calibration::new(sure.chain([(0.25, true)]), 4);
        let [low, _, high, _] = found.bins[..] else {
            panic!("four bins")
        };
        assert_eq!((low.accuracy, low.gap()), (1.0, 0.75));
        assert_eq!((high.confidence, high.gap()), (0.75, 0.0));
        assert!((found.expected_error - 0.75 / 5.0).abs() < 1e-12);
        assert_eq!(found.maximum_error, 0.75);
    }

    #[test]
    fn numbers_that_are_no_probabilities_do_no_harm() {
        let odd = [
            (f32::NAN, false),
            (-1.0, false),
            (2.0, true),
            (f32::INFINITY, true),
        ];
        let found = Calibration::new(odd, 0);
        assert_eq!((found.images, found.bins.len()), (4, 1));
        assert_eq!(found.expected_error, 0.0);
        assert_eq!(Calibration::new([], 15).expected_error, 0.0);
    }
}
