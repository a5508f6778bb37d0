//! The folder of an imported network, in place of a run's.

use std::fs;
use std::path::Path;

use cnn_gpu::model::Sequential;
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::run::checkpoint::Checkpoint;
use cnn_gpu::run::{ImportRecord, ImportedFolder, RunFolder, weights};
use cnn_gpu::state::{Layout, State};
use tempfile::TempDir;

use super::program::{fails, json_lines, run, text};
use super::tiny::{self, idx};

/// Writes the network of the run in `folder/run` to `folder/net`, with its moments, as an import
/// does.
fn import(folder: &Path, optimizer: Optimizer) -> State {
    let run = RunFolder::open(&folder.join("run")).unwrap();
    let state = Checkpoint::load(&run.checkpoint_path())
        .unwrap()
        .snapshot
        .state;
    let record = ImportRecord::new("2026-11-29 12:00:00 +00:00", "net.keras", "ab", "Keras")
        .class_names(["cat", "dog", "owl"].map(String::from).into())
        .optimizer(Some(optimizer));
    let out = RunFolder::create(&folder.join("net")).unwrap();
    let (model, _) = run.weights().unwrap();
    ImportedFolder::write(&out, &record, &model, &state).unwrap();
    state
}

/// A folder with a trained run and the network imported from it.
fn imported(optimizer: Optimizer) -> (TempDir, State) {
    let folder = TempDir::new().unwrap();
    tiny::prepare(folder.path());
    tiny::trained(folder.path(), "run", &[]);
    let state = import(folder.path(), optimizer);
    (folder, state)
}

#[test]
fn an_imported_folder_is_taken_where_a_run_is() {
    let (folder, _) = imported(Optimizer::rmsprop());
    let path = folder.path();
    let evaluated = |network: &str| {
        let args = "--backend cpu --dataset idx:data --format json";
        let args: Vec<&str> = args.split(' ').collect();
        let output = run(path, &[&["evaluate", network], &args[..]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let scores = json_lines(&output.stdout).remove(0);
        ["loss", "accuracy", "weights_hash"].map(|key| scores[key].clone())
    };
    let expected = evaluated("run");
    for network in ["net", "net/model.safetensors"] {
        assert_eq!(evaluated(network), expected);
    }
    let [ours, theirs] = ["net", "run"].map(|model| text(&run(path, &["summary", model]).stdout));
    assert_eq!(ours, theirs);
    let plan = text(&run(path, &["plan", "net"]).stdout);
    assert!(plan.contains("rmsprop_update"), "{plan}");
    fs::write(path.join("one"), idx(&[1, 4, 4], &[9; 16])).unwrap();
    let predict = ["predict", "net", "one", "--backend", "cpu"];
    let output = run(path, &[&predict[..], &["--format", "json"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let class = &json_lines(&output.stdout)[0]["class"];
    assert!(["cat", "dog", "owl"].iter().any(|name| class == name));
}

#[test]
fn an_imported_folder_is_not_a_run_to_resume_or_to_overwrite() {
    let (folder, _) = imported(Optimizer::adam());
    let path = folder.path();
    let resumed = run(path, &["train", "--resume", "net"]);
    fails(&resumed, 1, &["imported", "cnn-gpu train --weights net"]);
    let over = ["--model", "tiny.toml", "--out", "net"];
    fails(&tiny::train(path, &over), 1, &["not empty", "--out"]);
    fs::write(path.join("net/import.toml"), "version = 1").unwrap();
    let broken = run(path, &["evaluate", "net", "--backend", "cpu"]);
    fails(&broken, 1, &["import.toml", "imported network"]);
}

#[test]
fn training_continues_with_the_imported_moments() {
    let optimizer = Optimizer::adam().with_learning_rate(0.002);
    let (folder, imported) = imported(optimizer);
    let path = folder.path();
    assert_eq!(imported.step, 6);
    let further = |out: &str, more: &[&str]| {
        let output = tiny::train(path, &[&["--weights", "net", "--out", out], more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let run = RunFolder::open(&path.join(out)).unwrap();
        let (_, state) = run.weights().unwrap();
        (text(&output.stderr), run.config().unwrap(), state)
    };
    let (said, config, state) = further("a", &[]);
    let line = "optimizer: adam with a learning rate of 0.002 continues with the imported moments, after 6 steps";
    assert!(said.contains(line), "{said}");
    assert_eq!(config.training.optimizer, optimizer);
    assert!(config.weights.unwrap().moments.is_some());
    assert_eq!(state.step, 12);

    // Without a checkpoint the run starts over from the same weights and moments.
    let resume = || run(path, &["train", "--resume", "a"]);
    fs::remove_file(path.join("a/checkpoint.safetensors")).unwrap();
    let output = resume();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (_, again) = weights::load(&path.join("a/model.safetensors")).unwrap();
    assert_eq!(again.weights_hash(), state.weights_hash());
    // The run's own settings may be repeated.
    let same = ["train", "--resume", "a", "--learning-rate", "0.002"];
    assert!(run(path, &same).status.success());
    let other = ["train", "--resume", "a", "--learning-rate", "0.003"];
    fails(&run(path, &other), 2, &["optimizer"]);

    let (said, config, slower) = further("b", &["--learning-rate", "0.0001"]);
    assert!(said.contains("continues"), "{said}");
    assert_eq!(config.training.optimizer.learning_rate(), 0.0001);
    assert_ne!(slower.weights_hash(), state.weights_hash());

    let (said, config, _) = further("c", &["--optimizer", "sgd"]);
    let line = "optimizer: sgd, so the imported moments of adam are left";
    assert!(said.contains(line), "{said}");
    assert_eq!(config.training.optimizer, Optimizer::sgd());
    assert_eq!(config.weights.unwrap().moments, None);

    fs::remove_file(path.join("a/checkpoint.safetensors")).unwrap();
    fs::remove_file(path.join("net/optimizer.safetensors")).unwrap();
    fails(&resume(), 1, &["moments", "have changed"]);
}

#[test]
fn an_import_without_moments_trains_with_its_optimizer() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    tiny::prepare(path);
    let model = Sequential::from_file(&path.join("tiny.toml")).unwrap();
    let state = State::new(Layout::new(&model).unwrap(), 3);
    let record = ImportRecord::new("", "net.keras", "ab", "Keras")
        .optimizer(Some(Optimizer::rmsprop().with_learning_rate(0.0005)));
    let out = RunFolder::create(&path.join("net")).unwrap();
    ImportedFolder::write(&out, &record, &model, &state).unwrap();
    let output = tiny::train(path, &["--weights", "net", "--out", "run"]);
    let said = text(&output.stderr);
    let line = "optimizer: rmsprop with a learning rate of 0.0005, as imported\n";
    assert!(said.contains(line), "{said}");
}
