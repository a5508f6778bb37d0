//! Interpolation and transparency.

use std::fs;
use std::path::Path;

use cnn_gpu::data::{Interpolation, ReadOptions, folder};
use image::codecs::hdr::HdrEncoder;
use image::{Rgb, RgbImage, Rgba, RgbaImage};
use tempfile::TempDir;

use super::program::{fails, json_lines, run, text};
use super::{CAT, DOG, evaluated, model, pictures, trained};

/// Writes pictures of 24x24 pixels: one colour where every third row and column cross, starting at
/// the second, and another colour elsewhere.
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
fn the_interpolation_of_a_run_is_kept_unless_another_is_given() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    grids(&path.join("g"));
    model(path, 2);
    let read = ReadOptions::default()
        .shape([8, 8, 3])
        .seed(None)
        .interpolation(Interpolation::BilinearNoAntialias);
    let splits = folder::splits(&path.join("g"), &read, &mut |_| {}).unwrap();
    // The centres of the new pixels are at every third old pixel, so only these count.
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
fn pictures_that_transparency_leaves_blank_cause_a_warning() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(&path.join("d"), &[CAT, DOG], 10);
    model(path, 2);
    let (_, said) = trained(path, &["--dataset", "folder:d", "--out", "a"]);
    assert!(!said.contains("transparent"), "{said}");
    let ink = |alpha: u8| RgbaImage::from_fn(8, 8, |x, _| Rgba([255, 255, 255, alpha * x as u8]));
    ink(30).save(path.join("d/cat/000.png")).unwrap();
    ink(0).save(path.join("d/cat/001.png")).unwrap();
    let (_, said) = trained(path, &["--dataset", "folder:d", "--out", "one"]);
    let warning = "warning: 1 picture is transparent and shows a single colour";
    assert!(said.contains(warning), "{said}");
    let output = run(path, &["data", "folder:d"]);
    let lines = text(&output.stdout);
    assert!(
        lines.contains("1 picture with transparency and a single colour"),
        "{lines}"
    );
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

#[test]
fn pictures_with_light_above_1_cause_a_note() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(&path.join("d"), &[CAT, DOG], 10);
    model(path, 2);
    let light = |level: f32| {
        let mut file = Vec::new();
        let pixels = [Rgb([level; 3]); 64];
        HdrEncoder::new(&mut file).encode(&pixels, 8, 8).unwrap();
        file
    };
    fs::write(path.join("d/cat/020.hdr"), light(1.0)).unwrap();
    fs::write(path.join("d/cat/021.hdr"), light(1.5)).unwrap();
    let note = "1 picture has light above 1, which is clipped to 1";
    let output = run(path, &["data", "folder:d"]);
    let lines = text(&output.stdout);
    assert!(lines.contains(note), "{lines}");
    assert!(lines.contains("hdr 2"), "{lines}");
    let (_, said) = trained(path, &["--dataset", "folder:d", "--out", "a"]);
    assert!(said.contains(note), "{said}");
    let output = run(path, &["predict", "a", "d/cat/020.hdr", "d/cat/021.hdr"]);
    let said = text(&output.stderr);
    let expected = "note: d/cat/021.hdr has light above 1, which is clipped to 1";
    assert!(said.contains(expected) && !said.contains("020"), "{said}");
}
