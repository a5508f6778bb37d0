//! Notes and errors about settings without effect and invalid settings.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use program::{fails, only_says, run, test_backend, text};

/// A run of two epochs of eight steps.
fn quick(folder: &Path, flags: &str) -> Output {
    let quick = "train --backend cpu --dataset digits --model mnist-mlp --limit 512 --epochs 2 \
                 --verbose 0 --out run";
    let words = quick.split(' ').chain(flags.split_whitespace());
    run(folder, &words.collect::<Vec<_>>())
}

/// The notes of a run with these flags.
fn notes(flags: &str) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    let output = quick(folder.path(), flags);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{flags}: {said}");
    let notes = said.lines().filter_map(|line| line.strip_prefix("note: "));
    notes.map(str::to_owned).collect()
}

#[test]
fn a_setting_without_effect_gets_a_note() {
    let split = "--validation-split 0.25 ";
    let cases = [
        (
            "--class-weight 3=2,3=4",
            "--class-weight 3=... occurs 2 times; the last one, 4,",
        ),
        ("--monitor loss", "--monitor loss has no effect"),
        ("--validation-steps 2", "--validation-steps has no effect"),
        ("--validation-freq 2", "--validation-freq has no effect"),
        ("--checkpoint-steps 8", "an epoch has only 8 steps"),
        ("--lr-schedule step:2", "keeps the learning rate at 0.001"),
        ("--lr-schedule exponential:1", "keeps the learning rate"),
        ("--lr-schedule step:1:2", "never lowers"),
        ("--lr-schedule cosine:1.9", "never lowers"),
        ("--data-dir nowhere", "--data-dir nowhere has no effect"),
        (
            "--skip-unreadable",
            "--skip-unreadable has no effect, as digits is",
        ),
        (
            "--interpolation bilinear-no-antialias",
            "--interpolation has no effect",
        ),
        ("--limit 100000", "--limit 100000 leaves out nothing"),
        (
            "--validation-split 0.25 --validation-steps 999",
            "--validation-steps 999 leaves out nothing",
        ),
        (
            "--monitor loss --early-stopping 1 --start-from-epoch 2",
            "never evaluates an epoch",
        ),
        ("--monitor loss --early-stopping 1", "too patient to stop"),
        (
            "--monitor loss --reduce-lr-on-plateau 2",
            "never reduces the learning rate, 0.001,",
        ),
        (
            "--epochs 4 --monitor loss --reduce-lr-on-plateau 1 --min-lr 0.001",
            "never reduces",
        ),
        (
            "--use-ema --monitor loss --early-stopping 1 --restore-best-weights",
            "--use-ema has no effect with",
        ),
        (
            "--use-ema --ema-overwrite-frequency 16",
            "has no effect, as the run has only 16 steps",
        ),
    ];
    for (flags, words) in cases {
        let notes = notes(flags);
        assert_eq!(notes.len(), 1, "{flags}: {notes:?}");
        assert!(notes[0].contains(words), "{flags}: {notes:?}");
    }
    let never = notes(&format!("{split}--validation-freq 3 --checkpoint-best"));
    assert!(never[0].contains("never validates"), "{never:?}");
    assert!(
        never[1].contains("--checkpoint-best writes nothing"),
        "{never:?}"
    );
    let both = notes(&format!("{split}--validation-data test"));
    assert!(
        both[0].contains("--validation-data replaces it"),
        "{both:?}"
    );
    // One image has one class: the weights of the nine others have no effect.
    let absent = notes("--limit 1 --class-weight 0=2,1=2,2=2,3=2,4=2,5=2,6=2,7=2,8=2,9=2");
    assert_eq!(absent.len(), 9, "{absent:?}");
}

#[test]
fn a_setting_with_an_effect_gets_no_note() {
    let split = "--validation-split 0.25";
    for flags in [
        "",
        "--class-weight 3=2,4=4",
        "--checkpoint-steps 7",
        "--lr-schedule step:1",
        "--lr-schedule constant",
        "--lr-schedule cosine:1",
        "--lr-schedule one-cycle:0.9",
        "--lr-schedule triangular:0.2:0.23:0.07",
        "--epochs 1 --lr-schedule triangular",
        "--lr-schedule triangular:0:0.9:0.9",
        "--use-ema --ema-overwrite-frequency 15",
        "--epochs 3 --monitor loss --early-stopping 1",
        "--monitor loss --early-stopping 9 --restore-best-weights",
        "--epochs 3 --monitor loss --reduce-lr-on-plateau 1",
        &format!("{split} --validation-freq 2 --validation-steps 1"),
        &format!("{split} --monitor val_accuracy --checkpoint-best"),
        "--epochs 3 --monitor loss --early-stopping 2 --baseline 0.0001",
    ] {
        assert_eq!(notes(flags), [""; 0], "{flags}");
    }
}

#[test]
fn a_warm_up_as_long_as_the_run_is_refused() {
    let folder = TempDir::new().unwrap();
    let output = quick(folder.path(), "--lr-schedule cosine:2");
    only_says(
        &output,
        2,
        "its warm-up takes 2 of the run's 2 epochs and never ends",
    );
    let output = quick(folder.path(), "--epochs 1 --lr-schedule cosine:3");
    only_says(&output, 2, "3 of the run's 1 epoch and");
    // Half a step is rounded up to one.
    let output = quick(folder.path(), "--epochs 1 --lr-schedule cosine:0.95");
    fails(&output, 2, &["never ends"]);
    assert!(!folder.path().join("run").exists());
}

#[test]
fn a_run_that_ends_in_its_first_epoch_says_that_its_history_is_empty() {
    let folder = TempDir::new().unwrap();
    let output = quick(
        folder.path(),
        "--optimizer sgd --learning-rate 1e30 --terminate-on-nan",
    );
    let results = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(results.contains("learning rate 1e30)"), "{results}");
    assert!(
        results.contains("history         no epoch was completed"),
        "{results}"
    );
    let csv = fs::read_to_string(folder.path().join("run/history.csv")).unwrap();
    let names = "epoch,loss,accuracy,learning_rate,seconds,images_per_second\n";
    assert_eq!(csv, names);
}

#[test]
fn messages_use_the_singular_after_one() {
    let folder = TempDir::new().unwrap();
    let flags = "--epochs 1 --limit 1 --verbose 2 --learning-rate 1e-30";
    let output = quick(folder.path(), flags);
    let said = text(&output.stderr) + &text(&output.stdout);
    for line in said.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let plural = |pair: &[&str]| pair[0] == "1" && pair[1].ends_with('s');
        assert!(!words.windows(2).any(plural), "{line}");
    }
    assert!(said.contains("1 image to train on"), "{said}");
    let csv = fs::read_to_string(folder.path().join("run/history.csv")).unwrap();
    assert!(csv.contains(",1e-30,"), "{csv}");
}

#[test]
fn summary_and_plan_take_a_run() {
    let folder = TempDir::new().unwrap();
    assert!(
        quick(folder.path(), "--optimizer sgd --batch-size 32")
            .status
            .success()
    );
    let says = |args: &str| {
        let args: Vec<&str> = args.split(' ').collect();
        let output = run(folder.path(), &args);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let preset = says("summary mnist-mlp");
    assert_eq!(says("summary run"), preset);
    assert_eq!(says("summary run/model.safetensors"), preset);
    let plan = says("plan run");
    assert!(
        plan.contains("batch 32") && plan.contains("sgd_update"),
        "{plan}"
    );
    assert!(says("plan run --batch-size 5").contains("batch 5"));
    fails(&run(folder.path(), &["summary", "."]), 1, &["settings"]);
}

#[test]
fn an_error_in_a_toml_file_names_the_line_of_the_key() {
    let folder = TempDir::new().unwrap();
    let model = "name = \"net\"\ninput_shape = [8, 8, 1]\n\n[[layers]]\ntype = \"Conv2D\"\nfilters = 4\n\
                 kernel_size = 3\nactivation = \"relu\"\n\n[[layers]]\ntype = \"Flatten\"\n\n[[layers]]\n\
                 type = \"Dense\"\nunits = 2\n";
    for (wrong, right, line) in [
        ("filter = 4", "filters = 4", 6),
        ("kernel_size = \"3\"", "kernel_size = 3", 7),
        ("activation = \"rellu\"", "activation = \"relu\"", 8),
        ("type = \"Flat\"", "type = \"Flatten\"", 11),
        ("units = -2", "units = 2", 15),
        ("unit = 2", "units = 2", 15),
        ("input_shape = [8, 8]", "input_shape = [8, 8, 1]", 2),
        ("nom = \"net\"", "name = \"net\"", 1),
        ("units = ", "units = 2", 15),
        // The header of the layer's table is missing.
        ("", "units = 2", 13),
    ] {
        let path = folder.path().join("net.toml");
        fs::write(&path, model.replace(right, wrong)).unwrap();
        let output = run(folder.path(), &["summary", "net.toml"]);
        let message = text(&output.stderr);
        assert!(
            message.contains(&format!("line {line}: ")),
            "{wrong}: {message}"
        );
        fails(&output, 1, &["net.toml"]);
    }
    assert!(
        quick(folder.path(), "--lr-schedule cosine:1")
            .status
            .success()
    );
    let path = folder.path().join("run/config.toml");
    let config = fs::read_to_string(&path).unwrap();
    for (wrong, right) in [
        ("batch_size = \"x\"", "batch_size = 64"),
        ("learning_rate = true", "learning_rate = 0.001"),
        ("warmup_epoch = 1.0", "warmup_epochs = 1.0"),
        ("units = 1.5", "units = 128"),
    ] {
        let broken = config.replacen(right, wrong, 1);
        let line = 1 + broken.lines().position(|l| l.starts_with(wrong)).unwrap();
        fs::write(&path, broken).unwrap();
        let output = run(folder.path(), &["train", "--resume", "run"]);
        let words = ["not the settings of a run", &format!("line {line}: ")];
        fails(&output, 1, &words);
    }
}

#[test]
fn the_error_of_a_run_without_weights_suggests_resume() {
    let folder = TempDir::new().unwrap();
    assert!(quick(folder.path(), "").status.success());
    fs::remove_file(folder.path().join("run/model.safetensors")).unwrap();
    fails(
        &quick(folder.path(), ""),
        1,
        &["cnn-gpu train --resume run"],
    );
    let evaluate = run(folder.path(), &["evaluate", "run", "--backend", "cpu"]);
    fails(&evaluate, 1, &["cnn-gpu train --resume run"]);
}

#[test]
fn a_run_resumed_on_another_device_records_both() {
    let folder = TempDir::new().unwrap();
    // Fails after a checkpoint in its first epoch, so that it can be resumed.
    let begin = "--epochs 1 --checkpoint-steps 2 --learning-rate 1e-9";
    assert!(quick(folder.path(), begin).status.success());
    let path = folder.path().join("run/checkpoint.safetensors");
    let checkpoint = cnn_gpu::run::checkpoint::Checkpoint::load(&path).unwrap();
    let mut snapshot = checkpoint.snapshot;
    snapshot.last_epoch = 2;
    let mut keeper = cnn_gpu::run::checkpoint::Checkpointer::new(
        &path,
        checkpoint.identity,
        &checkpoint.device,
        cnn_gpu::run::checkpoint::CheckpointSchedule::default(),
    );
    cnn_gpu::train::Keeper::keep(&mut keeper, &snapshot).unwrap();
    let backend = test_backend().name();
    let resume = [
        "train",
        "--resume",
        "run",
        "--backend",
        backend,
        "--verbose",
        "0",
    ];
    let output = run(folder.path(), &resume);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let results = text(&output.stdout);
    assert!(
        results.contains("devices         ") && results.contains(" (cpu), then "),
        "{results}"
    );
    let result = fs::read(folder.path().join("run/result.json")).unwrap();
    let result: Value = serde_json::from_slice(&result).unwrap();
    assert_eq!(result["backend"], backend);
    assert_eq!(result["adapters"].as_array().unwrap().len(), 2);
    let config = fs::read_to_string(folder.path().join("run/config.toml")).unwrap();
    let config: toml::Table = toml::from_str(&config).unwrap();
    assert_eq!(config["device"]["backend"].as_str(), Some("cpu"));
    assert_eq!(config["continued_on"][0]["backend"].as_str(), Some(backend));
}

#[test]
fn predictions_as_text_are_the_table() {
    let folder = TempDir::new().unwrap();
    assert!(quick(folder.path(), "--epochs 1").status.success());
    let picture = folder.path().join("one.png");
    image::GrayImage::from_fn(28, 28, |x, _| {
        image::Luma([if x / 4 == 3 { 255 } else { 0 }])
    })
    .save(&picture)
    .unwrap();
    let predict = |more: &[&str]| {
        let args = ["predict", "run", "one.png", "--backend", "cpu"];
        let output = run(folder.path(), &[&args[..], more].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(predict(&["--format", "text"]), predict(&[]));
}

#[test]
fn selfcheck_blames_the_fixture_if_the_reference_fails_too() {
    let folder = TempDir::new().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let bytes = fs::read(fixtures.join("ties.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    // A kernel as written from a transposed view: all its values, in a different order.
    let kernel = file
        .names()
        .into_iter()
        .find(|n| n.starts_with("param/") && n.ends_with("kernel"));
    let kernel = kernel.unwrap().to_owned();
    let values = file.tensor(&kernel).unwrap().data().to_vec();
    let turned: Vec<u8> = values.chunks_exact(4).rev().flatten().copied().collect();
    let tensors = file.iter().map(|(name, view)| {
        let data = if name == kernel {
            &turned[..]
        } else {
            view.data()
        };
        let (dtype, shape) = (view.dtype(), view.shape().to_vec());
        (
            name,
            safetensors::tensor::TensorView::new(dtype, shape, data).unwrap(),
        )
    });
    let turned = safetensors::serialize(tensors, None).unwrap();
    fs::write(folder.path().join("turned.safetensors"), turned).unwrap();
    let model = fixtures.join("ties.toml").display().to_string();
    let check = |fixture: &str, format: &str| {
        let device = ["selfcheck", "--backend", "cpu", "--model", &model];
        let more = ["--fixture", fixture, "--format", format];
        run(folder.path(), &[&device[..], &more].concat())
    };
    let output = check("turned.safetensors", "text");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("np.ascontiguousarray"));
    let report: Value =
        serde_json::from_slice(&check("turned.safetensors", "json").stdout).unwrap();
    assert!(
        report["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("f64 reference differs in the same way"))
    );
    let whole = fixtures.join("ties.safetensors").display().to_string();
    let output = check(&whole, "text");
    assert!(output.status.success() && !text(&output.stdout).contains("hint"));
}
