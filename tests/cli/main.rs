//! The command line, run as users run it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod imported;
mod inspect;
#[cfg(feature = "interchange")]
mod interchange;
mod lab;
#[path = "../program/mod.rs"]
mod program;
mod selfcheck;
#[cfg(feature = "serve")]
mod serve;
#[cfg(target_os = "linux")]
mod terminal;
mod tiny;
mod train;
#[cfg(feature = "gpu")]
mod tune;
mod usage;
mod weights;

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use program::{json_lines, run, text};

const QUICK: &[&str] = &[
    "train",
    "--backend",
    "cpu",
    "--dataset",
    "digits",
    "--model",
    "mnist-mlp",
    "--limit",
    "512",
    "--epochs",
    "2",
];

fn quick(folder: &Path, more: &[&str]) -> Output {
    run(folder, &[QUICK, more].concat())
}

fn evaluates_to(folder: &Path, path: &str, trained: &Value) {
    let device = ["--backend", "cpu", "--dataset", "digits"];
    let output = run(
        folder,
        &[&["evaluate", path, "--format", "json"], &device[..]].concat(),
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let scores = &json_lines(&output.stdout)[0];
    assert_eq!(scores["loss"], trained["test_loss"]);
    assert_eq!(scores["accuracy"], trained["test_accuracy"]);
    assert_eq!(scores["weights_hash"], trained["weights_hash"]);
}
