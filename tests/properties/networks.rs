//! Random models: valid ones, from recipes that adapt to the preceding layers, and invalid ones,
//! with one faulty layer.

use proptest::prelude::*;
use proptest::sample::select;

use cnn_gpu::model::{
    Activation, ActivationLayer, AveragePooling2D, BatchNormalization, Conv2D, Dense,
    DepthwiseConv2D, Dropout, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D, Initializer,
    Layer, MaxPooling2D, Pooling2D, Regularizer, Rescaling, Sequential, SpatialDropout2D,
    SumPooling2D, ZeroPadding2D,
};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::shape::Padding;

/// A model and its options for one training step.
#[derive(Clone, Debug)]
pub struct Trial {
    pub model: Sequential,
    pub optimizer: Optimizer,
    pub batch: usize,
    /// Valid rows of the batch.
    pub rows: usize,
    pub seed: u64,
}

/// Random numbers from which a layer is made that accepts the previous layer's output.
#[derive(Clone, Debug)]
struct Recipe {
    kind: usize,
    window: [usize; 2],
    strides: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
    channels: usize,
    groups: usize,
    activation: Activation,
    use_bias: bool,
    regularizer: Regularizer,
    rate: f64,
}

/// Whether a layer may precede a normalization, which cancels whatever is the same for all samples:
/// the gradient of a bias there is pure rounding, on which no two devices agree.
const BEFORE_NORMALIZATION: usize = 2;

pub fn trials() -> impl Strategy<Value = Trial> {
    let input = [1..=9_usize, 1..=9, 1..=4];
    let recipes = prop::collection::vec(recipe(), 1..=3);
    let normalized = prop::option::weighted(0.3, 0..=BEFORE_NORMALIZATION);
    let head = (2..=8_usize, any::<bool>());
    let optimizer = select(vec![
        Optimizer::sgd(),
        Optimizer::rmsprop(),
        Optimizer::adam(),
    ]);
    let rows = (1..=5_usize, 0..=2_usize);
    (
        input,
        recipes,
        normalized,
        head,
        optimizer,
        rows,
        any::<u64>(),
    )
        .prop_map(
            |(input, recipes, normalized, head, optimizer, (rows, empty), seed)| {
                // A single row equals its mean, so normalization leaves nothing.
                let rows = if normalized.is_some() { rows + 3 } else { rows };
                Trial {
                    model: network(input, &recipes, normalized, head),
                    optimizer,
                    batch: rows + empty,
                    rows,
                    seed,
                }
            },
        )
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let pair = |most| [1..=most, 1..=most];
    let activations = [&[Activation::Linear][..], &Activation::POINTWISE].concat();
    let regularizer = prop_oneof![
        3 => Just(Regularizer::default()),
        1 => Just(Regularizer { l1: 0.01, l2: 0.02 }),
    ];
    let window = (pair(4_usize), pair(3_usize), pair(3_usize));
    let channels = (1..=4_usize, select(vec![1_usize, 1, 2, 3, 4]));
    let rest = (select(activations), any::<bool>(), regularizer, 0.0..0.9);
    let padding = select(vec![Padding::Valid, Padding::Same]);
    (0..KINDS, window, padding, channels, rest).prop_map(
        |(kind, (window, strides, dilation), padding, (channels, groups), rest)| {
            let (activation, use_bias, regularizer, rate) = rest;
            Recipe {
                kind,
                window,
                strides,
                dilation,
                padding,
                channels,
                groups,
                activation,
                use_bias,
                regularizer,
                rate,
            }
        },
    )
}

/// Layers from recipes, some followed by a normalization, and a classifier.
fn network(
    input: [usize; 3],
    recipes: &[Recipe],
    normalized: Option<usize>,
    (classes, flattened): (usize, bool),
) -> Sequential {
    let mut model = Sequential::new(input);
    for (i, recipe) in recipes.iter().enumerate() {
        if normalized == Some(i) {
            model = model.add(normalization(recipe));
        }
        let shape = if i == 0 {
            input.to_vec()
        } else {
            output(&model)
        };
        let layer = match normalized {
            Some(at) if i < at => recipe.bare(&shape).layer(&shape),
            _ => recipe.layer(&shape),
        };
        model = model.add(layer);
    }
    model = match (output(&model).len(), flattened) {
        (1, _) => model,
        (_, true) => model.add(Flatten::new()),
        (_, false) => model.add(GlobalAveragePooling2D::new()),
    }; // Probabilities that are not all equal, which would make a bias's gradient pure rounding, and not so close to 1 that they round to it.
    let head = Dense::new(classes)
        .activation(Activation::Softmax)
        .kernel_initializer(Initializer::RandomNormal)
        .bias_initializer(Initializer::RandomNormal);
    model.add(head)
}

fn output(model: &Sequential) -> Vec<usize> {
    model
        .output_shape()
        .unwrap_or_else(|e| panic!("{e}: {model:?}"))
}

/// A normalization with a measurable gradient: with a non-zero beta, and an epsilon large enough
/// that the scale of the previous layer matters.
fn normalization(recipe: &Recipe) -> BatchNormalization {
    BatchNormalization::new()
        .epsilon(0.5)
        .momentum(recipe.rate)
        .beta_initializer(Initializer::RandomNormal)
        .center(recipe.use_bias)
}

/// The number of kinds of layers for images; there are fewer for vectors.
const KINDS: usize = 13;
/// A kind without parameters, for both.
const PLAIN: usize = 10;
/// Kinds with an offset or dropout, after which a channel of zeros may have the same value
/// everywhere.
const VARIANCE_TAKERS: [usize; 3] = [7, 8, 9];

impl Recipe {
    /// The layer for an input of this shape.
    fn layer(&self, input: &[usize]) -> Layer {
        match *input {
            [h, w, channels] => self.image_layer([h, w], channels),
            _ => self.vector_layer(),
        }
    }
    /// The recipe without what a following normalization cancels, a bias or a single weight, and without what may make all values equal.
    fn bare(&self, input: &[usize]) -> Self {
        let has_room = matches!(*input, [h, w, _] if h.min(w) >= 2);
        let varies = has_room && !VARIANCE_TAKERS.contains(&self.kind);
        Self {
            kind: if varies { self.kind } else { PLAIN },
            window: self.window.map(|cells| cells.max(2)),
            dilation: [1, 1],
            use_bias: false,
            activation: match self.activation {
                Activation::Relu => Activation::LeakyRelu,
                other => other,
            },
            ..self.clone()
        }
    }

    fn vector_layer(&self) -> Layer {
        match self.kind % 4 {
            0 => Dropout::new(self.rate).into(),
            1 => ActivationLayer::new(self.activation).into(),
            2 => Rescaling::new(self.rate as f32 + 0.1).into(),
            _ => Dense::new(self.channels * self.groups)
                .activation(self.activation)
                .use_bias(self.use_bias)
                .kernel_regularizer(self.regularizer)
                .into(),
        }
    }

    fn image_layer(&self, size: [usize; 2], channels: usize) -> Layer {
        match self.kind {
            0 | 1 => self.convolution(size, channels),
            2 => self.depthwise(size),
            3 => self.pool(MaxPooling2D, size),
            4 => self.pool(AveragePooling2D, size),
            5 => self.pool(SumPooling2D, size),
            6 => ZeroPadding2D::new([self.strides, self.dilation]).into(),
            7 => Rescaling::new(self.rate as f32 + 0.1).offset(0.5).into(),
            8 => Dropout::new(self.rate).into(),
            9 => SpatialDropout2D::new(self.rate).into(),
            PLAIN => ActivationLayer::new(self.activation).into(),
            11 => GlobalMaxPooling2D::new().keepdims(self.use_bias).into(),
            _ => Flatten::new().into(),
        }
    }

    /// A window with this dilation, no larger than its input if it must not be.
    fn window(&self, size: [usize; 2], dilation: usize) -> [usize; 2] {
        let fit = |most: usize, axis: usize| match self.padding {
            Padding::Same => self.window[axis],
            Padding::Valid => self.window[axis].min((most - 1) / dilation + 1),
        };
        [fit(size[0], 0), fit(size[1], 1)]
    }

    fn pool<L: Into<Layer>>(&self, layer: fn(Pooling2D) -> L, size: [usize; 2]) -> Layer {
        let mut pool = Pooling2D::new(self.window(size, 1));
        pool.strides = Some(self.strides.into());
        pool.padding = self.padding;
        layer(pool).into()
    }

    /// Strides or a dilation, as they cannot be combined.
    fn steps(&self) -> ([usize; 2], [usize; 2]) {
        match self.dilation.iter().sum::<usize>() % 2 {
            0 => (self.strides, [1, 1]),
            _ => ([1, 1], self.dilation),
        }
    }

    fn convolution(&self, size: [usize; 2], channels: usize) -> Layer {
        let (strides, dilation) = self.steps();
        let groups = if channels.is_multiple_of(self.groups) {
            self.groups
        } else {
            1
        };
        Conv2D::new(
            self.channels * groups,
            self.window(size, dilation[0].max(dilation[1])),
        )
        .strides(strides)
        .dilation_rate(dilation)
        .padding(self.padding)
        .groups(groups)
        .activation(self.activation)
        .use_bias(self.use_bias)
        .kernel_regularizer(self.regularizer)
        .into()
    }

    fn depthwise(&self, size: [usize; 2]) -> Layer {
        let (strides, dilation) = self.steps();
        DepthwiseConv2D::new(self.window(size, dilation[0].max(dilation[1])))
            .strides(strides)
            .dilation_rate(dilation)
            .padding(self.padding)
            .depth_multiplier(self.groups.min(2))
            .activation(self.activation)
            .use_bias(self.use_bias)
            .depthwise_regularizer(self.regularizer)
            .into()
    }
}

/// A model with one invalid layer: which one, and its fault.
#[derive(Clone, Debug)]
pub struct Spoilt {
    pub model: Sequential,
    /// The layer's name.
    pub layer: String,
    pub fault: &'static str,
}

pub fn spoilt() -> impl Strategy<Value = Spoilt> {
    let pick = any::<prop::sample::Index>();
    (trials(), pick.clone(), pick).prop_filter_map(
        "no argument to spoil",
        |(trial, layer, fault)| {
            let mut model = trial.model;
            let names: Vec<String> = model.resolve().ok()?.into_iter().map(|l| l.name).collect();
            let at = layer.index(names.len());
            let faults = faults(&model.layers[at]);
            let (fault, wrong) = faults.get(fault.index(faults.len().max(1)))?.clone();
            model.layers[at] = wrong;
            let layer = names[at].clone();
            Some(Spoilt {
                model,
                layer,
                fault,
            })
        },
    )
}

type Fault = (&'static str, Layer);

/// All faults that a layer of this kind can have.
fn faults(layer: &Layer) -> Vec<Fault> {
    match layer {
        Layer::Conv2D(conv) => conv2d_faults(conv),
        Layer::DepthwiseConv2D(conv) => depthwise_faults(conv),
        Layer::MaxPooling2D(_) => pool_faults(MaxPooling2D),
        Layer::AveragePooling2D(_) => pool_faults(AveragePooling2D),
        Layer::SumPooling2D(_) => pool_faults(SumPooling2D),
        Layer::Dense(dense) => dense_faults(dense),
        Layer::Dropout(_) => rate_faults(Dropout::new),
        Layer::SpatialDropout2D(_) => rate_faults(SpatialDropout2D::new),
        Layer::BatchNormalization(norm) => normalization_faults(norm),
        Layer::Rescaling(_) => vec![
            ("an infinite scale", Rescaling::new(f32::INFINITY).into()),
            ("no offset", Rescaling::new(1.0).offset(f32::NAN).into()),
        ],
        Layer::ZeroPadding2D(_) => vec![("a frame too large", ZeroPadding2D::new(1 << 40).into())],
        Layer::Flatten(_)
        | Layer::Activation(_)
        | Layer::GlobalAveragePooling2D(_)
        | Layer::GlobalMaxPooling2D(_) => vec![],
        _ => panic!("no faults are known for {layer:?}"),
    }
}

fn conv2d_faults(conv: &Conv2D) -> Vec<Fault> {
    let with = |change: &dyn Fn(Conv2D) -> Conv2D| Layer::from(change(conv.clone()));
    vec![
        (
            "no filters",
            with(&|mut c| {
                c.filters = 0;
                c
            }),
        ),
        (
            "filters beyond any index",
            with(&|mut c| {
                c.filters = 1 << 31;
                c.groups = 1;
                c
            }),
        ),
        (
            "an empty kernel",
            with(&|mut c| {
                c.kernel_size = (0, 1).into();
                c
            }),
        ),
        ("strides of zero", with(&|c| c.strides((1, 0)))),
        (
            "a dilation of zero",
            with(&|c| c.strides(1).dilation_rate((0, 1))),
        ),
        (
            "strides and a dilation",
            with(&|c| c.strides(2).dilation_rate(2)),
        ),
        ("no groups", with(&|c| c.groups(0))),
        ("groups that do not divide", with(&|c| c.groups(7))),
        (
            "a negative penalty",
            with(&|c| c.kernel_regularizer(Regularizer::l2(-1.0))),
        ),
        (
            "a start that is no number",
            with(&|c| c.kernel_initializer(Initializer::Constant(f32::NAN))),
        ),
        (
            "a window larger than its input",
            with(&|mut c| {
                c.kernel_size = 100.into();
                c.padding = Padding::Valid;
                c
            }),
        ),
    ]
}

fn depthwise_faults(conv: &DepthwiseConv2D) -> Vec<Fault> {
    let with = |change: &dyn Fn(DepthwiseConv2D) -> DepthwiseConv2D| change(conv.clone()).into();
    vec![
        ("no multiplier", with(&|c| c.depth_multiplier(0))),
        (
            "a multiplier beyond any index",
            with(&|c| c.depth_multiplier(usize::MAX)),
        ),
        ("strides of zero", with(&|c| c.strides(0))),
        (
            "strides and a dilation",
            with(&|c| c.strides(2).dilation_rate(2)),
        ),
        (
            "a penalty that is no number",
            with(&|c| c.depthwise_regularizer(Regularizer::l1(f64::NAN))),
        ),
    ]
}

fn pool_faults<L: Into<Layer>>(layer: fn(Pooling2D) -> L) -> Vec<Fault> {
    let with = |pool_size: usize, strides: usize, padding| {
        let mut pool = Pooling2D::new(pool_size);
        pool.strides = Some(strides.into());
        pool.padding = padding;
        layer(pool).into()
    };
    vec![
        ("an empty window", with(0, 1, Padding::Same)),
        ("strides of zero", with(2, 0, Padding::Same)),
        (
            "strides beyond any index",
            with(2, usize::MAX, Padding::Same),
        ),
        ("a window beyond any index", with(1 << 32, 1, Padding::Same)),
        (
            "a window larger than its input",
            with(100, 1, Padding::Valid),
        ),
    ]
}

fn dense_faults(dense: &Dense) -> Vec<Fault> {
    let with = |change: &dyn Fn(Dense) -> Dense| change(dense.clone()).into();
    vec![
        (
            "no units",
            with(&|mut d| {
                d.units = 0;
                d
            }),
        ),
        (
            "units beyond any index",
            with(&|mut d| {
                d.units = 1 << 31;
                d
            }),
        ),
        (
            "a negative penalty",
            with(&|d| d.kernel_regularizer(Regularizer::l1(-0.5))),
        ),
        (
            "an infinite start",
            with(&|d| d.kernel_initializer(Initializer::Constant(f32::INFINITY))),
        ),
    ]
}

fn rate_faults<L: Into<Layer>>(layer: fn(f64) -> L) -> Vec<Fault> {
    let faults = [
        ("all dropped", 1.0),
        ("less than none", -0.1),
        ("no rate", f64::NAN),
    ];
    faults
        .map(|(fault, rate)| (fault, layer(rate).into()))
        .into()
}

fn normalization_faults(norm: &BatchNormalization) -> Vec<Fault> {
    let with =
        |change: &dyn Fn(BatchNormalization) -> BatchNormalization| change(norm.clone()).into();
    vec![
        ("a momentum above one", with(&|n| n.momentum(1.5))),
        ("an epsilon of zero", with(&|n| n.epsilon(0.0))),
        (
            "an epsilon that is no number",
            with(&|n| n.epsilon(f64::NAN)),
        ),
    ]
}
