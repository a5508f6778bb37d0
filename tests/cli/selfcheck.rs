//! `selfcheck`.

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
