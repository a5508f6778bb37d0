//! `tune`.

use tempfile::TempDir;

use super::program::{json_lines, only_says, run, test_backend, text};

#[test]
fn tune_tries_settings_and_keeps_what_is_faster() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let backend = test_backend().to_string();
    let common = [
        "tune",
        "--backend",
        &backend,
        "--model",
        "mnist-mlp",
        "--batch-size",
        "16",
        "--seconds",
        "6",
    ];
    let output = run(path, &[&common[..], &["--format", "json"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = json_lines(&output.stdout).remove(0);
    let trials = report["trials"].as_array().unwrap();
    let of = |outcome: &str| trials.iter().filter(|t| t["outcome"] == outcome).count();
    assert!(of("measured") > 0, "{report}");
    assert_eq!(of("refused"), 0, "{report}");
    let speed = report["speed"].as_f64().unwrap();
    let kept = report["kernels"].as_object().unwrap();
    // The default kernels are among the candidates.
    assert!(speed >= 1.0, "{speed}");
    assert_eq!(kept.is_empty(), speed == 1.0);
    assert_eq!(kept.is_empty(), report["file"].is_null());
    // Those that were kept in the course of the search are in the choice, unless the end refuted it.
    for (setting, value) in kept {
        let last = trials
            .iter()
            .rfind(|t| t["setting"] == **setting && t["kept"] == true)
            .unwrap();
        assert_eq!(last["value"], *value);
    }
    let forgotten = run(path, &["tune", "--backend", &backend, "--forget"]);
    assert!(forgotten.status.success());
    let words = if kept.is_empty() {
        "nothing to forget: there is no choice for"
    } else {
        "`train` takes the default kernels of"
    };
    assert!(text(&forgotten.stderr).contains(words));
    let output = run(
        path,
        &[&common[..7], &["--seconds=1", "--dry-run"]].concat(),
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).ends_with("kept     nothing\n"));
    assert!(
        !path
            .join("cnn-gpu/tuning")
            .read_dir()
            .is_ok_and(|mut files| files.next().is_some())
    );
}

#[test]
fn what_cannot_be_tuned_is_said_in_one_line() {
    let folder = TempDir::new().unwrap();
    let says = |args: &[&str], code, word: &str| {
        only_says(&run(folder.path(), &[&["tune"], args].concat()), code, word)
    };
    says(&["--backend", "cpu"], 2, "the CPU has no kernels to tune");
    says(
        &["--backend", "cpu", "--forget"],
        2,
        "the CPU has no kernels to tune",
    );
    says(&["--seconds", "0"], 2, "1..=3600");
    says(&["--batch-size", "0"], 2, "batch");
    says(&["--forget", "--dry-run"], 2, "--dry-run");
}
