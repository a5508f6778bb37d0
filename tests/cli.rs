//! The program as its user meets it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use program::{PROGRAM, fails, json_lines, only_says, run, test_backend, text};

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

#[test]
fn a_run_leaves_results_on_stdout_and_all_its_files() {
    let folder = TempDir::new().unwrap();
    let output = quick(folder.path(), &["--format", "json", "--out", "first"]);
    assert!(output.status.success(), "{}", text(&output.stderr));

    let lines = json_lines(&output.stdout);
    assert_eq!(lines.len(), 3);
    for (i, line) in lines[..2].iter().enumerate() {
        assert_eq!(line["epoch"], i + 1);
        for key in ["loss", "accuracy", "seconds", "images_per_second"] {
            assert!(line[key].as_f64().unwrap() > 0.0, "{key}");
        }
    }
    let last = &lines[2];
    assert_eq!(last["epoch_seconds"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&last["backend"], &last["seed"]),
        (&"cpu".into(), &42.into())
    );
    assert_eq!(
        (&last["dataset"], &last["run"]),
        (&"digits".into(), &"first".into())
    );
    assert_eq!(last["weights_hash"].as_str().unwrap().len(), 64);
    for key in ["test_loss", "test_accuracy", "images_per_second"] {
        assert!(last[key].as_f64().unwrap() > 0.0, "{key}");
    }

    let first = folder.path().join("first");
    let csv = fs::read_to_string(first.join("history.csv")).unwrap();
    assert!(
        csv.starts_with("epoch,loss,accuracy,learning_rate,seconds,images_per_second\n1,"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 3);
    let jsonl = fs::read(first.join("history.jsonl")).unwrap();
    assert_eq!(json_lines(&jsonl), lines[..2]);
    let config: toml::Table =
        toml::from_str(&fs::read_to_string(first.join("config.toml")).unwrap()).unwrap();
    assert_eq!(
        config["training"]["optimizer"]["name"].as_str(),
        Some("adam")
    );
    assert_eq!(config["model"]["name"].as_str(), Some("mnist-mlp"));
    assert_eq!(config["dataset"]["train_images"].as_integer(), Some(512));

    evaluates_to(folder.path(), "first", last);
    evaluates_to(folder.path(), "first/model.safetensors", last);
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

#[test]
fn the_same_seed_gives_the_same_weights_and_the_same_file() {
    let folder = TempDir::new().unwrap();
    for out in ["a", "b"] {
        assert!(quick(folder.path(), &["--out", out]).status.success());
    }
    let file = |out: &str| fs::read(folder.path().join(out).join("model.safetensors")).unwrap();
    assert_eq!(file("a"), file("b"));
}

#[test]
fn a_run_is_never_overwritten() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("taken")).unwrap();
    fs::write(folder.path().join("taken/thesis.txt"), "mine").unwrap();
    let output = quick(folder.path(), &["--out", "taken"]);
    fails(&output, 1, &["taken", "not empty", "--out"]);
    fs::write(folder.path().join("file"), "mine").unwrap();
    fails(&quick(folder.path(), &["--out", "file"]), 1, &["file"]);
}

#[test]
fn without_out_the_folder_is_named_after_the_time() {
    let folder = TempDir::new().unwrap();
    assert!(quick(folder.path(), &["--epochs", "1"]).status.success());
    let runs: Vec<_> = fs::read_dir(folder.path().join("runs")).unwrap().collect();
    let name = runs[0].as_ref().unwrap().file_name();
    assert_eq!((runs.len(), name.len()), (1, "2026-03-01_14-05-09".len()));
}

#[test]
fn auto_falls_back_loudly_and_the_record_says_so() {
    let folder = TempDir::new().unwrap();
    let args = [
        "train",
        "--backend",
        "cpu",
        "--model",
        "mnist-mlp",
        "--limit",
        "64",
        "--epochs",
        "1",
        "--format",
        "json",
        "--verbose",
        "0",
        "--out",
        "r",
    ];
    let output = run(folder.path(), &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("warning: USING THE BUILT-IN DIGITS"));
    let last = &json_lines(&output.stdout)[1];
    assert_eq!(last["dataset_fell_back"], true);
    let config = fs::read_to_string(folder.path().join("r/config.toml")).unwrap();
    assert!(config.contains("fell_back = true"));
}

#[test]
fn mnist_that_cannot_be_had_is_an_error_before_anything_is_written() {
    let folder = TempDir::new().unwrap();
    let args = [
        "train",
        "--backend",
        "cpu",
        "--dataset",
        "mnist",
        "--out",
        "r",
    ];
    fails(&run(folder.path(), &args), 1, &["MNIST", "--data-dir"]);
    assert!(!folder.path().join("r").exists());
}

#[test]
fn arguments_out_of_range_are_usage_errors() {
    let folder = TempDir::new().unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["--epochs", "0"], "epochs"),
        (&["--batch-size", "0"], "batch size"),
        (&["--batch-size", "9999999999"], "batch size"),
        (&["--learning-rate", "-1"], "learning rate"),
        (&["--momentum", "-1"], "momentum"),
        (&["--learning-rate=-1"], "learning rate"),
        (&["--learning-rate", "nan"], "learning rate"),
        (&["--learning-rate", "1e-50"], "'1e-50'"),
        (&["--learning-rate", "1e40"], "'1e40'"),
        (&["--momentum", "-1"], "'-1'"),
        (&["--epochs", "-1"], "'-1'"),
        (&["--epochs", "abc"], "expected a whole number"),
        (
            &["--early-stopping", "1", "--min-delta", "nan"],
            "0 or more",
        ),
        (
            &["--early-stopping", "1", "--baseline", "inf"],
            "expected a number",
        ),
        (
            &["--reduce-lr-on-plateau", "1", "--min-lr", "-1"],
            "0 or more",
        ),
        (&["--lr-cooldown", "1"], "--reduce-lr-on-plateau"),
        (&["--batch-size", "-1"], "'-1'"),
        (&["--limit", "-1"], "'-1'"),
        (&["--seed", "-1"], "'-1'"),
        (&["--threads", "-1"], "'-1'"),
        (&["--adapter", ""], "--adapter"),
        (&["--optimizer", "sgd", "--nesterov"], "--momentum"),
        (&["--momentum", "0.9"], "adam"),
        (&["--nesterov"], "adam"),
        (&["--optimizer", "rmsprop", "--nesterov"], "rmsprop"),
        (&["--optimizer", "sgd", "--momentum", "1.5"], "momentum"),
        (&["--clipnorm", "1", "--clipvalue", "1"], "clipvalue"),
        (&["--clipnorm", "0"], "clipnorm"),
        (&["--weight-decay", "-1"], "weight decay"),
        (&["--use-ema", "--ema-momentum", "1"], "ema_momentum"),
        (&["--label-smoothing", "1"], "label smoothing"),
        (&["--loss", "hinge"], "binary_crossentropy"),
        (
            &["--loss", "mean_squared_error", "--label-smoothing", "0.1"],
            "no label smoothing",
        ),
        (&["--model", "resnet"], "mnist-cnn"),
        (&["--limit", "0"], "limit"),
        (&["--backend", "cpu", "--adapter", "0"], "adapter `0`"),
        (&["--backend", "cuda"], "vulkan"),
        (&["--optimizer", "adagrad"], "rmsprop"),
        (&["--verbose", "3"], "verbose"),
        (&["--threads", "0"], "threads"),
        (&["--frobnicate"], "frobnicate"),
        (&["--epoch", "1"], "similar argument exists: '--epochs'"),
    ];
    for (args, word) in cases {
        let args = [&["train", "--dataset", "digits"], *args].concat();
        only_says(&run(folder.path(), &args), 2, word);
    }
    let other_loss = [
        "train",
        "--dataset",
        "digits",
        "--loss",
        "binary_crossentropy",
    ];
    only_says(&run(folder.path(), &other_loss), 1, "sigmoid");
    assert_eq!(run(folder.path(), &[]).status.code(), Some(2));
    only_says(&run(folder.path(), &["fly"]), 2, "fly");
    only_says(&run(folder.path(), &["evaluate"]), 2, "<RUN>");
    for command in ["plan", "bench"] {
        let args = [command, "--batch-size", "-1"];
        only_says(&run(folder.path(), &args), 2, "'-1'");
    }
    let cases: &[(&[&str], &str)] = &[
        (&["--batch-size", "0"], "batch size"),
        (&["--batch-size", "8", "--scaling"], "--scaling"),
        (&["--model", "resnet"], "mnist-cnn"),
        (&["--backend", "cpu", "--adapter", "0"], "adapter `0`"),
        (&["--threads", "0"], "threads"),
    ];
    for (args, word) in cases {
        let args = [&["bench"], *args].concat();
        only_says(&run(folder.path(), &args), 2, word);
    }
    for tolerance in ["0", "-1", "nan", "inf"] {
        let fixture = ["selfcheck", "--model", "mnist-cnn", "--fixture", "f"];
        let args = [&fixture[..], &["--tolerance", tolerance]].concat();
        only_says(&run(folder.path(), &args), 2, "above 0");
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "something was written"
    );
}

#[test]
fn bad_files_are_one_line() {
    let folder = TempDir::new().unwrap();
    let garbage = folder.path().join("garbage");
    fs::write(&garbage, b"\xff\x00 not a model \n at all").unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    let path = folder.path();
    fails(&run(path, &["evaluate", "nowhere"]), 1, &["nowhere"]);
    fails(
        &run(path, &["evaluate", "garbage"]),
        1,
        &["garbage", "safetensors"],
    );
    fails(&run(path, &["evaluate", "empty"]), 1, &["empty"]);
    fails(&run(path, &["summary", "garbage"]), 1, &["garbage"]);
    fs::write(
        path.join("m.toml"),
        "input_shape = [28, 28, 1]\n[[layers]]\ntype = \"Dens\"\n",
    )
    .unwrap();
    fails(&run(path, &["plan", "m.toml"]), 1, &["m.toml", "Dens"]);
}

#[test]
fn a_model_for_other_images_is_refused_with_both_shapes() {
    let folder = TempDir::new().unwrap();
    let model = "input_shape = [32, 32, 3]\n[[layers]]\ntype = \"Flatten\"\n[[layers]]\ntype = \"Dense\"\nunits = 10\nactivation = \"softmax\"\n";
    fs::write(folder.path().join("cifar.toml"), model).unwrap();
    let output = quick(folder.path(), &["--model", "cifar.toml", "--out", "r"]);
    fails(&output, 1, &["32x32x3", "28x28x1"]);
    assert!(text(&output.stderr).contains("error: model"));
    assert!(!folder.path().join("r").exists());
}

#[test]
fn what_was_typed_is_checked_before_data_are_sought() {
    let folder = TempDir::new().unwrap();
    let model = "input_shape = [28, 28, 1]\n[[layers]]\ntype = \"Flatten\"\n[[layers]]\ntype = \"Dense\"\nunits = 10\n";
    fs::write(folder.path().join("bare.toml"), model).unwrap();
    let train = |more: &[&str]| {
        let args = ["train", "--dataset", "mnist", "--backend", "cpu"];
        run(folder.path(), &[&args, more].concat())
    };
    only_says(&train(&["--adapter", "0"]), 2, "adapter `0`");
    let batch = ["--batch-size", "9999999999"];
    only_says(&train(&batch), 2, "batch size");
    only_says(&train(&["--model", "bare.toml"]), 1, "softmax");
}

#[test]
fn threads_can_be_limited_with_built_in_digits() {
    let folder = TempDir::new().unwrap();
    let args = ["--epochs", "1", "--threads", "1", "--out", "r"];
    let output = quick(folder.path(), &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let device = ["--backend", "cpu", "--dataset", "digits", "--threads", "1"];
    let output = run(folder.path(), &[&["evaluate", "r"], &device[..]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn the_cause_of_a_data_error_is_told_once() {
    let folder = TempDir::new().unwrap();
    for part in ["train", "t10k"] {
        for content in ["images-idx3", "labels-idx1"] {
            let name = format!("odd/{part}-{content}-ubyte");
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
    }
    for (data, what) in [(".", "lacks"), ("odd", "cannot read")] {
        let args = ["train", "--dataset", "mnist", "--backend", "cpu"];
        let output = run(folder.path(), &[&args, &["--data-dir", data][..]].concat());
        only_says(&output, 1, what);
        let message = text(&output.stderr);
        assert_eq!(message.matches("expected").count(), 1, "{message}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_of_standard_output() {
    let output = std::process::Command::new(PROGRAM)
        .arg("summary")
        .stdout(fs::File::create("/dev/full").unwrap())
        .output()
        .unwrap();
    fails(&output, 1, &["standard output: No space left on device"]);
}

#[test]
fn a_loss_that_explodes_says_what_is_left() {
    let folder = TempDir::new().unwrap();
    let args = [
        "--optimizer",
        "sgd",
        "--learning-rate",
        "1e30",
        "--out",
        "r",
    ];
    fails(
        &quick(folder.path(), &args),
        1,
        &["the loss became", "learning rate"],
    );
    // The folder is free for the next attempt.
    assert!(!folder.path().join("r").exists());
}

#[test]
fn summary_is_keras_table() {
    let folder = TempDir::new().unwrap();
    let output = run(folder.path(), &["summary"]);
    let expected = "\
Model: \"mnist-cnn\"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape             ┃        Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━┩
│ conv2d (Conv2D)                 │ (None, 26, 26, 32)       │            320 │
";
    let found = text(&output.stdout);
    assert!(found.starts_with(expected), "{found}");
    assert!(
        found.contains(" Total params: 93,322 (364.54 KB)"),
        "{found}"
    );
    let named = run(folder.path(), &["summary", "--model", "mnist-cnn"]);
    assert_eq!(text(&named.stdout), found);
    let both = run(
        folder.path(),
        &["summary", "mnist-cnn", "--model", "mnist-mlp"],
    );
    only_says(&both, 2, "--model");
}

#[test]
fn logs_that_cannot_be_written_are_refused_before_there_is_a_run() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let output = quick(
        folder.path(),
        &["--tensorboard", "file/logs", "--out", "run"],
    );
    only_says(&output, 1, "TensorBoard");
    assert!(!folder.path().join("run").exists());
}

#[test]
fn a_model_written_by_summary_is_read_again() {
    let folder = TempDir::new().unwrap();
    let toml = run(folder.path(), &["summary", "--toml"]).stdout;
    fs::write(folder.path().join("mine.toml"), toml).unwrap();
    let [mine, preset] = ["mine.toml", "mnist-cnn"]
        .map(|model| text(&run(folder.path(), &["summary", model]).stdout));
    assert_eq!(mine, preset);
}

#[test]
fn plan_lists_the_operations() {
    let folder = TempDir::new().unwrap();
    let training = text(&run(folder.path(), &["plan"]).stdout);
    assert!(training.contains("conv2d_backward_weight") && training.contains("adam_update"));
    let args = ["plan", "mnist-mlp", "--inference", "--batch-size", "7"];
    let inference = text(&run(folder.path(), &args).stdout);
    assert!(inference.contains("batch 7") && !inference.contains("backward"));
}

#[test]
fn every_command_has_help_with_examples() {
    let folder = TempDir::new().unwrap();
    for command in [
        "train",
        "evaluate",
        "summary",
        "plan",
        "devices",
        "selfcheck",
        "bench",
    ] {
        let output = run(folder.path(), &[command, "--help"]);
        assert!(output.status.success());
        let help = text(&output.stdout);
        assert!(help.contains("Examples:\n  cnn-gpu "), "{help}");
    }
    assert!(text(&run(folder.path(), &["--version"]).stdout).starts_with("cnn-gpu 0."));
}

#[test]
fn devices_lists_the_cpu_and_what_auto_takes() {
    let folder = TempDir::new().unwrap();
    let output = run(folder.path(), &["devices"]);
    let list = text(&output.stdout);
    assert!(
        list.contains("\ncpu: ") || list.starts_with("cpu: "),
        "{list}"
    );
    assert!(list.contains("\nauto picks "), "{list}");
    let devices = &json_lines(&run(folder.path(), &["devices", "--format", "json"]).stdout)[0];
    assert_eq!(devices["cpu"]["backend"], "cpu");
    assert_eq!(text(&output.stderr), "", "something foreign was written");
    assert!(devices["adapters"].is_array() && devices["auto"]["adapter"].is_string());
}

/// A number above zero that is not absurd.
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

/// What holds on every device; returns the names of all operations.
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

/// Fails where there is no adapter, as every test of the GPU does.
#[test]
fn bench_measures_a_gpu() {
    let backend = test_backend().to_string();
    let report = bench(&["--backend", &backend]);
    assert_eq!(bench_is_plausible(&report, 64.0), MLP_OPERATIONS);
    assert_eq!(report["device"]["backend"], backend.as_str());
    let rows = report["operations"]["rows"].as_array().unwrap().len();
    assert_eq!(report["dispatches"], rows);
    positive(&report["memory"]["bytes"]);
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
fn bench_prints_tables() {
    let folder = TempDir::new().unwrap();
    let args = ["bench", "--backend", "cpu", "--model", "mnist-mlp"];
    let output = run(folder.path(), &args);
    // A GPU's driver may keep compiled kernels there; the program itself writes nothing.
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

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let mut child = std::process::Command::new(PROGRAM)
        .arg("summary")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut message = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut message)
        .unwrap();
    assert!(child.wait().unwrap().success(), "{message}");
    assert_eq!(message, "");
}

#[test]
fn early_stopping_leaves_the_best_epochs_weights_and_says_so() {
    let folder = TempDir::new().unwrap();
    // A rate that makes things worse after the first epochs.
    let output = quick(
        folder.path(),
        &[
            "--out",
            "run",
            "--format",
            "json",
            "--epochs",
            "30",
            "--learning-rate",
            "0.05",
            "--validation-split",
            "0.25",
            "--early-stopping",
            "1",
            "--restore-best-weights",
            "--checkpoint-best",
            "--class-weight",
            "3=2,5=0.5",
        ],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = json_lines(&output.stdout);
    let (report, epochs) = lines.split_last().unwrap();
    let losses: Vec<f64> = epochs
        .iter()
        .map(|e| e["val_loss"].as_f64().unwrap())
        .collect();
    let best = (1..=losses.len())
        .min_by(|a, b| losses[a - 1].total_cmp(&losses[b - 1]))
        .unwrap();
    assert_eq!(report["restored_epoch"], best);
    let stopped = epochs.len() < 30;
    assert_eq!(
        report["ending"],
        if stopped { "stopped" } else { "finished" }
    );
    let message = text(&output.stderr);
    let restored = format!("restored the weights of the best epoch, {best}");
    assert!(message.contains(&restored), "{message}");
    assert_eq!(message.contains("early stopping after epoch"), stopped);

    let run = folder.path().join("run");
    let [last, best] = ["model.safetensors", "best.safetensors"].map(|name| {
        let path = run.join(name);
        cnn_gpu::run::weights::load(&path).unwrap().1.weights_hash()
    });
    assert_eq!(
        (&last, report["weights_hash"].as_str().unwrap()),
        (&best, &*last)
    );
    let csv = fs::read_to_string(run.join("history.csv")).unwrap();
    assert!(
        csv.starts_with("epoch,loss,accuracy,val_loss,val_accuracy,"),
        "{csv}"
    );
    let config = cnn_gpu::run::RunFolder::open(&run)
        .unwrap()
        .config()
        .unwrap();
    assert!(
        config
            .callbacks
            .early_stopping
            .is_some_and(|e| e.restores())
    );
    assert_eq!(config.training.class_weight[&3], 2.0);
}

#[test]
fn evaluate_tells_more_when_asked() {
    let folder = TempDir::new().unwrap();
    assert!(quick(folder.path(), &["--out", "run"]).status.success());
    let evaluate = |more: &[&str]| {
        let device = ["evaluate", "run", "--backend", "cpu", "--metrics"];
        run(folder.path(), &[&device[..], more].concat())
    };
    let output = evaluate(&["--format", "json", "--top-k", "2", "--worst", "4"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found = &json_lines(&output.stdout)[0];
    let confusion = found["confusion"].as_array().unwrap();
    let count = |row: &Value| -> u64 {
        (row.as_array().unwrap().iter())
            .filter_map(Value::as_u64)
            .sum()
    };
    assert_eq!(confusion.iter().map(count).sum::<u64>(), 10_000);
    let right: u64 = (0..10).filter_map(|i| confusion[i][i].as_u64()).sum();
    assert_eq!(found["correct"], right);
    assert!(found["top_k_accuracy"].as_f64() > found["accuracy"].as_f64());
    assert_eq!(found["classes"].as_array().unwrap().len(), 10);
    let worst = found["worst"].as_array().unwrap();
    assert_eq!(worst.len(), 4);
    assert_ne!(worst[0]["label"], worst[0]["predicted"]);

    let tables = text(&evaluate(&[]).stdout);
    for words in ["top-3 accuracy", "precision", "taken as", "worst mistakes"] {
        assert!(tables.contains(words), "{tables}");
    }
    fails(&evaluate(&["--top-k", "11"]), 2, &["from 1 to 10"]);
}

/// Grey pictures in two classes, and a network for them.
fn two_classes(folder: &Path) {
    for (class, value) in [("dark", 20_u8), ("light", 230)] {
        let class = folder.join("pets").join(class);
        fs::create_dir_all(&class).unwrap();
        for i in 0..20 {
            let picture = image::GrayImage::from_pixel(8, 8, image::Luma([value + i]));
            picture.save(class.join(format!("{i}.png"))).unwrap();
        }
    }
    let model = "input_shape = [8, 8, 1]\n[[layers]]\ntype = \"Flatten\"\n[[layers]]\n\
                 type = \"Dense\"\nunits = 2\nactivation = \"softmax\"\n";
    fs::write(folder.join("net.toml"), model).unwrap();
}

#[test]
fn two_classes_have_all_their_metrics_and_their_names() {
    let folder = TempDir::new().unwrap();
    two_classes(folder.path());
    let train = [
        "train",
        "--backend",
        "cpu",
        "--dataset",
        "folder:pets",
        "--model",
        "net.toml",
        "--out",
        "run",
    ];
    assert!(run(folder.path(), &train).status.success());
    let evaluate = ["evaluate", "run", "--backend", "cpu", "--metrics"];
    let output = run(folder.path(), &evaluate);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let tables = text(&output.stdout);
    for words in ["top-2 accuracy  1.0000", "\n0 dark ", "\nlabel 1 light "] {
        assert!(tables.contains(words), "no `{words}` in {tables}");
    }
    let output = run(folder.path(), &[&evaluate[..], &["--top-k", "3"]].concat());
    fails(&output, 2, &["from 1 to 2"]);
}

#[test]
fn a_finished_runs_weights_are_trained_further() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    two_classes(path);
    let device = ["train", "--backend", "cpu", "--dataset", "folder:pets"];
    let train = |more: &[&str]| run(path, &[&device[..], more].concat());
    let model = ["--model", "net.toml", "--epochs", "1", "--format", "json"];
    assert!(
        train(&[&model[..], &["--out", "a"]].concat())
            .status
            .success()
    );
    // A run of no steps worth the name: its loss begins where the other's ended.
    let further = [
        "--weights",
        "a",
        "--epochs",
        "1",
        "--format",
        "json",
        "--learning-rate",
        "1e-30",
    ];
    let output = train(&[&further[..], &["--out", "b"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let tested = |out: &str| {
        let result = fs::read(path.join(out).join("result.json")).unwrap();
        serde_json::from_slice::<Value>(&result).unwrap()["test_loss"].as_f64()
    };
    assert_eq!(tested("a"), tested("b"));
    let config = fs::read_to_string(path.join("b/config.toml")).unwrap();
    assert!(config.contains("[weights]"), "{config}");

    // Without a checkpoint the run goes on from the same weights, if they are still the same.
    fs::remove_file(path.join("b/checkpoint.safetensors")).unwrap();
    let resumed = run(path, &["train", "--resume", "b"]);
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
    assert_eq!(tested("a"), tested("b"));
    let c = train(&[
        "--model", "net.toml", "--seed", "7", "--epochs", "1", "--out", "c",
    ]);
    assert!(c.status.success());
    let other = run(path, &["train", "--resume", "b", "--weights", "c"]);
    fails(&other, 2, &["--weights"]);
    let same = ["train", "--resume", "b", "--weights", "a/model.safetensors"];
    assert!(run(path, &same).status.success());
    // A run's weights come with its data set.
    let theirs = ["train", "--backend", "cpu", "--weights", "a", "--out", "e"];
    let output = run(path, &theirs);
    assert!(output.status.success(), "{}", text(&output.stderr));
    fs::rename(path.join("pets/dark"), path.join("pets/zebra")).unwrap();
    let output = train(&["--weights", "a", "--out", "f"]);
    let note = "note: the weights were trained on the classes dark, light, but these images have light, zebra";
    assert!(
        text(&output.stderr).contains(note),
        "{}",
        text(&output.stderr)
    );
    fs::rename(path.join("pets/zebra"), path.join("pets/dark")).unwrap();
    fs::remove_file(path.join("b/checkpoint.safetensors")).unwrap();
    fs::copy(
        path.join("c/model.safetensors"),
        path.join("a/model.safetensors"),
    )
    .unwrap();
    fails(
        &run(path, &["train", "--resume", "b"]),
        1,
        &["have changed"],
    );

    let wider = fs::read_to_string(path.join("net.toml"))
        .unwrap()
        .replace("units = 2", "units = 3");
    fs::write(path.join("wide.toml"), wider).unwrap();
    let output = train(&["--weights", "a", "--model", "wide.toml", "--out", "d"]);
    fails(
        &output,
        1,
        &["dense/kernel[64x3]", "dense/kernel[64x2]", "--model"],
    );
    fails(
        &train(&["--weights", "nowhere", "--out", "d"]),
        1,
        &["nowhere"],
    );
    assert!(!path.join("d").exists());
}

/// What the program writes to a terminal of so many columns.
#[cfg(target_os = "linux")]
fn on_a_terminal(folder: &Path, columns: usize, args: &[&str]) -> String {
    let words = args.iter().map(|word| format!("'{word}'"));
    let command = words.collect::<Vec<_>>().join(" ");
    let output = std::process::Command::new("script")
        .args([
            "-qec",
            &format!("stty rows 24 cols {columns}; exec '{PROGRAM}' {command}"),
            "/dev/null",
        ])
        .current_dir(folder)
        .env("HOME", folder)
        .env("TERM", "xterm")
        .env("CNN_GPU_MIRRORS", "")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stdout));
    text(&output.stdout)
}

/// Through util-linux's `script`.
#[test]
#[cfg(target_os = "linux")]
fn a_bar_ends_with_all_its_figures_on_a_narrow_terminal() {
    let folder = TempDir::new().unwrap();
    for columns in [60, 80, 120] {
        let out = columns.to_string();
        let more = ["--validation-split", "0.25", "--out", &out];
        let told = on_a_terminal(folder.path(), columns, &[QUICK, &more].concat());
        let csv = fs::read_to_string(folder.path().join(&out).join("history.csv")).unwrap();
        let last = csv.lines().last().unwrap();
        let figure =
            |column: usize| -> f64 { last.split(',').nth(column).unwrap().parse().unwrap() };
        let heads: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
        for (column, head) in heads
            .iter()
            .enumerate()
            .filter(|(_, h)| h.starts_with("val_"))
        {
            let words = format!("{head}: {:.4}", figure(column));
            assert!(told.contains(&words), "no `{words}` at {columns}: {told}");
        }
        // What a person sees of a line is what was written last.
        let seen = told.lines().map(|line| line.trim_end_matches('\r'));
        let seen = seen.map(|line| line.rsplit('\r').next().unwrap_or(line));
        let figures = seen.filter(|line| line.contains("loss: "));
        let widest = figures.map(console::measure_text_width).max().unwrap();
        let least = if columns == 120 { 81 } else { 40 };
        assert!(
            (least..=columns).contains(&widest),
            "{widest} of {columns}: {told}"
        );
        let results = told
            .lines()
            .find(|line| line.contains("test loss"))
            .unwrap();
        assert!(
            results.starts_with("test loss"),
            "at {columns}: {results:?}"
        );
    }
}

#[test]
fn a_schedule_and_steps_per_epoch_reach_the_history() {
    let folder = TempDir::new().unwrap();
    let more = [
        "--out",
        "run",
        "--lr-schedule",
        "step:1:0.5",
        "--steps-per-epoch",
        "3",
    ];
    let output = quick(folder.path(), &more);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = json_lines(&fs::read(folder.path().join("run/history.jsonl")).unwrap());
    let rates: Vec<f64> = lines
        .iter()
        .map(|e| e["learning_rate"].as_f64().unwrap())
        .collect();
    assert_eq!(rates, [0.001, 0.0005]);
    let result = fs::read_to_string(folder.path().join("run/result.json")).unwrap();
    let result: Value = serde_json::from_str(&result).unwrap();
    assert_eq!(result["steps"], 6);
}

#[test]
fn terminate_on_nan_makes_an_explosion_an_ending() {
    let folder = TempDir::new().unwrap();
    let more = [
        "--optimizer",
        "sgd",
        "--learning-rate",
        "1e30",
        "--out",
        "run",
        "--terminate-on-nan",
    ];
    let output = quick(folder.path(), &more);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("stopped         the loss became"));
}

#[test]
fn what_fit_cannot_do_is_refused_before_data_are_sought() {
    let folder = TempDir::new().unwrap();
    let refused = |more: &[&str], word: &str| only_says(&quick(folder.path(), more), 2, word);
    refused(&["--early-stopping", "2"], "--validation-split");
    refused(&["--checkpoint-best"], "--monitor loss");
    refused(&["--restore-best-weights"], "--early-stopping");
    refused(&["--validation-split", "1"], "validation split 1");
    refused(&["--validation-freq", "0"], "at least 1");
    refused(&["--steps-per-epoch", "-1"], "--steps-per-epoch");
    refused(&["--initial-epoch", "2"], "no epoch");
    refused(&["--class-weight", "3"], "3=2");
    refused(&["--class-weight", "12=2"], "class 12");
    refused(&["--class-weight", "1=-2"], "from 0 on");
    refused(&["--lr-schedule", "linear"], "one-cycle");
    refused(&["--monitor", "val_los"], "val_loss");
    refused(
        &[
            "--reduce-lr-on-plateau",
            "1",
            "--monitor",
            "loss",
            "--lr-factor",
            "1",
        ],
        "--lr-factor",
    );
    refused(&["--validation-data", "train"], "test");
}

#[test]
fn a_loss_that_is_not_a_number_is_traced_to_its_operation() {
    let folder = TempDir::new().unwrap();
    let data = ["train", "--dataset", "digits", "--limit", "128"];
    let options = ["--epochs", "1", "--learning-rate", "1e20", "--verbose", "0"];
    let args = [&data[..], &options, &["--backend", "cpu", "--out", "nan"]].concat();
    let words = [
        "the loss became NaN at step 2",
        "is `conv2d_1`, at conv2d_forward",
    ];
    fails(&run(folder.path(), &args), 1, &words);
}

/// What `fit` ends with is what the run folder holds: the average, not the last step's weights.
#[test]
fn an_average_of_the_weights_is_what_a_run_leaves() {
    let folder = TempDir::new().unwrap();
    let flags = "--optimizer adamw --global-clipnorm 1 --use-ema --ema-momentum 0.9 \
                 --label-smoothing 0.1 --format json --out run";
    let flags: Vec<&str> = flags.split_whitespace().collect();
    let output = quick(folder.path(), &flags);
    assert!(output.status.success(), "{}", text(&output.stderr));
    evaluates_to(folder.path(), "run", &json_lines(&output.stdout)[2]);
    let config = fs::read_to_string(folder.path().join("run/config.toml")).unwrap();
    let config: toml::Table = toml::from_str(&config).unwrap();
    let optimizer = &config["training"]["optimizer"];
    assert_eq!(optimizer["weight_decay"].as_float(), Some(0.004));
    assert_eq!(optimizer["global_clipnorm"].as_float(), Some(1.0));
    assert_eq!(optimizer["ema_momentum"].as_float(), Some(0.9));
    let loss = &config["model"]["loss"];
    assert_eq!(loss["label_smoothing"].as_float(), Some(0.1));
}

#[test]
fn selfcheck_names_each_case_before_it_runs_and_writes_a_row_when_it_is_done() {
    let folder = TempDir::new().unwrap();
    let args = ["selfcheck", "--backend", "cpu", "--op", "dense_forward n=3"];
    let output = run(folder.path(), &args);
    assert!(output.status.success());
    let said = text(&output.stderr);
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(said[0].starts_with("dense_forward n=3 "), "{said:?}");
    assert!(said[1].ends_with("  pass") && said[3].ends_with("  pass"));
    let report = text(&output.stdout);
    assert!(report.contains("\ndense_forward "), "{report}");
    assert!(report.ends_with("all 2 cases agree with the reference\nverdict: pass\n"));
}

#[test]
fn selfcheck_gives_up_a_driver_that_takes_too_long() {
    let folder = TempDir::new().unwrap();
    let output = run(
        folder.path(),
        &["selfcheck", "--backend", "cpu", "--patience", "0"],
    );
    fails(
        &output,
        1,
        &["given up: the driver has been at `", "for 0 s"],
    );
    assert!(text(&output.stdout).ends_with("verdict: FAIL\n"));
}
