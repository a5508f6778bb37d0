//! Progress on a terminal.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;

use super::QUICK;
use super::program::{PROGRAM, run, text};
use super::tiny;

/// Returns what the program writes to a terminal of this width, using util-linux's `script`.
fn on_a_terminal(folder: &Path, columns: usize, args: &[&str]) -> String {
    let words = args.iter().map(|word| format!("'{word}'"));
    let command = words.collect::<Vec<_>>().join(" ");
    let output = std::process::Command::new("script")
        .args([
            "-qec",
            &format!("stty rows 24 cols {columns}; exec '{PROGRAM}' {command}"),
            "/dev/null",
        ])
        .current_dir(folder)
        .env("HOME", folder)
        .env("TERM", "xterm")
        .env("CNN_GPU_MIRRORS", "")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stdout));
    text(&output.stdout)
}

#[test]
fn a_bar_ends_with_all_its_figures_on_a_narrow_terminal() {
    let folder = TempDir::new().unwrap();
    for columns in [60, 80, 120] {
        let out = columns.to_string();
        let more = ["--validation-split", "0.25", "--out", &out];
        let screen = on_a_terminal(folder.path(), columns, &[QUICK, &more].concat());
        let csv = fs::read_to_string(folder.path().join(&out).join("history.csv")).unwrap();
        let last = csv.lines().last().unwrap();
        let figure =
            |column: usize| -> f64 { last.split(',').nth(column).unwrap().parse().unwrap() };
        let heads: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
        for (column, head) in heads
            .iter()
            .enumerate()
            .filter(|(_, h)| h.starts_with("val_"))
        {
            let words = format!("{head}: {:.4}", figure(column));
            assert!(
                screen.contains(&words),
                "no `{words}` at {columns}: {screen}"
            );
        }
        // Only what was written last is visible of a line.
        let seen = screen.lines().map(|line| line.trim_end_matches('\r'));
        let seen = seen.map(|line| line.rsplit('\r').next().unwrap_or(line));
        let figures = seen.filter(|line| line.contains("loss: "));
        let widest = figures.map(console::measure_text_width).max().unwrap();
        let least = if columns == 120 { 81 } else { 40 };
        assert!(
            (least..=columns).contains(&widest),
            "{widest} of {columns}: {screen}"
        );
        let results = screen
            .lines()
            .find(|line| line.contains("test loss"))
            .unwrap();
        assert!(
            results.starts_with("test loss"),
            "at {columns}: {results:?}"
        );
    }
}

#[test]
fn live_curves_are_drawn_on_a_terminal_and_nowhere_else() {
    let folder = TempDir::new().unwrap();
    tiny::prepare(folder.path());
    let args = "train --backend cpu --dataset idx:data --batch-size 8 --epochs 2 --model tiny.toml \
                --validation-split 0.25 --live --out";
    let args: Vec<&str> = args.split_whitespace().collect();
    let screen = on_a_terminal(folder.path(), 100, &[&args[..], &["live"]].concat());
    for words in [
        "loss by epoch (● validation)",
        "accuracy by epoch",
        "Epoch 2/2",
        "val_loss: ",
    ] {
        assert!(screen.contains(words), "no `{words}`: {screen}");
    }
    // The last curves stay above the results.
    let (before, after) = screen.rsplit_once("accuracy by epoch").unwrap();
    assert!(
        before.contains("Epoch 2/2") && after.contains("test loss"),
        "{screen}"
    );
    let output = run(folder.path(), &[&args[..], &["piped"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stderr);
    assert!(
        !printed.contains("by epoch") && !printed.contains('\u{1b}'),
        "{printed}"
    );
    assert!(printed.contains("Epoch 2/2 - "), "{printed}");
}
