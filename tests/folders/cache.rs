//! Pictures are decoded once.

use std::fs;

use image::{Rgb, RgbImage};
use tempfile::TempDir;

use super::program::{fails, run, text};
use super::{evaluated, model, trained};

/// Two classes of ten pictures, which are together above the least that is kept.
fn pictures(folder: &std::path::Path) {
    for class in 0..2_u32 {
        let class_folder = folder.join(["cat", "dog"][class as usize]);
        fs::create_dir_all(&class_folder).unwrap();
        for i in 0..10 {
            let picture = RgbImage::from_fn(200, 200, |x, y| {
                Rgb([x * (i + 1), y * (class + 1), 100 * class].map(|level| level as u8))
            });
            picture.save(class_folder.join(format!("{i}.bmp"))).unwrap();
        }
    }
}

#[test]
fn a_second_run_trains_on_the_kept_pictures_to_the_same_bytes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(&path.join("pets"));
    model(path, 2);
    let train = |out: &str, more: &[&str]| {
        let args = ["--dataset", "folder:pets", "--out", out];
        let (_, said) = trained(path, &[&args, more].concat());
        (
            fs::read(path.join(out).join("model.safetensors")).unwrap(),
            said,
        )
    };
    let (first, said) = train("first", &["--no-picture-cache"]);
    assert!(!said.contains("cache"), "{said}");
    assert!(!path.join("cnn-gpu/pictures").exists());
    let (second, said) = train("second", &[]);
    assert!(said.contains("kept 20 decoded pictures in"), "{said}");
    let (third, said) = train("third", &[]);
    assert!(said.contains("took 20 decoded pictures from"), "{said}");
    assert!(first == second && first == third);
    let (_, said) = evaluated(path, &["third"]);
    assert!(said.contains("took 20 decoded pictures from"), "{said}");
    let (_, said) = evaluated(path, &["third", "--no-picture-cache"]);
    assert!(!said.contains("decoded pictures"), "{said}");
    // It changes nothing of a run.
    let resumed = [
        "train",
        "--backend",
        "cpu",
        "--resume",
        "third",
        "--no-picture-cache",
    ];
    let output = run(path, &resumed);
    let said = text(&output.stderr);
    assert!(
        output.status.success() && !said.contains("decoded pictures"),
        "{said}"
    );

    let output = run(path, &["data", "--clear-picture-cache"]);
    let said = text(&output.stderr);
    assert!(
        output.status.success() && said.contains("removed"),
        "{said}"
    );
    assert_eq!(
        fs::read_dir(path.join("cnn-gpu/pictures")).unwrap().count(),
        0
    );
    fails(&run(path, &["data"]), 2, &["<DATASET>"]);
}

#[test]
fn a_cache_that_cannot_be_written_costs_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(&path.join("pets"));
    model(path, 2);
    // A file in the place of the folder.
    fs::write(path.join("cnn-gpu"), "").unwrap();
    let (_, said) = trained(path, &["--dataset", "folder:pets"]);
    assert!(
        said.contains("some decoded pictures are not kept in"),
        "{said}"
    );
}
