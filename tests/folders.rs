//! Folders of pictures as users have them: which files are read, which are skipped, and which parts
//! they form.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cnn_gpu::data::folder::{self, Reason, Tested};
use cnn_gpu::data::{
    DatasetSpec, Event, ImageFolder, Interpolation, ReadOptions, Sources, Splits, load_from,
};
use image::{Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::Value;
use tempfile::TempDir;

use program::{fails, json_lines, only_says, run, text};

/// Creates pictures of 8x8 pixels, all different, with one colour per class.
fn pictures(folder: &Path, classes: &[(&str, [u8; 3])], count: u8) {
    for (class, colour) in classes {
        let folder = folder.join(class);
        fs::create_dir_all(&folder).unwrap();
        for i in 0..count {
            let [r, g, b] = colour.map(|c| c.saturating_add(i));
            RgbImage::from_fn(8, 8, |x, y| Rgb([r, g, b.saturating_add((x * y) as u8)]))
                .save(folder.join(format!("{i:03}.png")))
                .unwrap();
        }
    }
}

const CAT: (&str, [u8; 3]) = ("cat", [200, 20, 20]);
const DOG: (&str, [u8; 3]) = ("dog", [20, 200, 20]);
const HORSE: (&str, [u8; 3]) = ("horse", [20, 20, 200]);

/// Writes a small model as a TOML file.
fn model(folder: &Path, classes: usize) {
    let text = format!(
        "input_shape = [8, 8, 3]\n[[layers]]\ntype = \"Flatten\"\n[[layers]]\ntype = \"Dense\"\n\
         units = {classes}\nactivation = \"softmax\"\n"
    );
    fs::write(folder.join("net.toml"), text).unwrap();
}

fn train(folder: &Path, more: &[&str]) -> std::process::Output {
    let args = "train --backend cpu --model net.toml --format json --epochs 2";
    let args: Vec<&str> = args.split(' ').collect();
    run(folder, &[&args, more].concat())
}

/// Trains, and returns the lines of standard output and standard error.
#[track_caller]
fn trained(folder: &Path, more: &[&str]) -> (Vec<Value>, String) {
    let output = train(folder, more);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    (json_lines(&output.stdout), said)
}

#[track_caller]
fn evaluated(folder: &Path, more: &[&str]) -> (Value, String) {
    let args = ["evaluate", "--backend", "cpu", "--format", "json"];
    let output = run(folder, &[&args, more].concat());
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    (json_lines(&output.stdout)[0].clone(), said)
}

/// Loads a folder with the library. Returns its messages too.
fn load(path: &Path, read: ReadOptions) -> (Splits, Vec<String>) {
    let mut sources = Sources::from_env(None);
    sources.read = read;
    let mut told = Vec::new();
    let mut tell = |event: &Event| told.push(event.to_string());
    let splits = load_from(DatasetSpec::Folder(path.into()), &sources, &mut tell).unwrap();
    (splits, told)
}

#[test]
fn a_validation_split_of_a_folder_has_every_class() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(&path.join("two"), &[CAT, DOG], 25);
    model(path, 2);
    let args = "--dataset folder:two --validation-split 0.5 --epochs 30 --out r";
    let args: Vec<&str> = args.split(' ').collect();
    let (lines, said) = trained(path, &args);
    assert!(!said.contains("never trained on"), "{said}");
    let last = &lines[29];
    assert_eq!(last["val_accuracy"], 1.0, "{last}");
    for (seed, share) in [(1, 0.5), (2, 0.2), (3, 0.1)] {
        let (splits, _) = load(&path.join("two"), ReadOptions::default().seed(seed));
        let labels = &splits.train.labels();
        let kept = (labels.len() as f64 * (1.0 - share)) as usize;
        let cats = labels[kept..].iter().filter(|l| **l == 0).count();
        let dogs = labels.len() - kept - cats;
        assert!(cats.abs_diff(dogs) <= 1, "{cats} cats, {dogs} dogs");
    }
}

#[test]
fn a_limit_takes_a_share_of_every_class_by_seed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(path, &[CAT, DOG, HORSE], 20);
    let sample = |seed: u64| {
        let read = ReadOptions::default().seed(seed).limit(12);
        load(path, read).0.train
    };
    for class in 0..3 {
        let sampled = sample(1);
        let labels = sampled.labels().iter();
        assert_eq!(labels.filter(|l| **l == class).count(), 4);
    }
    assert_eq!(sample(1), sample(1));
    assert_ne!(sample(1).fingerprint(), sample(2).fingerprint());
}

#[test]
fn a_resumed_run_reads_the_same_pictures() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(&path.join("d"), &[CAT, DOG], 25);
    fs::write(path.join("d/cat/003.png"), "").unwrap();
    model(path, 2);
    let args =
        "--dataset folder:d --validation-split 0.25 --limit 30 --seed 9 --skip-unreadable --out r";
    let args: Vec<&str> = args.split(' ').collect();
    trained(path, &args);
    let config = fs::read_to_string(path.join("r/config.toml")).unwrap();
    for line in ["mixed = true", "limit = 30", "skip_unreadable = true"] {
        assert!(config.lines().any(|l| l == line), "{config}");
    }
    let resume = ["train", "--resume", "r", "--backend", "cpu"];
    let output = run(path, &resume);
    let said = text(&output.stderr);
    assert!(
        output.status.success() && said.contains("resuming after"),
        "{said}"
    );
    let output = run(path, &[&resume[..], &["--limit", "29"]].concat());
    fails(&output, 2, &["--limit would change them"]);
    // A run of an earlier version did not mix the pictures, so it reads others.
    let old: Vec<&str> = config
        .lines()
        .filter(|l| {
            !["mixed", "limit", "skip_unreadable"]
                .iter()
                .any(|k| l.starts_with(k))
        })
        .collect();
    fs::write(path.join("r/config.toml"), old.join("\n")).unwrap();
    fs::remove_file(path.join("d/cat/003.png")).unwrap();
    fails(
        &run(path, &resume),
        2,
        &["this differs: the training images"],
    );
}

#[test]
fn classes_are_matched_by_name() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(&path.join("pets"), &[CAT, DOG, HORSE], 25);
    model(path, 3);
    let args = ["--dataset", "folder:pets", "--epochs", "40", "--out", "r"];
    trained(path, &args);
    // Two of the three classes, with other indices.
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
    // An unknown name.
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
    // Fine-tuned weights keep the order of their classes.
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
fn folders_of_digits_are_matched_by_number() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let args =
        "train --backend cpu --dataset digits --limit 2000 --epochs 2 --model mnist-mlp --out r";
    let args: Vec<&str> = args.split(' ').collect();
    assert!(run(path, &args).status.success());
    let data = cnn_gpu::data::digits::generate(60, 5, 0);
    for i in 0..data.len() {
        // Without 0 and 1, so that the others have other indices.
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
fn sub_folders_are_searched_and_skipped_files_are_counted() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(path, &[CAT, DOG], 10);
    for i in 0..6 {
        let deep = path.join("cat/more").join((i % 2).to_string());
        fs::create_dir_all(&deep).unwrap();
        fs::copy(path.join("cat/000.png"), deep.join(format!("{i}.PNG"))).unwrap();
    }
    let files = [
        "cat/a.heic",
        "dog/b.heic",
        "dog/c.avif",
        "notes.txt",
        "cat/more/labels.csv",
        "dog/.hidden.png",
        ".DS_Store",
        "Thumbs.db",
    ];
    for file in files {
        fs::write(path.join(file), "x").unwrap();
    }
    fs::copy(path.join("cat/000.png"), path.join("cover.png")).unwrap();
    let opened = ImageFolder::open(path, None).unwrap();
    assert_eq!((opened.len(), opened.shape()), (26, [8, 8, 3]));
    let counts = [
        (Reason::Format, 3),
        (Reason::NoClass, 1),
        (Reason::NoPicture, 2),
        (Reason::Hidden, 3),
        (Reason::Runs, 0),
    ];
    for (reason, count) in counts {
        assert_eq!(opened.skipped().count(reason), count, "{reason:?}");
    }
    let (_, told) = load(path, ReadOptions::default());
    let shown = path.display();
    let expected = [
        format!("skipped: {shown}: 3 pictures in unsupported formats (2 .heic, 1 .avif)"),
        format!("skipped: {shown}: 1 picture outside all class folders ({shown}/cover.png)"),
        format!("skipped: {shown}: 2 files that are not pictures (1 .csv, 1 .txt)"),
    ];
    assert_eq!(told[..3], expected);
    assert!(told[3].starts_with(&format!("skipped: {shown}: 3 hidden files and folders")));

    // Files that look like pictures are reported at any level, other files unless output is off.
    let above = path.parent().unwrap();
    let dataset = format!("folder:{shown}");
    let site = TempDir::new_in(above).unwrap();
    model(site.path(), 2);
    let args = ["--dataset", &dataset, "--out", "r", "--verbose"];
    let (_, said) = trained(site.path(), &[&args[..], &["0"]].concat());
    assert!(
        said.contains("warning: skipped") && !said.contains("not pictures"),
        "{said}"
    );
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_cycles() {
    use std::os::unix::fs::symlink;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("d");
    pictures(&path, &[CAT, DOG], 5);
    pictures(&folder.path().join("elsewhere"), &[("more", [9; 3])], 4);
    symlink(folder.path().join("elsewhere/more"), path.join("cat/more")).unwrap();
    symlink(&path, path.join("dog/up")).unwrap();
    symlink(path.join("dog"), folder.path().join("elsewhere/more/dog")).unwrap();
    let opened = ImageFolder::open(&path, None).unwrap();
    // Five pictures, four through the link, and the dogs through a link within; the dogs.
    let classes: Vec<usize> = opened.files().map(|(_, class)| class).collect();
    let count = |of| classes.iter().filter(|class| **class == of).count();
    assert_eq!((count(0), count(1)), (14, 5));
    assert_eq!(opened.skipped().count(Reason::Loop), 2);
}

#[test]
fn run_folders_are_skipped() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(path, &[CAT, DOG], 10);
    model(path, 2);
    for _ in 0..2 {
        let args = ["--dataset", "folder:.", "--tensorboard", "logs"];
        let (lines, _) = trained(path, &args);
        assert_eq!(lines.last().unwrap()["train_images"], 16);
    }
    trained(path, &["--dataset", "folder:.", "--out", "cat/run"]);
    let (_, told) = load(path, ReadOptions::default());
    let line = told
        .iter()
        .find(|line| line.contains("training runs"))
        .unwrap();
    assert!(
        line.contains(": 3 folders of training runs or their logs ("),
        "{line}"
    );
    for name in ["cat/run", "logs", "runs"] {
        assert!(
            line.contains(&path.join(name).display().to_string()),
            "{line}"
        );
    }
    // An empty folder is neither a class nor a run folder.
    fs::remove_dir_all(path.join("runs")).unwrap();
    fs::create_dir(path.join("runs")).unwrap();
    let (_, said) = trained(path, &["--dataset", "folder:."]);
    assert!(
        said.contains("skipped") && said.contains("1 empty folder ("),
        "{said}"
    );
}

#[test]
fn parts_are_recognised_by_their_usual_names() {
    // The folders of the parts, the pictures per class in each, and the numbers of validation and test pictures.
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
    // Other folders next to the parts, a second folder for a part, and pictures without a class.
    for part in ["train", "val", "valid", "extra"] {
        pictures(&folder.path().join("parts").join(part), &[CAT, DOG], 5);
    }
    pictures(&folder.path().join("parts"), &[("test", [7; 3])], 3);
    let opened = folder::find(&folder.path().join("parts"), &ReadOptions::default()).unwrap();
    assert_eq!(opened.tested, Tested::OnValidation);
    assert_eq!(opened.skipped.count(Reason::NoClass), 10 + 3);
    assert_eq!(opened.skipped.count(Reason::SecondPart), 1);
    // No training part.
    pictures(&folder.path().join("no/val"), &[CAT, DOG], 5);
    pictures(&folder.path().join("no/test"), &[CAT, DOG], 5);
    let error = folder::find(&folder.path().join("no"), &ReadOptions::default()).unwrap_err();
    assert!(
        error.to_string().contains("no training pictures"),
        "{error}"
    );
}

#[test]
fn the_validation_part_is_used() {
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
    // Other validation pictures make it a different run.
    fs::remove_file(path.join("d/valid/cat/000.png")).unwrap();
    let output = run(path, &["train", "--resume", "early", "--backend", "cpu"]);
    fails(&output, 2, &["this differs: the validation images"]);
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
fn all_pictures_of_a_folder_without_parts_are_evaluated() {
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
    // The run's own data set: the pictures that it held out.
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

#[test]
fn all_unreadable_pictures_are_reported_together() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(&path.join("d"), &[CAT, DOG], 20);
    model(path, 2);
    for i in [1, 5, 9, 11, 12, 13] {
        for class in ["cat", "dog"] {
            fs::write(path.join(format!("d/{class}/{i:03}.png")), "").unwrap();
        }
    }
    let args = ["--dataset", "folder:d", "--verbose", "0"];
    let output = train(path, &args);
    only_says(&output, 1, "d cannot be read: ");
    // Held-out test pictures are read later, and reported with the others.
    fails(
        &output,
        1,
        &[
            "12 of 40 pictures in",
            "and 2 more; fix, remove or skip them",
            "--skip-unreadable",
        ],
    );
    let named = text(&output.stderr).matches(".png: ").count();
    assert_eq!(named, 10);
    let (lines, said) = trained(
        path,
        &[&args[..], &["--skip-unreadable", "--out", "r"]].concat(),
    );
    assert_eq!(lines.last().unwrap()["train_images"], 22);
    assert!(said.contains("warning: skipped: 12 of 40"), "{said}");
    assert!(said.contains("and 2 more\n"), "{said}");
    let (scores, _) = evaluated(path, &["r"]);
    assert_eq!(scores["images"], 6);
    // Also in streams, which must not end at an unreadable picture.
    let mut opened = ImageFolder::open(&path.join("d"), Some([4, 4, 1])).unwrap();
    assert_eq!(opened.retain_readable().len(), 12);
    assert_eq!(opened.load().unwrap().len(), 28);
}

#[test]
fn classes_that_are_validated_but_not_trained_are_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let idx = |dims: &[u32], data: &[u8]| {
        let mut bytes = vec![0, 0, 8, dims.len() as u8];
        dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
        [&bytes, data].concat()
    };
    // Sorted by class, which arrays should not be.
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
    // Two of the last twelve images have class 1, which is also trained on.
    let words = "warning: 10 images to validate on belong to classes that are never trained on: 2";
    assert!(said.contains(words), "{said}");
    assert!(
        said.contains("shuffle the images before saving them"),
        "{said}"
    );
    // A limit takes a share of each class, so the test set has no unseen class.
    let (lines, said) = trained(
        path,
        &["--dataset", "idx:.", "--limit", "6", "--verbose", "0"],
    );
    assert_eq!(lines.last().unwrap()["train_images"], 6);
    assert!(!said.contains("warning"), "{said}");
}

#[test]
fn a_data_set_is_summarized_before_training() {
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

    // With a run's split, without training.
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
    fails(&output, 1, &["expected 1 classes"]);

    let output = run(path, &["data", "digits", "--format", "json"]);
    let survey = &json_lines(&output.stdout)[0];
    assert_eq!(survey["parts"][0]["images"], 60_000);
    let names: BTreeSet<&str> = (survey["classes"].as_array().unwrap().iter())
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 10);
}

/// Creates pictures of 24x24 pixels: every third row and column, from the second on, has one
/// colour, all others another.
fn grids(folder: &Path) {
    for (class, [line, rest]) in [("dark", [0_u8, 200]), ("light", [250, 90])] {
        fs::create_dir_all(folder.join(class)).unwrap();
        for i in 0..10 {
            let colour = |x, y| {
                if x % 3 == 1 && y % 3 == 1 {
                    line + i / 2
                } else {
                    rest
                }
            };
            RgbImage::from_fn(24, 24, |x, y| Rgb([colour(x, y); 3]))
                .save(folder.join(class).join(format!("{i}.png")))
                .unwrap();
        }
    }
}

#[test]
fn pictures_are_interpolated_as_in_the_run_unless_a_flag_says_otherwise() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    grids(&path.join("g"));
    model(path, 2);
    let read = ReadOptions::default()
        .shape([8, 8, 3])
        .seed(None)
        .interpolation(Interpolation::BilinearNoAntialias);
    let splits = folder::splits(&path.join("g"), &read, &mut |_| {}).unwrap();
    // The eight centres lie on every third pixel, so that only these pixels matter.
    assert!(splits.train.image(0).iter().all(|&value| value == 0));
    assert!(splits.train.image(8).iter().all(|&value| value == 250));

    let args = "--dataset folder:g --interpolation bilinear-no-antialias --out r";
    let (lines, _) = trained(path, &args.split(' ').collect::<Vec<_>>());
    let last = lines.last().unwrap();
    let config = fs::read_to_string(path.join("r/config.toml")).unwrap();
    let line = "interpolation = \"bilinear-no-antialias\"";
    assert!(config.lines().any(|l| l == line), "{config}");
    let (scores, said) = evaluated(path, &["r"]);
    assert_eq!(scores["loss"], last["test_loss"], "{said}");
    let (others, _) = evaluated(path, &["r", "--interpolation", "bilinear"]);
    assert_ne!(others["loss"], scores["loss"]);

    let predicted = |more: &[&str]| {
        let args = [
            "predict",
            "r",
            "g/dark/1.png",
            "--backend",
            "cpu",
            "--format",
            "json",
        ];
        let output = run(path, &[&args, more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        json_lines(&output.stdout)[0]["probability"].clone()
    };
    let as_run = predicted(&["--interpolation", "bilinear-no-antialias"]);
    assert_eq!(predicted(&[]), as_run);
    assert_ne!(predicted(&["--interpolation", "bilinear"]), as_run);

    let resume = ["train", "--resume", "r", "--backend", "cpu"];
    let output = run(
        path,
        &[&resume[..], &["--interpolation", "bilinear"]].concat(),
    );
    fails(&output, 2, &["--interpolation would change them"]);
    let output = run(
        path,
        &[&resume[..], &["--interpolation", "bilinear-no-antialias"]].concat(),
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    // The default is not recorded.
    trained(path, &["--dataset", "folder:g", "--out", "d"]);
    let config = fs::read_to_string(path.join("d/config.toml")).unwrap();
    assert!(!config.contains("interpolation"), "{config}");
}

#[test]
fn a_warning_counts_pictures_that_are_blank_through_transparency() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(&path.join("d"), &[CAT, DOG], 10);
    model(path, 2);
    let (_, said) = trained(path, &["--dataset", "folder:d", "--out", "a"]);
    assert!(!said.contains("transparent"), "{said}");
    let ink = |alpha: u8| RgbaImage::from_fn(8, 8, |x, _| Rgba([255, 255, 255, alpha * x as u8]));
    ink(30).save(path.join("d/cat/000.png")).unwrap();
    for i in 1..4 {
        ink(0).save(path.join(format!("d/cat/00{i}.png"))).unwrap();
    }
    let (_, said) = trained(
        path,
        &["--dataset", "folder:d", "--out", "b", "--verbose", "0"],
    );
    let warning = "warning: 3 pictures are transparent and show a single colour";
    assert!(said.contains(warning), "{said}");
}
