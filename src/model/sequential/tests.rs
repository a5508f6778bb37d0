//! Models in files, and what is refused.

use super::*;
use crate::model::{
    Activation, ActivationLayer, Add, BatchNormalization, Concatenate, Conv2D, Dense,
    DepthwiseConv2D, Dropout, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D, Initializer,
    MaxPooling2D, Regularizer, Rescaling, SpatialDropout2D, ZeroPadding2D,
};
use crate::shape::Padding;

#[test]
fn names_follow_keras() {
    let model = Sequential::new([28, 28, 1])
        .add(Conv2D::new(2, 3))
        .add(MaxPooling2D::new(2))
        .add(Conv2D::new(2, 3))
        .add(Flatten::new())
        .add(Dense::new(3).name("head"));
    let names: Vec<_> = model
        .resolve()
        .unwrap()
        .into_iter()
        .map(|l| l.name)
        .collect();
    assert_eq!(
        names,
        ["conv2d", "max_pooling2d", "conv2d_1", "flatten", "head"]
    );
}

#[test]
fn a_wrong_value_in_a_file_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.toml");
    let start = "input_shape = [8, 8, 1]\n[[layers]]\ntype = \"Flatten\"\n[[layers]]\ntype = ";
    for (rest, expected) in [
        (
            "\"Dense\"\nunits = 0\n",
            "line 6: layer `dense`: units must be",
        ),
        (
            "\"Conv2D\"\nfilters = 1\nkernel_size = 3\n",
            "line 4: layer `conv2d`: ",
        ),
    ] {
        std::fs::write(&path, format!("{start}{rest}")).unwrap();
        let message = Sequential::from_file(&path).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    std::fs::write(&path, "input_shape = [0, 8, 1]\nlayers = []\n").unwrap();
    let message = Sequential::from_file(&path).unwrap_err().to_string();
    assert!(!message.contains("line"), "{message}");
}

#[test]
fn inputs_of_layers_are_names_in_a_file() {
    let model = Sequential::new([4, 4, 2])
        .add(Conv2D::new(3, 1).name("a"))
        .add_from("input", Conv2D::new(3, 1))
        .add_from(["a", "conv2d", "a"], Add::new())
        .add(Flatten::new())
        .add_from(["flatten", "flatten"], Concatenate::new());
    let text = model.to_toml();
    for line in ["from = \"input\"\n", "from = [\"a\", \"conv2d\", \"a\"]\n"] {
        assert!(text.contains(line), "{text}");
    }
    assert_eq!(Sequential::from_toml(&text).unwrap(), model);
    let resolved = model.resolve().unwrap();
    let from: Vec<_> = resolved.iter().map(|layer| layer.from.clone()).collect();
    let earlier = vec![Some(0), Some(1), Some(0)];
    assert_eq!(
        from,
        [
            vec![None],
            vec![None],
            earlier,
            vec![Some(2)],
            vec![Some(3); 2]
        ]
    );
    assert_eq!(resolved[4].output, [96]);
    let summary = model.summary().unwrap();
    assert!(summary.contains("│ a, conv2d, a "), "{summary}");
}

#[test]
fn wrong_inputs_are_named_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.toml");
    let start = "input_shape = [4, 4, 2]\n[[layers]]\ntype = \"Flatten\"\nname = \"a\"\n\
                 [[layers]]\ntype = \"Dense\"\nunits = 3\nname = \"b\"\n[[layers]]\n";
    for (rest, expected) in [
        (
            "type = \"Add\"\nfrom = [\"b\", \"c\"]",
            "line 11: layer `add`: `from` names `c`, but there is no such layer",
        ),
        (
            "type = \"Add\"\nfrom = [\"b\", \"add\"]",
            "line 11: layer `add`: `from` names `add`, which does not come before it",
        ),
        (
            "type = \"Add\"\nfrom = [\"b\", \"d\"]\n[[layers]]\ntype = \"Flatten\"\nname = \"d\"",
            "line 11: layer `add`: `from` names `d`, which does not come before it",
        ),
        (
            "type = \"Add\"\nfrom = [\"b\", \"a\"]",
            "line 11: layer `add`: `from` names layers with outputs of 3 and 32",
        ),
        (
            "type = \"Add\"\nfrom = \"b\"",
            "line 11: layer `add`: expected the names of at least two layers in `from`",
        ),
        (
            "type = \"Add\"",
            "line 9: layer `add`: expected the names of at least two layers",
        ),
        (
            "type = \"Concatenate\"\nfrom = [\"b\", \"input\"]",
            "line 11: layer `concatenate`: `from` names layers with outputs of 3 and 4x4x2",
        ),
        (
            "type = \"Dense\"\nunits = 2\nfrom = [\"a\", \"b\"]",
            "line 12: layer `dense`: `from` has 2 names; expected one",
        ),
        (
            "type = \"Dense\"\nunits = 2\nfrom = \"a\"",
            "line 5: layer `b`: no layer takes its output",
        ),
        (
            "type = \"Dense\"\nunits = 2\nname = \"units\"\nfrom = \"a\"\n[[layers]]\ntype = \"Add\"\nfrom = [\"b\", \"b\"]",
            "line 9: layer `units`: no layer takes its output",
        ),
        (
            "type = \"Dense\"\nunits = 2\nname = \"input\"\nfrom = \"b\"",
            "line 12: layer `input`: layers name their inputs here",
        ),
        ("type = \"Add\"\nfrom = []", "line 11: `from` is empty"),
        (
            "type = \"Add\"\nfrom = 3",
            "line 11: expected the name of an earlier layer or an array of names",
        ),
        (
            "type = \"Dense\"\nunits = 2\nunit = 3",
            "line 12: unknown field `unit`",
        ),
    ] {
        std::fs::write(&path, format!("{start}{rest}\n")).unwrap();
        let message = Sequential::from_file(&path).unwrap_err().to_string();
        assert!(message.contains(expected), "{rest}: {message}");
        assert!(!message.contains('\n'), "{message}");
    }
    // Without `from` nothing else has that name.
    let chain = Sequential::new([2, 2, 1]).add(Flatten::new().name("input"));
    assert!(chain.check().is_ok());
}

#[test]
fn defaults_in_a_file_are_keras_defaults() {
    let text =
        "input_shape = [28, 28, 1]\n[[layers]]\ntype = \"Conv2D\"\nfilters = 32\nkernel_size = 3\n";
    let model = Sequential::from_toml(text).unwrap();
    assert_eq!(model, Sequential::new([28, 28, 1]).add(Conv2D::new(32, 3)));
}

#[test]
fn an_unknown_key_or_type_is_named_with_its_line() {
    let text = "input_shape = [28, 28, 1]\n[[layers]]\ntype = \"Dense\"\nunit = 3\n";
    let message = Sequential::from_toml(text).unwrap_err().to_string();
    assert!(message.contains("unit"), "{message}");
    let text = "input_shape = [28, 28, 1]\n[[layers]]\ntype = \"Dens\"\nunits = 3\n";
    let message = Sequential::from_toml(text).unwrap_err().to_string();
    assert!(
        message.contains("Dens") && !message.contains('\n'),
        "{message}"
    );
}

#[test]
fn impossible_layers_are_refused_by_name() {
    let too_large = Sequential::new([28, 28, 1]).add(Conv2D::new(2, 29).name("first"));
    let message = too_large.resolve().unwrap_err().to_string();
    assert!(
        message.contains("first") && message.contains("29x29"),
        "{message}"
    );
    let not_flat = Sequential::new([28, 28, 1]).add(Dense::new(10));
    assert!(
        not_flat
            .resolve()
            .unwrap_err()
            .to_string()
            .contains("Flatten")
    );
    let huge = Sequential::new([1 << 32, 1 << 32, 3]).add(GlobalMaxPooling2D::new());
    assert!(huge.resolve().unwrap_err().to_string().contains("2^31"));
    let twice = Sequential::new([2, 2, 1])
        .add(Flatten::new().name("a"))
        .add(Dense::new(1).name("a"));
    assert!(twice.resolve().unwrap_err().to_string().contains("`a`"));
    let named = |n| Sequential::new([2, 2, 1]).add(Flatten::new().name("é".repeat(n)));
    assert!(named(127).resolve().is_ok());
    let message = named(128).resolve().unwrap_err().to_string();
    assert!(
        message.contains("has 256 bytes; expected at most 255"),
        "{message}"
    );
}

#[test]
fn every_layer_survives_a_model_file() {
    let model = Sequential::new([12, 12, 2])
        .add(Rescaling::new(2.0).offset(-1.0))
        .add(ZeroPadding2D::new([[1, 0], [2, 3]]))
        .add(
            Conv2D::new(4, 3)
                .dilation_rate((2, 1))
                .groups(2)
                .kernel_initializer(Initializer::Constant(0.5))
                .kernel_regularizer(Regularizer { l1: 0.5, l2: 0.25 }),
        )
        .add(BatchNormalization::new().momentum(0.5).scale(false))
        .add(SpatialDropout2D::new(0.25))
        .add(DepthwiseConv2D::new(2).depth_multiplier(2))
        .add(ActivationLayer::new(Activation::LeakyRelu))
        .add(GlobalMaxPooling2D::new().keepdims(true))
        .add(GlobalAveragePooling2D::new())
        .add(Dropout::new(0.5))
        .add(Dense::new(3).activation(Activation::Softmax));
    assert_eq!(Sequential::from_toml(&model.to_toml()).unwrap(), model);
    let text = "input_shape = [4, 4, 1]\n[[layers]]\ntype = \"ZeroPadding2D\"\npadding = 2\n";
    let shape = Sequential::from_toml(text).unwrap().output_shape();
    assert_eq!(shape.unwrap(), [8, 8, 1]);
}

#[track_caller]
fn assert_refused(layer: impl Into<Layer>, part: &str) {
    let model = Sequential::new([8, 8, 3]).add(layer);
    let message = model.resolve().unwrap_err().to_string();
    assert!(
        message.contains(part) && !message.contains('\n'),
        "{message}"
    );
}

#[test]
fn arguments_that_make_no_sense_are_refused_in_one_line() {
    assert_refused(Dropout::new(1.0), "rate 1 must");
    assert_refused(SpatialDropout2D::new(-0.5), "rate -0.5 must");
    assert_refused(
        Conv2D::new(4, 3).groups(2),
        "3 input channels and 4 filters",
    );
    assert_refused(Conv2D::new(6, 3).groups(0), "0 groups");
    assert_refused(Conv2D::new(4, 3).strides(2).dilation_rate(2), "2x2");
    assert_refused(Conv2D::new(4, 3).dilation_rate(0), "0x0");
    assert_refused(Conv2D::new(4, 3).dilation_rate(4), "9x9");
    assert_refused(DepthwiseConv2D::new(3).depth_multiplier(0), "at least 1");
    assert_refused(BatchNormalization::new().momentum(1.5), "momentum 1.5");
    assert_refused(BatchNormalization::new().epsilon(0.0), "epsilon 0");
    assert_refused(Rescaling::new(f32::NAN), "finite");
    let negative = Conv2D::new(4, 3).kernel_regularizer(Regularizer::l2(-1.0));
    assert_refused(negative, "l2 = -1");
    let huge = ZeroPadding2D::new([usize::MAX, 0]);
    assert_refused(huge, "2^31");
    let pool = |size: usize| MaxPooling2D::new(size).padding(Padding::Same);
    assert_refused(pool(1 << 32), "too large");
    assert_refused(pool(2).strides(1 << 40), "too large");
}
