use serde_json::json;

use super::super::inputs::{self, FEATURES};
use super::*;
use crate::model::{
    Add, Concatenate, Dense, Flatten, GaussianNoise, Layer, RandomBrightness, RandomErasing,
    Rescaling,
};

fn config(input: Value, layers: &[(&str, Value)]) -> Value {
    let layer = |(i, (class, config)): (usize, &(&str, Value))| {
        let mut config = config.clone();
        config["name"] = format!("layer{i}").into();
        if i == 0 {
            config["batch_shape"] = input.clone();
        }
        json!({"class_name": class, "config": config})
    };
    let layers: Vec<Value> = layers.iter().enumerate().map(layer).collect();
    json!({"class_name": "Sequential", "config": {"name": "net", "layers": layers}})
}

fn rescaled(scale: f64, offset: f64) -> (Sequential, Vec<String>, usize) {
    let layers = [
        ("Rescaling", json!({"scale": scale, "offset": offset})),
        ("Flatten", json!({})),
        ("Dense", json!({"units": 2})),
    ];
    let read = Blueprint::read(&config(json!([null, 2, 2, 1]), &layers), false).unwrap();
    let places = read.places().unwrap();
    assert_eq!(places[1], place("dense", 1, true, 2));
    (read.model, read.notes, places.len())
}

fn place(group: &str, variable: usize, is_trainable: bool, rank: usize) -> Place {
    Place {
        group: group.into(),
        rank,
        variable,
        is_trainable,
    }
}

#[test]
fn a_model_for_bytes_becomes_one_for_fractions() {
    for (scale, offset, expected) in [
        (1.0 / 255.0, 0.0, None),
        (1.0 / 255.0, -0.5, Some((1.0, -0.5))),
        (1.0 / 127.5, -1.0, Some((2.0, -1.0))),
    ] {
        let (model, notes, places) = rescaled(scale, offset);
        let first = match &model.layers[0].layer {
            Layer::Rescaling(l) => Some((l.scale, l.offset)),
            _ => None,
        };
        assert_eq!((first, places), (expected, 2));
        assert!(notes[0].contains("pixels from 0 to 255"), "{notes:?}");
    }
    let (model, notes, _) = rescaled(2.0, -1.0);
    assert_eq!(
        model.layers[0],
        Rescaling::new(2.0).offset(-1.0).name("layer0").into()
    );
    assert_eq!(notes, [crate::interchange::Import::ASSUMED_PIXELS]);
}

#[test]
fn augmentation_before_a_division_varies_fractions_alike() {
    let layers = |scale: f64| {
        [
            (
                "RandomBrightness",
                json!({"factor": 0.1, "value_range": [0, 255]}),
            ),
            ("GaussianNoise", json!({"stddev": 0.51})),
            ("Rescaling", json!({"scale": scale, "offset": 0.0})),
            (
                "RandomErasing",
                json!({"fill_value": 1.0, "value_range": [0, 1]}),
            ),
            ("Flatten", json!({})),
            ("Dense", json!({"units": 2})),
            ("RandomFlip", json!({})),
        ]
    };
    let read = |scale| {
        let config = config(json!([null, 2, 2, 1]), &layers(scale));
        Blueprint::read(&config, false).unwrap()
    };
    let divided = read(1.0 / 255.0);
    let expected = Sequential::new([2, 2, 1])
        .name("net")
        .add(RandomBrightness::new(0.1).name("layer0"))
        .add(GaussianNoise::new(0.002).name("layer1"))
        .add(RandomErasing::new(1.0).fill_value(1.0).name("layer3"))
        .add(Flatten::new().name("layer4"))
        .add(Dense::new(2).name("layer5"));
    assert_eq!(divided.model, expected);
    let notes = divided.notes.join("\n");
    assert!(notes.contains("behind a layer that is trained"), "{notes}");
    assert!(notes.contains("vary pixels divided by 255"), "{notes}");
    assert_eq!(divided.places().unwrap()[1], place("dense", 1, true, 5));
    let assumed = read(1.0);
    assert_eq!(assumed.model.layers.len(), 6);
    let notes = assumed.notes.join("\n");
    assert!(notes.contains("--pixel-range 0,255"), "{notes}");
}

#[test]
fn frozen_layers_stay_frozen_and_left_out_ones_are_noted() {
    let layers = [
        ("ActivityRegularization", json!({})),
        ("Flatten", json!({"trainable": false})),
        ("Dense", json!({"units": 3, "trainable": false})),
        ("Dense", json!({"units": 2})),
    ];
    let read = Blueprint::read(&config(json!([null, 2, 2, 1]), &layers), true).unwrap();
    let mut expected = Sequential::new([2, 2, 1])
        .name("net")
        .add(Flatten::new().name("layer1"))
        .add(Dense::new(3).name("layer2"))
        .add(Dense::new(2).name("layer3"));
    expected.layers[1].trainable = false;
    assert_eq!(read.model, expected);
    assert_eq!(read.notes.len(), 1, "{:?}", read.notes);
    let places = [("dense", 2), ("dense_1", 3)]
        .map(|(group, rank)| [0, 1].map(|i| place(group, i, group != "dense", rank)));
    assert_eq!(read.places().unwrap(), places.as_flattened());
}

#[test]
fn an_image_without_channels_is_read_if_it_is_flattened() {
    let shape = json!([null, 4, 5]);
    let flat = [("Rescaling", json!({"scale": 2})), ("Flatten", json!({}))];
    let read = Blueprint::read(&config(shape.clone(), &flat), true).unwrap();
    assert_eq!(
        (read.model.input_shape, read.input_shape),
        ([4, 5, 1], None)
    );
    assert!(read.notes[0].contains("4x5x1"), "{:?}", read.notes);
    for (shape, class) in [(shape, "Softmax"), (json!([null, 7]), "Flatten")] {
        let read = Blueprint::read(&config(shape, &[(class, json!({}))]), false);
        let message = read.map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("height x width x channels"), "{message}");
    }
    let read = Blueprint::read(&config(json!([null, 4, 5]), &flat[1..]), true).unwrap();
    assert_eq!(read.model.input_shape, [4, 5, 1]);
    assert_eq!(read.input_shape, Some(vec![4, 5]));
    assert!(read.notes.is_empty(), "{:?}", read.notes);
}

#[test]
fn vectors_of_features_stay_vectors_where_inputs_are_unchanged() {
    let dense = ("Dense", json!({"units": 2}));
    for (class, arguments, added) in [
        ("Dropout", json!({"rate": 0.5}), true),
        ("Dense", json!({"units": 3}), true),
        ("Flatten", json!({}), false),
    ] {
        let first = (class, arguments);
        let read = Blueprint::read(&config(json!([null, 7]), &[first, dense.clone()]), true);
        let read = read.unwrap();
        assert_eq!(read.model.input_shape, [1, 1, 7]);
        assert_eq!(read.input_shape, Some(vec![7]));
        assert!(read.notes.is_empty(), "{:?}", read.notes);
        let mut resolved = read.model.resolve().unwrap();
        assert_eq!(
            (resolved[0].name == FEATURES, resolved.len()),
            (added, 2 + usize::from(added))
        );
        let shape = inputs::restore(&mut resolved, &read.model, Some(&[7]));
        assert_eq!(shape.unwrap(), [7]);
        let places: Vec<_> = resolved
            .iter()
            .map(|layer| (&*layer.name, &layer.input[..]))
            .collect();
        assert_eq!(places[0], ("layer0", &[7][..]));
        assert_eq!((places[1].0, places.len()), ("layer1", 2));
        let other = inputs::restore(&mut resolved, &read.model, Some(&[8]));
        assert!(other.unwrap_err().to_string().contains("images of 1x1x7"));
    }
}

#[test]
fn inputs_with_a_size_of_zero_are_refused() {
    let crop = ("RandomCrop", json!({"height": 2, "width": 2}));
    for shape in [[0, 4, 1], [4, 0, 1], [4, 4, 0]] {
        let input = json!([null, shape[0], shape[1], shape[2]]);
        let read = Blueprint::read(&config(input, std::slice::from_ref(&crop)), true);
        let message = read.map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("at least 1"), "{message}");
    }
}

#[test]
fn every_branch_has_to_hide_that_inputs_lack_channels() {
    let flatten = ("Flatten", json!({}), &["x"][..]);
    let dense = ("Dense", json!({"units": 20}), &["flatten"][..]);
    let softmax = ("Softmax", json!({}), &["relu"][..]);
    let relu = ("ReLU", json!({}), &["x"][..]);
    let reshape = ("Reshape", json!({"target_shape": [-1]}), &["softmax"][..]);
    let join = ("Concatenate", json!({}), &["dense", "reshape"][..]);
    let [a, b] = [vec![flatten, dense], vec![relu, softmax, reshape]];
    for branches in [[a.clone(), b.clone()], [b, a]] {
        let layers = [branches.concat(), vec![join.clone()]].concat();
        let read = Blueprint::read(&functional(json!([null, 4, 5]), &layers), true);
        let message = read.map(|_| ()).unwrap_err().to_string();
        assert!(
            message.starts_with("layer `softmax` (Softmax): it takes inputs of 4x5"),
            "{message}"
        );
    }
}

#[test]
fn every_branch_has_to_reshape_inputs_alike() {
    let reshape = |shape: Value| ("Reshape", json!({ "target_shape": shape }), &["x"][..]);
    let flatten = ("Flatten", json!({}), &["reshape"][..]);
    let dense = ("Dense", json!({"units": 16}), &["x"][..]);
    let join = ("Add", json!({}), &["dense", "flatten"][..]);
    let [a, b] = [vec![reshape(json!([4, 4, 1])), flatten], vec![dense]];
    for branches in [[a.clone(), b.clone()], [b, a]] {
        let layers = [branches.concat(), vec![join.clone()]].concat();
        let read = Blueprint::read(&functional(json!([null, 16]), &layers), false);
        let message = read.map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("expected the same Reshape"), "{message}");
    }
}

#[test]
fn a_crop_that_keras_does_not_resize_in_inference_is_noted() {
    let crop = ("RandomCrop", json!({"height": 2, "width": 2}));
    let resizing = |more: Value| {
        let mut config =
            json!({"height": 2, "width": 2, "crop_to_aspect_ratio": true, "fill_value": 0});
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        ("Resizing", config)
    };
    let flip = ("RandomFlip", json!({"mode": "horizontal"}));
    let read = |input: usize, layers: &[(&str, Value)]| {
        Blueprint::read(&config(json!([null, input, input, 1]), layers), true)
    };
    let ours = resizing(json!({}));
    for (input, layers, noted) in [
        (4, vec![crop.clone()], true),
        (4, vec![crop.clone(), flip.clone()], true),
        (4, vec![crop.clone(), flip, ours.clone()], true),
        (4, vec![crop.clone(), ours.clone()], false),
        (2, vec![crop.clone()], false),
        (2, vec![ours.clone()], false),
    ] {
        let notes = read(input, &layers).unwrap().notes;
        let found = notes
            .iter()
            .any(|note| note.contains("here they are resized"));
        assert_eq!(found, noted, "{layers:?}: {notes:?}");
    }
    for more in [
        json!({"crop_to_aspect_ratio": false}),
        json!({"crop_to_aspect_ratio": null}),
        json!({"pad_to_aspect_ratio": true}),
        json!({"interpolation": "nearest"}),
        json!({"antialias": true}),
    ] {
        let other = resizing(more);
        let message = read(4, &[crop.clone(), other.clone()]).map(|_| ());
        let message = message.unwrap_err().to_string();
        assert!(
            message.starts_with("layer `layer1` (Resizing): it comes behind"),
            "{message}"
        );
        // Images that have its size already stay as they are.
        assert!(read(2, &[crop.clone(), other]).is_ok());
    }
}

#[test]
fn layers_of_a_frozen_model_in_the_model_are_not_trained() {
    for frozen in [false, true] {
        let layers = [
            json!({"class_name": "InputLayer", "config": {"batch_shape": [null, 2, 2, 1]}}),
            json!({"class_name": "BatchNormalization", "config": {"name": "a"}}),
            json!({"class_name": "BatchNormalization", "config": {"name": "b"}}),
        ];
        let inner = json!({"name": "inner", "trainable": !frozen, "layers": layers});
        let layers = [
            ("Sequential", inner),
            ("Flatten", json!({})),
            ("Dense", json!({"units": 2})),
        ];
        let read = Blueprint::read(&config(json!([null, 2, 2, 1]), &layers), true).unwrap();
        let trained: Vec<bool> = read
            .places()
            .unwrap()
            .iter()
            .map(|p| p.is_trainable)
            .collect();
        let norm = [!frozen, !frozen, false, false];
        assert_eq!(trained, [&norm[..], &norm, &[true, true]].concat());
    }
}

#[test]
fn operations_on_inputs_are_one_rescaling() {
    let call = |class: &str, number: f64, after: &str| {
        json!({
            "class_name": class,
            "name": format!("{class}_of_{after}"),
            "config": {"name": format!("{class}_of_{after}")},
            "inbound_nodes": [{"args": [
                {"class_name": "__keras_tensor__", "config": {"keras_history": [after, 0, 0]}},
                number,
            ], "kwargs": {}}],
        })
    };
    let config = json!({"class_name": "Functional", "config": {
        "name": "net",
        "layers": [
            {"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
             "config": {"name": "x", "batch_shape": [null, 2, 2, 1]}},
            call("Subtract", 127.5, "x"),
            call("TrueDivide", 127.5, "Subtract_of_x"),
        ],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["TrueDivide_of_Subtract_of_x", 0, 0]],
    }});
    let read = Blueprint::read(&config, false).unwrap();
    let first = read.model.layers.first().map(|placed| &placed.layer);
    let Some(Layer::Rescaling(found)) = first else {
        panic!("{:?}", read.model);
    };
    assert_eq!(
        (read.model.layers.len(), found.scale, found.offset),
        (1, 2.0, -1.0)
    );
    assert!(
        read.notes[0].starts_with("the model divides pixels"),
        "{:?}",
        read.notes
    );
}

/// A functional model of these classes; each name is that of its class, and sources are names.
fn functional(input: Value, layers: &[(&str, Value, &[&str])]) -> Value {
    let layer = |(class, config, from): &(&str, Value, &[&str])| {
        let mut config = config.clone();
        config["name"] = class.to_lowercase().into();
        let history = |from: &&str| json!({"config": {"keras_history": [from, 0, 0]}});
        let from: Vec<Value> = from.iter().map(history).collect();
        json!({"class_name": class, "config": config, "inbound_nodes": [{"args": [from]}]})
    };
    let mut listed = vec![json!({
        "class_name": "InputLayer", "config": {"name": "x", "batch_shape": input}, "inbound_nodes": []
    })];
    listed.extend(layers.iter().map(layer));
    let last = layers.last().map(|(class, ..)| class.to_lowercase());
    json!({"class_name": "Functional", "config": {
        "name": "net", "layers": listed, "output_layers": [last, 0, 0]
    }})
}

#[test]
fn joins_are_layers_that_name_their_inputs() {
    let layers: [(&str, Value, &[&str]); 5] = [
        ("Identity", json!({}), &["x"]),
        ("ReLU", json!({}), &["identity"]),
        ("Add", json!({}), &["relu", "identity"]),
        ("RandomFlip", json!({}), &["add"]),
        (
            "Concatenate",
            json!({"axis": 3}),
            &["randomflip", "x", "add"],
        ),
    ];
    let read = Blueprint::read(&functional(json!([null, 2, 2, 1]), &layers), true).unwrap();
    let expected = Sequential::new([2, 2, 1])
        .name("net")
        .add(crate::model::ActivationLayer::new(crate::model::Activation::Relu).name("relu"))
        .add_from(["relu", "input"], Add::new().name("add"))
        .add(crate::model::RandomFlip::new().name("randomflip"))
        .add_from(
            ["randomflip", "input", "add"],
            Concatenate::new().name("concatenate"),
        );
    assert_eq!(read.model, expected);
}

#[test]
fn vectors_that_are_joined_are_flattened_once() {
    let layers: [(&str, Value, &[&str]); 4] = [
        ("Rescaling", json!({"scale": 2.0}), &["x"]),
        ("Dense", json!({"units": 4}), &["rescaling"]),
        ("Add", json!({}), &["dense", "rescaling"]),
        ("Concatenate", json!({"axis": 1}), &["add", "x"]),
    ];
    let read = Blueprint::read(&functional(json!([null, 4]), &layers), false).unwrap();
    let expected = Sequential::new([2, 2, 1])
        .name("net")
        .add(Rescaling::new(2.0).name("rescaling"))
        .add(Flatten::new().name("flatten"))
        .add(Dense::new(4).name("dense"))
        .add_from(["dense", "flatten"], Add::new().name("add"))
        .add_from("input", Flatten::new().name("flatten_1"))
        .add_from(["add", "flatten_1"], Concatenate::new().name("concatenate"));
    assert_eq!(read.model, expected);
    let read = Blueprint::read(&functional(json!([null, 4]), &layers), true).unwrap();
    let expected = Sequential::new([1, 1, 4])
        .name("net")
        .add(Flatten::new().name(FEATURES))
        .add(Rescaling::new(2.0).name("rescaling"))
        .add(Dense::new(4).name("dense"))
        .add_from(["dense", "rescaling"], Add::new().name("add"))
        .add_from(["add", FEATURES], Concatenate::new().name("concatenate"));
    assert_eq!(read.model, expected);
}

#[test]
fn joins_that_layers_cannot_do_are_refused_by_name() {
    let two: &[&str] = &["relu", "x"];
    for (class, config, from, part) in [
        (
            "Multiply",
            json!({}),
            two,
            "layer `multiply` (Multiply): it joins several inputs",
        ),
        (
            "Concatenate",
            json!({"axis": 1}),
            two,
            "along axis 1; expected the last one",
        ),
        (
            "Add",
            json!({}),
            &two[..1],
            "layer `add` (Add): it has 1 input; expected at least two",
        ),
        ("Dense", json!({"units": 1}), two, "it joins several inputs"),
    ] {
        let layers: [(&str, Value, &[&str]); 2] =
            [("ReLU", json!({}), &["x"]), (class, config, from)];
        let config = functional(json!([null, 2, 2, 1]), &layers);
        let read = Blueprint::read(&config, true);
        let message = read.map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn joins_of_other_shapes_and_of_constants_are_refused_in_words_of_keras() {
    let joined = |class, config| {
        let layers: [(&str, Value, &[&str]); 3] = [
            ("ReLU", json!({}), &["x"]),
            ("MaxPooling2D", json!({"pool_size": 2}), &["x"]),
            (class, config, &["relu", "maxpooling2d"]),
        ];
        functional(json!([null, 2, 2, 1]), &layers)
    };
    let message = |config: &Value| {
        let read = Blueprint::read(config, true);
        read.map(|_| ()).unwrap_err().to_string()
    };
    let found = message(&joined("Add", json!({})));
    assert!(
        found.contains("adds outputs of 2x2x1 and 1x1x1; Keras broadcasts, expected one shape"),
        "{found}"
    );
    let found = message(&joined("Concatenate", json!({})));
    assert!(
        found.contains("it concatenates outputs of 2x2x1"),
        "{found}"
    );
    let constant =
        json!({"class_name": "__tensor__", "config": {"value": [1.0], "dtype": "float32"}});
    for class in ["Add", "Concatenate"] {
        let mut config = joined(class, json!({}));
        let nodes = &mut config["config"]["layers"][3]["inbound_nodes"];
        nodes[0]["args"][0]
            .as_array_mut()
            .unwrap()
            .push(constant.clone());
        let found = message(&config);
        assert!(found.contains("it joins a constant"), "{found}");
    }
}

#[test]
fn sizes_that_overflow_are_refused() {
    let huge = 1_u64 << 40;
    let flat = [("Flatten", json!({}))];
    let wide = [("Flatten", json!({})), ("Dense", json!({"units": huge}))];
    for (shape, layers) in [
        (json!([null, huge, huge, huge]), &flat[..]),
        (json!([null, 2, 2, 1]), &wide),
    ] {
        let read = Blueprint::read(&config(shape, layers), true);
        let message = read.map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("more than 2^31 elements"), "{message}");
    }
}

#[test]
fn a_layer_that_does_not_fit_its_input_is_named() {
    let layers = [("Dense", json!({"units": 2}))];
    let read = Blueprint::read(&config(json!([null, 2, 2, 1]), &layers), true);
    let message = read.map(|_| ()).unwrap_err().to_string();
    assert!(
        message.starts_with("layer `layer0` (Dense): expected a flat input"),
        "{message}"
    );
}
