//! Two Vulkan drivers give the same weights. `tests/swiftshader.sh` runs this with both drivers in
//! the environment.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::path::Path;
use std::process::Command;

use program::{PROGRAM, text};
use safetensors::SafeTensors;
use tempfile::TempDir;

/// The weights after two steps of the default model with the driver of this ICD file.
fn train(folder: &Path, driver: &str) -> Vec<(String, Vec<f32>)> {
    let output = Command::new(PROGRAM)
        .current_dir(folder)
        .env("VK_DRIVER_FILES", driver)
        .env("VK_ICD_FILENAMES", driver)
        .args(["train", "--backend", "vulkan", "--dataset", "digits"])
        .args(["--limit", "128", "--batch-size", "64", "--epochs", "1"])
        .args(["--seed", "1", "--out", "run"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let bytes = std::fs::read(folder.join("run/model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut weights: Vec<(String, Vec<f32>)> = (tensors.iter())
        .map(|(name, tensor)| (name.to_owned(), bytemuck::pod_collect_to_vec(tensor.data())))
        .collect();
    weights.sort_by(|a, b| a.0.cmp(&b.0));
    weights
}

#[test]
#[ignore = "needs two drivers; tests/swiftshader.sh runs it"]
fn two_steps_on_swiftshader_and_lavapipe_give_the_same_weights() {
    let drivers = ["CNN_GPU_SWIFTSHADER", "CNN_GPU_LAVAPIPE"].map(|name| {
        std::env::var(name).unwrap_or_else(|_| panic!("{name}: the path of the driver's ICD file"))
    });
    let [ours, theirs] = drivers.map(|driver| train(TempDir::new().unwrap().path(), &driver));
    assert_eq!(ours.len(), 10);
    let mut worst = 0.0_f32;
    for ((name, a), (other, b)) in ours.iter().zip(&theirs) {
        assert_eq!((name, a.len()), (other, b.len()));
        let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        let most = differences.fold(0.0, |most: f32, d| if d > most { d } else { most });
        assert!(
            a.iter().all(|a| a.is_finite()) && most <= 1e-5,
            "{name}: {most:e}"
        );
        worst = worst.max(most);
    }
    println!("weights within {worst:.1e}");
}
