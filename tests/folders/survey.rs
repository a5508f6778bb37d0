//! The description of a data set.

use std::collections::BTreeSet;
use std::fs;

use image::{Rgb, RgbImage};
use tempfile::TempDir;

use super::program::{fails, json_lines, run, text};
use super::{CAT, DOG, model, pictures, train, trained};

#[test]
fn a_data_set_is_described_without_training() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(&path.join("d/train"), &[DOG], 20);
    pictures(&path.join("d/train"), &[CAT], 6);
    pictures(&path.join("d/test"), &[CAT, DOG], 3);
    fs::write(path.join("d/train/cat/bad.png"), "").unwrap();
    fs::write(path.join("d/train/cat/raw.heic"), "").unwrap();
    RgbImage::from_pixel(30, 20, Rgb([1, 2, 3]))
        .save(path.join("d/test/cat/large.bmp"))
        .unwrap();
    let output = run(path, &["data", "folder:d", "--format", "json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let survey = &json_lines(&output.stdout)[0];
    assert_eq!(survey["classes"], serde_json::json!(["cat", "dog"]));
    assert_eq!(survey["parts"][0]["by_class"], serde_json::json!([6, 20]));
    assert_eq!(survey["parts"][1]["by_class"], serde_json::json!([4, 3]));
    assert_eq!(survey["sizes"]["smallest"], serde_json::json!([8, 8]));
    assert_eq!(survey["sizes"]["largest"], serde_json::json!([30, 20]));
    assert_eq!(survey["formats"], serde_json::json!({"bmp": 1, "png": 32}));
    assert_eq!(survey["passed_over"][0]["reason"], "format");
    assert_eq!(survey["unreadable"]["count"], 1);
    let weights = survey["imbalance"]["class_weights"].as_array().unwrap();
    let weights: Vec<f64> = weights.iter().map(|w| w.as_f64().unwrap()).collect();
    assert_eq!(weights, [26.0 / 12.0, 26.0 / 40.0]);
    // The test pictures equal the first training pictures.
    let duplicates = &survey["duplicates"][0];
    assert_eq!(
        (&duplicates["part"], &duplicates["also_in"]),
        (&"test".into(), &"train".into())
    );
    assert_eq!(
        (&duplicates["count"], &duplicates["with_other_class"]),
        (&6.into(), &0.into())
    );
    let first = serde_json::json!(["test/cat/000.png", "train/cat/000.png"]);
    assert_eq!(duplicates["first"][0], first);

    model(path, 2);
    let args = ["--dataset", "folder:d", "--dry-run", "--skip-unreadable"];
    let (lines, _) = trained(path, &args);
    assert_eq!(lines[0]["unreadable"]["skipped"], true);

    let output = run(path, &["data", "folder:d"]);
    let said = text(&output.stdout);
    for words in [
        "class  train  test\n",
        "\ncat        6     4\n",
        "\n\nsizes        8x8 smallest, 8x8 median, 30x20 largest",
        "\nformats      bmp 1, png 32\n",
        "1 picture in an unsupported format (1 .heic)",
        "1 picture cannot be read",
        "--class-weight 0=2.1667,1=0.6500",
        "6 test images repeat the pixels of a train image",
        "test/cat/000.png = train/cat/000.png",
    ] {
        assert!(said.contains(words), "no {words} in {said}");
    }

    // Split as a run would, without training.
    model(path, 2);
    pictures(&path.join("flat"), &[CAT, DOG], 20);
    let args = "--dataset folder:flat --validation-split 0.25 --limit 24 --dry-run --out r";
    let (lines, _) = trained(path, &args.split(' ').collect::<Vec<_>>());
    let parts: Vec<_> = lines[0]["parts"].as_array().unwrap().iter().collect();
    let images: Vec<u64> = parts
        .iter()
        .map(|p| p["images"].as_u64().unwrap())
        .collect();
    assert_eq!(images, [18, 6, 8]);
    assert!(!path.join("r").exists() && !path.join("runs").exists());
    model(path, 1);
    let args = ["--dataset", "folder:flat", "--dry-run"];
    let output = train(path, &args);
    fails(
        &output,
        1,
        &["expected 1 class, one per unit of the last layer"],
    );

    let output = run(path, &["data", "digits", "--format", "json"]);
    let survey = &json_lines(&output.stdout)[0];
    assert_eq!(survey["parts"][0]["images"], 60_000);
    let names: BTreeSet<&str> = (survey["classes"].as_array().unwrap().iter())
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 10);
}
