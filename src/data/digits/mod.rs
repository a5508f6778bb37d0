//! Built-in digits: synthetic handwriting for machines without MNIST.
//!
//! Each sample is a pure function of (seed, index): a digit, one of its writing styles
//! (`skeletons`), jittered nodes joined by smooth curves (`curve`), a slanted, rotated, stretched
//! and bent page (`distort`), and a pen with soft edges on 28x28 pixels, scaled and centred like
//! MNIST's digits (`render`). It uses only additions, multiplications, divisions and square roots,
//! which IEEE 754 defines to the last bit, so that every platform draws the same bytes.

mod curve;
mod distort;
mod draws;
mod render;
#[cfg(feature = "gpu")]
mod script;
mod skeletons;
mod stream;

use rayon::prelude::*;

#[cfg(feature = "gpu")]
pub(crate) use script::skeletons_script;
pub use stream::DigitStream;

use super::dataset::{Dataset, Splits};
use crate::rng::{Key, Stream};
use distort::Distortion;
use draws::Draws;
use render::{Pen, SIDE};
use skeletons::{STYLES, Style};

/// The seed of the built-in data set.
const SEED: u64 = 28;
/// The number of training samples: indices from 0.
const TRAIN: usize = 60_000;
/// The number of test samples: the indices after the training samples.
const TEST: usize = 10_000;

/// The built-in data set: 60,000 training and 10,000 test samples.
pub fn splits() -> Splits {
    Splits::new(generate(TRAIN, SEED, 0), generate(TEST, SEED, TRAIN as u32))
}

/// Draws `n` samples of `seed`, starting at index `offset`. Indices wrap at 2^32.
///
/// ```
/// use cnn_gpu::data::digits;
/// let digits = digits::generate(5, 1, 100);
/// assert_eq!(digits.image(3), digits::generate(1, 1, 103).image(0));
/// ```
pub fn generate(n: usize, seed: u64, offset: u32) -> Dataset {
    let key = Key::new(seed);
    let mut images = vec![0; n * SIDE * SIDE];
    let mut labels = vec![0; n];
    images
        .par_chunks_mut(SIDE * SIDE)
        .zip(labels.par_iter_mut())
        .enumerate()
        .for_each(|(index, (image, label))| {
            let index = offset.wrapping_add(index as u32);
            let (digit, pixels) = sample(key.stream(Stream::Digits, index));
            *label = digit;
            image.copy_from_slice(&pixels);
        });
    let shape = [SIDE, SIDE, 1];
    Dataset::of_parts("digits", "built in", shape, STYLES.len(), images, labels)
}

/// The label and the pixels of one sample.
fn sample(key: Key) -> (u8, [u8; SIDE * SIDE]) {
    let mut draws = Draws::new(key);
    let digit = draws.below(STYLES.len() as u32);
    let style = pick(STYLES[digit as usize], &mut draws);
    // Some writers are careful, some are not.
    let jitter = draws.range(0.01, 0.055);
    let bend = draws.range(0.01, 0.08);
    let page = Distortion::draw(bend, &mut draws);
    let mut strokes: Vec<_> = style
        .strokes
        .iter()
        .map(|nodes| {
            let mut line = curve::trace(nodes, jitter, &mut draws);
            curve::trim(&mut line, 0.07, &mut draws);
            line.iter_mut()
                .for_each(|point| *point = page.apply(*point));
            line
        })
        .collect();
    let nodes = style.strokes.iter().map(|nodes| nodes.len()).sum();
    let pen = draw_pen(nodes, &mut draws);
    (digit as u8, render::render(&mut strokes, &pen))
}

/// Draws one of the styles by weight.
fn pick<'a>(styles: &'a [Style], draws: &mut Draws) -> &'a Style {
    let total = styles.iter().map(|style| style.weight).sum();
    let mut ticket = draws.below(total);
    for style in styles {
        if ticket < style.weight {
            return style;
        }
        ticket -= style.weight;
    }
    &styles[0]
}

/// A pen for a skeleton with this many nodes: the longer the strokes, the thinner the pen must be
/// to keep loops open.
fn draw_pen(nodes: usize, draws: &mut Draws) -> Pen {
    let bell = draws.bell();
    // The square skews the bell: a very thick pen is more common than a very thin one.
    let radius = 1.27 + 0.38 * bell + 0.06 * bell * bell;
    Pen {
        radius: radius.clamp(0.65, 3.2 - 0.09 * nodes as f32),
        pressure: [0; 3].map(|_| 1.0 + 0.1 * draws.bell()),
        softness: draws.range(0.9, 1.5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change of these bytes would change the results of every seed.
    #[test]
    fn draws_the_same_bytes_everywhere() {
        assert_eq!(
            generate(1000, SEED, 0).fingerprint(),
            "a08b178dc9001501a254bf9e31d213804a060b823fb5175b594fdfaa05f8dae1"
        );
    }

    #[test]
    fn a_sample_depends_on_seed_and_index_only() {
        let all = generate(15, 3, 0);
        let last = generate(10, 3, 5);
        assert_eq!(&all.labels()[5..], last.labels());
        assert_eq!(&all.images()[5 * SIDE * SIDE..], last.images());
        assert_ne!(generate(15, 4, 0).images(), all.images());
        // The last index is followed by the first.
        assert_eq!(generate(2, 3, u32::MAX).image(1), all.image(0));
    }

    #[test]
    fn classes_are_about_equally_frequent() {
        let data = generate(5000, 1, 0);
        for digit in 0..10 {
            let count = data
                .labels()
                .iter()
                .filter(|&&label| label == digit)
                .count();
            assert!((400..600).contains(&count), "{digit}: {count}");
        }
    }

    /// MNIST's mean brightness is 0.1307 and its standard deviation 0.3081.
    #[test]
    fn digits_have_about_as_much_ink_as_mnist() {
        let data = generate(1000, 1, 0);
        let (mean, deviation) = moments(data.images().iter().map(|&ink| f64::from(ink) / 255.0));
        assert!((mean - 0.1307).abs() < 0.015, "{mean}");
        assert!((deviation - 0.3081).abs() < 0.015, "{deviation}");
    }

    fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
        let count = values.clone().count() as f64;
        let mean = values.clone().sum::<f64>() / count;
        let variance = values
            .map(|value| (value - mean) * (value - mean))
            .sum::<f64>()
            / count;
        (mean, variance.sqrt())
    }

    #[test]
    fn every_image_is_centred_and_has_dark_corners() {
        let digits = generate(2000, 2, 0);
        for index in 0..digits.len() {
            let image = digits.image(index);
            let corners = [0, SIDE - 1, SIDE * (SIDE - 1), SIDE * SIDE - 1];
            assert_eq!(corners.map(|at| image[at]), [0; 4], "sample {index}");
            assert!(image.iter().any(|&ink| ink > 200), "sample {index}");
            for axis in [1, SIDE] {
                let middle = middle_of_mass(image, axis);
                assert!((13.0..15.0).contains(&middle), "sample {index}: {middle}");
            }
        }
    }

    /// The centre of mass along an axis, given by the distance of its neighbours in memory.
    fn middle_of_mass(image: &[u8], axis: usize) -> f64 {
        let mass: f64 = image.iter().map(|&ink| f64::from(ink)).sum();
        let moment: f64 = image
            .iter()
            .enumerate()
            .map(|(at, &ink)| f64::from(ink) * ((at / axis % SIDE) as f64 + 0.5))
            .sum();
        moment / mass
    }

    #[test]
    fn every_digit_has_several_styles_within_the_square() {
        for (digit, styles) in STYLES.iter().enumerate() {
            assert!(styles.len() >= 4, "{digit}");
            for node in styles
                .iter()
                .flat_map(|style| style.strokes.iter().copied().flatten())
            {
                let square = -0.2..=1.2;
                assert!(
                    square.contains(&node.x) && square.contains(&node.y),
                    "{digit}"
                );
            }
        }
    }
}
