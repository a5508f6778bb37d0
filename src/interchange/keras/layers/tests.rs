use std::collections::BTreeSet;

use serde_json::{Value, json};
use strum::EnumCount as _;

use super::super::arguments::Arguments;
use super::{read, write};
use crate::model::{
    Activation, ActivationLayer, AveragePooling2D, BatchNormalization, Conv2D, Dense,
    DepthwiseConv2D, Dropout, Factor, FillMode, Flatten, GaussianNoise, GlobalAveragePooling2D,
    GlobalMaxPooling2D, Initializer, Layer, MaxPooling2D, RandomBrightness, RandomContrast,
    RandomCrop, RandomElasticTransform, RandomErasing, RandomFlip, RandomRotation, RandomShear,
    RandomTranslation, RandomZoom, Regularizer, Rescaling, Sequential, SpatialDropout2D,
    ZeroPadding2D,
};
use crate::shape::Padding;

/// Layers of images with names and with an argument of every kind.
fn images() -> Vec<Layer> {
    vec![
        Conv2D::new(4, [3, 2])
            .name("a")
            .strides([2, 1])
            .padding(Padding::Same)
            .groups(2)
            .activation(Activation::Gelu)
            .use_bias(false)
            .kernel_initializer(Initializer::HeNormal)
            .bias_initializer(Initializer::Constant(0.5))
            .kernel_regularizer(Regularizer::l2(0.1))
            .bias_regularizer(Regularizer::l1(0.1))
            .into(),
        Conv2D::new(4, 2).name("b").dilation_rate([2, 1]).into(),
        DepthwiseConv2D::new([2, 3])
            .name("c")
            .strides(2)
            .padding(Padding::Same)
            .depth_multiplier(3)
            .activation(Activation::Softmax)
            .use_bias(false)
            .depthwise_initializer(Initializer::Orthogonal)
            .bias_initializer(Initializer::Ones)
            .depthwise_regularizer(Regularizer::l1_l2(0.1, 0.2))
            .bias_regularizer(Regularizer::l2(0.3))
            .into(),
        DepthwiseConv2D::new(2)
            .name("d")
            .dilation_rate([1, 2])
            .into(),
        MaxPooling2D::new([2, 3])
            .name("e")
            .strides(1)
            .padding(Padding::Same)
            .into(),
        AveragePooling2D::new(2).name("f").strides([1, 2]).into(),
        AveragePooling2D::new(2).name("g").into(),
        GlobalAveragePooling2D::new()
            .name("h")
            .keepdims(true)
            .into(),
        GlobalMaxPooling2D::new().name("i").into(),
        ZeroPadding2D::new([[1, 2], [3, 0]]).name("j").into(),
        Rescaling::new(0.1).offset(-0.5).name("k").into(),
        Dropout::new(0.25).name("l").into(),
        SpatialDropout2D::new(0.25).name("m").into(),
        BatchNormalization::new()
            .name("n")
            .momentum(0.9)
            .epsilon(0.01)
            .center(false)
            .scale(false)
            .beta_initializer(Initializer::Ones)
            .gamma_initializer(Initializer::Zeros)
            .beta_regularizer(Regularizer::l1(0.1))
            .gamma_regularizer(Regularizer::l2(0.1))
            .into(),
        Flatten::new().name("o").into(),
    ]
}

fn flat() -> Vec<Layer> {
    let dense = Dense::new(5)
        .name("a")
        .activation(Activation::Selu)
        .use_bias(false)
        .kernel_initializer(Initializer::LecunUniform)
        .bias_initializer(Initializer::RandomNormal)
        .kernel_regularizer(Regularizer::l1(0.1))
        .bias_regularizer(Regularizer::l2(0.1));
    let pointwise = Activation::POINTWISE.into_iter();
    let activations = pointwise.chain([Activation::Linear, Activation::Softmax]);
    let activations = activations.map(|f| ActivationLayer::new(f).name("b").into());
    std::iter::once(dense.into()).chain(activations).collect()
}

/// The layer as it is written.
fn written(layer: &Layer, input: [usize; 3]) -> Value {
    let mut model = Sequential::new(input).add(layer.clone());
    if layer.spec().kind() == "Dense" {
        model.layers.insert(0, Flatten::new().into());
    }
    let resolved = model.resolve().unwrap();
    write(resolved.last().unwrap())
}

/// What a layer's configuration is read as, and the notes.
fn parsed(class: &str, config: &Value) -> (Result<Option<Layer>, String>, Vec<String>) {
    let config = config.as_object().unwrap();
    let name = config.get("name").and_then(Value::as_str).unwrap_or("x");
    let mut arguments = Arguments::new(class, name, config);
    let layer = read(&mut arguments, &[4, 4, 1], false).map_err(|e| e.to_string());
    (layer, arguments.notes)
}

#[test]
fn every_layer_comes_back_with_every_argument() {
    let mut kinds = BTreeSet::new();
    for layer in images().into_iter().chain(flat()) {
        let value = written(&layer, [7, 8, 2]);
        let class = value["class_name"].as_str().unwrap();
        let (read, notes) = parsed(class, &value["config"]);
        assert_eq!(read.unwrap(), Some(layer.clone()));
        assert!(notes.is_empty(), "{notes:?}");
        kinds.insert(layer.spec().kind());
    }
    // All but the sum pool, which Keras lacks, those that only vary training images
    // and those that merge others.
    assert_eq!(kinds.len(), Layer::COUNT - 3 - augmentation().len());
}

fn augmentation() -> [Layer; 11] {
    [
        RandomFlip::new().into(),
        RandomRotation::new(0.1).into(),
        RandomTranslation::new([0.0, 0.1], 0.2).into(),
        RandomZoom::new(0.1).width_factor(0.2).into(),
        RandomShear::new(0.1, 0.2).into(),
        RandomContrast::new([0.1, 0.2]).into(),
        RandomBrightness::new(0.25).into(),
        RandomErasing::new(0.5).fill_value(0.5).into(),
        RandomElasticTransform::new(0.5).scale([0.5, 1.0]).into(),
        RandomCrop::new(3, 2).into(),
        GaussianNoise::new(0.1).into(),
    ]
}

#[test]
fn augmentation_comes_back_with_its_arguments() {
    for layer in augmentation().map(|layer| layer.named("a")) {
        let value = written(&layer, [7, 8, 2]);
        assert_eq!(value["class_name"], layer.spec().kind());
        let (read, notes) = parsed(layer.spec().kind(), &value["config"]);
        assert_eq!((read, notes.len()), (Ok(Some(layer)), 0));
    }
    // As Keras writes what it was given as one number.
    let (read, _) = parsed(
        "RandomShear",
        &json!({"name": "a", "x_factor": [-0.2, 0.2], "y_factor": [-0.0, 0.0]}),
    );
    let shear = RandomShear::new(0.2, 0.0).name("a").into();
    assert_eq!(read, Ok(Some(shear)));
    // Keras's range, and one number for both directions in older files.
    let contrast = |factor: Factor| RandomContrast::new(factor).value_range([0.0, 255.0]);
    let read = |config| parsed("RandomContrast", &config).0;
    let older = read(json!({"name": "a", "factor": 0.2}));
    assert_eq!(
        older,
        Ok(Some(contrast([0.2, 0.2].into()).name("a").into()))
    );
    let newer = read(json!({"name": "a", "factor": [0, 0.2], "value_range": [0, 255]}));
    assert_eq!(
        newer,
        Ok(Some(contrast([0.0, 0.2].into()).name("a").into()))
    );
    let zoom = RandomZoom::new(0.1).width_factor([-0.5, 0.5]);
    let value = written(&zoom.fill_mode(FillMode::Wrap).into(), [7, 8, 2]);
    let config = &value["config"];
    assert_eq!(config["height_factor"], json!(0.1));
    assert_eq!(config["width_factor"], json!([-0.5, 0.5]));
    assert_eq!(config["fill_mode"], "wrap");
    assert_eq!(config["interpolation"], "bilinear");
}

#[test]
fn defaults_are_those_of_keras() {
    for (class, config, expected) in [
        (
            "Conv2D",
            json!({"name": "x", "filters": 3, "kernel_size": 2}),
            Conv2D::new(3, 2).name("x").into(),
        ),
        (
            "Dense",
            json!({"name": "x", "units": 3}),
            Dense::new(3).name("x").into(),
        ),
        (
            "MaxPooling2D",
            json!({"name": "x"}),
            MaxPooling2D::new(2).name("x").into(),
        ),
        (
            "ZeroPadding2D",
            json!({"name": "x"}),
            ZeroPadding2D::new(1).name("x").into(),
        ),
        (
            "ZeroPadding2D",
            json!({"name": "x", "padding": [1, [2, 3]]}),
            ZeroPadding2D::new([[1, 1], [2, 3]]).name("x").into(),
        ),
        (
            "BatchNormalization",
            json!({"name": "x", "axis": [3], "renorm": false, "fused": true}),
            BatchNormalization::new().name("x").into(),
        ),
    ] {
        let (read, notes) = parsed(class, &config);
        assert_eq!((read, notes), (Ok(Some(expected)), vec![]), "{class}");
    }
}

#[test]
fn activations_are_read_in_every_notation() {
    let layer = |class: &str, config: Value| parsed(class, &config).0;
    let slope = json!({"class_name": "LeakyReLU", "config": {"alpha": 0.2f32}});
    let function = json!({"class_name": "function", "config": "relu", "registered_name": "relu"});
    for (class, config, expected) in [
        (
            "ReLU",
            json!({"max_value": null, "threshold": 0.0}),
            Activation::Relu,
        ),
        (
            "ReLU",
            json!({"negative_slope": 0.2}),
            Activation::LeakyRelu,
        ),
        (
            "LeakyReLU",
            json!({"negative_slope": 0.2}),
            Activation::LeakyRelu,
        ),
        ("ELU", json!({"alpha": 1.0}), Activation::Elu),
        ("Softmax", json!({"axis": 3}), Activation::Softmax),
        (
            "Activation",
            json!({"activation": "swish"}),
            Activation::Silu,
        ),
        (
            "Activation",
            json!({"activation": slope}),
            Activation::LeakyRelu,
        ),
        (
            "Activation",
            json!({"activation": function}),
            Activation::Relu,
        ),
        (
            "Activation",
            json!({"activation": null}),
            Activation::Linear,
        ),
    ] {
        let expected = ActivationLayer::new(expected).name("x").into();
        assert_eq!(layer(class, config), Ok(Some(expected)), "{class}");
    }
}

#[test]
fn what_is_not_supported_is_refused_by_the_name_of_the_layer() {
    let conv = |key: &str, value: Value| json!({"filters": 1, "kernel_size": 1, key: value});
    let policy = json!({"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}});
    for (class, config, part) in [
        (
            "Conv2D",
            conv("data_format", json!("channels_first")),
            "channels_last",
        ),
        (
            "Conv2D",
            conv("padding", json!("causal")),
            "`valid` or `same`",
        ),
        ("Conv2D", conv("dtype", policy), "mixed_float16"),
        (
            "Conv2D",
            conv("activation", json!("relu6")),
            "no activation `relu6`",
        ),
        ("Conv2D", conv("activation", json!(7)), "activation"),
        ("Conv2D", conv("strides", json!([1, -1])), "strides"),
        ("Conv2D", json!({"kernel_size": 1}), "filters"),
        ("LeakyReLU", json!({}), "negative_slope is 0.3"),
        ("ReLU", json!({"max_value": 6.0}), "max_value"),
        ("ReLU", json!({"threshold": 1.0}), "threshold"),
        ("ELU", json!({"alpha": 0.5}), "alpha"),
        ("Softmax", json!({"axis": 1}), "axis"),
        ("Rescaling", json!({"scale": [1.0, 2.0]}), "scale"),
        ("BatchNormalization", json!({"axis": 1}), "axis"),
        (
            "BatchNormalization",
            json!({"renorm": true}),
            "renorm = true",
        ),
        (
            "Dropout",
            json!({"rate": 0.5, "noise_shape": [1, 2]}),
            "noise_shape",
        ),
        ("ZeroPadding2D", json!({"padding": [1, 2, 3]}), "padding"),
        ("Conv2DTranspose", json!({}), "no such layer"),
    ] {
        let message = parsed(class, &config).0.unwrap_err();
        let start = format!("layer `x` ({class}): ");
        assert!(
            message.starts_with(&start) && message.contains(part),
            "{message}"
        );
    }
}

#[test]
fn what_only_training_needs_is_replaced_with_a_note() {
    let normal = json!({"class_name": "RandomNormal", "config": {"stddev": 0.02}});
    let config = json!({
        "units": 3,
        "kernel_initializer": normal,
        "kernel_regularizer": "orthogonal_regularizer",
        "bias_constraint": {"class_name": "NonNeg", "config": {}},
    });
    let (layer, notes) = parsed("Dense", &config);
    assert_eq!(layer, Ok(Some(Dense::new(3).name("x").into())));
    for part in [
        "kernel_initializer",
        "kernel_regularizer",
        "bias_constraint NonNeg",
    ] {
        assert!(notes.iter().any(|note| note.contains(part)), "{notes:?}");
    }
    for class in ["AlphaDropout", "GaussianDropout"] {
        let (layer, notes) = parsed(class, &json!({"rate": 0.1}));
        assert_eq!(layer, Ok(None));
        assert_eq!(notes.len(), 1);
    }
    assert_eq!(parsed("Identity", &json!({})), (Ok(None), vec![]));
}

#[test]
fn augmentation_whose_meaning_cannot_be_kept_is_left_out_and_says_why() {
    let cases = [
        ("RandomHue", json!({"factor": 0.5}), "no such layer here"),
        (
            "RandomFlip",
            json!({"data_format": "channels_first"}),
            "`channels_last`",
        ),
        (
            "RandomRotation",
            json!({"factor": 2}),
            "must lie in [-1, 1]",
        ),
        (
            "RandomZoom",
            json!({"height_factor": 0.1, "fill_mode": "mirror"}),
            "fill_mode",
        ),
        (
            "RandomErasing",
            json!({"fill_value": [0, 1, 2]}),
            "one number for all channels",
        ),
    ];
    for (class, config, why) in cases {
        let (read, notes) = parsed(class, &config);
        assert_eq!((read, notes.len()), (Ok(None), 1));
        let note = &notes[0];
        assert!(note.contains("left out: ") && note.contains(why), "{note}");
        assert!(!note.contains("(Random"), "{note}");
    }
    let (read, _) = parsed("RandomCrop", &json!({"height": 0, "width": 2}));
    assert!(read.unwrap_err().contains("at least 1x1"));
    let (read, notes) = parsed("Resizing", &json!({"height": 4, "width": 4}));
    assert_eq!((read, notes.len()), (Ok(None), 0));
    assert!(
        parsed("Resizing", &json!({"height": 2, "width": 4}))
            .0
            .is_err()
    );
}
