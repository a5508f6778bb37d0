//! Training on your own pictures and arrays.

use std::fs;

use tempfile::TempDir;

use super::program::{json_lines, only_says, run, text};
use super::{colours, idx, model, train};

#[test]
fn a_model_of_pictures_is_trained_evaluated_and_predicts_by_name() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    colours(&path.join("c"));
    model(path, "[4, 4, 3]", 2);
    let args = [
        "--dataset",
        "folder:c",
        "--model",
        "net.toml",
        "--epochs",
        "20",
    ];
    let output = train(
        path,
        &[&args[..], &["--format", "json", "--out", "r"]].concat(),
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = json_lines(&output.stdout);
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["train_images"], &last["test_accuracy"]),
        (&16.into(), &1.0.into())
    );

    // The run finds its data set from any folder.
    let elsewhere = path.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let args = ["evaluate", "../r", "--backend", "cpu", "--format", "json"];
    let output = run(&elsewhere, &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let scores = &json_lines(&output.stdout)[0];
    assert_eq!(scores["loss"], last["test_loss"]);

    let files = ["c/red/1.JPG", "c/blue/2.png"];
    let predict = |more: &[&str]| {
        let args = ["predict", "r", files[0], files[1], "--backend", "cpu"];
        let output = run(path, &[&args, more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("prepared 2 pictures by stretching to 4x4x3"));
        text(&output.stdout)
    };
    let table = predict(&[]);
    let words = |line: &str| {
        line.split_whitespace()
            .map(String::from)
            .collect::<Vec<_>>()
    };
    let rows: Vec<_> = table.lines().map(words).collect();
    assert_eq!(rows[0], ["image", "prediction", "probability", "next"]);
    assert_eq!(rows[1][..2], ["c/red/1.JPG", "red"]);
    assert_eq!((&rows[2][1][..], &rows[2][4][..]), ("blue", "red"));
    let csv = predict(&["--format", "csv"]);
    assert!(csv.starts_with("file,index,label,class,probability,blue,red\nc/red/1.JPG,,1,red,0."));
}

#[test]
fn your_own_idx_files_are_trained_on_and_predicted() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    fs::create_dir(path.join("d")).unwrap();
    for (set, n) in [("train", 30), ("t10k", 6)] {
        let labels: Vec<u8> = (0..n).map(|i| (i % 3) as u8).collect();
        let images: Vec<u8> = labels.iter().flat_map(|&l| [l * 100; 20]).collect();
        let name = |content: &str| path.join("d").join(format!("{set}-{content}-ubyte"));
        fs::write(name("images-idx3"), idx(&[n, 4, 5], &images)).unwrap();
        fs::write(name("labels-idx1"), idx(&[n], &labels)).unwrap();
    }
    model(path, "[4, 5, 1]", 3);
    let args = ["--dataset", "idx:d", "--model", "net.toml", "--epochs", "1"];
    let output = train(
        path,
        &[&args[..], &["--format", "json", "--out", "r"]].concat(),
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let last = &json_lines(&output.stdout)[1];
    assert_eq!(
        (&last["dataset"], &last["train_images"]),
        (&"idx".into(), &30.into())
    );
    // Images in IDX format are predicted by their index.
    let args = [
        "predict",
        "r",
        "d/t10k-images-idx3-ubyte",
        "--format",
        "json",
        "--backend",
        "cpu",
    ];
    let output = run(path, &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = json_lines(&output.stdout);
    assert_eq!((lines.len(), &lines[5]["index"]), (6, &5.into()));
    assert_eq!(lines[0]["probabilities"].as_array().unwrap().len(), 3);
    // Labels are not images.
    let args = [
        "predict",
        "r",
        "d/t10k-labels-idx1-ubyte",
        "--backend",
        "cpu",
    ];
    only_says(
        &run(path, &args),
        1,
        "shape [6]: expected [n, 4, 5], the model's input",
    );
    // A model for images of another size.
    model(path, "[5, 4, 1]", 3);
    let args = ["--dataset", "idx:d", "--model", "net.toml"];
    only_says(
        &train(path, &args),
        1,
        "expected images of 5x4x1, received data set `idx`",
    );
    model(path, "[4, 5, 1]", 2);
    only_says(&train(path, &args), 1, "expected labels below 2");
}
