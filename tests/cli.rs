//! The program as its user meets it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use program::{PROGRAM, fails, json_lines, only_says, run, text};

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
    assert!(csv.starts_with("epoch,loss,accuracy,seconds,images_per_second\n1,"));
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
        (&["--model", "resnet"], "mnist-cnn"),
        (&["--limit", "0"], "limit"),
        (&["--backend", "cpu", "--adapter", "0"], "--adapter"),
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
    assert_eq!(run(folder.path(), &[]).status.code(), Some(2));
    only_says(&run(folder.path(), &["fly"]), 2, "fly");
    only_says(&run(folder.path(), &["evaluate"]), 2, "<RUN>");
    let args = ["plan", "--batch-size", "-1"];
    only_says(&run(folder.path(), &args), 2, "'-1'");
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
    only_says(&train(&["--adapter", "0"]), 2, "--adapter");
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
    assert!(list.contains("\nauto takes "), "{list}");
    let devices = &json_lines(&run(folder.path(), &["devices", "--format", "json"]).stdout)[0];
    assert_eq!(devices["cpu"]["backend"], "cpu");
    assert_eq!(text(&output.stderr), "", "something foreign was written");
    assert!(devices["adapters"].is_array() && devices["auto"]["adapter"].is_string());
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
