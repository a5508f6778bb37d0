//! Trained weights: evaluated, and trained further.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::program::{fails, json_lines, run, text};
use super::quick;

#[test]
fn evaluate_reports_metrics_on_request() {
    let folder = TempDir::new().unwrap();
    assert!(quick(folder.path(), &["--out", "run"]).status.success());
    let evaluate = |more: &[&str]| {
        let device = ["evaluate", "run", "--backend", "cpu", "--metrics"];
        run(folder.path(), &[&device[..], more].concat())
    };
    let output = evaluate(&["--format", "json", "--top-k", "2", "--worst", "4"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found = &json_lines(&output.stdout)[0];
    let confusion = found["confusion"].as_array().unwrap();
    let count = |row: &Value| -> u64 {
        (row.as_array().unwrap().iter())
            .filter_map(Value::as_u64)
            .sum()
    };
    assert_eq!(confusion.iter().map(count).sum::<u64>(), 10_000);
    let right: u64 = (0..10).filter_map(|i| confusion[i][i].as_u64()).sum();
    assert_eq!(found["correct"], right);
    assert!(found["top_k_accuracy"].as_f64() > found["accuracy"].as_f64());
    assert_eq!(found["classes"].as_array().unwrap().len(), 10);
    let worst = found["worst"].as_array().unwrap();
    assert_eq!(worst.len(), 4);
    assert_ne!(worst[0]["label"], worst[0]["predicted"]);

    let tables = text(&evaluate(&[]).stdout);
    for words in ["top-3 accuracy", "precision", "predicted", "worst mistakes"] {
        assert!(tables.contains(words), "{tables}");
    }
    fails(&evaluate(&["--top-k", "11"]), 2, &["from 1 to 10"]);
}

#[test]
fn predictions_are_averaged_over_variants_on_request() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    two_classes(path);
    let train = "train --backend cpu --dataset folder:pets --model net.toml --epochs 1 --out run";
    let train: Vec<&str> = train.split_whitespace().collect();
    assert!(run(path, &train).status.success());
    let evaluate = |more: &[&str]| {
        let device = ["evaluate", "run", "--backend", "cpu", "--format", "json"];
        run(path, &[&device[..], more].concat())
    };
    let plain = &json_lines(&evaluate(&[]).stdout)[0];
    assert_eq!(plain["tta"], Value::Null);
    for variants in ["flip", "shift", "flip+shift"] {
        let output = evaluate(&["--tta", variants]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let said = text(&output.stderr);
        assert!(said.contains("test-time augmentation: the probabilities are means over"));
        assert_eq!(said.contains("no RandomFlip"), variants != "shift");
        let few = &json_lines(&output.stdout)[0];
        assert_eq!(few["tta"], variants);
        // Every picture is of a single grey, so that all of its variants are the same.
        let loss = |scores: &Value| scores["loss"].as_f64().unwrap();
        assert!((loss(few) - loss(plain)).abs() < 1e-5, "{few} {plain}");
        assert_eq!(few["accuracy"], plain["accuracy"]);
        let output = evaluate(&["--tta", variants, "--metrics"]);
        let all = &json_lines(&output.stdout)[0];
        assert_eq!(all["loss"], few["loss"]);
        assert_eq!(all["correct"], few["correct"]);
    }
    fails(&evaluate(&["--tta", "rotate"]), 2, &["flip+shift"]);
    let predict = "predict run pets/dark/0.png --backend cpu --format json --tta shift";
    let predict: Vec<&str> = predict.split_whitespace().collect();
    let output = run(path, &predict);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("over 3 variants"));
}

/// Creates grey pictures in two classes, and a model for them.
fn two_classes(folder: &Path) {
    for (class, value) in [("dark", 20_u8), ("light", 230)] {
        let class = folder.join("pets").join(class);
        fs::create_dir_all(&class).unwrap();
        for i in 0..20 {
            let picture = image::GrayImage::from_pixel(8, 8, image::Luma([value + i]));
            picture.save(class.join(format!("{i}.png"))).unwrap();
        }
    }
    let model = "input_shape = [8, 8, 1]\n[[layers]]\ntype = \"Flatten\"\n[[layers]]\n\
                 type = \"Dense\"\nunits = 2\nactivation = \"softmax\"\n";
    fs::write(folder.join("net.toml"), model).unwrap();
}

#[test]
fn two_classes_have_all_their_metrics_and_their_names() {
    let folder = TempDir::new().unwrap();
    two_classes(folder.path());
    let train = [
        "train",
        "--backend",
        "cpu",
        "--dataset",
        "folder:pets",
        "--model",
        "net.toml",
        "--out",
        "run",
    ];
    assert!(run(folder.path(), &train).status.success());
    let evaluate = ["evaluate", "run", "--backend", "cpu", "--metrics"];
    let output = run(folder.path(), &evaluate);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let tables = text(&output.stdout);
    for words in ["top-2 accuracy  1.0000", "\n0 dark ", "\nlabel 1 light "] {
        assert!(tables.contains(words), "no `{words}` in {tables}");
    }
    let output = run(folder.path(), &[&evaluate[..], &["--top-k", "3"]].concat());
    fails(&output, 2, &["from 1 to 2"]);
}

#[test]
fn new_last_layers_are_trained_on_frozen_features() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    two_classes(path);
    let device = ["train", "--backend", "cpu", "--dataset", "folder:pets"];
    let train = |more: &[&str]| run(path, &[&device[..], &["--epochs", "1"], more].concat());
    let net = |units: usize| {
        format!(
            r#"
            input_shape = [8, 8, 3]
            layers = [
                {{ type = "Conv2D", filters = 4, kernel_size = 3 }},
                {{ type = "BatchNormalization" }},
                {{ type = "Flatten" }},
                {{ type = "Dense", units = {units} }},
                {{ type = "Dense", units = 2, activation = "softmax" }},
            ]
            "#
        )
    };
    fs::write(path.join("small.toml"), net(5)).unwrap();
    fs::write(path.join("wide.toml"), net(6)).unwrap();
    assert!(
        train(&["--model", "small.toml", "--out", "a"])
            .status
            .success()
    );

    let other = ["--model", "wide.toml", "--weights", "a"];
    let output = train(&[&other[..], &["--out", "b"]].concat());
    fails(&output, 1, &["another model", "--skip-mismatch"]);
    let skips = [&other[..], &["--skip-mismatch", "--freeze"]].concat();
    let output = train(&[&skips[..], &["nothing", "--out", "b"]].concat());
    fails(&output, 2, &["`nothing`", "batch_normalization"]);
    let output = train(&[&skips[..], &["dense_1", "--out", "b"]].concat());
    fails(&output, 2, &["leaves no parameter to train"]);
    let output = train(&[&skips[..], &["flatten", "--out", "b"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let note = "7 of the model's 10 parameters come from";
    let noted = text(&output.stderr);
    assert!(noted.contains(note), "{noted}");
    assert!(
        noted.contains("anew: dense/kernel[144x6], dense/bias[6], dense_1/kernel[6x2]"),
        "{noted}"
    );

    let weights = |run: &str| {
        let file = path.join(run).join("model.safetensors");
        cnn_gpu::run::weights::load(&file).unwrap().1
    };
    let (before, after) = (weights("a"), weights("b"));
    for name in [
        "conv2d/kernel",
        "batch_normalization/gamma",
        "batch_normalization/moving_mean",
    ] {
        assert_eq!(
            before.parameter(name).unwrap(),
            after.parameter(name).unwrap(),
            "{name}"
        );
    }
    let config = fs::read_to_string(path.join("b/config.toml")).unwrap();
    assert!(
        config.contains("trainable = false") && config.contains("skip_mismatch = true"),
        "{config}"
    );

    let photos = ["flatten", "--augment", "photos", "--out", "photos"];
    let output = train(&[&skips[..], &photos].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(
        before.parameter("conv2d/kernel").unwrap(),
        weights("photos").parameter("conv2d/kernel").unwrap()
    );

    let varied = net(6).replacen("layers = [", "layers = [{ type = \"RandomFlip\" },", 1);
    fs::write(path.join("varied.toml"), varied).unwrap();
    let output = train(&[
        "--model",
        "varied.toml",
        "--augment",
        "photos",
        "--out",
        "c",
    ]);
    fails(&output, 2, &["RandomFlip already", "omit --augment"]);

    // Without a checkpoint the run starts over, from the same weights.
    fs::remove_file(path.join("b/checkpoint.safetensors")).unwrap();
    let resumed = run(path, &["train", "--resume", "b"]);
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
    assert_eq!(weights("b").weights_hash(), after.weights_hash());

    // The same flags change nothing.
    let resume = |more: &[&str]| run(path, &[&["train", "--resume", "b"], more].concat());
    let same = ["--weights", "a", "--skip-mismatch", "--freeze", "flatten"];
    for flags in [&same[3..], &same, &[&other[..2], &same].concat()] {
        let resumed = resume(flags);
        assert!(
            resumed.status.success(),
            "{flags:?}: {}",
            text(&resumed.stderr)
        );
    }
    for last in ["dense", "nothing"] {
        fails(&resume(&["--freeze", last]), 2, &["--freeze would change"]);
    }
}

#[test]
fn a_finished_runs_weights_are_trained_further() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    two_classes(path);
    let device = ["train", "--backend", "cpu", "--dataset", "folder:pets"];
    let train = |more: &[&str]| run(path, &[&device[..], more].concat());
    let model = ["--model", "net.toml", "--epochs", "1", "--format", "json"];
    assert!(
        train(&[&model[..], &["--out", "a"]].concat())
            .status
            .success()
    );
    // The learning rate is so low that the loss stays where the first run ended.
    let further = [
        "--weights",
        "a",
        "--epochs",
        "1",
        "--format",
        "json",
        "--learning-rate",
        "1e-30",
    ];
    let output = train(&[&further[..], &["--out", "b"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let tested = |out: &str| {
        let result = fs::read(path.join(out).join("result.json")).unwrap();
        serde_json::from_slice::<Value>(&result).unwrap()["test_loss"].as_f64()
    };
    assert_eq!(tested("a"), tested("b"));
    let config = fs::read_to_string(path.join("b/config.toml")).unwrap();
    assert!(config.contains("[weights]"), "{config}");

    // Without a checkpoint the run starts over from the same weights, if they have not changed.
    fs::remove_file(path.join("b/checkpoint.safetensors")).unwrap();
    let resumed = run(path, &["train", "--resume", "b"]);
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
    assert_eq!(tested("a"), tested("b"));
    let c = train(&[
        "--model", "net.toml", "--seed", "7", "--epochs", "1", "--out", "c",
    ]);
    assert!(c.status.success());
    let other = run(path, &["train", "--resume", "b", "--weights", "c"]);
    fails(&other, 2, &["--weights"]);
    let same = ["train", "--resume", "b", "--weights", "a/model.safetensors"];
    assert!(run(path, &same).status.success());
    // A run's weights imply its data set.
    let theirs = ["train", "--backend", "cpu", "--weights", "a", "--out", "e"];
    let output = run(path, &theirs);
    assert!(output.status.success(), "{}", text(&output.stderr));
    fs::rename(path.join("pets/dark"), path.join("pets/zebra")).unwrap();
    let output = train(&["--weights", "a", "--out", "f"]);
    let note = "note: the weights were trained on the classes dark, light, but the model's outputs are now zebra, light";
    assert!(
        text(&output.stderr).contains(note),
        "{}",
        text(&output.stderr)
    );
    fs::rename(path.join("pets/zebra"), path.join("pets/dark")).unwrap();
    fs::remove_file(path.join("b/checkpoint.safetensors")).unwrap();
    fs::copy(
        path.join("c/model.safetensors"),
        path.join("a/model.safetensors"),
    )
    .unwrap();
    fails(
        &run(path, &["train", "--resume", "b"]),
        1,
        &["have changed"],
    );

    let wider = fs::read_to_string(path.join("net.toml"))
        .unwrap()
        .replace("units = 2", "units = 3");
    fs::write(path.join("wide.toml"), wider).unwrap();
    let output = train(&["--weights", "a", "--model", "wide.toml", "--out", "d"]);
    fails(
        &output,
        1,
        &["dense/kernel[64x3]", "dense/kernel[64x2]", "--model"],
    );
    fails(
        &train(&["--weights", "nowhere", "--out", "d"]),
        1,
        &["nowhere"],
    );
    assert!(!path.join("d").exists());
}
