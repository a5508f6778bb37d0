//! Trains mnist-cnn with burn and prints one JSON line for `compare.py`.
//!
//! The code is the same for all of burn's backends; `--variant` selects the device.

mod data;
mod network;

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::prelude::*;
use clap::{Parser, ValueEnum};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::json;

use data::Split;
use network::Network;

/// Tells which burn was built.
const LOCK: &str = include_str!("../Cargo.lock");
/// Rows in a step of evaluation, as in `cnn-gpu evaluate`.
const EVALUATE_BATCH: usize = 256;
const LEARNING_RATE: f64 = 0.001;
/// Keras's; burn's own default is 1e-5.
const EPSILON: f32 = 1e-7;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Train mnist-cnn with burn and print one JSON line
#[derive(Parser)]
struct Args {
    /// The backend of burn
    #[arg(long, value_enum, default_value_t)]
    variant: Variant,
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// Train on the first N images only
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Evaluate on the first N test images only
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    test_limit: Option<u32>,
    /// Folder with MNIST's four files, plain or as .gz
    #[arg(long, env = "CNN_GPU_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Print version and variants, and exit
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Variant {
    /// The CPU backend that burn recommends
    #[default]
    Flex,
    /// The adapter that burn's wgpu backend selects
    #[cfg(feature = "wgpu")]
    Wgpu,
}

impl Variant {
    fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            #[cfg(feature = "wgpu")]
            Self::Wgpu => "wgpu",
        }
    }

    fn device(self) -> Device {
        match self {
            Self::Flex => Device::flex(),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Device::wgpu(Default::default()),
        }
    }

    /// A readable name of the device.
    fn describe(self) -> String {
        match self {
            Self::Flex => "cpu".into(),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => match self.device().identity() {
                Some(identity) => identity.name,
                None => "unknown".into(),
            },
        }
    }
}

fn main() {
    let started = Instant::now();
    let args = Args::parse();
    if args.list {
        let variants = Variant::value_variants().iter().map(|v| v.name());
        println!(
            "{}",
            json!({"version": version(), "variants": variants.collect::<Vec<_>>()})
        );
    } else if let Err(error) = run(&args, started) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run(args: &Args, started: Instant) -> Result<()> {
    let folder = args.data_dir.as_deref();
    let folder = folder.ok_or("no data: give --data-dir DIR or set CNN_GPU_DATA_DIR")?;
    let train = data::read(folder, "train", args.limit.map(|limit| limit as usize))?;
    let test = data::read(folder, "t10k", args.test_limit.map(|limit| limit as usize))?;
    let device = args.variant.device();
    let mut trainer = Trainer::new(args, &device);
    trainer.epoch(&train.head(args.batch_size as usize))?;
    let warm_up = started.elapsed();
    // Printed immediately, as a slow device may not finish.
    eprintln!("warm-up: {:.1} s", warm_up.as_secs_f64());
    let mut epochs = Vec::new();
    for number in 1..=args.epochs {
        let seconds = timed(|| trainer.epoch(&train))?.0.as_secs_f64();
        eprintln!("epoch {number}: {seconds:.1} s");
        epochs.push(seconds);
    }
    // The first evaluation compiles and selects kernels; the second is measured.
    trainer.accuracy(&test)?;
    let (seconds, accuracy) = timed(|| trainer.accuracy(&test))?;
    let result = json!({
        "program": format!("burn {}", args.variant.name()),
        "version": version(),
        "device": args.variant.describe(),
        "batch_size": args.batch_size,
        "train_images": train.len(),
        "warm_up_seconds": warm_up.as_secs_f64(),
        "epoch_seconds": epochs,
        "images_per_second": epochs.last().map(|last| train.len() as f64 / last),
        "evaluate_images_per_second": test.len() as f64 / seconds.as_secs_f64(),
        "test_accuracy": accuracy,
    });
    println!("{result}");
    Ok(())
}

/// The version of burn that was built.
fn version() -> &'static str {
    let entry = LOCK.split_once("name = \"burn\"\nversion = \"");
    let version = entry.and_then(|(_, rest)| rest.split('"').next());
    version.unwrap_or("unknown")
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(Duration, T)> {
    let started = Instant::now();
    let result = work()?;
    Ok((started.elapsed(), result))
}

/// A model, its optimizer and the order of the images.
struct Trainer {
    model: Network,
    optimizer: ModuleOptimizer,
    loss: CrossEntropyLoss,
    device: Device,
    batch: usize,
    random: StdRng,
}

impl Trainer {
    fn new(args: &Args, device: &Device) -> Self {
        let device = device.clone().autodiff();
        Self {
            model: Network::new(&device),
            optimizer: AdamConfig::new().with_epsilon(EPSILON).init(),
            loss: CrossEntropyLossConfig::new().init(&device),
            device,
            batch: args.batch_size as usize,
            random: StdRng::seed_from_u64(1),
        }
    }

    /// Trains on every image once, in a new order, and waits for the device.
    fn epoch(&mut self, data: &Split) -> Result<()> {
        let mut order: Vec<usize> = (0..data.len()).collect();
        order.shuffle(&mut self.random);
        // The loop owns the parameters, so that burn can update them in place.
        let mut model = self.model.clone();
        for rows in order.chunks(self.batch) {
            let (images, labels) = data.batch(rows, &self.device);
            let loss = self.loss.forward(model.forward(images), labels);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = self.optimizer.step(LEARNING_RATE, model, gradients);
        }
        self.model = model;
        Ok(self.device.sync()?)
    }

    /// The share of correctly classified images; reads back one number at the end.
    fn accuracy(&self, data: &Split) -> Result<f64> {
        let model = self.model.valid();
        let device = self.device.clone().inner();
        let order: Vec<usize> = (0..data.len()).collect();
        let correct = order
            .chunks(EVALUATE_BATCH)
            .map(|rows| {
                let (images, labels) = data.batch(rows, &device);
                let predicted = model.forward(images).argmax(1).flatten::<1>(0, 1);
                predicted.equal(labels).int().sum()
            })
            .reduce(|sum, batch| sum + batch)
            .ok_or("no test images")?;
        Ok(correct.into_scalar::<i64>() as f64 / data.len() as f64)
    }
}
