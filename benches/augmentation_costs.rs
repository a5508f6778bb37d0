//! What the lists of augmentations of `train --augment` add to a training step of `mnist-cnn`, on the CPU and on the first
//! adapter.
//!
//! `cargo bench --bench augmentation_costs` takes steps with and without augmentation in turn, in one process, and prints the
//! median and the quartiles of their ratios. Set `CNN_GPU_BENCH_BACKEND` to `metal`, `dx12` or `gl` for a backend other
//! than Vulkan.

use cnn_gpu::Result;
use cnn_gpu::bench::Workload;
use cnn_gpu::exec::{Backend, Selection, open};
use cnn_gpu::model::{AUGMENTATIONS, augmentation, preset};

const BATCH: usize = 64;
/// Steps per measurement: enough to overlap as in training.
const STEPS: usize = 8;
/// Measurements of each network.
const ROUNDS: usize = 100;

fn main() -> Result<()> {
    let backend = std::env::var("CNN_GPU_BENCH_BACKEND").unwrap_or("vulkan".into());
    let backend: Backend = backend.parse()?;
    println!(
        "{:<8} {:<8} {:>10} {:>10} {:>8} {:>18}",
        "backend", "preset", "without", "with", "ratio", "quartiles"
    );
    for backend in [Backend::Cpu, backend] {
        let device = open(&Selection::new(backend))?;
        let model = preset("mnist-cnn").ok_or(cnn_gpu::Error::Argument("no such preset".into()))?;
        let mut plain = Workload::new(&device, &model, BATCH)?;
        for name in AUGMENTATIONS {
            let layers = augmentation(name).unwrap_or_default();
            let varied = model.clone().augmented(layers)?;
            let mut varied = Workload::new(&device, &varied, BATCH)?;
            // The first steps compile kernels and touch memory for the first time.
            plain.run(2)?;
            varied.run(2)?;
            let (mut without, mut with) = (Vec::new(), Vec::new());
            for round in 0..ROUNDS {
                // Which of them comes first must not matter.
                let first = (round % 2 == 0).then(|| plain.run(STEPS)).transpose()?;
                with.push(varied.run(STEPS)?);
                without.push(first.map_or_else(|| plain.run(STEPS), Ok)?);
            }
            let pairs = with.iter().zip(&without);
            let mut ratios: Vec<f64> = pairs.map(|(with, without)| with / without).collect();
            let [low, ratio, high] = quartiles(&mut ratios);
            let step = |times: &mut [f64]| 1e3 * quartiles(times)[1] / STEPS as f64;
            println!(
                "{:<8} {name:<8} {:>7.3} ms {:>7.3} ms {ratio:>8.3} {:>18}",
                backend.to_string(),
                step(&mut without),
                step(&mut with),
                format!("{low:.3} to {high:.3}"),
            );
        }
    }
    Ok(())
}

/// The lower quartile, the median and the upper quartile.
fn quartiles(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|part| values[part * (values.len() - 1) / 4])
}
