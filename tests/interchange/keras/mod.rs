//! Files of Keras.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod export;
mod networks;
mod refused;

use cnn_gpu::interchange::{Import, Match, keras};
use cnn_gpu::model::{Loss, Sequential};
use cnn_gpu::optimizer::{Optimizer, UpdateRule};

use super::expected::{Expected, file};

/// The largest difference from Keras's outputs.
const TOLERANCE: f32 = 1e-5;

fn model(name: &str) -> Sequential {
    Sequential::from_file(&file(&format!("keras/{name}.toml"))).unwrap()
}

fn read(name: &str) -> Import {
    keras::read(&file(&format!("keras/{name}")), None).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn a_model_of_keras_computes_the_same() {
    for (file, network) in [
        ("lab.keras", "lab"),
        ("lab.h5", "lab"),
        ("lab.keras2.h5", "lab"),
        ("lab.keras2.keras", "lab"),
        ("layers.keras", "layers"),
        ("activations.keras", "activations"),
        ("functional.keras", "functional"),
        ("logits.keras", "logits"),
        ("nested.keras", "nested"),
        ("operations.keras", "operations"),
        ("operations.h5", "operations"),
        ("rows.keras", "rows"),
        ("skips.keras", "skips"),
        ("skips.h5", "skips"),
    ] {
        let import = read(file);
        println!("{file}: {:#?}", import.notes);
        let expected = Expected::of(&format!("keras/{network}"));
        expected.check_outputs(&import.network, TOLERANCE);
        // Of models in the model, whose layers have other names here, the outputs are known alone.
        if !["nested", "operations", "rows"].contains(&network) {
            expected.check_state(&import.network.state, &["param"]);
        }
    }
}

#[test]
fn operations_and_models_in_a_model_become_layers() {
    let model = read("operations.keras").network.model;
    assert_eq!(model.input_shape, [6, 5, 1]);
    let resolved = model.resolve().unwrap();
    let names: Vec<&str> = resolved.iter().map(|layer| layer.name.as_str()).collect();
    // The division by 255 is left out.
    let expected = [
        "random_flip",
        "random_zoom",
        "conv",
        "relu",
        "norm",
        "inner_conv",
        "reshape_1",
        "head",
    ];
    assert_eq!(names, expected);
}

#[test]
fn weights_alone_need_their_model() {
    let path = file("keras/lab.weights.h5");
    let message = keras::read(&path, None).unwrap_err().to_string();
    assert!(message.contains("weights without a model"), "{message}");
    let import = keras::read(&path, Some(&model("lab"))).unwrap();
    Expected::of("keras/lab").check_outputs(&import.network, TOLERANCE);
    let first = &import.matches[0];
    let expected = Match::new("layers/conv2d/vars/0", vec![3, 3, 1, 4], "conv1/kernel");
    assert_eq!(*first, expected);
    assert_eq!(
        import.notes,
        [
            "the optimizer's state was not taken: the file does not say which optimizer it belongs to"
        ]
    );
}

#[test]
fn weights_are_found_whatever_the_order_of_the_model() {
    let mut model = model("skips");
    for order in ["as in the file", "the joined branches the other way round"] {
        let import = keras::read(&file("keras/skips.weights.h5"), Some(&model)).unwrap();
        let expected = Expected::of("keras/skips");
        expected.check_outputs(&import.network, TOLERANCE);
        expected.check_state(&import.network.state, &["param"]);
        assert_eq!(import.network.model, model, "{order}");
        // The layers `conv` and `shortcut`, which name their inputs.
        model.layers.swap(4, 5);
        model.layers[6].from = vec!["shortcut".into(), "conv".into()];
    }
}

#[test]
fn skip_connections_are_those_that_were_described() {
    let read = read("skips.keras").network.model;
    let connections = |model: &Sequential| {
        let resolved = model.resolve().unwrap();
        let named = resolved.iter().map(|layer| {
            let from = layer.source_names(&resolved).join(", ");
            format!("{} {} from {from}", layer.name, layer.layer.spec().kind())
        });
        let mut named: Vec<String> = named.collect();
        named.sort();
        named
    };
    assert_eq!(connections(&read), connections(&model("skips")));
}

#[test]
fn models_are_those_that_were_described() {
    for name in ["lab", "layers"] {
        let import = read(&format!("{name}.keras"));
        assert_eq!(named(import.network.model), named(model(name)));
    }
}

/// The model with its layers' names spelt out.
fn named(model: Sequential) -> String {
    let resolved = model.resolve().unwrap();
    let layers = resolved
        .iter()
        .map(|layer| format!("{}: {:?}", layer.name, layer.layer));
    let layers: Vec<String> = layers.map(|text| text.replace("name: None", "")).collect();
    let mut text = format!(
        "{:?} {:?}\n{}",
        model.input_shape,
        model.loss,
        layers.join("\n")
    );
    for layer in &resolved {
        text = text.replace(&format!("name: Some({:?})", layer.name), "");
    }
    text
}

#[test]
fn the_optimizer_continues_from_the_same_state() {
    let adam = Some(Optimizer::adam().with_learning_rate(0.01));
    for file in ["lab.keras", "lab.h5"] {
        let import = read(file);
        let expected = Expected::of("keras/lab");
        assert_eq!(import.network.optimizer, adam);
        expected.check_state(&import.network.state, &["m", "v"]);
        assert_eq!(
            import.network.state.step as f32,
            expected.values("step").unwrap()[0]
        );
    }
    // Trained differently.
    let keras_2 = read("lab.keras2.h5").network;
    assert_eq!((keras_2.optimizer, keras_2.state.step), (adam, 1));
    assert_eq!(
        (keras_2.state.m[0], keras_2.state.v[0] > 0.0),
        (-0.010_623_340_5, true)
    );
    let rule = UpdateRule::Sgd {
        learning_rate: 0.05,
        momentum: 0.9,
        nesterov: true,
    };
    check_optimizer("layers", rule.into(), &["m"]);
}

#[test]
fn every_optimizer_of_the_files_is_read() {
    let rule = UpdateRule::RmsProp {
        learning_rate: 0.001,
        rho: 0.9,
        momentum: 0.5,
        epsilon: 1e-7,
    };
    check_optimizer("logits", rule.into(), &["m", "v"]);
    let adamw = read("functional.keras").network.optimizer.unwrap();
    check_optimizer("functional", adamw, &["m", "v"]);
    let adam = read("skips.keras").network.optimizer.unwrap();
    check_optimizer("skips", adam, &["m", "v"]);
    assert!(adamw.name() == "adamw", "{adamw:?}");
    check_optimizer(
        "activations",
        Optimizer::sgd().with_learning_rate(0.05),
        &[],
    );
}

/// Checks the optimizer of a file, and its state.
fn check_optimizer(name: &str, optimizer: Optimizer, arenas: &[&str]) {
    let network = read(&format!("{name}.keras")).network;
    assert_eq!(network.optimizer, Some(optimizer));
    let expected = Expected::of(&format!("keras/{name}"));
    expected.check_state(&network.state, arenas);
    if let Some(step) = expected.values("step") {
        assert_eq!(network.state.step as f32, step[0]);
    }
}

#[test]
fn losses_are_read() {
    let smoothed = Loss::categorical_crossentropy().with_label_smoothing(0.1);
    for (name, loss) in [
        ("lab.h5", Loss::categorical_crossentropy()),
        ("lab.keras2.h5", Loss::categorical_crossentropy()),
        ("layers.keras", smoothed.unwrap()),
        ("activations.keras", Loss::MeanSquaredError),
        ("logits.keras", Loss::categorical_crossentropy()),
    ] {
        assert_eq!(read(name).network.model.loss, loss, "{name}");
    }
    let notes = read("logits.keras").notes;
    assert!(
        notes
            .iter()
            .any(|note| note.contains("a softmax was added")),
        "{notes:?}"
    );
}
