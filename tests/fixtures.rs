//! Compares whole models with Keras: every `tests/fixtures/NAME.toml` with its `NAME.safetensors`.

mod common;

use std::path::{Path, PathBuf};

use cnn_gpu::check::{Factory, Fixture};

/// The fixtures' model files, in the order of their names.
fn models() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let entries = std::fs::read_dir(&folder).expect("the folder tests/fixtures is there");
    let mut models: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the folder can be listed").path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    models.sort();
    assert!(!models.is_empty(), "tests/fixtures holds no fixture");
    models
}

fn check(factory: Factory<'_>, tolerance: f64) {
    let mut failures = Vec::new();
    for model in models() {
        let fixture = Fixture::load(&model, &model.with_extension("safetensors"))
            .unwrap_or_else(|e| panic!("{e}"));
        let rows = fixture
            .check(factory, tolerance)
            .unwrap_or_else(|e| panic!("{}: {e}", model.display()));
        let name = model.file_stem().unwrap_or_default().to_string_lossy();
        let worst = rows.iter().map(|row| row.error).fold(0.0, f64::max);
        println!("{name}: {} tensors, worst error {worst:.1e}", rows.len());
        for row in rows.iter().filter(|row| !row.pass) {
            failures.push(format!(
                "{name}: {} is off by {:.1e}",
                row.tensor, row.error
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "allowed {tolerance:.0e}:\n{}",
        failures.join("\n")
    );
}

#[test]
fn the_reference_agrees_with_keras() {
    check(&common::reference, 1e-5);
}

#[test]
fn the_cpu_agrees_with_keras() {
    check(&common::cpu, 1e-4);
}

#[test]
fn the_gpu_agrees_with_keras() {
    check(&common::gpu, 1e-4);
}
