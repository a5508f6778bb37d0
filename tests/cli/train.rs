//! Training runs: their results, their files and their ending.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use super::program::{fails, json_lines, only_says, run, text};
use super::{evaluates_to, quick};

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
fn auto_falls_back_with_a_warning_and_a_record() {
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
fn missing_mnist_is_an_error_before_anything_is_written() {
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
fn an_exploding_loss_is_an_error_and_leaves_no_folder() {
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
fn an_unwritable_log_folder_is_an_error_before_the_run_starts() {
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
fn early_stopping_restores_the_best_epochs_weights() {
    let folder = TempDir::new().unwrap();
    // A rate that is too high after the first epochs.
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
fn mixing_is_recorded_planned_and_checked() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let mixes = ["--mixup", "--cutmix", "0.5", "--loss", "mean_squared_error"];
    let output = quick(path, &[&mixes[..], &["--out", "run"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let config = fs::read_to_string(path.join("run/config.toml")).unwrap();
    for line in ["mixup = 0.2\n", "cutmix = 0.5\n"] {
        assert!(config.contains(line), "{config}");
    }
    let plan = text(&run(path, &["plan", "run"]).stdout);
    for op in ["draw_mixes", "mix_rows", "mean_squared_error"] {
        assert!(plan.contains(op), "{plan}");
    }
    // A run without mixing says nothing about it.
    assert!(quick(path, &["--out", "plain"]).status.success());
    let config = fs::read_to_string(path.join("plain/config.toml")).unwrap();
    assert!(
        !config.contains("mixup") && !config.contains("cutmix"),
        "{config}"
    );
    let refused: [(&[&str], &str); 4] = [
        (
            &["--mixup", "0"],
            "mixup's alpha must be above 0 and at most 32, received 0",
        ),
        (&["--mixup", "-1"], "received -1"),
        (
            &["--cutmix", "0"],
            "cutmix's factor must be above 0 and at most 1, received 0",
        ),
        (
            &["--cutmix", "1.5"],
            "cutmix's factor 1.5 must lie in [0, 1]",
        ),
    ];
    for (flags, message) in refused {
        fails(&quick(path, flags), 2, &[message]);
    }
    let output = quick(
        path,
        &[
            "--mixup",
            "--batch-size",
            "1",
            "--limit",
            "8",
            "--out",
            "alone",
        ],
    );
    let notes = text(&output.stderr);
    assert!(
        notes.contains("--mixup has no effect with --batch-size 1"),
        "{notes}"
    );
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
fn terminate_on_nan_ends_an_exploding_run_normally() {
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
fn a_nan_loss_is_traced_to_its_operation() {
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

/// The run folder has the weights that `fit` ends with: the average, not the last step's weights.
#[test]
fn a_run_with_ema_saves_the_averaged_weights() {
    let folder = TempDir::new().unwrap();
    let flags = "--optimizer adamw --global-clipnorm 1 --use-ema --ema-momentum 0.9 \
                 --ema-overwrite-frequency 3 --label-smoothing 0.1 --format json --out run";
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
    assert_eq!(optimizer["ema_overwrite_frequency"].as_integer(), Some(3));
    let loss = &config["model"]["loss"];
    assert_eq!(loss["label_smoothing"].as_float(), Some(0.1));
}
