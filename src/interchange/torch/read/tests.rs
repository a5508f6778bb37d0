use std::collections::HashMap;

use safetensors::{Dtype, tensor::TensorView};
use strum::EnumCount;

use super::*;
use crate::interchange::torch::export;
use crate::model::Layer;
use crate::model::{
    Activation, ActivationLayer, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D,
    Dense, DepthwiseConv2D, Dropout, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D,
    MaxPooling2D, Rescaling, SpatialDropout2D, SumPooling2D, ZeroPadding2D,
};
use crate::rng::{Key, Stream};
use crate::shape::Padding;

/// A network whose values are all different.
fn network(model: Sequential) -> Network {
    let mut state = State::new(Layout::new(&model).unwrap(), 1);
    let key = Key::new(1).stream(Stream::Check, 0);
    let values = state.params.iter_mut().zip(0..);
    values.for_each(|(value, i)| *value = key.uniform(i));
    // Paddings stay zero.
    let layout = std::sync::Arc::clone(&state.layout);
    let mut clean = State::new(std::sync::Arc::clone(&layout), 1);
    for p in &layout.parameters {
        clean.params[p.range()].copy_from_slice(&state.params[p.range()]);
    }
    Network::new(model, clean)
}

#[track_caller]
fn assert_comes_back(model: Sequential) {
    let outputs: usize = model.output_shape().unwrap().iter().product();
    let names = (0..outputs).map(|class| class.to_string()).collect();
    let mut network = network(model).class_names(names);
    network.state.step = 7;
    let export = export(&network).unwrap();
    let read = from_safetensors(&export.weights, &network.model).unwrap();
    assert_eq!(
        read.network.state.weights_hash(),
        network.state.weights_hash()
    );
    assert_eq!(read.network.class_names, network.class_names);
    assert_eq!((read.network.state.step, read.notes.len()), (7, 0));
    assert_eq!(read.matches.len(), network.state.layout.parameters.len());
}

#[test]
fn skip_connections_come_back() {
    let conv = |name: &str| Conv2D::new(2, 1).name(name);
    assert_comes_back(
        Sequential::new([3, 2, 2])
            .add(conv("a"))
            .add(BatchNormalization::new())
            .add_from("input", conv("b"))
            .add_from(["batch_normalization", "b"], Add::new())
            .add(Flatten::new().name("flat"))
            .add(Dense::new(12).name("c"))
            .add_from("add", Flatten::new().name("rows"))
            .add(Dense::new(12).name("d"))
            .add_from(["flat", "c", "d"], Concatenate::new())
            .add(Dense::new(3).name("head")),
    );
}

#[test]
fn every_layer_comes_back() {
    let image = || Sequential::new([5, 4, 6]);
    let layers: [Layer; 15] = [
        Conv2D::new(4, [3, 2]).groups(2).into(),
        MaxPooling2D::new(2).into(),
        AveragePooling2D::new(2).into(),
        SumPooling2D::new(2).into(),
        Flatten::new().into(),
        Dense::new(3).into(),
        ActivationLayer::new(Activation::Relu).into(),
        GlobalAveragePooling2D::new().into(),
        GlobalMaxPooling2D::new().into(),
        ZeroPadding2D::new(1).into(),
        Rescaling::new(2.0).into(),
        Dropout::new(0.5).into(),
        SpatialDropout2D::new(0.5).into(),
        BatchNormalization::new().into(),
        DepthwiseConv2D::new(2).depth_multiplier(3).into(),
    ];
    // All but the two that merge others and the eleven that vary training images.
    assert_eq!(layers.len(), Layer::COUNT - 2 - 11);
    for layer in layers {
        let is_dense = matches!(layer, Layer::Dense(_));
        let model = if is_dense {
            image().add(Flatten::new())
        } else {
            image()
        };
        assert_comes_back(model.add(layer.clone()));
        if !is_dense {
            assert_comes_back(image().add(layer).add(Flatten::new()).add(Dense::new(2)));
        }
    }
    for (scale, center) in [(true, false), (false, true), (false, false)] {
        let norm = BatchNormalization::new().scale(scale).center(center);
        assert_comes_back(image().add(norm.clone()));
        assert_comes_back(image().add(Flatten::new()).add(norm).add(Dense::new(2)));
    }
}

/// A safetensors file with tensors of these shapes, full of ones.
fn file(tensors: &[(&str, &[usize])]) -> Vec<u8> {
    typed(tensors, Dtype::F32)
}

fn typed(tensors: &[(&str, &[usize])], dtype: Dtype) -> Vec<u8> {
    let size = dtype.bitsize() / 8;
    let one = [vec![0; size - 2], vec![0x80, 0x3f]].concat();
    let bytes: Vec<Vec<u8>> = (tensors.iter())
        .map(|(_, shape)| one.repeat(shape.iter().product()))
        .collect();
    let views = (tensors.iter().zip(&bytes)).map(|((name, shape), bytes)| {
        (
            *name,
            TensorView::new(dtype, shape.to_vec(), bytes).unwrap(),
        )
    });
    safetensors::serialize(views, None::<HashMap<String, String>>).unwrap()
}

/// Two convolutions of equal shapes, and a dense layer.
fn twins() -> Sequential {
    let conv = || Conv2D::new(2, 3).use_bias(false);
    Sequential::new([6, 6, 2])
        .add(conv())
        .add(conv())
        .add(Flatten::new())
        .add(Dense::new(3))
}

const CONV: &[usize] = &[2, 2, 3, 3];
const HEAD: [(&str, &[usize]); 2] = [("head.weight", &[3, 8]), ("head.bias", &[3])];

fn refused(tensors: &[(&str, &[usize])], model: &Sequential) -> String {
    let message = from_safetensors(&file(tensors), model)
        .unwrap_err()
        .to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

fn with_head(convs: [&'static str; 2]) -> Vec<(&'static str, &'static [usize])> {
    let convs = convs.map(|name| (name, CONV));
    convs.into_iter().chain(HEAD).collect()
}

#[test]
fn numbered_layers_of_equal_shapes_are_taken_in_order() {
    for names in [
        ["conv2.weight", "conv10.weight"],
        ["x.9.y.weight", "x.10.y.weight"],
    ] {
        let read = from_safetensors(&file(&with_head(names)), &twins()).unwrap();
        let theirs: Vec<_> = read.matches.iter().map(|m| m.theirs.as_str()).collect();
        assert_eq!(theirs, [names[0], names[1], "head.weight", "head.bias"]);
        assert_eq!(read.matches[0].ours, "conv2d/kernel");
        assert_eq!(read.matches[0].shape, CONV);
        assert!(
            read.notes[0].contains("pixels divided by 255"),
            "{:?}",
            read.notes
        );
    }
}

#[test]
fn layers_that_cannot_be_told_apart_are_refused() {
    let message = refused(&with_head(["down.weight", "up.weight"]), &twins());
    assert_eq!(
        message,
        "`down` and `up` both fit the layers `conv2d` and `conv2d_1`; rename them so that only \
         numbers differ, such as conv1 and conv2, or save a .pt file, which keeps the order"
    );
}

#[test]
fn names_that_this_crate_writes_decide() {
    // In alphabetical order, `b` would be the first convolution.
    let mut model = twins();
    for (layer, name) in model.layers.iter_mut().zip(["z", "b"]) {
        if let Layer::Conv2D(conv) = &mut layer.layer {
            conv.name = Some(name.into());
        }
    }
    let tensors = [
        ("z.weight", CONV),
        ("b.weight", CONV),
        ("dense.weight", HEAD[0].1),
        ("dense.bias", &[3]),
    ];
    let read = from_safetensors(&file(&tensors), &model).unwrap();
    assert_eq!(read.matches[0].theirs, "z.weight");
}

/// `b` is the second convolution, though the first one in the file; the dense layer has another name.
#[test]
fn names_of_some_layers_decide_about_these() {
    let mut model = twins();
    for (layer, name) in model.layers.iter_mut().zip(["z", "b"]) {
        if let Layer::Conv2D(conv) = &mut layer.layer {
            conv.name = Some(name.into());
        }
    }
    let tensors = with_head(["b.weight", "z.weight"]);
    let read = from_safetensors(&file(&tensors), &model).unwrap();
    let theirs: Vec<_> = read.matches.iter().map(|m| m.theirs.as_str()).collect();
    assert_eq!(theirs, ["z.weight", "b.weight", "head.weight", "head.bias"]);
}

/// Modules are defined in another order than they are used in.
#[test]
fn an_order_that_the_numbers_contradict_is_refused_unless_names_tell() {
    let bytes = file(&with_head(["conv1.weight", "conv2.weight"]));
    let mut dict = StateDict::of_safetensors(&bytes).unwrap();
    dict.is_ordered = true;
    dict.tensors.sort_by(|a, b| b.name.cmp(&a.name));
    let read = |model: &Sequential| {
        let layout = Layout::new(model).unwrap();
        import(&dict, model, &layers(model).unwrap(), layout)
    };
    let message = read(&twins()).unwrap_err().to_string();
    assert!(
        message.contains("name them in the model as in the file"),
        "{message}"
    );
    let mut named = twins();
    for (layer, name) in named.layers.iter_mut().zip(["conv1", "conv2"]) {
        if let Layer::Conv2D(conv) = &mut layer.layer {
            conv.name = Some(name.into());
        }
    }
    assert_eq!(read(&named).unwrap().matches[0].theirs, "conv1.weight");
}

#[test]
fn what_a_state_dict_does_not_say_is_noted() {
    let notes = |model: Sequential, tensors: &[(&str, &[usize])]| {
        let notes = from_safetensors(&file(tensors), &model).unwrap().notes;
        notes.join("\n")
    };
    let conv = || Conv2D::new(2, 3).use_bias(false).padding(Padding::Same);
    let image = || Sequential::new([6, 6, 2]);
    let kernel = [("a.weight", CONV)];
    let even = notes(image().add(conv()), &kernel);
    assert!(!even.contains("unevenly"), "{even}");
    let uneven = notes(image().add(conv().strides(2).name("down")), &kernel);
    assert!(uneven.contains("`same` pads `down` unevenly"), "{uneven}");
    let flat = notes(image().add(conv()).add(Flatten::new()), &kernel);
    assert!(flat.contains("the outputs are in another order"), "{flat}");
}

#[test]
fn weights_in_the_order_of_another_flattening_are_refused() {
    let model = Sequential::new([2, 2, 3])
        .add(Flatten::new())
        .add(BatchNormalization::new().name("norm"));
    let shape: &[usize] = &[12];
    let names = ["a.weight", "a.bias", "a.running_mean", "a.running_var"].map(|name| (name, shape));
    let message = refused(&names, &model);
    assert!(
        message.starts_with("layer `norm`: its weights"),
        "{message}"
    );
}

#[test]
fn only_what_takes_a_flattening_is_in_its_order() {
    let branches = || {
        Sequential::new([2, 2, 3])
            .add(GlobalAveragePooling2D::new().name("pool"))
            .add_from("input", Flatten::new().name("rows"))
            .add_from("pool", Dense::new(12).name("dense"))
    };
    let shapes: [(_, &[usize]); 2] = [("a.weight", &[12, 3]), ("a.bias", &[12])];
    let message = refused(
        &shapes,
        &branches().add_from(["rows", "dense"], Add::new().name("sum")),
    );
    let expected = "layer `sum`: `rows` and `dense` are joined behind a flattening";
    assert!(message.starts_with(expected), "{message}");
    // Its layers are in another list than their graph, where a dense layer takes what is pooled.
    let rows = branches().add_from("rows", Flatten::new().name("more"));
    let both = rows.add_from(["rows", "more"], Add::new());
    let layers = layers(&both).unwrap();
    assert!(layers[1].permutes && check_order(&layers).is_ok());
}

#[test]
fn single_numbers_beside_the_layers_are_left_out() {
    let mut tensors = with_head(["conv1.weight", "conv2.weight"]);
    tensors.push(("n_averaged", &[]));
    let read = from_safetensors(&file(&tensors), &twins()).unwrap();
    assert_eq!(read.notes[0], "not taken: `n_averaged`, a single number");
}

#[test]
fn the_first_tensor_that_does_not_fit_is_named() {
    let names = with_head(["conv1.weight", "conv2.weight"]);
    let mut other = names.clone();
    other[1].1 = &[2, 2, 5, 3];
    assert_eq!(
        refused(&other, &twins()),
        "`conv2.weight`: expected 2x2x3x3 for layer `conv2d_1` of the model, found 2x2x5x3"
    );
    assert_eq!(
        refused(&names[..1], &twins()),
        "lacks tensors for layer `conv2d_1` of the model: expected weight 2x2x3x3"
    );
    let mut more = names.clone();
    more.push(("aux.bias", &[7]));
    let message = refused(&more, &twins());
    assert!(
        message.starts_with("no layer of the model is left for `aux.bias` 7;"),
        "{message}"
    );
    let mut biased = names.clone();
    biased.push(("conv2.bias", &[2]));
    let message = refused(&biased, &twins());
    assert!(
        message.contains("expected weight 2x2x3x3, found `conv2.bias` 2, `conv2.weight`"),
        "{message}"
    );
}

#[test]
fn other_types_are_named_with_what_to_do() {
    for (dtype, name) in [
        (Dtype::F16, "float16"),
        (Dtype::BF16, "bfloat16"),
        (Dtype::F64, "float64"),
    ] {
        let bytes = typed(&with_head(["conv1.weight", "conv2.weight"]), dtype);
        let message = from_safetensors(&bytes, &twins()).unwrap_err().to_string();
        let expected = format!(
            "`conv1.weight`: expected float32, found {name}; save the state dict of `net.float()`"
        );
        assert_eq!(message, expected);
    }
}

#[test]
fn a_normalization_without_parameters_must_not_have_some() {
    let model = Sequential::new([2, 2, 3]).add(BatchNormalization::new().scale(false).name("norm"));
    let shape: &[usize] = &[3];
    let names = ["a.weight", "a.bias", "a.running_mean", "a.running_var"].map(|name| (name, shape));
    let read = from_safetensors(&file(&names), &model).unwrap();
    assert_eq!(read.matches.len(), 3);
    assert!(
        read.notes[1].contains("epsilon = 0.001"),
        "{:?}",
        read.notes
    );
    let model =
        Sequential::new([2, 2, 3]).add(BatchNormalization::new().center(false).name("norm"));
    let message = refused(&names, &model);
    assert!(
        message.contains("`a.bias` contains 1, but layer `norm`"),
        "{message}"
    );
}

#[test]
fn changed_weights_are_noted() {
    let network = network(twins());
    let mut bytes = export(&network).unwrap().weights;
    *bytes.last_mut().unwrap() ^= 1;
    let read = from_safetensors(&bytes, &network.model).unwrap();
    assert!(read.notes[0].contains("changed since"), "{:?}", read.notes);
}

#[test]
fn every_truncation_of_safetensors_is_refused_in_one_line() {
    let network = network(twins());
    let bytes = export(&network).unwrap().weights;
    for length in 0..bytes.len() {
        let message = from_safetensors(&bytes[..length], &network.model)
            .unwrap_err()
            .to_string();
        assert!(!message.contains('\n'), "{length}: {message}");
    }
}

#[test]
fn a_file_larger_than_the_model_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.safetensors");
    let file = std::fs::File::create(&path).unwrap();
    std::io::Write::write_all(&mut &file, b"\x02\0\0\0\0\0\0\0{}").unwrap();
    file.set_len(1 << 40).unwrap();
    let message = read(&path, &twins()).unwrap_err().to_string();
    assert!(
        message.contains("more than the model's weights can take"),
        "{message}"
    );
}

#[test]
fn the_description_of_a_file_is_read_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let network = network(twins());
    std::fs::write(&path, export(&network).unwrap().weights).unwrap();
    let found = description(&path).unwrap().unwrap();
    assert_eq!(found, NetworkDescription::new(&network));
    std::fs::write(&path, "PK").unwrap();
    assert_eq!(description(&path).unwrap(), None);
    assert!(description(folder.path().join("none").as_path()).is_err());
}
