//! `bench`.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use super::program::{json_lines, run, test_backend, text};

/// Asserts a plausible number above zero.
#[track_caller]
fn positive(value: &Value) -> f64 {
    let number = value.as_f64().unwrap_or_else(|| panic!("{value}"));
    assert!(number > 0.0 && number < 1e15, "{number}");
    number
}

#[track_caller]
fn near(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-6 * b.abs(), "{a} is not {b}");
}

fn bench(args: &[&str]) -> Value {
    let folder = TempDir::new().unwrap();
    let common = ["bench", "--model", "mnist-mlp", "--format", "json"];
    let output = run(folder.path(), &[&common, args].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = json_lines(&output.stdout);
    assert_eq!(lines.len(), 1);
    lines[0].clone()
}

/// Checks what holds on every device. Returns the names of all operations.
fn bench_is_plausible(report: &Value, batch: f64) -> Vec<String> {
    assert_eq!(report["model"], "mnist-mlp");
    assert_eq!(report["batch_size"], batch);
    let peak = &report["peak"];
    let (gflops, gbytes) = (
        positive(&peak["gflops"]),
        positive(&peak["gbytes_per_second"]),
    );
    let step = positive(&report["step"]["seconds"]);
    near(positive(&report["step"]["images_per_second"]), batch / step);
    near(
        positive(&report["gflops"]),
        positive(&report["flops"]) / step / 1e9,
    );
    assert_eq!(report["epoch_images"], 60_000);
    let steps = (60_000.0 / batch).ceil();
    near(positive(&report["epoch_seconds"]), steps * step);

    let mut names = Vec::new();
    let mut flops = 0.0;
    for row in report["operations"]["rows"].as_array().unwrap() {
        let of_row = row["operations"].as_array().unwrap();
        names.extend(of_row.iter().map(|name| name.as_str().unwrap().to_owned()));
        flops += row["flops"].as_f64().unwrap();
        let seconds = row["seconds"].as_f64().unwrap();
        if of_row.is_empty() || seconds == 0.0 {
            continue;
        }
        near(
            positive(&row["gflops"]),
            row["flops"].as_f64().unwrap() / seconds / 1e9,
        );
        let at_best =
            (row["flops"].as_f64().unwrap() / gflops).max(row["bytes"].as_f64().unwrap() / gbytes);
        near(positive(&row["share"]), at_best / 1e9 / seconds);
    }
    near(flops, positive(&report["flops"]));
    names.sort();
    names
}

const MLP_OPERATIONS: [&str; 8] = [
    "adam_update",
    "dense_backward_input",
    "dense_backward_weight",
    "dense_backward_weight",
    "dense_forward",
    "dense_forward",
    "gather",
    "softmax_cross_entropy",
];

#[test]
fn bench_measures_the_cpu() {
    let report = bench(&["--backend", "cpu", "--batch-size", "7"]);
    assert_eq!(bench_is_plausible(&report, 7.0), MLP_OPERATIONS);
    assert_eq!(report["device"]["backend"], "cpu");
    assert_eq!(report["operations"]["clock"], "operations_alone");
    assert!(report["dispatches"].is_null());
    assert!(report["memory"].is_null());
}

/// Fails without an adapter, like every GPU test.
#[test]
fn bench_measures_a_gpu() {
    let backend = test_backend().to_string();
    let report = bench(&["--backend", &backend]);
    assert_eq!(bench_is_plausible(&report, 64.0), MLP_OPERATIONS);
    assert_eq!(report["device"]["backend"], backend.as_str());
    let rows = report["operations"]["rows"].as_array().unwrap().len();
    assert_eq!(report["dispatches"], rows);
    let memory = &report["memory"];
    positive(&memory["bytes"]);
    // Fusion leaves tensors out.
    assert!(memory["parts"]["tensors"].as_u64() <= memory["all_tensors"].as_u64());
    assert!(report["memory"]["largest_batch"].as_u64() >= Some(64));
    let clock = report["operations"]["clock"].as_str().unwrap();
    assert!(
        ["timestamps", "dispatches_alone"].contains(&clock),
        "{clock}"
    );
}

#[test]
fn bench_scales_over_batches_and_sides() {
    let report = bench(&["--backend", "cpu", "--scaling"]);
    let sizes = |table: &str, size: &dyn Fn(&Value) -> u64| -> Vec<u64> {
        let rows = report[table].as_array().unwrap();
        for row in rows {
            if row["skipped"].is_null() {
                let step = positive(&row["seconds"]);
                let batch = positive(&row["batch_size"]);
                near(positive(&row["images_per_second"]), batch / step);
                positive(&row["ns_per_mac"]);
            } else {
                assert!(!row["skipped"].as_str().unwrap().is_empty());
                assert!(row["seconds"].is_null());
            }
        }
        rows.iter().map(size).collect()
    };
    let batches = sizes("batches", &|row| row["batch_size"].as_u64().unwrap());
    assert_eq!(batches, [1, 4, 16, 64, 256, 1024, 4096]);
    let sides = sizes("sides", &|row| row["image"][0].as_u64().unwrap());
    assert_eq!(sides, [28, 56, 112, 224]);
}

#[test]
fn bench_measures_micro_batches_of_a_single_process() {
    let sizes = ["--mpi", "--batch-size", "30", "--micro-batch", "8"];
    let report = bench(&[&["--backend", "cpu"], &sizes[..]].concat());
    assert_eq!(
        [
            &report["ranks"],
            &report["batch_size"],
            &report["micro_batch"]
        ],
        [1, 30, 8]
    );
    assert_eq!(report["traffic"]["messages"], 0.0);
    near(
        30.0 / positive(&report["seconds"]),
        positive(&report["images_per_second"]),
    );
    let cost = &report["cost"];
    near(
        4.0 * positive(&cost["micro_batch"]) + cost["update"].as_f64().unwrap(),
        positive(&report["predicted_seconds"]),
    );
    assert_eq!(report["predictions"].as_array().unwrap().len(), 0);
}

#[test]
fn bench_prints_tables() {
    let folder = TempDir::new().unwrap();
    let args = ["bench", "--backend", "cpu", "--model", "mnist-mlp"];
    let output = run(folder.path(), &args);
    // Only a GPU driver's cache of kernels could appear here; the program writes nothing.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let table = text(&output.stdout);
    for word in [
        "peak ",
        "dense_forward ",
        "wall clock",
        "step ",
        "epoch ",
        "images/s",
    ] {
        assert!(table.contains(word), "no `{word}` in: {table}");
    }
}
