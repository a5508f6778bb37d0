//! Samples in the terminal and as a picture.

use std::fs;

use cnn_gpu::data::digits;
use tempfile::TempDir;

use super::program::{fails, run, text};

#[test]
fn show_draws_samples_in_the_terminal_and_as_a_sheet() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let show = |more: &[&str]| run(path, &[&["show", "--dataset", "digits"], more].concat());
    let output = show(&[]);
    let drawing = text(&output.stdout);
    let data = digits::splits().train;
    let lines: Vec<&str> = drawing.lines().collect();
    assert_eq!(lines[0], format!("[5] {}", data.labels()[5]));
    assert_eq!(lines.len(), 1 + 14);
    for (y, line) in lines[1..].iter().enumerate() {
        for (x, shown) in line.chars().enumerate() {
            let dark = |y: usize| data.image(5)[y * 28 + x] > 127;
            let expected = match (dark(2 * y), dark(2 * y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            };
            assert_eq!(shown, expected, "row {y}, column {x}");
        }
    }

    let output = show(&[
        "--index", "7", "--count", "12", "--out", "s.png", "--scale", "2",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 12);
    let sheet = image::open(path.join("s.png")).unwrap().to_rgb8();
    assert_eq!(sheet.dimensions(), ((10 * 30 + 2) * 2, (2 * 30 + 2) * 2));
    // The second image of the second row: sample 18, dark on light.
    for (x, y) in [(0, 0), (14, 14), (12, 9)] {
        let pixel = sheet.get_pixel((2 + 30 + x) * 2 + 1, (2 + 30 + y) * 2 + 1);
        let value = 255 - data.image(18)[(y * 28 + x) as usize];
        assert_eq!(pixel.0, [value; 3]);
    }
    only_says_last(&show(&["--index", "60000"]), "--index must be below 60000");
    only_says_last(&show(&["--count", "0"]), "--count");
}

#[test]
fn show_draws_what_training_makes_of_samples() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let show = |more: &[&str]| run(path, &[&["show", "--dataset", "digits"], more].concat());
    let out = [
        "--index", "100", "--count", "2", "--out", "s.png", "--scale", "1",
    ];
    let output = show(&[&["--augment", "mnist"], &out[..]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let label = digits::splits().train.labels()[100];
    let titles = text(&output.stdout);
    let titles: Vec<&str> = titles.lines().collect();
    assert_eq!(titles.len(), 20);
    assert_eq!(
        titles[..2],
        [format!("[100] {label}"), format!("[100] {label}, varied 1")]
    );
    assert!(titles[10].starts_with("[101] "), "{titles:?}");
    let varied = image::open(path.join("s.png")).unwrap().to_rgb8();
    assert!(show(&out).status.success());
    let plain = image::open(path.join("s.png")).unwrap().to_rgb8();
    let sample = |sheet: &image::RgbImage, row: u32, column: u32| {
        let cell = image::imageops::crop_imm(sheet, 2 + 30 * column, 2 + 30 * row, 28, 28);
        cell.to_image().into_raw()
    };
    for row in [0, 1] {
        assert_eq!(sample(&varied, row, 0), sample(&plain, 0, row));
        assert_ne!(sample(&varied, row, 1), sample(&varied, row, 0));
        assert_ne!(sample(&varied, row, 2), sample(&varied, row, 1));
    }

    fails(
        &show(&["--augment", "minst"]),
        2,
        &["minst", "mnist, cifar, photos"],
    );
    fails(
        &show(&["--augment", "mnist-cnn"]),
        1,
        &["does not start with augmentation"],
    );
    let large = [
        "--augment",
        "mnist",
        "--count",
        "60000",
        "--out",
        "l.png",
        "--scale",
        "8",
    ];
    fails(&show(&large), 2, &["smaller --count"]);
}

#[test]
fn show_draws_samples_as_training_mixes_them() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let show = |more: &[&str]| {
        let out = [
            "show",
            "--dataset",
            "digits",
            "--index",
            "100",
            "--out",
            "s.png",
            "--scale",
            "1",
        ];
        run(path, &[&out[..], more].concat())
    };
    for flags in [
        &["--mixup", "1"][..],
        &["--cutmix"],
        &["--mixup", "1", "--cutmix", "--augment", "mnist"],
    ] {
        let output = show(&[&["--count", "3"], flags].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let titles = text(&output.stdout);
        let titles: Vec<&str> = titles.lines().collect();
        assert_eq!(titles.len(), 30);
        for (i, title) in titles.iter().enumerate() {
            let sample = 100 + i / 10;
            if i % 10 == 0 {
                assert!(title.starts_with(&format!("[{sample}] ")), "{title}");
                continue;
            }
            // Two samples, with shares of 100 % together.
            let (own, other) = title.split_once(", ").unwrap();
            let share = |text: &str| text.split_once(" % of ").unwrap().0.parse::<f64>().unwrap();
            assert!((share(own) + share(other) - 100.0).abs() < 0.11, "{title}");
            assert!(
                own.contains(&format!("[{sample}] ")) && !other.contains(&format!("[{sample}] ")),
                "{title}"
            );
        }
    }
    only_says_last(
        &show(&["--mixup"]),
        "--mixup mixes the samples that are shown: expected --count 2 or more",
    );
    only_says_last(
        &show(&["--cutmix", "2", "--count", "3"]),
        "cutmix's factor 2 must lie in [0, 1]",
    );
}

#[test]
fn show_centres_samples_that_training_cuts() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let model = "input_shape = [28, 28, 1]\n[[layers]]\ntype = \"RandomCrop\"\nheight = 12\nwidth = 16\n\
                 [[layers]]\ntype = \"Flatten\"\n[[layers]]\ntype = \"Dense\"\nunits = 10\n\
                 activation = \"softmax\"\n";
    fs::write(path.join("cut.toml"), model).unwrap();
    let show = [
        "show",
        "--dataset",
        "digits",
        "--augment",
        "cut.toml",
        "--count",
        "2",
        "--out",
        "s.png",
        "--scale",
        "1",
    ];
    for more in [&[][..], &["--mixup"]] {
        let output = run(path, &[&show, more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let sheet = image::open(path.join("s.png")).unwrap().to_rgb8();
        for (row, column) in [(0, 1), (0, 9), (1, 1), (1, 9)] {
            let cell = image::imageops::crop_imm(&sheet, 2 + 30 * column, 2 + 30 * row, 28, 28);
            let cell = cell.to_image();
            let inked = cell.enumerate_pixels().filter(|(.., ink)| ink.0[0] < 255);
            let places: Vec<[u32; 2]> = inked.map(|(x, y, _)| [y, x]).collect();
            assert!(!places.is_empty(), "{more:?}: {row}, {column}");
            let is_within = |[y, x]: &[u32; 2]| (8..20).contains(y) && (6..22).contains(x);
            assert!(places.iter().all(is_within), "{more:?}: {places:?}");
        }
    }
}

/// Asserts exit code 2 and these words in the last line.
fn only_says_last(output: &std::process::Output, words: &str) {
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.lines().last().unwrap().contains(words), "{message}");
}
