use strum::EnumCount;

use super::*;
use crate::model::{
    Activation, ActivationLayer, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D,
    Dense, DepthwiseConv2D, Dropout, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D, Layer,
    MaxPooling2D, RandomCrop, Rescaling, Sequential, SpatialDropout2D, SumPooling2D, ZeroPadding2D,
};
use crate::shape::Padding;
use crate::state::Layout;

fn network(model: Sequential) -> Network {
    let state = State::new(Layout::new(&model).unwrap(), 1);
    Network::new(model, state)
}

fn python(model: Sequential) -> String {
    export(&network(model)).unwrap().model_py
}

/// The lines of the layer behind a 7x6x4 image.
#[track_caller]
fn assert_lines(layer: impl Into<Layer>, expected: &[&str]) -> std::mem::Discriminant<Layer> {
    let layer = layer.into();
    let kind = std::mem::discriminant(&layer);
    let text = python(Sequential::new([7, 6, 4]).add(layer));
    let lines: Vec<&str> = (text.lines())
        .skip_while(|line| !line.starts_with("class Net"))
        .skip(3)
        .take_while(|line| !line.contains("return x"))
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("def "))
        .collect();
    assert_eq!(lines, expected);
    kind
}

#[test]
fn every_layer_has_its_lines() {
    let same = Padding::Same;
    let kinds = [
        assert_lines(
            Conv2D::new(8, 3).activation(Activation::Relu).padding(same),
            &[
                "self.conv2d = nn.Conv2d(4, 8, 3, padding=1)",
                "x = F.relu(self.conv2d(x))  # [n, 8, 7, 6]",
            ],
        ),
        assert_lines(
            DepthwiseConv2D::new([2, 3])
                .strides(2)
                .padding(same)
                .depth_multiplier(2),
            &[
                "self.depthwise_conv2d = nn.Conv2d(4, 8, (2, 3), stride=2, groups=4)",
                "x = self.depthwise_conv2d(F.pad(x, (0, 1, 0, 1)))  # [n, 8, 4, 3]",
            ],
        ),
        assert_lines(
            BatchNormalization::new().scale(false),
            &[
                "self.batch_normalization = nn.BatchNorm2d(4, eps=0.001, momentum=0.01)",
                "self.batch_normalization.weight.requires_grad = False",
                "x = self.batch_normalization(x)  # [n, 4, 7, 6]",
            ],
        ),
        assert_lines(
            MaxPooling2D::new(2).padding(same),
            &[
                "x = F.max_pool2d(F.pad(x, (0, 0, 0, 1), value=-torch.inf), 2)  # max_pooling2d [n, 4, 4, 3]",
            ],
        ),
        assert_lines(
            AveragePooling2D::new(3).strides([2, 1]).padding(same),
            &[
                "x = F.avg_pool2d(x, 3, (2, 1), padding=1, count_include_pad=False)  # average_pooling2d [n, 4, 4, 6]",
            ],
        ),
        assert_lines(
            SumPooling2D::new(2),
            &["x = F.avg_pool2d(x, 2) * 4  # sum_pooling2d [n, 4, 3, 3]"],
        ),
        assert_lines(
            Flatten::new(),
            &["x = x.permute(0, 2, 3, 1).flatten(1)  # flatten [n, 168]"],
        ),
        assert_lines(
            ActivationLayer::new(Activation::LeakyRelu),
            &["x = F.leaky_relu(x, 0.2)  # activation [n, 4, 7, 6]"],
        ),
        assert_lines(
            GlobalAveragePooling2D::new(),
            &["x = x.mean((2, 3))  # global_average_pooling2d [n, 4]"],
        ),
        assert_lines(
            GlobalMaxPooling2D::new().keepdims(true),
            &["x = x.amax((2, 3), keepdim=True)  # global_max_pooling2d [n, 4, 1, 1]"],
        ),
        assert_lines(
            ZeroPadding2D::new([[1, 2], [3, 4]]),
            &["x = F.pad(x, (3, 4, 1, 2))  # zero_padding2d [n, 4, 10, 13]"],
        ),
        assert_lines(
            Rescaling::new(2.0).offset(-0.5),
            &["x = x * 2 - 0.5  # rescaling [n, 4, 7, 6]"],
        ),
        assert_lines(
            RandomCrop::new(3, 4),
            &[
                "x = F.interpolate(x[:, :, 1:5, 0:6], (3, 4), mode=\"bilinear\", align_corners=False)  # random_crop [n, 4, 3, 4]",
            ],
        ),
        assert_lines(
            Dropout::new(0.25).name("drop it"),
            &[
                "self.drop_it = nn.Dropout(0.25)",
                "x = self.drop_it(x)  # drop it [n, 4, 7, 6]",
            ],
        ),
        assert_lines(
            SpatialDropout2D::new(0.1),
            &[
                "self.spatial_dropout2d = nn.Dropout2d(0.1)",
                "x = self.spatial_dropout2d(x)  # [n, 4, 7, 6]",
            ],
        ),
    ];
    // Dense layers need a flat input, see below; the two that merge others follow too, and the ten that only vary
    // training images do nothing.
    assert_eq!(kinds.len() + 3 + 10, Layer::COUNT);
}

/// The lines of `forward`.
fn forward(model: Sequential) -> Vec<String> {
    let text = python(model);
    let lines = text.lines().map(str::trim);
    let lines = lines
        .skip_while(|line| !line.starts_with("def forward"))
        .skip(1);
    lines
        .take_while(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn outputs_that_are_used_later_have_their_layers_names() {
    let conv = |name: &str| Conv2D::new(4, 1).name(name);
    let model = Sequential::new([5, 4, 4])
        .add(conv("stem").activation(Activation::Relu))
        .add(Dropout::new(0.1).name("train it"))
        .add(conv("x"))
        .add_from("train it", conv("class"))
        .add_from(["class", "x", "class"], Add::new())
        .add_from(["add", "train it", "stem", "input"], Concatenate::new())
        .add(ActivationLayer::new(Activation::Linear))
        .add(GlobalMaxPooling2D::new())
        .add_from("concatenate", GlobalAveragePooling2D::new())
        .add_from(
            ["global_max_pooling2d", "global_average_pooling2d"],
            Add::new(),
        );
    let expected = [
        "image = x  # [n, 4, 5, 4]",
        "stem = F.relu(self.stem(image))  # [n, 4, 5, 4]",
        "train_it = self.train_it(stem)  # train it [n, 4, 5, 4]",
        "x_ = self.x(train_it)  # [n, 4, 5, 4]",
        "x = self.layer_class(train_it)  # class [n, 4, 5, 4]",
        "x = x + x_ + x  # add [n, 4, 5, 4]",
        "concatenate = torch.cat((x, train_it, stem, image), dim=1)  # [n, 16, 5, 4]",
        "global_max_pooling2d = concatenate.amax((2, 3))  # [n, 16]",
        "x = concatenate.mean((2, 3))  # global_average_pooling2d [n, 16]",
        "x = global_max_pooling2d + x  # add_1 [n, 16]",
        "return x",
    ];
    assert_eq!(forward(model), expected);
}

#[test]
fn vectors_that_are_joined_are_in_our_order() {
    let model = Sequential::new([2, 2, 2])
        .add(Flatten::new().name("a"))
        .add(Dense::new(8).name("b"))
        .add_from(["a", "b"], Add::new())
        .add_from("input", Flatten::new().name("c"))
        .add(Dense::new(8).name("d"))
        .add_from(["add", "d"], Concatenate::new());
    let expected = [
        "image = x  # [n, 2, 2, 2]",
        "a = image.permute(0, 2, 3, 1).flatten(1)  # [n, 8]",
        "x = self.b(a)  # [n, 8]",
        "add = a + x  # [n, 8]",
        "x = image.flatten(1)  # c [n, 8]",
        "x = self.d(x)  # [n, 8]",
        "x = torch.cat((add, x), dim=1)  # concatenate [n, 16]",
        "return x",
    ];
    assert_eq!(forward(model), expected);
}

#[test]
fn a_dense_layer_reads_a_flattened_image_by_channels() {
    let model = Sequential::new([2, 1, 2])
        .add(Flatten::new())
        .add(Dense::new(1).use_bias(false));
    let mut network = network(model);
    network
        .state
        .set_parameter("dense/kernel", &[1.0, 2.0, 3.0, 4.0])
        .unwrap();
    let export = export(&network).unwrap();
    assert!(
        export
            .model_py
            .contains("self.dense = nn.Linear(4, 1, bias=False)")
    );
    assert!(
        export
            .model_py
            .contains("x = x.flatten(1)  # flatten [n, 4]")
    );
    let (tensors, _) = crate::run::tensors::parse(&export.weights).unwrap();
    let weight: Vec<f32> = crate::run::tensors::floats(&tensors, "dense.weight")
        .unwrap()
        .collect();
    assert_eq!(weight, [1.0, 3.0, 2.0, 4.0]);
    assert_eq!(tensors.tensor("dense.weight").unwrap().shape(), [1, 4]);
}

#[test]
fn uneven_average_pooling_counts_the_cells() {
    let text =
        python(Sequential::new([3, 3, 1]).add(AveragePooling2D::new(2).padding(Padding::Same)));
    assert!(
        text.contains("\n\n\ndef average_pool2d(x, size, stride, padding):\n"),
        "{text}"
    );
    assert!(
        text.contains("x = average_pool2d(x, 2, 2, (0, 1, 0, 1))"),
        "{text}"
    );
}

#[test]
fn names_and_classes_cannot_leave_their_texts() {
    let model = Sequential::new([1, 1, 1])
        .name("\"\"\"\\")
        .add(Flatten::new().name("a\u{2028}b"))
        .add(Dense::new(2).name("class").activation(Activation::Softmax));
    let network = network(model).class_names(vec!["\"x\"\n".into(), "y".into()]);
    let text = export(&network).unwrap().model_py;
    assert!(
        text.starts_with("\"\"\"\\\"\\\"\\\"\\\\, a network"),
        "{text}"
    );
    assert!(
        text.contains("CLASSES = [\"\\\"x\\\"\\U0000000a\", \"y\"]\n"),
        "{text}"
    );
    assert!(text.contains("# a?b [n, 1]"), "{text}");
    assert!(
        text.contains("self.layer_class = nn.Linear(1, 2)"),
        "{text}"
    );
    assert!(text.contains("print(CLASSES[net(x).argmax()])"), "{text}");
}

#[test]
fn the_same_network_gives_the_same_bytes() {
    let model = Sequential::new([1, 1, 1])
        .add(Flatten::new())
        .add(Dense::new(2));
    let network = network(model.name("\"a\" \\ \u{e9}"));
    let weights = || export(&network).unwrap().weights;
    let first = weights();
    assert!(first[8..].starts_with(b"{\"__metadata__\":{\"format\":\"pt\",\"cnn_gpu\":"));
    assert!((0..32).all(|_| weights() == first));
}

#[test]
fn what_stays_behind_is_named() {
    let model = Sequential::new([1, 1, 1])
        .add(Flatten::new())
        .add(Dense::new(2));
    let mut network = network(model);
    assert!(export(&network).unwrap().left_behind.is_empty());
    network.state.begin_training(false);
    network.optimizer = Some(crate::optimizer::Optimizer::adam());
    let left = export(&network).unwrap().left_behind;
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn weights_of_another_model_are_refused() {
    let model = |units| {
        Sequential::new([1, 1, 1])
            .add(Flatten::new())
            .add(Dense::new(units))
    };
    let mut network = network(model(2));
    network.model = model(3);
    let message = export(&network).unwrap_err().to_string();
    assert!(
        message.contains("`dense/kernel`") && message.contains("3 values"),
        "{message}"
    );
}
