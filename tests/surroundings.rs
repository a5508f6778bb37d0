//! The environment of a run: other processes on the same adapter, and users without a home folder.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use program::{PROGRAM, fails, run, test_backend, text};
use tempfile::TempDir;

const RUN: &[&str] = &[
    "train",
    "--dataset",
    "digits",
    "--limit",
    "400",
    "--model",
    "mnist-mlp",
    "--epochs",
    "2",
    "--verbose",
    "0",
];

fn start(folder: &Path, out: &str) -> Child {
    Command::new(PROGRAM)
        .current_dir(folder)
        .args(RUN)
        .args(["--backend", test_backend().name(), "--out", out])
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn two_processes_on_one_adapter_give_the_same_weights_as_one() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    assert!(start(path, "alone").wait().unwrap().success());
    let mut together = ["first", "second"].map(|out| start(path, out));
    for process in &mut together {
        assert!(process.wait().unwrap().success());
    }
    let weights = |out: &str| fs::read(path.join(out).join("model.safetensors")).unwrap();
    assert_eq!(weights("first"), weights("alone"));
    assert_eq!(weights("second"), weights("alone"));
}

/// Trains with `--dataset auto` and only these environment variables for folders.
fn at_home(folder: &Path, variables: &[(&str, &str)]) -> std::process::Output {
    let mut command = Command::new(PROGRAM);
    command.current_dir(folder).env("CNN_GPU_MIRRORS", "");
    for name in [
        "HOME",
        "XDG_CACHE_HOME",
        "XDG_RUNTIME_DIR",
        "CNN_GPU_CACHE_DIR",
        "CNN_GPU_DATA_DIR",
    ] {
        command.env_remove(name);
    }
    let args = [
        "--dataset",
        "auto",
        "--backend",
        "cpu",
        "--out",
        "run",
        "--verbose",
        "1",
    ];
    command.envs(variables.iter().copied()).args(RUN).args(args);
    command.output().unwrap()
}

#[test]
fn a_user_without_a_home_trains_on_a_named_data_set() {
    for home in [
        &[][..],
        &[("HOME", "")],
        &[("HOME", "/dev/null")],
        &[("HOME", "/proc")],
    ] {
        let folder = TempDir::new().unwrap();
        let output = at_home(folder.path(), home);
        let message = text(&output.stderr);
        assert!(output.status.success(), "{home:?}: {message}");
        // Without `HOME`, the real home folder may contain MNIST.
        let fell_back = message.contains("USING THE BUILT-IN DIGITS") || home.is_empty();
        assert!(
            fell_back && message.contains("data: "),
            "{home:?}: {message}"
        );
        assert!(folder.path().join("run/model.safetensors").exists());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_created_is_an_error_before_training() {
    let folder = TempDir::new().unwrap();
    let args = [RUN, &["--backend", "cpu", "--out", "/proc/run"]].concat();
    fails(
        &run(folder.path(), &args),
        1,
        &["/proc/run", "cannot create the run folder"],
    );
}

/// As in programs that bundle their own C library.
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn the_program_starts_through_the_dynamic_loader() {
    let output = Command::new("/lib64/ld-linux-x86-64.so.2")
        .env_remove("XDG_RUNTIME_DIR")
        .args([PROGRAM, "--version"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("cnn-gpu "));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}
