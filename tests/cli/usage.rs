//! Help, usage errors, and other errors before training.

use std::fs;
use std::io::Read;
use std::process::Stdio;

use tempfile::TempDir;

use super::program::{PROGRAM, fails, only_says, run, text};
use super::quick;

#[test]
fn arguments_out_of_range_are_usage_errors() {
    let folder = TempDir::new().unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["--epochs", "0"], "epochs"),
        (&["--batch-size", "0"], "batch size"),
        (&["--micro-batch", "0"], "micro-batch"),
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
        (&["--ema-overwrite-frequency", "5"], "--use-ema"),
        (&["--use-ema", "--ema-overwrite-frequency", "0"], "0"),
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
fn arguments_are_checked_before_loading_data() {
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
fn the_cause_of_a_data_error_is_stated_once() {
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
fn a_full_disk_is_an_error_of_standard_output() {
    let output = std::process::Command::new(PROGRAM)
        .arg("summary")
        .stdout(fs::File::create("/dev/full").unwrap())
        .output()
        .unwrap();
    fails(&output, 1, &["standard output: No space left on device"]);
}

#[test]
fn every_command_has_help_with_examples() {
    let folder = TempDir::new().unwrap();
    for command in [
        "train",
        "evaluate",
        "export",
        "import",
        "summary",
        "plan",
        "devices",
        "selfcheck",
        "bench",
        "serve",
    ] {
        let output = run(folder.path(), &[command, "--help"]);
        assert!(output.status.success());
        let help = text(&output.stdout);
        assert!(help.contains("Examples:\n  cnn-gpu "), "{help}");
    }
    assert!(text(&run(folder.path(), &["--version"]).stdout).starts_with("cnn-gpu 0."));
}

#[test]
fn a_closed_pipe_is_not_an_error() {
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
fn arguments_of_fit_are_checked_before_loading_data() {
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
    refused(&["--class-weight", "1=-2"], "of at least 0");
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
