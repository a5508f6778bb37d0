//! The training, validation and test part of a folder.

use std::fs;

use cnn_gpu::data::folder::{self, Reason, Tested};
use cnn_gpu::data::{DatasetSpec, ReadOptions};
use tempfile::TempDir;

use super::program::{fails, run, text};
use super::{CAT, DOG, evaluated, model, pictures, train, trained};

#[test]
fn the_parts_are_recognised_by_the_usual_names() {
    // The names of the parts, the number of validation and test pictures, and where the latter are
    // from.
    let cases: [(&[&str], Option<usize>, usize, Tested); 8] = [
        (&["train", "val", "test"], Some(4), 6, Tested::Apart),
        (&["train", "valid"], Some(4), 4, Tested::OnValidation),
        (&["training", "testing"], None, 4, Tested::Apart),
        (&["Train", "Test"], None, 4, Tested::Apart),
        (&["train", "validation"], Some(4), 4, Tested::OnValidation),
        (&["training_set", "test_set"], None, 4, Tested::Apart),
        (&["TRAIN", "DEV", "TEST"], Some(4), 6, Tested::Apart),
        (&["train"], None, 2, Tested::Fifth),
    ];
    for (names, validation, test, tested) in cases {
        let folder = TempDir::new().unwrap();
        for (i, name) in names.iter().enumerate() {
            let count = [5, 2, 3][i];
            pictures(&folder.path().join(name), &[CAT, DOG], count);
        }
        let parts = folder::find(folder.path(), &ReadOptions::default()).unwrap();
        let kept = if tested == Tested::Fifth { 8 } else { 10 };
        assert_eq!(parts.train.len(), kept, "{names:?}");
        assert_eq!(parts.validation.map(|v| v.len()), validation, "{names:?}");
        assert_eq!(
            (parts.test.len(), parts.tested),
            (test, tested),
            "{names:?}"
        );
        let spec = DatasetSpec::Folder(folder.path().into());
        assert_eq!(spec.has_validation(), validation.is_some());
    }
    // A class may be called `train`.
    let folder = TempDir::new().unwrap();
    pictures(folder.path(), &[("bus", CAT.1), ("train", DOG.1)], 5);
    let opened = folder::find(folder.path(), &ReadOptions::default()).unwrap();
    assert_eq!(opened.train.classes(), ["bus", "train"]);
    // A folder next to the parts, a second folder for a part, and pictures without a class.
    for part in ["train", "val", "valid", "extra"] {
        pictures(&folder.path().join("parts").join(part), &[CAT, DOG], 5);
    }
    pictures(&folder.path().join("parts"), &[("test", [7; 3])], 3);
    let opened = folder::find(&folder.path().join("parts"), &ReadOptions::default()).unwrap();
    assert_eq!(opened.tested, Tested::OnValidation);
    assert_eq!(opened.skipped.count(Reason::NoClass), 10 + 3);
    assert_eq!(opened.skipped.count(Reason::SecondPart), 1);
    // No training pictures.
    pictures(&folder.path().join("no/val"), &[CAT, DOG], 5);
    pictures(&folder.path().join("no/test"), &[CAT, DOG], 5);
    let error = folder::find(&folder.path().join("no"), &ReadOptions::default()).unwrap_err();
    assert!(
        error.to_string().contains("no training pictures"),
        "{error}"
    );
}

#[test]
fn validation_pictures_are_used_for_validation() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    model(path, 2);
    for (part, count) in [("train", 20), ("valid", 8), ("test", 6)] {
        pictures(&path.join("d").join(part), &[CAT, DOG], count);
    }
    let args = |more: &'static str| -> Vec<&'static str> {
        let more = more.split(' ').filter(|word| !word.is_empty());
        ["--dataset", "folder:d"].into_iter().chain(more).collect()
    };
    let (lines, said) = trained(path, &args("--early-stopping 1 --out early"));
    assert!(lines[0]["val_loss"].is_number());
    assert!(said.contains("16 to validate on, 12 to test on"), "{said}");
    let config = fs::read_to_string(path.join("early/config.toml")).unwrap();
    assert!(config.contains("validation = \"val\""), "{config}");
    let output = run(path, &["train", "--resume", "early", "--backend", "cpu"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (lines, _) = trained(path, &args("--validation-data test --out test"));
    let last = lines.last().unwrap();
    assert_eq!(lines[1]["val_loss"], last["test_loss"]);
    let (_, said) = trained(path, &args("--validation-split 0.5 --out split"));
    assert!(
        said.contains("skipped: the data set's validation images"),
        "{said}"
    );
    // A run cannot be resumed with other validation pictures.
    fs::remove_file(path.join("d/valid/cat/000.png")).unwrap();
    let output = run(path, &["train", "--resume", "early", "--backend", "cpu"]);
    fails(&output, 2, &["this differs: the validation images"]);
    // Nor with other test pictures, even if it has finished.
    let moved = path.join("moved.png");
    fs::rename(path.join("d/test/cat/001.png"), &moved).unwrap();
    let output = run(path, &["train", "--resume", "split", "--backend", "cpu"]);
    fails(&output, 2, &["this differs: the test images"]);
    fs::rename(moved, path.join("d/test/cat/001.png")).unwrap();
    fs::remove_dir_all(path.join("d/valid")).unwrap();
    let output = train(path, &args("--validation-data val"));
    fails(&output, 2, &["has no validation images"]);
    let output = train(path, &args("--early-stopping 1"));
    fails(
        &output,
        2,
        &["there are no validation images to measure val_loss on"],
    );
}

#[test]
fn evaluate_uses_all_pictures_of_a_folder_without_parts() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(&path.join("pets"), &[CAT, DOG], 25);
    model(path, 2);
    trained(path, &["--dataset", "folder:pets", "--out", "r"]);
    for count in [3, 10] {
        let name = format!("hold{count}");
        pictures(&path.join(&name), &[CAT, DOG], count);
        let (scores, said) = evaluated(path, &["r", "--dataset", &format!("folder:{name}")]);
        assert_eq!(scores["images"], 2 * count);
        assert!(said.contains("all pictures in"), "{said}");
    }
    // Its own data set: the pictures that it was not trained on.
    for args in [&["r"][..], &["r", "--dataset", "folder:pets"]] {
        assert_eq!(evaluated(path, args).0["images"], 10);
    }
    // A folder with parts: its test part.
    pictures(&path.join("d/val"), &[CAT, DOG], 4);
    assert_eq!(
        evaluated(path, &["r", "--dataset", "folder:d"]).0["images"],
        8
    );
    pictures(&path.join("d/test"), &[DOG], 3);
    assert_eq!(
        evaluated(path, &["r", "--dataset", "folder:d"]).0["images"],
        3
    );
}
