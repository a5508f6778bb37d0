//! Runs the program as users do.

#![allow(dead_code, unused_imports, reason = "no test needs all of it")]

#[path = "../common/backend.rs"]
mod backend;

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
pub use backend::test_backend;
use serde_json::Value;

/// The program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_cnn-gpu");

/// Runs the program in `folder`, without network and without the user's data folder.
pub fn run(folder: &Path, args: &[&str]) -> Output {
    Command::new(PROGRAM)
        .current_dir(folder)
        .env("CNN_GPU_MIRRORS", "")
        .env("CNN_GPU_DATA_DIR", "")
        .env("XDG_CACHE_HOME", folder)
        .env("CNN_GPU_CACHE_DIR", folder.join("cnn-gpu"))
        // As on a machine without a desktop session, where libwayland would complain.
        .env_remove("XDG_RUNTIME_DIR")
        .env("HOME", folder)
        .args(args)
        .output()
        .unwrap()
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Asserts the exit code, and that standard error ends with a single error that contains `words`.
pub fn fails(output: &Output, code: i32, words: &[&str]) {
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    let errors: Vec<&str> = message
        .lines()
        .filter(|l| l.starts_with("error: "))
        .collect();
    assert_eq!(errors.len(), 1, "{message}");
    assert!(message.ends_with(&format!("{}\n", errors[0])), "{message}");
    for word in words {
        assert!(errors[0].contains(word), "no `{word}` in: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

/// Like [`fails`], and asserts that nothing else is printed.
#[track_caller]
pub fn only_says(output: &Output, code: i32, word: &str) {
    fails(output, code, &[word]);
    assert_eq!(text(&output.stderr).lines().count(), 1);
    assert!(output.stdout.is_empty());
}

/// Parses one JSON value per line.
pub fn json_lines(bytes: &[u8]) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap();
    text(bytes).lines().map(parse).collect()
}
