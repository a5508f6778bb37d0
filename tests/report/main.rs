//! Reports, made as users make them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../pets/mod.rs"]
mod pets;
#[path = "../program/mod.rs"]
mod program;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use pets::{CAT, DOG, pictures};
use program::{only_says, run, text};

const NET: &str = "\
input_shape = [28, 28, 1]
[[layers]]
type = \"Conv2D\"
filters = 4
kernel_size = 5
strides = 3
activation = \"relu\"
[[layers]]
type = \"BatchNormalization\"
[[layers]]
type = \"MaxPooling2D\"
pool_size = 2
[[layers]]
type = \"Dropout\"
rate = 0.1
[[layers]]
type = \"Flatten\"
[[layers]]
type = \"Dense\"
units = 12
activation = \"tanh\"
[[layers]]
type = \"Dense\"
units = 10
activation = \"softmax\"
";

const DEVICE: [&str; 2] = ["--backend", "cpu"];

/// Trains a small network into a folder.
fn train(folder: &Path, name: &str, more: &[&str]) {
    fs::write(folder.join("net.toml"), NET).unwrap();
    let args = [
        "train",
        "--dataset",
        "digits",
        "--model",
        "net.toml",
        "--limit",
        "600",
        "--epochs",
        "2",
        "--out",
        name,
    ];
    let output = run(folder, &[&args[..], &DEVICE, more].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn report(folder: &Path, more: &[&str]) -> std::process::Output {
    run(folder, &[&["report"], &DEVICE[..], more].concat())
}

fn page(folder: &Path, path: &str) -> String {
    fs::read_to_string(folder.join(path)).unwrap()
}

/// The addresses in a page, except for the name of SVG's language.
fn addresses(page: &str) -> Vec<&str> {
    let starts = page.match_indices("http").map(|(at, _)| &page[at..]);
    let all = starts.map(|rest| &rest[..rest.find(['"', '\'', ' ', '<']).unwrap_or(rest.len())]);
    all.filter(|address| *address != "http://www.w3.org/2000/svg")
        .collect()
}

#[test]
fn a_report_has_every_chart_and_the_same_bytes_each_time() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    train(
        path,
        "r",
        &[
            "--validation-split",
            "0.2",
            "--early-stopping",
            "1",
            "--restore-best-weights",
        ],
    );
    let output = report(path, &["r", "--points", "60", "--pictures", "pictures"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "r/report.html\n");
    let first = page(path, "r/report.html");
    for id in [
        "loss",
        "accuracy",
        "learning-rate",
        "confusion-matrix",
        "f1",
        "reliability",
        "network-diagram",
        "filter-grid",
        "image",
        "probabilities",
        "layer-01-conv2d",
        "layer-02-batch-normalization",
        "layer-03-max-pooling2d",
        "layer-07-dense-1",
        "pca",
        "tsne",
        "operation-times",
    ] {
        assert!(first.contains(&format!("<figure id=\"{id}\">")), "no {id}");
    }
    for id in ["saliency-", "grad-cam-", "mistake-"] {
        assert!(first.contains(&format!("<figure id=\"{id}")), "no {id}");
    }
    assert!(!first.contains("class=\"missing\""), "something is missing");
    // A sentence has no place among the numbers at the top.
    let facts = first.split("<nav").next().unwrap();
    let longest = facts
        .split("<dd>")
        .skip(1)
        .map(|fact| fact.find("</dd>").unwrap())
        .max();
    assert!(longest.unwrap() < 20, "{facts}");
    assert!(first.contains("cnn-gpu train --dataset digits --model net.toml"));
    assert!(!first.contains("<script") && !first.contains("<link"));
    assert_eq!(addresses(&first), [""; 0]);
    assert!(first.len() < 2_000_000, "{} bytes", first.len());
    let again = report(path, &["r", "--points", "60"]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert!(page(path, "r/report.html") == first, "the bytes differ");
    let files: BTreeSet<String> = fs::read_dir(path.join("pictures"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    // And the list of them.
    assert_eq!(files.len(), first.matches("<figure ").count() + 1);
    for name in [
        "loss.svg",
        "tsne.svg",
        "filter-grid.png",
        "layer-01-conv2d.png",
    ] {
        assert!(files.contains(name), "{files:?}");
    }
}

#[test]
fn what_cannot_be_shown_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    train(path, "r", &[]);
    let output = report(path, &["r", "--points", "20"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let validated = page(path, "r/report.html");
    assert!(validated.contains("No validation was run"));
    // A file of weights alone.
    fs::copy(
        path.join("r/model.safetensors"),
        path.join("alone.safetensors"),
    )
    .unwrap();
    let args = [
        "alone.safetensors",
        "--dataset",
        "digits",
        "--points",
        "20",
        "--out",
        "alone.html",
    ];
    let output = report(path, &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let alone = page(path, "alone.html");
    for why in [
        "Weights without a run have no history",
        "No times: ",
        "how they were trained is not known",
    ] {
        assert!(alone.contains(why), "{why}");
    }
    // A run whose data set is gone.
    let config = page(path, "r/config.toml").replace("\"digits\"", "\"npz:gone.npz\"");
    fs::write(path.join("r/config.toml"), config).unwrap();
    fs::remove_file(path.join("r/history.jsonl")).unwrap();
    let output = report(path, &["r"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let warned = text(&output.stderr);
    let warnings: Vec<&str> = warned
        .lines()
        .filter(|line| line.starts_with("warning"))
        .collect();
    assert!(
        matches!(warnings[..], [one] if one.contains("gone.npz")),
        "{warnings:?}"
    );
    let gone = page(path, "r/report.html");
    for why in [
        "No confusion matrix",
        "gone.npz",
        "No image to look at",
        "The run has no history",
    ] {
        assert!(gone.contains(why), "{why}");
    }
}

#[test]
fn an_image_and_a_layer_can_be_chosen() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    train(path, "r", &[]);
    let shown = run(path, &["show", "--dataset", "digits", "--out", "five.png"]);
    assert!(shown.status.success());
    for (image, title) in [
        ("17", "Test image 17, labelled "),
        ("five.png", "five.png."),
    ] {
        let args = [
            "r",
            "--image",
            image,
            "--layer",
            "max_pooling2d",
            "--points",
            "10",
        ];
        let output = report(path, &args);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let page = page(path, "r/report.html");
        assert!(
            page.contains(title) && page.contains("output of max_pooling2d"),
            "{image}"
        );
    }
}

#[test]
fn runs_are_compared() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    train(path, "a", &["--seed", "1"]);
    train(
        path,
        "b",
        &["--learning-rate", "0.01", "--validation-split", "0.1"],
    );
    let output = report(path, &["a", "b"]);
    assert_eq!(
        text(&output.stdout),
        "comparison.html\n",
        "{}",
        text(&output.stderr)
    );
    let page = page(path, "comparison.html");
    for part in [
        "<figure id=\"loss\">",
        "<figure id=\"val-accuracy\">",
        "training.seed",
        "training.optimizer.learning_rate",
        "training.validation_split",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(
        !page.contains("training.batch_size"),
        "equal settings are listed"
    );
    // `b` is the only run with a validation, and has the same colour as in the other charts.
    let chart = page.split("<figure id=\"val-accuracy\">").nth(1).unwrap();
    let chart = chart.split("</figure>").next().unwrap();
    assert!(
        chart.contains(">b</text>") && chart.contains("class=\"curve s1\""),
        "{chart}"
    );
    assert!(text(&output.stderr).contains("--backend has no effect"));
    assert_eq!(addresses(&page), [""; 0]);
}

#[test]
fn images_of_a_folder_are_named_by_their_files() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(&path.join("pets"), &[CAT, DOG], 10);
    let model = NET
        .replace("28, 28, 1", "8, 8, 3")
        .replace("units = 10", "units = 2");
    fs::write(
        path.join("pets.toml"),
        model.replace("strides = 3", "strides = 1"),
    )
    .unwrap();
    let args = "train --dataset folder:pets --model pets.toml --epochs 1 --out r";
    let args: Vec<&str> = args.split(' ').collect();
    let trained = run(path, &[&args[..], &DEVICE].concat());
    assert!(trained.status.success(), "{}", text(&trained.stderr));
    let output = report(path, &["r", "--image", "3", "--points", "4"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let page = page(path, "r/report.html");
    // Every fifth picture of each class is held out.
    assert!(page.contains("Test image 3 (dog/009.png), labelled dog."));
    assert!(page.contains("trained on folder pets for 1 epoch"));
    for mistake in page.split("taken for ").skip(1) {
        let caption = mistake.split(['<', '"']).next().unwrap();
        // Points of the map, too, are taken for another class.
        if caption.contains(" with ") {
            assert!(caption.ends_with(".png."), "{caption}");
        }
    }
}

#[test]
fn mistakes_on_the_command_line_are_one_line() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    train(path, "r", &[]);
    for (args, code, says) in [
        (&["nowhere"][..], 1, "nowhere"),
        (
            &["r", "--layer", "conv9"],
            1,
            "no layer `conv9`: expected one of conv2d, ",
        ),
        (
            &["r", "--layer", "flatten"],
            1,
            "layer `flatten`: Grad-CAM needs",
        ),
        (&["r", "--image", "absent.png"], 1, "absent.png"),
        (&["r", "--dataset", "npz:absent.npz"], 1, "absent.npz"),
        (&["r", "--points", "0"], 2, "--points"),
        (&[], 2, "<RUN>"),
        (
            &["r", "net.toml"],
            1,
            "net.toml: is a file; expected the folder of a run",
        ),
        (&["r", "./r"], 2, "given twice"),
        (
            &["r", "--image", "-1"],
            2,
            "no image -1: expected an index from 0",
        ),
    ] {
        only_says(&report(path, args), code, says);
    }
    let beyond = report(path, &["r", "--image", "10000"]);
    assert_eq!(beyond.status.code(), Some(2));
    assert!(text(&beyond.stderr).contains("no image 10000: expected an index below 10000"));
    fs::write(path.join("r/report.html"), "mine").unwrap();
    let kept = report(path, &["r", "--points", "10"]);
    assert!(
        text(&kept.stderr).contains("is not a report"),
        "{}",
        text(&kept.stderr)
    );
    assert_eq!(page(path, "r/report.html"), "mine");
    fs::write(path.join("r/history.jsonl"), "{\n").unwrap();
    only_says(&report(path, &["r"]), 1, "line 1: not an epoch");
}
