//! Which sub-folders of a folder of pictures are parts of a data set, and which are classes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pets;
mod program;

use std::fs;
use std::path::Path;

use cnn_gpu::data::folder::{self, Parts, Reason, Tested};
use cnn_gpu::data::{DatasetSpec, ReadOptions};
use tempfile::TempDir;

use pets::{CAT, DOG, pictures};
use program::{fails, json_lines, run, text};

/// Makes the sub-folders with cats and dogs in each, 5, 2 and 3 of each class.
fn with(names: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, count) in names.split(' ').zip([5, 2, 3, 4]) {
        pictures(&folder.path().join(name), &[CAT, DOG], count);
    }
    folder
}

fn find(path: &Path) -> Result<Parts, String> {
    folder::find(path, &ReadOptions::default()).map_err(|error| error.to_string())
}

#[test]
fn parts_are_known_with_numbers_and_words_beside_their_names() {
    // How many pictures there are to validate and test on.
    let cases: [(&str, Option<usize>, usize, Tested); 14] = [
        ("train2017 val2017", Some(4), 4, Tested::OnValidation),
        ("01_train 02_val 03_test", Some(4), 6, Tested::Apart),
        ("seg_train seg_test", None, 4, Tested::Apart),
        ("seg_train seg_test seg_pred", None, 4, Tested::Apart),
        (
            "asl-alphabet-train asl-alphabet-test",
            None,
            4,
            Tested::Apart,
        ),
        ("train_imgs test_imgs", None, 4, Tested::Apart),
        ("train1 test1", None, 4, Tested::Apart),
        ("train tests", None, 4, Tested::Apart),
        ("train holdout", None, 4, Tested::Apart),
        ("train hold_out", None, 4, Tested::Apart),
        ("trainval test", None, 4, Tested::Apart),
        ("train_val test", None, 4, Tested::Apart),
        ("train unlabeled", None, 2, Tested::Fifth),
        (
            "TrainDataset EvaluationDataset",
            Some(4),
            4,
            Tested::OnValidation,
        ),
    ];
    for (names, validation, test, tested) in cases {
        let folder = with(names);
        let parts = find(folder.path()).unwrap();
        assert_eq!(parts.train.classes(), ["cat", "dog"], "{names}");
        let found = (
            parts.validation.map(|v| v.len()),
            parts.test.len(),
            parts.tested,
        );
        assert_eq!(found, (validation, test, tested), "{names}");
        let spec = DatasetSpec::Folder(folder.path().into());
        assert_eq!(spec.has_validation(), validation.is_some(), "{names}");
    }
    // The plain name is taken, and what is not taken is counted.
    let folder = with("train train2 val test");
    let parts = find(folder.path()).unwrap();
    assert!(parts.train.path().ends_with("train"));
    assert_eq!(parts.skipped.count(Reason::SecondPart), 1);
    let parts = find(with("train unlabeled").path()).unwrap();
    assert_eq!(parts.skipped.count(Reason::NoClass), 4);
    // Classes may be called so.
    let folder = TempDir::new().unwrap();
    for class in ["freight_train", "crash_test"] {
        pictures(folder.path(), &[(class, CAT.1)], 5);
    }
    assert_eq!(find(folder.path()).unwrap().train.classes().len(), 2);
}

#[test]
fn what_looks_like_parts_and_is_none_by_name_is_refused() {
    for names in [
        "old new",
        "train foo",
        "fold1 fold2 fold3",
        "train1 train2",
        "labelled test_a",
    ] {
        let folder = with(names);
        let problem = find(folder.path()).unwrap_err();
        for words in ["part", "cat, dog", "rename"] {
            assert!(problem.contains(words), "{names}: {problem}");
        }
    }
    // Pictures without a class next to the training pictures.
    let folder = with("train");
    pictures(folder.path(), &[("foo", CAT.1)], 3);
    let problem = find(folder.path()).unwrap_err();
    assert!(problem.contains("but foo next to it does not"), "{problem}");
    // The classes hold the parts.
    let folder = TempDir::new().unwrap();
    for class in ["cat", "dog"] {
        pictures(
            &folder.path().join(class),
            &[("train", CAT.1), ("test", DOG.1)],
            5,
        );
    }
    let problem = find(folder.path()).unwrap_err();
    assert!(
        problem.contains("expected parts that contain classes"),
        "{problem}"
    );
    // Through the program, which trains nothing.
    let folder = with("old new");
    for args in [
        &["data"][..],
        &["train", "--backend", "cpu", "--dataset"],
        &["show", "--dataset"],
    ] {
        let output = run(folder.path(), &[args, &["folder:."]].concat());
        fails(&output, 1, &["look like parts of a data set"]);
    }
    // Each class may keep its pictures in one folder, and in folders of different names.
    let folder = TempDir::new().unwrap();
    pictures(
        &folder.path().join("cat"),
        &[("images", CAT.1), ("indoor", CAT.1)],
        5,
    );
    pictures(
        &folder.path().join("dog"),
        &[("images", DOG.1), ("beach", DOG.1)],
        5,
    );
    assert_eq!(find(folder.path()).unwrap().train.classes(), ["cat", "dog"]);
    // Some may lie in sub-folders, beside others.
    pictures(&folder.path().join("dog"), &[("indoor", DOG.1)], 5);
    pictures(folder.path(), &[DOG], 1);
    assert_eq!(find(folder.path()).unwrap().train.classes(), ["cat", "dog"]);
}

#[test]
fn parts_without_folders_of_classes_are_named() {
    let folder = TempDir::new().unwrap();
    for name in ["bus", "test", "train"] {
        pictures(folder.path(), &[(name, CAT.1)], 5);
    }
    let problem = find(folder.path()).unwrap_err();
    let words = "train is the training part by its name, but holds pictures and no class folders";
    assert!(problem.contains(words), "{problem}");
}

#[test]
fn runs_and_folders_without_pictures_do_not_hide_a_lone_part() {
    let folder = with("train");
    let path = folder.path();
    fs::create_dir_all(path.join("empty/deeper")).unwrap();
    fs::create_dir(path.join("labels")).unwrap();
    fs::write(path.join("labels/cat.txt"), "0").unwrap();
    let net = "input_shape = [8, 8, 3]\n[[layers]]\ntype = \"Flatten\"\n[[layers]]\ntype = \"Dense\"\n\
               units = 2\nactivation = \"softmax\"\n";
    fs::write(path.join("net.toml"), net).unwrap();
    let args = "train --backend cpu --model net.toml --epochs 1 --format json --tensorboard logs \
                --dataset folder:.";
    for _ in 0..2 {
        let output = run(
            path,
            &args
                .split(' ')
                .filter(|a| !a.is_empty())
                .collect::<Vec<_>>(),
        );
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(
            json_lines(&output.stdout).last().unwrap()["train_images"],
            8
        );
    }
}

#[test]
fn a_path_that_is_no_folder_is_named_as_such() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    for name in ["nope", "file"] {
        let problem = find(&folder.path().join(name)).unwrap_err();
        assert!(
            problem.contains("cannot be read as a folder: "),
            "{problem}"
        );
        assert!(!problem.contains("readable file"), "{problem}");
    }
    pictures(folder.path(), &[CAT], 5);
    let problem = find(folder.path()).unwrap_err();
    assert!(
        problem.contains("found 1 sub-folder with pictures: "),
        "{problem}"
    );
}

#[test]
fn any_folder_with_a_picture_is_described_and_shown() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(&path.join("few"), &[CAT, DOG], 3);
    pictures(&path.join("one"), &[CAT], 1);
    pictures(&path.join("train/train"), &[CAT], 7);
    for (name, images) in [("few", 6), ("one", 1), ("train", 6)] {
        let dataset = format!("folder:{name}");
        let output = run(path, &["data", &dataset, "--format", "json"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let survey = &json_lines(&output.stdout)[0];
        assert_eq!(survey["parts"][0]["images"], images);
        let notes = survey["notes"].to_string();
        assert_eq!(
            notes.contains("there are no test pictures"),
            name != "train",
            "{notes}"
        );
        assert_eq!(
            notes.contains("at least two classes"),
            name != "few",
            "{notes}"
        );
        let output = run(path, &["show", "--dataset", &dataset]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        // To train on it is another thing.
        let output = run(path, &["train", "--backend", "cpu", "--dataset", &dataset]);
        fails(&output, 1, &["expected"]);
    }
    let output = run(path, &["show", "--dataset", "folder:one", "--test"]);
    fails(&output, 2, &["has no test samples"]);
    let output = run(path, &["show", "--dataset", "folder:one", "--index", "5"]);
    fails(&output, 2, &["--index must be below 1"]);
}

#[test]
fn what_is_named_is_in_the_order_of_the_paths() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(path, &[CAT, DOG], 12);
    for i in 1..12 {
        fs::copy(
            path.join("cat/000.png"),
            path.join(format!("cat/{i:03}.png")),
        )
        .unwrap();
        fs::write(path.join(format!("dog/{i:03}.png")), "").unwrap();
    }
    let output = run(path, &["data", "folder:.", "--format", "json"]);
    let survey = &json_lines(&output.stdout)[0];
    let unreadable = survey["unreadable"]["first"].as_array().unwrap();
    for (i, line) in (1..=10).zip(unreadable) {
        assert!(
            line.as_str().unwrap().contains(&format!("dog/{i:03}.png")),
            "{line}"
        );
    }
    let duplicates = survey["duplicates"].as_array().unwrap();
    let own = duplicates
        .iter()
        .find(|d| d["part"] == "train" && d["also_in"] == "train")
        .unwrap();
    for (i, pair) in [1, 2, 3, 5, 6, 7, 8]
        .into_iter()
        .zip(own["first"].as_array().unwrap())
    {
        let names = [format!("cat/{i:03}.png"), "cat/000.png".into()];
        assert_eq!(*pair, serde_json::json!(names));
    }
    // Nothing that can be read has no size.
    for class in ["cat", "dog"] {
        for i in 0..12 {
            fs::write(path.join(format!("{class}/{i:03}.png")), "").unwrap();
        }
    }
    let output = run(path, &["data", "folder:."]);
    let said = text(&output.stdout);
    assert!(
        !said.contains("sizes") && said.contains("24 pictures cannot be read"),
        "{said}"
    );
}

#[test]
fn a_class_that_cannot_be_read_at_all_is_not_passed_over() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(path, &[CAT, DOG, ("horse", [20, 20, 200])], 10);
    let read = ReadOptions::default().skip_unreadable(true);
    let splits = |said: &mut Vec<String>| {
        folder::splits(path, &read, &mut |event| said.push(event.to_string()))
            .map_err(|error| error.to_string())
    };
    // Those to test on: the fifth and the tenth.
    for i in [4, 9] {
        fs::write(path.join(format!("dog/{i:03}.png")), "").unwrap();
    }
    let mut said = Vec::new();
    assert_eq!(splits(&mut said).unwrap().train.len(), 24);
    assert!(
        said.contains(&"no validation or test picture of class dog can be read".into()),
        "{said:?}"
    );
    for i in 0..10 {
        fs::write(path.join(format!("dog/{i:03}.png")), "").unwrap();
    }
    let problem = splits(&mut Vec::new()).unwrap_err();
    assert!(
        problem.contains("no training picture of class dog can be read"),
        "{problem}"
    );
}
