//! `selfcheck`.

use serde_json::Value;
use tempfile::TempDir;

use super::program::{fails, run, text};

#[test]
fn selfcheck_prints_each_case_before_it_runs_and_each_row_when_complete() {
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
fn selfcheck_compares_each_parameter_of_a_step() {
    let folder = TempDir::new().unwrap();
    let args = ["selfcheck", "--backend", "cpu", "--format", "json"];
    let args = [&args[..], &["--op", "training_step clip-norm"]].concat();
    let output = run(folder.path(), &args);
    assert!(output.status.success());
    let said = text(&output.stderr);
    assert!(said.starts_with("training_step clip-norm "), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        report["operations"]["ops"][0]["op"],
        "training_step clip-norm"
    );
    let outputs = report["operations"]["steps"][0]["outputs"]
        .as_array()
        .unwrap();
    let named = |name: &str| {
        outputs
            .iter()
            .find(|output| output["name"] == name)
            .unwrap()
    };
    for layer in ["dense", "dense_1"] {
        for parameter in ["kernel", "bias"] {
            let parameter = format!("{layer}/{parameter}");
            for name in [
                format!("gradient of {parameter}"),
                format!("{parameter} after step 1"),
                format!("{parameter} after step 3"),
            ] {
                let output = named(&name);
                assert_eq!(output["dispatch"], "dense_backward_weight");
                assert!(output["error"].as_f64() <= output["tolerance"].as_f64());
            }
        }
    }
}

#[test]
fn selfcheck_aborts_if_a_driver_takes_too_long() {
    let folder = TempDir::new().unwrap();
    let output = run(
        folder.path(),
        &["selfcheck", "--backend", "cpu", "--patience", "0"],
    );
    fails(
        &output,
        1,
        &["aborted: the driver has been working on `", "for 0 s"],
    );
    assert!(text(&output.stdout).ends_with("verdict: FAIL\n"));
}
