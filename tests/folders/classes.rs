//! Matching of classes.

use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::program::{fails, json_lines, run, text};
use super::{CAT, DOG, HORSE, evaluated, model, pictures, train, trained};

/// Trains the run `r` on cats, dogs and horses.
fn train_on_pets(folder: &Path) {
    pictures(&folder.join("pets"), &[CAT, DOG, HORSE], 25);
    model(folder, 3);
    let args = ["--dataset", "folder:pets", "--epochs", "40", "--out", "r"];
    trained(folder, &args);
}

#[test]
fn classes_are_matched_by_name() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    train_on_pets(path);
    // Two of the three classes, at other indices.
    pictures(&path.join("other"), &[DOG, HORSE], 25);
    let (scores, _) = evaluated(path, &["r", "--dataset", "folder:other"]);
    assert_eq!(
        (&scores["accuracy"], &scores["images"]),
        (&1.0.into(), &50.into())
    );
    pictures(&path.join("one"), &[HORSE], 3);
    let (scores, _) = evaluated(path, &["r", "--dataset", "folder:one"]);
    assert_eq!(
        (&scores["accuracy"], &scores["images"]),
        (&1.0.into(), &3.into())
    );
    // The run's own folder, spelt otherwise: only the pictures that it held out.
    let (scores, said) = evaluated(path, &["r", "--dataset", "folder:other/../pets"]);
    assert_eq!(scores["images"], 15, "{said}");
    assert!(said.contains("the images that it holds out"), "{said}");
    // An unknown class.
    pictures(&path.join("kit"), &[DOG, HORSE, ("kitten", CAT.1)], 5);
    let args = [
        "evaluate",
        "r",
        "--dataset",
        "folder:kit",
        "--backend",
        "cpu",
    ];
    let words = [
        "kit: unknown class kitten: expected some of the training classes",
        "(cat, dog, horse)",
    ];
    fails(&run(path, &args), 1, &words);
    // Training from given weights keeps their order of classes.
    pictures(&path.join("more"), &[HORSE, DOG], 10);
    let args = [
        "--dataset",
        "folder:more",
        "--weights",
        "r",
        "--out",
        "further",
    ];
    let (lines, _) = trained(path, &args);
    assert_eq!(lines.last().unwrap()["test_accuracy"], 1.0);
    let output = run(path, &["train", "--resume", "further", "--backend", "cpu"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_model_that_is_trained_further_keeps_the_order_of_its_classes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    train_on_pets(path);
    pictures(&path.join("more"), &[HORSE], 5);
    pictures(&path.join("more"), &[DOG], 20);
    // From the run's file of weights as well as from its folder.
    for weights in ["r", "r/model.safetensors"] {
        let args = ["--dataset", "folder:more", "--weights", weights];
        let (lines, _) = trained(path, &args);
        assert_eq!(lines.last().unwrap()["test_accuracy"], 1.0, "{weights}");
        // The class weights that a dry run recommends are those of the model's classes.
        let output = train(path, &[&args[..], &["--dry-run"]].concat());
        let survey = &json_lines(&output.stdout)[0];
        assert_eq!(survey["classes"], json!(["cat", "dog", "horse"]));
        assert_eq!(
            survey["imbalance"]["class_weights"],
            json!([null, 0.625, 2.5])
        );
    }
}

#[test]
fn a_new_class_takes_the_output_of_one_that_the_data_lack() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(&path.join("old"), &[CAT, DOG], 10);
    pictures(&path.join("new"), &[("aardvark", [20, 20, 200]), CAT], 10);
    model(path, 2);
    trained(path, &["--dataset", "folder:old", "--out", "r"]);
    let args = ["--dataset", "folder:new", "--weights", "r", "--out", "s"];
    let note = "the weights were trained on the classes cat, dog, but the model's outputs are now cat, aardvark";
    let output = train(path, &[&args[..], &["--dry-run"]].concat());
    let survey = &json_lines(&output.stdout)[0];
    assert_eq!(survey["classes"], json!(["cat", "aardvark"]));
    assert!(
        survey["notes"].as_array().unwrap().contains(&json!(note)),
        "{survey}"
    );
    let (_, said) = trained(path, &args);
    assert!(said.contains(note), "{said}");
    let config = fs::read_to_string(path.join("s/config.toml")).unwrap();
    assert!(
        config.contains("class_names = [\"cat\", \"aardvark\"]"),
        "{config}"
    );
}

#[test]
fn classes_without_pictures_to_train_or_test_on_are_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(&path.join("pets"), &[CAT], 20);
    pictures(&path.join("pets"), &[DOG], 4);
    model(path, 2);
    let args = ["--dataset", "folder:pets", "--limit", "2", "--out", "r"];
    let (_, said) = trained(path, &args);
    assert!(
        said.contains("warning: classes without images: dog"),
        "{said}"
    );
    let (_, said) = trained(path, &args[..2]);
    assert!(
        said.contains("warning: classes without test images"),
        "{said}"
    );
    let output = run(path, &["data", "folder:pets"]);
    let lines = text(&output.stdout);
    assert!(
        lines.contains("classes without test images: dog"),
        "{lines}"
    );
    assert!(
        lines.contains("every fifth picture of each class that has five"),
        "{lines}"
    );
}

#[test]
fn a_dry_run_fails_where_the_run_would() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(&path.join("pets"), &[CAT, DOG], 10);
    model(path, 2);
    for (args, words) in [
        (
            "--lr-schedule cosine:1.9",
            "its warm-up takes 2 of the run's 2 steps",
        ),
        ("--validation-split 0.99", "to train on and 16 to validate"),
        ("--validation-data val", "has no validation images"),
        ("--class-weight 0=0,1=0", "gives every class the weight 0"),
        (
            "--threads 1 --validation-data val",
            "has no validation images",
        ),
    ] {
        let args: Vec<&str> = args
            .split(' ')
            .chain(["--dataset", "folder:pets"])
            .collect();
        for dry in [&[][..], &["--dry-run"]] {
            fails(&train(path, &[&args[..], dry].concat()), 2, &[words]);
        }
    }
    let args = ["--dataset", "folder:pets", "--out", "r"];
    trained(path, &args);
    let output = train(path, &[&args[..], &["--dry-run"]].concat());
    fails(&output, 1, &["existing runs are never overwritten"]);
}

#[test]
fn folders_named_by_digits_are_matched_by_number() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let args =
        "train --backend cpu --dataset digits --limit 2000 --epochs 2 --model mnist-mlp --out r";
    let args: Vec<&str> = args.split(' ').collect();
    assert!(run(path, &args).status.success());
    let data = cnn_gpu::data::digits::generate(60, 5, 0);
    for i in 0..data.len() {
        // Without 0 and 1, so that the other classes have other indices.
        let label = data.labels()[i];
        if label > 1 {
            let class = path.join("d").join(label.to_string());
            fs::create_dir_all(&class).unwrap();
            let pixels = data.image(i).to_vec();
            let picture = image::GrayImage::from_raw(28, 28, pixels).unwrap();
            picture.save(class.join(format!("{i}.png"))).unwrap();
        }
    }
    let (scores, _) = evaluated(path, &["r", "--dataset", "folder:d"]);
    assert!(scores["accuracy"].as_f64().unwrap() > 0.6, "{scores}");
}

#[test]
fn classes_in_validation_but_not_in_training_are_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let idx = |dims: &[u32], data: &[u8]| {
        let mut bytes = vec![0, 0, 8, dims.len() as u8];
        dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
        [&bytes, data].concat()
    };
    // Sorted by class, as arrays should not be.
    for (set, n) in [("train", 30_u8), ("t10k", 6)] {
        let labels: Vec<u8> = (0..n).map(|i| i / (n / 3)).collect();
        let images: Vec<u8> = labels.iter().flat_map(|l| [l * 90; 192]).collect();
        let write = |name: &str, bytes: &[u8]| fs::write(path.join(name), bytes).unwrap();
        write(
            &format!("{set}-images"),
            &idx(&[n.into(), 8, 8, 3], &images),
        );
        write(&format!("{set}-labels"), &idx(&[n.into()], &labels));
    }
    model(path, 3);
    let args = [
        "--dataset",
        "idx:.",
        "--validation-split",
        "0.4",
        "--verbose",
        "0",
    ];
    let (_, said) = trained(path, &args);
    // Two of the last twelve images are of class 1, which occurs in training.
    let words = "warning: 10 validation images belong to classes without training images: 2";
    assert!(said.contains(words), "{said}");
    assert!(
        said.contains("shuffle the images before saving them"),
        "{said}"
    );
    // A limit takes some of each class, so the test set has no unknown one.
    let (lines, said) = trained(
        path,
        &["--dataset", "idx:.", "--limit", "6", "--verbose", "0"],
    );
    assert_eq!(lines.last().unwrap()["train_images"], 6);
    assert!(!said.contains("warning"), "{said}");
}
