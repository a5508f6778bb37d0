//! Which samples a split, a limit and a resumed run take.

use std::fs;

use cnn_gpu::data::ReadOptions;
use tempfile::TempDir;

use super::program::{fails, run, text};
use super::{CAT, DOG, HORSE, evaluated, load, model, pictures, trained};

#[test]
fn a_validation_split_of_a_folder_holds_every_class() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(&path.join("two"), &[CAT, DOG], 25);
    model(path, 2);
    let args = "--dataset folder:two --validation-split 0.5 --epochs 30 --out r";
    let args: Vec<&str> = args.split(' ').collect();
    let (lines, said) = trained(path, &args);
    assert!(!said.contains("without training images"), "{said}");
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
fn a_limit_takes_a_stratified_sample_by_seed() {
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
    // Further training skips the same picture.
    trained(path, &["--weights", "r", "--out", "further"]);
    let resume = ["train", "--resume", "r", "--backend", "cpu"];
    let output = run(path, &resume);
    let said = text(&output.stderr);
    assert!(
        output.status.success() && said.contains("resuming after"),
        "{said}"
    );
    let output = run(path, &[&resume[..], &["--limit", "29"]].concat());
    fails(&output, 2, &["--limit would change them"]);
    // The classes are the same by name, too.
    fs::rename(path.join("d/dog"), path.join("d/dogs")).unwrap();
    let names = "this differs: the names of the classes (cat, dogs instead of cat, dog)";
    fails(&run(path, &resume), 2, &[names]);
    fs::rename(path.join("d/dogs"), path.join("d/dog")).unwrap();
    // A run of an older version, which did not shuffle, has other pictures.
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
    // Every fifth picture is another one now.
    let (_, said) = evaluated(path, &["r"]);
    let warning = "warning: the data set folder has changed since the run";
    assert!(said.contains(warning), "{said}");
}
