//! Export to other programs, and import from them.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use super::program::{fails, json_lines, only_says, run, text};
use super::tiny;

/// A folder with a trained run.
fn trained(more: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    tiny::prepare(folder.path());
    tiny::trained(folder.path(), "run", more);
    folder
}

/// A file of `tests/interchange`.
fn foreign(name: &str) -> String {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interchange/files");
    files.join(name).display().to_string()
}

#[track_caller]
fn succeeds(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    json_lines(&output.stdout).remove(0)
}

fn json(folder: &Path, args: &[&str]) -> Value {
    succeeds(&run(folder, &[args, &["--format", "json"]].concat()))
}

fn evaluated(folder: &Path, network: &str) -> [Value; 2] {
    let args = ["--backend", "cpu", "--dataset", "idx:data"];
    let scores = json(folder, &[&["evaluate", network], &args[..]].concat());
    ["loss", "accuracy"].map(|key| scores[key].clone())
}

#[test]
fn an_exported_network_comes_back_whole() {
    let folder = trained(&[]);
    let path = folder.path();
    let targets = "--onnx a.onnx --keras a.keras --torch a";
    let targets: Vec<&str> = targets.split(' ').collect();
    let exported = json(path, &[&["export", "run"], &targets[..]].concat());
    let hash = exported["weights_hash"].clone();
    assert_eq!(exported["tensors"], 8);
    let files = ["a.onnx", "a.keras", "a/weights.safetensors"];
    for (file, out) in files.into_iter().zip(["onnx", "keras", "torch"]) {
        let imported = json(path, &["import", file, "--out", out]);
        assert_eq!(imported["weights_hash"], hash, "{file}");
        assert_eq!(imported["notes"].as_array().unwrap().len(), 0, "{imported}");
        assert_eq!(evaluated(path, out), evaluated(path, "run"), "{file}");
        let toml = |network: &str| text(&run(path, &["summary", network, "--toml"]).stdout);
        assert_eq!(toml(out), toml("run"), "{file}");
    }
    // Only Keras's file holds the optimizer's state.
    assert!(!path.join("onnx/optimizer.safetensors").exists());
    let again = json(path, &["export", "keras", "--keras", "b.keras"]);
    assert_eq!(again["weights_hash"], hash);
    let bytes = |name: &str| fs::read(path.join(name)).unwrap();
    assert_eq!(bytes("a.keras"), bytes("b.keras"));
    let first = json(
        path,
        &["export", "run", "--onnx", "b.onnx", "--channels-first"],
    );
    assert_eq!(first["written"][0]["format"], "ONNX");
    let imported = json(path, &["import", "b.onnx", "--out", "channels_first"]);
    assert_eq!(imported["weights_hash"], hash);
}

#[cfg(feature = "gpu")]
#[test]
fn a_page_holds_the_network_and_the_batch_size_of_the_run_or_another() {
    let folder = trained(&[]);
    let path = folder.path();
    let batch_sizes = |site: &str| -> Value {
        let packed = fs::File::open(path.join(site).join("plan.json.gz")).unwrap();
        let plan: Value = serde_json::from_reader(flate2::read::GzDecoder::new(packed)).unwrap();
        let programs = ["predict", "evaluate", "train"].map(|name| &plan["programs"][name]);
        programs
            .map(|program| program["batch"].clone())
            .to_vec()
            .into()
    };
    let exported = json(path, &["export", "run", "--web", "a", "--single", "a.html"]);
    assert_eq!(batch_sizes("a"), serde_json::json!([1, 8, 8]));
    assert_eq!(
        evaluated(path, "a/weights.safetensors"),
        evaluated(path, "run")
    );
    let page = fs::read_to_string(path.join("a.html")).unwrap();
    assert!(page.contains("id=\"weights.safetensors\">"), "{page}");
    let left_behind = exported["written"][0]["left_behind"].to_string();
    assert!(
        left_behind.contains("moments of the optimizer"),
        "{left_behind}"
    );
    let other = ["export", "run", "--web", "b", "--batch-size", "4"];
    json(path, &other);
    assert_eq!(batch_sizes("b"), serde_json::json!([1, 4, 4]));
    only_says(&run(path, &other), 1, "--force");
}

#[test]
fn training_continues_after_a_detour_through_keras() {
    let folder = trained(&[]);
    let path = folder.path();
    let _ = json(path, &["export", "run", "--keras", "a.keras"]);
    let imported = json(path, &["import", "a.keras", "--out", "net"]);
    assert_eq!(
        (&imported["optimizer"], &imported["steps"]),
        (&"adam".into(), &6.into())
    );
    let output = tiny::train(path, &["--weights", "net", "--out", "further"]);
    let said = text(&output.stderr);
    assert!(
        said.contains("continues with the imported moments, after 6 steps"),
        "{said}"
    );
    let _ = json(path, &["export", "further", "--keras", "further.keras"]);
}

#[test]
fn an_export_says_what_it_leaves_behind() {
    let folder = trained(&["--use-ema", "--ema-momentum", "0.5"]);
    let path = folder.path();
    let left = |file: &str, weights: &str| -> String {
        let exported = json(path, &["export", weights, "--keras", file]);
        exported["written"][0]["left_behind"].to_string()
    };
    // The run ends with the average of the weights, which the checkpoint holds too.
    assert_eq!(left("a.keras", "run"), "[]");
    let imported = json(path, &["import", "a.keras", "--out", "a"]);
    assert_eq!(imported["steps"], 6);
    let split = ["--validation-split", "0.25", "--checkpoint-best"];
    let high = ["--learning-rate", "3", "--epochs", "4"];
    tiny::trained(path, "best", &[&split[..], &high].concat());
    let message = left("b.keras", "best/best.safetensors");
    assert!(
        message.contains("moments and steps of the optimizer"),
        "{message}"
    );
    let text = text(&run(path, &["export", "run", "--onnx", "c.onnx"]).stdout);
    for words in [
        "wrote           c.onnx (",
        "left behind     the ",
        "InferenceSession(\"c.onnx\")",
    ] {
        assert!(text.contains(words), "no `{words}` in {text}");
    }
}

#[test]
fn existing_files_are_replaced_only_on_request() {
    let folder = trained(&[]);
    let path = folder.path();
    fs::create_dir(path.join("a")).unwrap();
    for name in ["a.onnx", "a.keras", "a/model.py"] {
        fs::write(path.join(name), "mine").unwrap();
    }
    for (flag, target) in [
        ("--onnx", "a.onnx"),
        ("--keras", "a.keras"),
        ("--torch", "a"),
    ] {
        let export = ["export", "run", flag, target];
        only_says(&run(path, &export), 1, "--force");
        let _ = json(path, &[&export[..], &["--force"]].concat());
    }
    assert_ne!(fs::read(path.join("a/model.py")).unwrap(), b"mine");
    let import = |more: &[&str]| run(path, &[&["import", "a.keras"], more].concat());
    only_says(&import(&["--out", "run"]), 1, "not empty");
    let text = |output: Output| text(&output.stdout);
    assert!(text(import(&[])).contains("\nfolder          runs/a\n"));
    assert!(text(import(&[])).contains("\nfolder          runs/a_2\n"));
}

#[test]
fn files_of_other_programs_are_imported() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let [keras, torch] = ["keras/lab.toml", "torch/lab.toml"].map(foreign);
    let files: [(&str, &str, &[&str]); 8] = [
        ("keras/lab.keras", "Keras", &[]),
        ("keras/lab.h5", "Keras (HDF5)", &[]),
        ("keras/lab.weights.h5", "Keras (HDF5)", &["--model", &keras]),
        ("keras/lab.tf2onnx.onnx", "ONNX", &[]),
        ("torch/lab.dynamo.onnx", "ONNX", &[]),
        ("torch/lab.pt", "PyTorch", &["--model", &torch]),
        ("torch/lab.legacy.pt", "PyTorch", &["--model", &torch]),
        (
            "torch/lab.safetensors",
            "PyTorch (safetensors)",
            &["--model", &torch],
        ),
    ];
    for (file, format, more) in files {
        // The contents tell the format.
        let copy = path.join("net");
        fs::copy(foreign(file), &copy).unwrap();
        let out = file.replace('/', "_");
        let imported = json(path, &[&["import", "net", "--out", &out], more].concat());
        assert_eq!(imported["format"], format, "{file}");
        let tensors = imported["matches"].as_array().unwrap().len();
        assert_eq!(tensors, 8, "{file}");
    }
    let exported = json(path, &["export", "torch_lab.pt", "--onnx", "lab.onnx"]);
    assert_eq!(exported["tensors"], 8);
}

#[test]
fn names_of_classes_and_a_range_of_pixels_are_taken() {
    let folder = trained(&[]);
    let path = folder.path();
    let _ = json(path, &["export", "run", "--torch", "a"]);
    fs::write(path.join("names.txt"), "cat\ndog\nbig owl\n").unwrap();
    let weights = ["import", "a/weights.safetensors"];
    let file = ["--classes", "names.txt", "--out", "b"];
    let named = json(path, &[&weights[..], &file].concat());
    assert_eq!(named["class_names"][2], "big owl");
    let record = fs::read_to_string(path.join("b/import.toml")).unwrap();
    assert!(record.contains("class_names = [\"cat\""), "{record}");
    for (names, words) in [
        ("cat,dog", "expected 3 different class names"),
        ("cat,dog,cat", "\"cat\" twice"),
        ("cat,,dog", "received \"\""),
    ] {
        let args = [&weights[..], &["--classes", names]].concat();
        only_says(&run(path, &args), 2, words);
    }
    let fixture = [foreign("torch/lab.pt"), foreign("torch/lab.toml")];
    let import = ["import", &fixture[0], "--model", &fixture[1]];
    let range = ["--pixel-range", "-1,1", "--out", "c"];
    let imported = json(path, &[&import[..], &range].concat());
    assert!(
        imported["notes"].to_string().contains("from -1 to 1"),
        "{imported}"
    );
    let toml = text(&run(path, &["summary", "c", "--toml"]).stdout);
    assert!(toml.contains("scale = 2.0\noffset = -1.0"), "{toml}");
}

#[test]
fn wrong_exports_and_imports_are_one_line() {
    let folder = trained(&[]);
    let path = folder.path();
    let usage: [(&[&str], &str); 8] = [
        (&["export", "run"], "--onnx"),
        (
            &["export", "run", "--channels-first", "--torch", "a"],
            "--onnx",
        ),
        (&["export", "run", "--keras", "a.h5"], "ends in .keras"),
        (&["export", "run", "--onnx", ".onnx"], "ends in .onnx"),
        (&["export", "--onnx", "a.onnx"], "<RUN>"),
        (&["import"], "<FILE>"),
        (&["import", "a", "--pixel-range", "255"], "0,255"),
        (&["import", "a", "--model", "resnet"], "mnist-cnn"),
    ];
    for (args, word) in usage {
        only_says(&run(path, args), 2, word);
    }
    fs::write(path.join("empty"), "").unwrap();
    fs::write(path.join("noise.onnx"), [0xff; 100]).unwrap();
    fs::write(path.join("text"), "hello").unwrap();
    let weights = foreign("keras/lab.weights.h5");
    let state_dict = foreign("torch/lab.pt");
    let failures: [(&[&str], &str); 12] = [
        (&["export", "nowhere", "--onnx", "a.onnx"], "nowhere"),
        (&["export", "data", "--onnx", "a.onnx"], "data"),
        (&["export", "run", "--onnx", "none/a.onnx"], "none/a.onnx"),
        (&["export", "run", "--torch", "text"], "text"),
        (&["import", "nowhere"], "nowhere"),
        (&["import", "data"], "a folder, not a file: expected ONNX"),
        (&["import", "run"], "needs no import"),
        (&["import", "empty"], "empty: an empty file"),
        (&["import", "text"], "expected ONNX (.onnx), Keras"),
        (&["import", "noise.onnx"], "noise.onnx"),
        (&["import", &weights], "(--model)"),
        (&["import", &state_dict], "(--model)"),
    ];
    for (args, word) in failures {
        only_says(&run(path, args), 1, word);
    }
    if cfg!(feature = "gpu") {
        let args = ["export", "run", "--onnx", "a.onnx", "--batch-size", "3"];
        only_says(&run(path, &args), 2, "--web <DIR>|--single <FILE.html>");
        let args = ["export", "run", "--single", "a.htm"];
        only_says(&run(path, &args), 2, "ends in .html");
    }
    let other = ["import", &weights, "--model", "tiny.toml"];
    fails(&run(path, &other), 1, &["lab.weights.h5"]);
    assert!(!path.join("runs").exists(), "a failed import left a folder");
    assert!(!path.join("a.onnx").exists(), "a failed export left a file");
}

#[test]
fn refused_files_are_named_in_one_line() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let model = foreign("torch/lab.toml");
    for file in fs::read_dir(foreign("refused")).unwrap() {
        let file = file.unwrap().path();
        let mut args = vec!["import", file.to_str().unwrap()];
        if file.extension().is_some_and(|extension| extension == "pt") {
            args.extend(["--model", &model]);
        }
        let name = file.file_name().unwrap().to_str().unwrap();
        fails(&run(path, &args), 1, &[name]);
    }
    assert_eq!(
        fs::read_dir(path).unwrap().count(),
        0,
        "something was written"
    );
}
