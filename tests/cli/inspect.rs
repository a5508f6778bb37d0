//! The commands that print models, plans and devices.

use std::fs;

use tempfile::TempDir;

use super::program::{json_lines, only_says, run, text};

#[test]
fn summary_is_keras_s_table() {
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
fn a_model_written_by_summary_can_be_loaded() {
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
fn devices_lists_the_cpu_and_the_choice_of_auto() {
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
    assert_eq!(
        text(&output.stderr),
        "",
        "a library wrote to standard error"
    );
    assert!(devices["adapters"].is_array() && devices["auto"]["adapter"].is_string());
}
