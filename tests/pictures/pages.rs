//! Preparation of pictures of digits.

use std::fs;

use cnn_gpu::data::digits;
use image::imageops::{FilterType, resize};
use image::{GrayImage, Luma};
use jpeg_encoder::{ColorType, Encoder};
use tempfile::TempDir;

use super::program::{json_lines, only_says, run, text};
use super::{idx, train};

/// A digit enlarged and placed on a larger page.
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
fn digits_on_any_page_are_prepared_like_the_digits_themselves() {
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
        let noted = text(&output.stderr).contains("prepared");
        assert_eq!(noted, !note.is_empty());
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
        "the network learned too little: {}",
        right(&expected)
    );
    let same = read.iter().zip(&expected).filter(|(a, b)| a == b).count();
    assert!(same >= COUNT - 4, "{same} of {COUNT} are read alike");

    // With stretching instead, fewer digits on light pages are recognised.
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
    // An unreadable file does not prevent the predictions of the others.
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
