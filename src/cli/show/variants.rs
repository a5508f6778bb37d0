//! Samples beside what training makes of them.

use std::path::Path;

use cnn_gpu::Error;
use cnn_gpu::data::Dataset;
use cnn_gpu::exec::{self, Backend, Selection};
use cnn_gpu::inspect;
use cnn_gpu::model::{AUGMENTATIONS, Layer, PRESETS, Sequential, augmentation};
use cnn_gpu::plan::Mixing;
use cnn_gpu::rng::DEFAULT_SEED;
use cnn_gpu::shape::dims;

use crate::cli::model;

/// Images of a sample that augmentation makes of it: with the sample, a row of a PNG file.
pub const VARIANTS: usize = super::SHEET_COLUMNS - 1;
/// Samples that are varied at once.
const SAMPLES_AT_ONCE: usize = 16;
/// Samples that are mixed at once, at most.
const SAMPLES_TO_MIX: usize = 64;

/// The samples that are shown.
pub struct ShownSamples {
    pub set: Dataset,
    /// Of the samples in the set.
    pub indices: Vec<usize>,
    /// One for each.
    pub titles: Vec<String>,
}

/// What varies the samples.
pub enum Augment {
    /// Layers for images of any size.
    Layers(String, Vec<Layer>),
    /// A model that starts with such layers.
    Model(Sequential),
}

impl Augment {
    /// # Errors
    /// The name is no augmentation and stands for no model; or the model cannot be read.
    pub fn named(name: &str) -> cnn_gpu::Result<Self> {
        if let Some(layers) = augmentation(name) {
            return Ok(Self::Layers(name.to_owned(), layers));
        }
        if !PRESETS.contains(&name) && !Path::new(name).exists() {
            return Err(Error::Argument(format!(
                "--augment {name}: expected {}, or the path of a model that starts with augmentation",
                AUGMENTATIONS.join(", ")
            )));
        }
        Ok(Self::Model(model::load(name)?.0))
    }

    /// Each of these samples, followed by what augmentation makes of it.
    pub fn variants(&self, set: &Dataset, indices: &[usize]) -> cnn_gpu::Result<ShownSamples> {
        let model = self.model(set.shape())?;
        let device = exec::open(&Selection::new(Backend::Cpu))?;
        let mut shown = Varied::of(set);
        // Not all at once, as floats take more room than bytes. Each part has draws of its own.
        for (part, samples) in indices.chunks(SAMPLES_AT_ONCE).enumerate() {
            let pixels = |&index: &usize| inspect::to_floats(set.image(index)).repeat(VARIANTS);
            let originals: Vec<f32> = samples.iter().flat_map(pixels).collect();
            let seed = DEFAULT_SEED + part as u64;
            let seen = inspect::augmented(&device, &model, &originals, seed)?;
            let size: usize = seen.shape.iter().product();
            let variants = seen.pixels.chunks_exact(VARIANTS * size);
            for (&index, variants) in samples.iter().zip(variants) {
                shown.sample(index);
                for (i, pixels) in variants.chunks_exact(size).enumerate() {
                    let title = format!("{}, varied {}", title(set, index), i + 1);
                    shown.variant(index, pixels, seen.shape, title);
                }
            }
        }
        shown.samples()
    }

    /// The model that varies images of this shape.
    ///
    /// # Errors
    /// It takes images of another shape.
    fn model(&self, shape: [usize; 3]) -> cnn_gpu::Result<Sequential> {
        let model = match self {
            Self::Layers(name, layers) => {
                let layers = layers.iter().cloned();
                layers.fold(Sequential::new(shape).name(name), Sequential::add)
            }
            Self::Model(model) => model.clone(),
        };
        if model.input_shape != shape {
            return Err(Error::Argument(format!(
                "--augment: the model's images are {}, and those of the data set {}",
                dims(&model.input_shape),
                dims(&shape)
            )));
        }
        Ok(model)
    }
}

/// Each of these samples, followed by what mixing it with the others makes of it.
pub fn mixed(
    augment: Option<&Augment>,
    mixing: Mixing,
    set: &Dataset,
    indices: &[usize],
) -> cnn_gpu::Result<ShownSamples> {
    let model = match augment {
        Some(augment) => augment.model(set.shape())?,
        None => Sequential::new(set.shape()),
    };
    if augment.is_some() {
        inspect::check_augmentation(&model)?;
    }
    let device = exec::open(&Selection::new(Backend::Cpu))?;
    let mut shown = Varied::of(set);
    // A part of one sample would have no others.
    let parts = indices.len().div_ceil(SAMPLES_TO_MIX).max(1);
    let starts = (0..=parts).map(|part| part * indices.len() / parts);
    let starts: Vec<usize> = starts.collect();
    for (part, range) in starts.windows(2).enumerate() {
        let samples = &indices[range[0]..range[1]];
        let pixels = |&index: &usize| inspect::to_floats(set.image(index));
        let originals: Vec<f32> = samples.iter().flat_map(pixels).collect();
        let seed = DEFAULT_SEED + part as u64;
        let mixes = (1..=VARIANTS as u64)
            .map(|step| inspect::mixed(&device, &model, mixing, &originals, (seed, step)));
        let mixes = mixes.collect::<cnn_gpu::Result<Vec<_>>>()?;
        for (row, &index) in samples.iter().enumerate() {
            shown.sample(index);
            for mixed in mixes.iter().map(|step| &step[row]) {
                let share = 100.0 * mixed.share;
                let other = title(set, samples[mixed.partner]);
                let title = format!(
                    "{share:.1} % of {}, {:.1} % of {other}",
                    title(set, index),
                    100.0 - share
                );
                shown.variant(index, &mixed.pixels, mixed.shape, title);
            }
        }
    }
    shown.samples()
}

/// Samples and what is made of them.
struct Varied<'a> {
    set: &'a Dataset,
    /// Height, width and channels of each image and its pixels.
    images: Vec<([usize; 3], Vec<u8>)>,
    labels: Vec<u8>,
    titles: Vec<String>,
}

impl<'a> Varied<'a> {
    /// None of this set yet.
    fn of(set: &'a Dataset) -> Self {
        Self {
            set,
            images: Vec::new(),
            labels: Vec::new(),
            titles: Vec::new(),
        }
    }

    /// Adds a sample as it is.
    fn sample(&mut self, index: usize) {
        let image = self.set.image(index).to_vec();
        self.image(index, self.set.shape(), image, title(self.set, index));
    }

    /// Adds what was made of a sample.
    fn variant(&mut self, index: usize, pixels: &[f32], shape: [usize; 3], title: String) {
        let bytes = pixels.iter().map(|x| (255.0 * x).round() as u8);
        self.image(index, shape, bytes.collect(), title);
    }

    fn image(&mut self, index: usize, shape: [usize; 3], pixels: Vec<u8>, title: String) {
        self.images.push((shape, pixels));
        self.labels.push(self.set.labels()[index]);
        self.titles.push(title);
    }

    /// All of them as a data set. Layers that cut images make others of them than the samples are:
    /// smaller ones lie in the middle of black ones of the largest height and width.
    fn samples(self) -> cnn_gpu::Result<ShownSamples> {
        let set = self.set;
        let larger = |a: [usize; 3], b: [usize; 3]| [0, 1, 2].map(|axis| a[axis].max(b[axis]));
        let shapes = self.images.iter().map(|(shape, _)| *shape);
        let canvas = shapes.fold(set.shape(), larger);
        let mut images = Vec::with_capacity(self.images.len() * canvas.iter().product::<usize>());
        for (shape, pixels) in &self.images {
            images.extend(centred(pixels, *shape, canvas));
        }
        let (name, classes) = (set.name.as_str(), set.classes);
        let shown = Dataset::new(name, "augmented", canvas, classes, images, self.labels)?;
        let shown = shown.with_class_names(set.class_names.clone());
        Ok(ShownSamples {
            indices: (0..shown.len()).collect(),
            set: shown,
            titles: self.titles,
        })
    }
}

/// An image in the middle of a black one.
fn centred(image: &[u8], [h, w, c]: [usize; 3], canvas: [usize; 3]) -> Vec<u8> {
    let (top, left) = ((canvas[0] - h) / 2, (canvas[1] - w) / 2);
    let mut whole = vec![0; canvas.iter().product()];
    for (row, pixels) in image.chunks_exact(w * c).enumerate() {
        let start = ((top + row) * canvas[1] + left) * c;
        whole[start..start + w * c].copy_from_slice(pixels);
    }
    whole
}

/// A sample in words.
pub fn title(set: &Dataset, index: usize) -> String {
    let class = usize::from(set.labels()[index]);
    format!("[{index}] {}", set.class_name(class))
}
