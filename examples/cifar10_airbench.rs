//! The network of airbench94 (Jordan, "94% on CIFAR-10 in 3.29 seconds", arXiv 2404.00498) with what its recipe
//! shares with this program. The first convolution is not trained: its kernels are the whitening transformation of
//! 2x2 pixels, their principal components divided by the standard deviation, and their negatives.
//!
//! ```text
//! cargo run --release --example cifar10_airbench -- FOLDER [EPOCHS [SEED]]
//! ```
//!
//! FOLDER has CIFAR-10's binary version; EPOCHS is 10, SEED 0 by default. The accuracy is that of the last weights.
//! airbench averages weights as Lookahead does and mirrors each image in every other epoch, and trains the biases of
//! the first convolution; here weights are not averaged, and images are mirrored at random.

use std::path::Path;

use cnn_gpu::data::{Dataset, cifar10};
use cnn_gpu::exec::{self, Selection};
use cnn_gpu::inspect::embedding::Pca;
use cnn_gpu::model::{
    Activation, ActivationLayer, BatchNormalization, Conv2D, Dense, FillMode, Flatten, FlipMode,
    Initializer, Layer, Loss, MaxPooling2D, RandomFlip, RandomTranslation, Resampling, Rescaling,
    Sequential,
};
use cnn_gpu::optimizer::{Optimizer, UpdateRule};
use cnn_gpu::shape::Padding;
use cnn_gpu::train::callbacks::{LearningRateScheduler, Schedule};
use cnn_gpu::train::{Options, TestTimeAugmentation, Trainer};

/// The mean and the standard deviation of CIFAR-10's training images, for each channel.
const MEAN: [f64; 3] = [0.4914, 0.4822, 0.4465];
const DEVIATION: [f64; 3] = [0.2470, 0.2435, 0.2616];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next() else {
        return Err("expected the folder of CIFAR-10's binary version".into());
    };
    let epochs = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let seed = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let data = cifar10::splits(Path::new(&folder))?;

    let sgd = UpdateRule::Sgd {
        learning_rate: 1.5,
        momentum: 0.85,
        nesterov: true,
    };
    let options = Options::default()
        .epochs(epochs)
        .batch_size(1024)
        .seed(seed)
        .optimizer(Optimizer::from(sgd).weight_decay(0.0089))
        .verbose(2);
    let device = exec::open(&Selection::default())?;
    let mut trainer = Trainer::new(network()?, &device, options)?;
    let mut state = trainer.state().clone();
    let (kernel, bias) = whitening(&data.train)?;
    state.set_parameter("whiten/kernel", &kernel)?;
    state.set_parameter("whiten/bias", &bias)?;
    trainer.set_state(state)?;

    let triangle = Schedule::Triangular {
        start: 0.2,
        peak_share: 0.23,
        end: 0.07,
    };
    let mut rates = LearningRateScheduler::new(triangle);
    trainer.fit_with(&data.train, &mut [&mut rates])?;
    println!("test {}", trainer.evaluate(&data.test)?);
    let averaged = trainer.evaluate_averaged(&data.test, TestTimeAugmentation::FlipAndShift)?;
    println!("test, averaged over six variants of each image: {averaged}");
    Ok(())
}

/// 1,971,328 parameters that are trained.
pub fn network() -> cnn_gpu::Result<Sequential> {
    let gelu = || ActivationLayer::new(Activation::Gelu);
    let mut model = Sequential::new([32, 32, 3])
        .name("airbench94")
        .add(Conv2D::new(24, 2).name("whiten"))
        .add(gelu());
    for (block, filters) in [64, 256, 256].into_iter().enumerate() {
        for place in ["a", "b"] {
            let convolution = Conv2D::new(filters, 3)
                .name(format!("block_{}{place}", block + 1))
                .padding(Padding::Same)
                .use_bias(false)
                .kernel_initializer(Initializer::DiracUniform);
            model = model.add(convolution);
            if place == "a" {
                model = model.add(MaxPooling2D::new(2));
            }
            let norm = BatchNormalization::new().momentum(0.6).epsilon(1e-12);
            model = model.add(norm.scale(false)).add(gelu());
        }
    }
    model = model
        .add(MaxPooling2D::new(3))
        .add(Flatten::new())
        .add(Rescaling::new(1.0 / 9.0))
        .add(
            Dense::new(10)
                .use_bias(false)
                .kernel_initializer(Initializer::LecunUniform)
                .activation(Activation::Softmax),
        )
        .loss(Loss::CategoricalCrossentropy {
            label_smoothing: 0.2,
        });
    model.layers[0].trainable = false;
    for layer in &mut model.layers {
        if matches!(layer.layer, Layer::BatchNormalization(_)) {
            layer.bias_learning_rate_factor = Some(64.0);
        }
    }
    // Shifted by up to two pixels.
    let shift = RandomTranslation::new(0.0625, 0.0625)
        .interpolation(Resampling::Nearest)
        .fill_mode(FillMode::Reflect);
    model.augmented(vec![
        RandomFlip::new().mode(FlipMode::Horizontal).into(),
        shift.into(),
    ])
}

/// The kernel `[2, 2, 3, 24]` and the bias of the first convolution, for pixels divided by 255.
fn whitening(train: &Dataset) -> cnn_gpu::Result<(Vec<f32>, Vec<f32>)> {
    // Nine patches of each of a thousand images.
    let mut patches = Vec::new();
    for image in train.images().chunks_exact(32 * 32 * 3).take(1000) {
        for place in 0..9 {
            let (top, left) = (3 + 10 * (place / 3), 3 + 10 * (place % 3));
            for (y, x) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                for c in 0..3 {
                    let pixel = image[((top + y) * 32 + left + x) * 3 + c];
                    let pixel = (f64::from(pixel) / 255.0 - MEAN[c]) / DEVIATION[c];
                    patches.push(pixel as f32);
                }
            }
        }
    }
    let components = Pca::new(&patches, 12, 12)?;
    let (mut kernel, mut bias) = (vec![0.0; 12 * 24], vec![0.0; 24]);
    for (filter, component) in components.components.iter().enumerate() {
        let scores = components.scores.iter().map(|scores| scores[filter]);
        let variance =
            scores.map(|score| score * score).sum::<f64>() / components.scores.len() as f64;
        let scale = (variance + 5e-4).sqrt().recip();
        for (i, weight) in component.iter().enumerate() {
            let weight = scale * weight / DEVIATION[i % 3];
            kernel[i * 24 + filter] = weight as f32;
            kernel[i * 24 + 12 + filter] = -weight as f32;
            bias[filter] -= (weight * MEAN[i % 3]) as f32;
        }
        bias[12 + filter] = -bias[filter];
    }
    Ok((kernel, bias))
}
