//! A stopped and resumed run ends with the same bytes as an uninterrupted one, however it was
//! stopped.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cnn_gpu::rng::{Key, Stream};
use program::{PROGRAM, fails, json_lines, run, test_backend, text};
use serde_json::Value;
use tempfile::TempDir;

const ON_THE_CPU: &[&str] = &["--backend", "cpu"];

const RESTORING: &[&str] = &["--restore-best-weights"];

/// An optimizer with more state than moments, and images that vary and
/// are mixed.
const AVERAGING: &[&str] = &[
    "--optimizer",
    "adamw",
    "--clipnorm",
    "1",
    "--use-ema",
    "--ema-overwrite-frequency",
    "7",
    "--augment",
    "mnist",
    "--mixup",
    "--cutmix",
    "0.5",
    "--micro-batch",
    "6",
];

/// A run of a few seconds, with stateful callbacks.
const RUN: &[&str] = &[
    "train",
    "--dataset",
    "digits",
    "--limit",
    "1500",
    "--batch-size",
    "20",
    "--epochs",
    "3",
    "--validation-split",
    "0.1",
    "--early-stopping",
    "2",
    "--reduce-lr-on-plateau",
    "1",
    "--format",
    "json",
    "--verbose",
    "0",
];

/// The lines of standard output, without values that depend on the clock or the folder.
fn essence(stdout: &[u8]) -> Vec<Value> {
    let mut lines = json_lines(stdout);
    for line in &mut lines {
        let line = line.as_object_mut().unwrap();
        for key in ["seconds", "images_per_second", "epoch_seconds", "run"] {
            line.remove(key);
        }
    }
    lines
}

fn whole_run(folder: &Path, device: &[&str]) -> Vec<Value> {
    let output = run(folder, &[RUN, device, &["--out", "whole"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    essence(&output.stdout)
}

fn start(folder: &Path, args: &[&str]) -> Child {
    Command::new(PROGRAM)
        .current_dir(folder)
        .env("CNN_GPU_MIRRORS", "")
        .env("CNN_GPU_DATA_DIR", "")
        .env("XDG_CACHE_HOME", folder)
        .env("CNN_GPU_CACHE_DIR", folder.join("cnn-gpu"))
        .env("HOME", folder)
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// How often to kill a run: `CNN_GPU_TEST_KILLS`, or a few times.
fn kills() -> u32 {
    let given = std::env::var("CNN_GPU_TEST_KILLS").ok();
    given.and_then(|n| n.parse().ok()).unwrap_or(4)
}

/// Kills the run at random moments, and finally lets it finish.
fn killed_run_agrees(device: &[&str]) {
    let folder = TempDir::new().unwrap();
    let started = Instant::now();
    let whole = whole_run(folder.path(), device);
    let seconds = started.elapsed().as_secs_f32();
    let key = Key::new(5).stream(Stream::Check, 0);
    let begin = [RUN, device, &["--out", "killed", "--checkpoint-steps", "3"]].concat();
    let resume = ["train", "--resume", "killed", "--checkpoint-steps", "3"];
    let resume = [&resume[..], &["--format", "json", "--verbose", "0"]].concat();
    let mut unfinished = 0;
    for i in 0..kills() {
        let begun = folder.path().join("killed/config.toml").exists();
        let mut child = start(folder.path(), if begun { &resume } else { &begin });
        std::thread::sleep(Duration::from_secs_f32(key.uniform(i) * seconds));
        unfinished += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        // If it was killed before writing its settings, there is nothing to resume.
        if !folder.path().join("killed/config.toml").exists() {
            let _ = fs::remove_dir_all(folder.path().join("killed"));
        }
    }
    assert!(unfinished > 0, "no run was killed before its end");
    let begun = folder.path().join("killed/config.toml").exists();
    let output = run(folder.path(), if begun { &resume } else { &begin });
    assert!(output.status.success(), "{}", text(&output.stderr));
    let resumed = essence(&output.stdout);
    assert_eq!(resumed.last(), whole.last());
    assert_eq!(
        history(folder.path(), "killed"),
        history(folder.path(), "whole")
    );
}

/// The epochs in `history.jsonl`.
fn history(folder: &Path, run: &str) -> Vec<Value> {
    essence(&fs::read(folder.join(run).join("history.jsonl")).unwrap())
}

#[test]
fn a_killed_run_resumes_to_the_same_bytes_on_the_cpu() {
    killed_run_agrees(&[ON_THE_CPU, RESTORING].concat());
}

#[test]
fn a_killed_run_resumes_to_the_same_bytes_on_the_gpu() {
    killed_run_agrees(&[&["--backend", test_backend().name()], RESTORING].concat());
}

/// Waits until the run has written a checkpoint.
fn wait_for_checkpoint(folder: &Path, child: &mut Child) {
    while !folder.join("checkpoint.safetensors").exists() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended too early"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_resumes_to_the_same_bytes() {
    let folder = TempDir::new().unwrap();
    // The run ends with the average, unless it restores the best epoch's weights.
    let averaging = [AVERAGING, ON_THE_CPU].concat();
    let whole = whole_run(folder.path(), &averaging);
    let begin = [
        RUN,
        &averaging,
        &[
            "--out",
            "part",
            "--checkpoint-steps",
            "5",
            "--format",
            "text",
        ],
    ]
    .concat();
    let mut child = start(folder.path(), &begin);
    wait_for_checkpoint(&folder.path().join("part"), &mut child);
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let stopped = child.wait_with_output().unwrap();
    assert_eq!(stopped.status.code(), Some(130));
    let how = "resume with     cnn-gpu train --resume part\n";
    assert!(text(&stopped.stdout).contains(how));
    let resume = [
        "train",
        "--resume",
        "part",
        "--format",
        "json",
        "--verbose",
        "0",
    ];
    let output = run(folder.path(), &resume);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(essence(&output.stdout).last(), whole.last());
    assert_eq!(
        history(folder.path(), "part"),
        history(folder.path(), "whole")
    );
}

/// Settings of the kernels with which sums have another order, as `cnn-gpu tune` would keep them.
#[cfg(all(target_os = "linux", feature = "gpu"))]
fn keep_other_kernels(folder: &Path) -> std::path::PathBuf {
    use cnn_gpu::exec::{KernelChoice, Selection, open};
    use cnn_gpu::tune::TunedKernels;
    let device = open(&Selection::new(test_backend())).unwrap().describe();
    let kernels = KernelChoice::from_iter([("loss", 16), ("min_invocations", 8192)]);
    let tuned = TunedKernels::new(&device, "yesterday", ("mnist-cnn", 64), (kernels, 1.5));
    tuned.save(&folder.join("cnn-gpu/tuning")).unwrap()
}

#[cfg(all(target_os = "linux", feature = "gpu"))]
#[test]
fn a_run_keeps_the_tuned_kernels_that_it_began_with() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let device: &[&str] = &["--backend", test_backend().name()];
    let train = |out: &str, more: &[&str]| {
        let output = run(path, &[RUN, device, &["--out", out], more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        essence(&output.stdout).pop()
    };
    let default = train("default", &[]);
    let file = keep_other_kernels(path);
    let tuned = train("tuned", &[]);
    assert_eq!(train("tuned again", &[]), tuned);
    assert_eq!(train("default again", &["--default-kernels"]), default);
    let hash = |result: &Option<Value>| result.as_ref().unwrap()["weights_hash"].clone();
    assert_ne!(hash(&tuned), hash(&default));
    let config = fs::read_to_string(path.join("tuned/config.toml")).unwrap();
    assert!(
        config.contains("[device.kernels]\nloss = 16\nmin_invocations = 8192\n"),
        "{config}"
    );

    let begin = [RUN, device, &["--out", "part", "--checkpoint-steps", "5"]].concat();
    let mut child = start(path, &begin);
    wait_for_checkpoint(&path.join("part"), &mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    // The resumed run does not look for it.
    fs::remove_file(&file).unwrap();
    let refused = ["train", "--resume", "part", "--default-kernels"];
    fails(&run(path, &refused), 2, &["--default-kernels would change"]);
    let output = run(path, &["train", "--resume", "part", "--format", "json"]);
    assert!(
        text(&output.stderr).contains("kernels: tuned, as before (loss 16, min_invocations 8192)")
    );
    assert_eq!(essence(&output.stdout).pop(), tuned);

    // A file that cannot be read is a warning.
    fs::write(&file, "kernels = 3").unwrap();
    let args = [
        "train",
        "--dataset",
        "digits",
        "--limit",
        "40",
        "--epochs",
        "1",
    ];
    let output = run(path, &[&args, device].concat());
    assert!(output.status.success());
    let warning = "taking the default kernels (`cnn-gpu tune` writes the file anew)";
    assert!(
        text(&output.stderr).contains(warning),
        "{}",
        text(&output.stderr)
    );
}

/// A finished run; its checkpoint is that of its last epoch.
fn finished() -> TempDir {
    let folder = TempDir::new().unwrap();
    let args = [
        "--limit",
        "60",
        "--epochs",
        "1",
        "--verbose",
        "0",
        "--backend",
        "cpu",
    ];
    let args = [
        &["train", "--dataset", "digits", "--out", "done"][..],
        &args,
    ]
    .concat();
    assert!(run(folder.path(), &args).status.success());
    folder
}

#[test]
fn flags_that_would_change_the_run_are_refused_by_name() {
    let folder = finished();
    let resume = |more: &[&str]| {
        run(
            folder.path(),
            &[&["train", "--resume", "done"], more].concat(),
        )
    };
    for (flag, value, name) in [
        ("--batch-size", "8", "batch_size (8 instead of 64)"),
        ("--micro-batch", "8", "micro_batch (8 instead of unset)"),
        ("--seed", "1", "seed (1 instead of 42)"),
        ("--optimizer", "sgd", "optimizer"),
        ("--optimizer", "adamw", "optimizer"),
        ("--weight-decay", "0.1", "optimizer"),
        ("--clipnorm", "1", "optimizer"),
        ("--global-clipnorm", "1", "optimizer"),
        ("--clipvalue", "1", "optimizer"),
        ("--mixup", "0.3", "mixup (0.3 instead of unset)"),
        ("--cutmix", "1", "cutmix (1.0 instead of unset)"),
        ("--use-ema", "--ema-momentum=0.9", "optimizer"),
        ("--label-smoothing", "0.1", "the model"),
        ("--model", "mnist-mlp", "the model"),
        ("--limit", "50", "--limit"),
        ("--epochs", "7", "epochs (7 instead of 1)"),
        ("--lr-schedule", "exponential:0.9", "--lr-schedule"),
    ] {
        fails(&resume(&[flag, value]), 2, &[name]);
    }
    // Flags that repeat the run's settings are accepted.
    assert!(
        resume(&["--batch-size", "64", "--epochs", "1"])
            .status
            .success()
    );
}

#[test]
fn class_weights_are_compared_class_by_class() {
    let folder = TempDir::new().unwrap();
    let data = [
        "train",
        "--dataset",
        "digits",
        "--limit",
        "60",
        "--out",
        "weighed",
    ];
    let options = ["--epochs", "1", "--class-weight", "3=2", "--backend", "cpu"];
    let begin = [&data[..], &options, &["--verbose", "0"]].concat();
    assert!(run(folder.path(), &begin).status.success());
    let resume = |more: &[&str]| {
        run(
            folder.path(),
            &[&["train", "--resume", "weighed"], more].concat(),
        )
    };
    fails(
        &resume(&["--batch-size", "8"]),
        2,
        &["batch_size (8 instead of 64)"],
    );
    fails(
        &resume(&["--class-weight", "3=4"]),
        2,
        &["class_weight", "4.0"],
    );
    assert!(
        resume(&["--class-weight", "3=2", "--batch-size", "64"])
            .status
            .success()
    );
}

#[test]
fn a_corrupt_checkpoint_is_refused_in_one_line() {
    let folder = finished();
    let path = folder.path().join("done/checkpoint.safetensors");
    let bytes = fs::read(&path).unwrap();
    let mut changed = bytes.clone();
    changed[bytes.len() - 9] ^= 1;
    fs::write(&path, changed).unwrap();
    fails(
        &run(folder.path(), &["train", "--resume", "done"]),
        1,
        &["its digest differs"],
    );
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    fails(
        &run(folder.path(), &["train", "--resume", "done"]),
        1,
        &[
            "not a complete safetensors file",
            "`cnn-gpu train --weights done` starts a new run from them",
        ],
    );
    fails(
        &run(folder.path(), &["train", "--resume", "none"]),
        1,
        &["none"],
    );
}

#[test]
fn two_processes_cannot_train_into_one_folder() {
    let folder = TempDir::new().unwrap();
    let begin = [
        RUN,
        ON_THE_CPU,
        &["--out", "one", "--checkpoint-steps", "2"],
    ]
    .concat();
    let mut child = start(folder.path(), &begin);
    wait_for_checkpoint(&folder.path().join("one"), &mut child);
    let second = run(
        folder.path(),
        &["train", "--resume", "one", "--verbose", "0"],
    );
    child.kill().unwrap();
    child.wait().unwrap();
    fails(
        &second,
        1,
        &["another process is training into this folder"],
    );
}

#[test]
fn a_vanished_folder_ends_the_run_with_one_line() {
    let folder = TempDir::new().unwrap();
    let begin = [
        RUN,
        ON_THE_CPU,
        &["--out", "gone", "--checkpoint-steps", "2"],
    ]
    .concat();
    let mut child = Command::new(PROGRAM)
        .current_dir(folder.path())
        .env("CNN_GPU_DATA_DIR", "")
        .env("CNN_GPU_MIRRORS", "")
        .args(&begin)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_checkpoint(&folder.path().join("gone"), &mut child);
    fs::rename(folder.path().join("gone"), folder.path().join("elsewhere")).unwrap();
    let output = child.wait_with_output().unwrap();
    fails(&output, 1, &["cannot write the checkpoint"]);
    // The previous checkpoint is intact.
    let kept = cnn_gpu::run::checkpoint::Checkpoint::load(
        &folder.path().join("elsewhere/checkpoint.safetensors"),
    );
    assert!(kept.unwrap().snapshot.state.step >= 2);
}

#[test]
fn a_finished_run_keeps_its_device() {
    let folder = TempDir::new().unwrap();
    let begin = [
        "train",
        "--dataset",
        "digits",
        "--limit",
        "60",
        "--epochs",
        "1",
        "--model",
        "mnist-mlp",
        "--backend",
        test_backend().name(),
        "--out",
        "r",
        "--verbose",
        "0",
    ];
    assert!(run(folder.path(), &begin).status.success());
    let trained_on = || -> Value {
        let result = fs::read(folder.path().join("r/result.json")).unwrap();
        let result: Value = serde_json::from_slice(&result).unwrap();
        result["backend"].clone()
    };
    assert_eq!(trained_on(), test_backend().name());
    let again = [
        "train",
        "--resume",
        "r",
        "--backend",
        "cpu",
        "--verbose",
        "0",
    ];
    let output = run(folder.path(), &again);
    assert!(output.status.success());
    let messages = text(&output.stderr);
    assert!(messages.contains("has already finished"), "{messages}");
    assert!(!messages.contains("and continues on"), "{messages}");
    assert_eq!(trained_on(), test_backend().name());
}
