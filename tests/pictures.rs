//! Users' own data sets, predictions and pictures, through the program.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::fs;
use std::path::Path;

use cnn_gpu::data::digits;
use image::imageops::{FilterType, resize};
use image::{GrayImage, Luma, Rgb, RgbImage};
use jpeg_encoder::{ColorType, Encoder};
use tempfile::TempDir;

use program::{fails, json_lines, only_says, run, text};

/// Writes a model as a TOML file.
fn model(folder: &Path, shape: &str, classes: usize) {
    let text = format!(
        "input_shape = {shape}\n[[layers]]\ntype = \"Flatten\"\n[[layers]]\ntype = \"Dense\"\n\
         units = {classes}\nactivation = \"softmax\"\n"
    );
    fs::write(folder.join("net.toml"), text).unwrap();
}

fn idx(dims: &[usize], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    for &dim in dims {
        bytes.extend((dim as u32).to_be_bytes());
    }
    [&bytes, data].concat()
}

/// Trains on the CPU, without output.
fn train(folder: &Path, more: &[&str]) -> std::process::Output {
    let args = ["train", "--backend", "cpu", "--verbose", "0"];
    run(folder, &[&args, more].concat())
}

/// Creates ten red and ten blue pictures of 6x9 pixels, as PNG and JPEG files.
fn colours(folder: &Path) {
    for (class, colour) in [("blue", [30, 40, 220]), ("red", [230, 40, 30])] {
        fs::create_dir_all(folder.join(class)).unwrap();
        for i in 0..10 {
            let shade = |channel: u8| channel.saturating_sub(i * 2);
            let image = RgbImage::from_pixel(6, 9, Rgb(colour.map(shade)));
            let extension = if i % 2 == 0 { "png" } else { "JPG" };
            let path = folder.join(class).join(format!("{i}.{extension}"));
            match extension {
                "png" => image.save(path).unwrap(),
                _ => Encoder::new_file(path, 90)
                    .and_then(|encoder| encoder.encode(&image, 6, 9, ColorType::Rgb))
                    .unwrap(),
            }
        }
        fs::write(folder.join(class).join("notes.txt"), "not a picture").unwrap();
    }
}

#[test]
fn a_folder_of_pictures_is_trained_evaluated_and_predicted_by_class_name() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    colours(&path.join("c"));
    model(path, "[4, 4, 3]", 2);
    let args = [
        "--dataset",
        "folder:c",
        "--model",
        "net.toml",
        "--epochs",
        "20",
    ];
    let output = train(
        path,
        &[&args[..], &["--format", "json", "--out", "r"]].concat(),
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = json_lines(&output.stdout);
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["train_images"], &last["test_accuracy"]),
        (&16.into(), &1.0.into())
    );

    // The run finds its data set from any folder.
    let elsewhere = path.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let args = ["evaluate", "../r", "--backend", "cpu", "--format", "json"];
    let output = run(&elsewhere, &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let scores = &json_lines(&output.stdout)[0];
    assert_eq!(scores["loss"], last["test_loss"]);

    let files = ["c/red/1.JPG", "c/blue/2.png"];
    let predict = |more: &[&str]| {
        let args = ["predict", "r", files[0], files[1], "--backend", "cpu"];
        let output = run(path, &[&args, more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("prepared 2 pictures by stretching to 4x4x3"));
        text(&output.stdout)
    };
    let table = predict(&[]);
    let words = |line: &str| {
        line.split_whitespace()
            .map(String::from)
            .collect::<Vec<_>>()
    };
    let rows: Vec<_> = table.lines().map(words).collect();
    assert_eq!(rows[0], ["image", "label", "probability", "next"]);
    assert_eq!(rows[1][..2], ["c/red/1.JPG", "red"]);
    assert_eq!((&rows[2][1][..], &rows[2][4][..]), ("blue", "red"));
    let csv = predict(&["--format", "csv"]);
    assert!(csv.starts_with("file,index,label,class,probability,blue,red\nc/red/1.JPG,,1,red,0."));
}

#[test]
fn a_model_with_a_different_number_of_classes_is_refused_in_one_line() {
    let folder = TempDir::new().unwrap();
    colours(&folder.path().join("c"));
    model(folder.path(), "[4, 4, 3]", 10);
    let args = ["--dataset", "folder:c", "--model", "net.toml", "--out", "r"];
    let output = train(folder.path(), &args);
    only_says(&output, 1, "expected 10 classes");
    fails(
        &output,
        1,
        &[
            "data set `folder` with 2 (blue, red)",
            "give the last layer 2 units",
        ],
    );
    assert!(!folder.path().join("r").exists());
    model(folder.path(), "[4, 4, 2]", 2);
    only_says(
        &train(folder.path(), &args),
        1,
        "cannot be read with 2 channels",
    );
}

#[test]
fn files_that_are_not_pictures_are_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    colours(&path.join("c"));
    model(path, "[4, 4, 3]", 2);
    let bad = path.join("c/red/4.png");
    let says = |words: &[&str]| {
        let args = ["--dataset", "folder:c", "--model", "net.toml"];
        let output = train(path, &args);
        only_says(&output, 1, "4.png");
        fails(&output, 1, words);
    };
    let good = fs::read(&bad).unwrap();
    fs::write(&bad, &good[..good.len() / 2]).unwrap();
    says(&["damaged picture"]);
    fs::write(&bad, b"GIF89a").unwrap();
    says(&["expected a complete PNG, JPEG, WebP"]);
    fs::write(&bad, b"").unwrap();
    says(&["expected a PNG, JPEG, WebP"]);
    // A JPEG file with another extension.
    let jpeg = fs::read(path.join("c/red/1.JPG")).unwrap();
    for length in [jpeg.len() - 1, jpeg.len() / 2, 30] {
        fs::write(&bad, &jpeg[..length]).unwrap();
        says(&["the JPEG file is truncated"]);
    }
    // A header that declares 30,000 pixels per side, without data.
    fs::write(&bad, png_that_promises(30_000)).unwrap();
    says(&["at most 2^27"]);
    fs::write(&bad, png_that_promises(10_000)).unwrap();
    says(&["10000x10000 pixels, more than its bytes can hold"]);
}

/// A well-formed PNG file whose header declares this size.
fn png_that_promises(side: u32) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(kind);
        crc.update(data);
        let length = (data.len() as u32).to_be_bytes();
        [&length[..], kind, data, &crc.sum().to_be_bytes()].concat()
    };
    let header = [
        &side.to_be_bytes()[..],
        &side.to_be_bytes(),
        &[8, 2, 0, 0, 0],
    ]
    .concat();
    let signature = b"\x89PNG\r\n\x1a\n".to_vec();
    let data = chunk(b"IDAT", &[0x78, 0x9c, 3, 0, 0, 0, 0, 1]);
    [
        signature,
        chunk(b"IHDR", &header),
        data,
        chunk(b"IEND", &[]),
    ]
    .concat()
}

#[test]
fn the_error_of_a_folder_without_classes_states_what_is_expected() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let says = |words: &str| {
        let output = train(path, &["--dataset", "folder:c"]);
        only_says(&output, 1, words);
    };
    says("cannot read");
    fs::create_dir_all(path.join("c/red")).unwrap();
    says("found 0 sub-folders: expected one per class");
    fs::write(path.join("c/red/notes.txt"), "").unwrap();
    says("red: a class without pictures, but 1 file that is not a picture (1 .txt)");
    let dot = GrayImage::from_pixel(2, 2, Luma([9]));
    dot.save(path.join("c/red/1.png")).unwrap();
    says("found 1 sub-folders: expected one per class");
    fs::create_dir_all(path.join("c/blue")).unwrap();
    dot.save(path.join("c/blue/1.png")).unwrap();
    says("no pictures are left for testing");
    // With both parts given, the test part must not add classes.
    for (set, class) in [("train", "a"), ("train", "b"), ("test", "b"), ("test", "z")] {
        let class = path.join("c").join(set).join(class);
        fs::create_dir_all(&class).unwrap();
        dot.save(class.join("1.png")).unwrap();
    }
    says("unknown class z: expected some of the training classes (a, b)");
    fs::remove_dir_all(path.join("c/test/z")).unwrap();
    // The two pictures next to these parts are reported too.
    let output = train(path, &["--dataset", "folder:c"]);
    fails(&output, 1, &["expected 10 classes"]);
    let words = "2 pictures outside all class folders";
    assert!(text(&output.stderr).contains(words));
}

#[test]
fn the_user_s_idx_files_are_trained_on() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    fs::create_dir(path.join("d")).unwrap();
    for (set, n) in [("train", 30), ("t10k", 6)] {
        let labels: Vec<u8> = (0..n).map(|i| (i % 3) as u8).collect();
        let images: Vec<u8> = labels.iter().flat_map(|&l| [l * 100; 20]).collect();
        let name = |content: &str| path.join("d").join(format!("{set}-{content}-ubyte"));
        fs::write(name("images-idx3"), idx(&[n, 4, 5], &images)).unwrap();
        fs::write(name("labels-idx1"), idx(&[n], &labels)).unwrap();
    }
    model(path, "[4, 5, 1]", 3);
    let args = ["--dataset", "idx:d", "--model", "net.toml", "--epochs", "1"];
    let output = train(
        path,
        &[&args[..], &["--format", "json", "--out", "r"]].concat(),
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let last = &json_lines(&output.stdout)[1];
    assert_eq!(
        (&last["dataset"], &last["train_images"]),
        (&"idx".into(), &30.into())
    );
    // Predictions of IDX images state their index.
    let args = [
        "predict",
        "r",
        "d/t10k-images-idx3-ubyte",
        "--format",
        "json",
        "--backend",
        "cpu",
    ];
    let output = run(path, &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = json_lines(&output.stdout);
    assert_eq!((lines.len(), &lines[5]["index"]), (6, &5.into()));
    assert_eq!(lines[0]["probabilities"].as_array().unwrap().len(), 3);
    // Labels are not images.
    let args = [
        "predict",
        "r",
        "d/t10k-labels-idx1-ubyte",
        "--backend",
        "cpu",
    ];
    only_says(
        &run(path, &args),
        1,
        "shape [6]: expected [n, 4, 5], the model's input",
    );
    // A model for images of another shape.
    model(path, "[5, 4, 1]", 3);
    let args = ["--dataset", "idx:d", "--model", "net.toml"];
    only_says(
        &train(path, &args),
        1,
        "expected images of 5x4x1, received data set `idx`",
    );
    model(path, "[4, 5, 1]", 2);
    only_says(&train(path, &args), 1, "expected labels below 2");
}

#[test]
fn the_error_of_a_missing_data_set_is_one_line() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let says = |dataset: &str, code: i32, words: &str| {
        only_says(&train(path, &["--dataset", dataset]), code, words);
    };
    says("imagenet", 2, "fashion-mnist, kmnist, digits, folder:PATH");
    says("npz:", 2, "npz:PATH");
    says("npz:nowhere.npz", 1, "nowhere.npz");
    says("cifar10:.", 1, "data_batch_1.bin");
    says("idx:.", 1, "found 0 files named *train*images*");
    fs::write(path.join("x.npz"), "no zip").unwrap();
    says("npz:x.npz", 1, "not a valid .npz file");
    says("fashion-mnist", 1, "Fashion-MNIST was not found");
    says("kmnist", 1, "KMNIST was not found");
    // MNIST's files have the same names and shapes, but must not pass for another data set.
    let images = idx(&[60_000, 28, 28], &vec![0; 60_000 * 784]);
    fs::write(path.join("train-images-idx3-ubyte"), images).unwrap();
    for name in [
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ] {
        fs::write(path.join(name), "").unwrap();
    }
    let output = train(path, &["--dataset", "kmnist", "--data-dir", "."]);
    only_says(
        &output,
        1,
        "train-images-idx3-ubyte is not the published file: expected",
    );
}

/// An enlarged digit, placed on a larger page.
fn page(pixels: &[u8], scale: u32, [x, y]: [u32; 2], [ground, ink]: [u8; 2]) -> GrayImage {
    let digit = GrayImage::from_raw(28, 28, pixels.to_vec()).unwrap();
    let large = resize(&digit, 28 * scale, 28 * scale, FilterType::CatmullRom);
    let size = [x + 28 * scale + 31, y + 28 * scale + 7];
    let mut page = GrayImage::from_pixel(size[0], size[1], Luma([ground]));
    for (px, py, pixel) in large.enumerate_pixels() {
        let share = f32::from(pixel.0[0]) / 255.0;
        let value = f32::from(ground) + (f32::from(ink) - f32::from(ground)) * share;
        page.put_pixel(px + x, py + y, Luma([value as u8]));
    }
    page
}

#[test]
fn digits_on_any_page_are_predicted_like_the_digits_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let args = [
        "--dataset",
        "digits",
        "--limit",
        "6000",
        "--epochs",
        "3",
        "--model",
        "mnist-mlp",
    ];
    let output = train(path, &[&args[..], &["--out", "r"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));

    const COUNT: usize = 60;
    let data = digits::generate(COUNT, 99, 0);
    fs::write(
        path.join("digits.idx"),
        idx(&[COUNT, 28, 28], data.images()),
    )
    .unwrap();
    let mut names = Vec::new();
    for i in 0..COUNT {
        let (scale, place, tones) = [
            (6, [0, 0], [255, 0]),
            (3, [200, 10], [240, 60]),
            (9, [15, 330], [0, 255]),
            (4, [60, 60], [190, 30]),
        ][i % 4];
        let extension = ["png", "jpg"][i / 4 % 2];
        let name = format!("{i:02}.{extension}");
        let page = page(data.image(i), scale, place, tones);
        let (width, height) = (page.width() as u16, page.height() as u16);
        match extension {
            "png" => page.save(path.join(&name)).unwrap(),
            _ => Encoder::new_file(path.join(&name), 90)
                .and_then(|encoder| encoder.encode(&page, width, height, ColorType::Luma))
                .unwrap(),
        }
        names.push(name);
    }
    let labels = |files: &[&str], note: &str| -> Vec<u8> {
        let args = ["predict", "r", "--backend", "cpu", "--format", "json"];
        let output = run(path, &[&args, files].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let told = text(&output.stderr).contains("prepared");
        assert_eq!(told, !note.is_empty());
        assert!(text(&output.stderr).contains(note));
        let label = |line: serde_json::Value| line["label"].as_u64().unwrap() as u8;
        json_lines(&output.stdout).into_iter().map(label).collect()
    };
    let files: Vec<&str> = names.iter().map(String::as_str).collect();
    let note = "prepared 60 pictures as for MNIST: grey, inverted if the background is light, \
                scaled to fit 20x20, centred by mass in 28x28";
    let read = labels(&files, note);
    let expected = labels(&["digits.idx"], "");
    let right = |labels: &[u8]| {
        labels
            .iter()
            .zip(data.labels())
            .filter(|(a, b)| a == b)
            .count()
    };
    assert!(
        right(&expected) >= 45,
        "the network learnt too little: {}",
        right(&expected)
    );
    let same = read.iter().zip(&expected).filter(|(a, b)| a == b).count();
    assert!(same >= COUNT - 4, "{same} of {COUNT} are read alike");

    // If stretched instead, the light pages are misread.
    let stretched = labels(
        &[&files[..], &["--prepare", "resize"]].concat(),
        "by stretching",
    );
    assert!(right(&stretched) < right(&read));

    GrayImage::from_pixel(50, 40, Luma([200]))
        .save(path.join("blank.png"))
        .unwrap();
    let args = ["predict", "r", "blank.png", "--backend", "cpu"];
    only_says(&run(path, &args), 1, "blank.png: no digit found");
    only_says(
        &run(path, &["predict", "r", "nothing.png"]),
        1,
        "nothing.png",
    );
    only_says(&run(path, &["predict", "r"]), 2, "<FILE>");
    // One unreadable file does not cost the others their predictions.
    let args = ["predict", "r", "nothing.png", &names[0], "--backend", "cpu"];
    let output = run(path, &[&args[..], &["--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json_lines(&output.stdout)[0]["file"], *names[0]);
    let said = text(&output.stderr);
    assert!(
        said.ends_with('\n') && said.contains("error: cannot read nothing.png"),
        "{said}"
    );
}

#[test]
fn show_starts_with_the_lab_s_digit() {
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

/// Asserts exit code 2, and these words in the last line.
fn only_says_last(output: &std::process::Output, words: &str) {
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.lines().last().unwrap().contains(words), "{message}");
}
