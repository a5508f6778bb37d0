//! Random valid models, from recipes that adapt to the preceding layers.

use proptest::prelude::*;
use proptest::sample::select;

use cnn_gpu::model::{
    Activation, ActivationLayer, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D,
    Dense, DepthwiseConv2D, Dropout, FillMode, Flatten, GaussianNoise, GlobalAveragePooling2D,
    GlobalMaxPooling2D, Initializer, Layer, MaxPooling2D, PlacedLayer, Pooling2D, RandomBrightness,
    RandomContrast, RandomCrop, RandomElasticTransform, RandomErasing, RandomFlip, RandomRotation,
    RandomShear, RandomTranslation, RandomZoom, Regularizer, Rescaling, Sequential,
    SpatialDropout2D, SumPooling2D, ZeroPadding2D,
};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::plan::Mixing;
use cnn_gpu::shape::Padding;

/// A model and its options for one training step.
#[derive(Clone, Debug)]
pub struct Trial {
    pub model: Sequential,
    pub optimizer: Optimizer,
    pub batch: usize,
    /// How the images are mixed, if they are.
    pub mixing: Option<Mixing>,
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
    /// Factors of the learning rate, if the layer has parameters, and of the bias alone.
    factors: Option<(f32, bool)>,
    /// Which earlier value to merge with the layer's output, and how many times to take it.
    skip: Option<(prop::sample::Index, usize)>,
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
    let augmented = prop::collection::vec((0..11_usize, 0.0..1.0_f64, fill_mode()), 0..=3);
    let alpha = || prop::option::weighted(0.3, 0.01..2.0_f64);
    let mixing = (alpha(), alpha());
    let mixing =
        mixing.prop_map(|(mixup, cutmix)| Mixing::new(mixup, cutmix.map(|a| [0.5 * a, a])));
    (
        input,
        recipes,
        normalized,
        head,
        optimizer,
        (rows, augmented, mixing),
        any::<u64>(),
    )
        .prop_map(
            |(
                input,
                recipes,
                normalized,
                head,
                optimizer,
                ((rows, empty), augmented, mixing),
                seed,
            )| {
                // A single row equals its mean, so normalization leaves nothing.
                let rows = if normalized.is_some() { rows + 3 } else { rows };
                let model = network(input, &recipes, normalized, head);
                // A layer that takes the images as they are cannot take mixed ones.
                let takes_input =
                    |layer: &PlacedLayer| layer.from.iter().any(|from| from == "input");
                let varies = !augmented.is_empty();
                let mixing = mixing.filter(|_| !varies || !model.layers.iter().any(takes_input));
                let model = in_front(&augmented, model);
                Trial {
                    model,
                    optimizer,
                    mixing,
                    batch: rows + empty,
                    rows,
                    seed,
                }
            },
        )
}

fn fill_mode() -> impl Strategy<Value = FillMode> {
    select(vec![
        FillMode::Reflect,
        FillMode::Constant,
        FillMode::Nearest,
        FillMode::Wrap,
    ])
}

/// The model with these layers that vary training images in front; they cut images of another size to
/// that of its input, unless a later layer takes that too.
fn in_front(augmented: &[(usize, f64, FillMode)], mut model: Sequential) -> Sequential {
    let [h, w, channels] = model.input_shape;
    let sources = || model.layers.iter().flat_map(|layer| &layer.from);
    let takes_input = sources().any(|source| source == PlacedLayer::INPUT);
    if let Some((_, factor, mode)) = augmented.iter().find(|(kind, ..)| *kind == 8)
        && !takes_input
    {
        let side = |share: f64| 1 + (14.0 * share) as usize;
        let other = [FillMode::Reflect, FillMode::Constant].contains(mode);
        let width = if other { side(*factor) } else { w + 1 };
        model.input_shape = [side(1.0 - factor), width, channels];
    }
    let layers = augmented.iter().map(|&(kind, factor, mode)| -> Layer {
        match kind {
            0 => RandomFlip::new().into(),
            1 => RandomRotation::new(factor).fill_mode(mode).into(),
            2 => RandomTranslation::new(factor, -factor)
                .fill_mode(mode)
                .into(),
            3 => RandomZoom::new([-0.9 * factor, 0.5]).fill_mode(mode).into(),
            4 => RandomShear::new(factor, 0.5).fill_mode(mode).into(),
            5 => RandomContrast::new([factor, 0.5]).into(),
            6 => RandomBrightness::new(factor).into(),
            7 => RandomErasing::new([factor, 1.0]).into(),
            8 => RandomCrop::new(h, w).into(),
            9 => RandomElasticTransform::new([factor, 1.0])
                .scale([factor, 1.0])
                .fill_mode(mode)
                .into(),
            _ => GaussianNoise::new(factor).into(),
        }
    });
    model.layers.splice(0..0, layers.map(PlacedLayer::from));
    model
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let pair = |most| [1..=most, 1..=most];
    let activations = [&[Activation::Linear][..], &Activation::POINTWISE].concat();
    let regularizer = prop_oneof![
        3 => Just(Regularizer::default()),
        1 => Just(Regularizer::l1_l2(0.01, 0.02)),
    ];
    let window = (pair(4_usize), pair(3_usize), pair(3_usize));
    let channels = (1..=4_usize, select(vec![1_usize, 1, 2, 3, 4]));
    let factors = prop::option::weighted(0.3, (select(vec![0.25_f32, 3.0]), any::<bool>()));
    let rest = (
        select(activations),
        any::<bool>(),
        regularizer,
        0.0..0.9,
        factors,
    );
    let padding = select(vec![Padding::Valid, Padding::Same]);
    let skip = prop::option::weighted(0.4, (any::<prop::sample::Index>(), 1..=2_usize));
    (0..KINDS, window, padding, channels, rest, skip).prop_map(
        |(kind, (window, strides, dilation), padding, (channels, groups), rest, skip)| {
            let (activation, use_bias, regularizer, rate, factors) = rest;
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
                factors,
                skip,
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
        model = factored(model.add(layer), recipe.factors);
        if normalized.is_none_or(|at| i >= at) {
            model = merged(model, recipe);
        }
    }
    model = if output(&model).len() == 1 {
        model
    } else if flattened {
        model.add(Flatten::new())
    } else {
        model.add(GlobalAveragePooling2D::new())
    };
    // Probabilities must not be all equal, which would make a bias's gradient pure rounding error,
    // and not so close to 1 that they round to it.
    let head = Dense::new(classes)
        .activation(Activation::Softmax)
        .kernel_initializer(Initializer::RandomNormal)
        .bias_initializer(Initializer::RandomNormal);
    model.add(head)
}

/// The model, whose last layer has factors of the learning rate if it has parameters.
fn factored(mut model: Sequential, factors: Option<(f32, bool)>) -> Sequential {
    let resolved = model.resolve().unwrap_or_else(|e| panic!("{e}: {model:?}"));
    let last = resolved
        .last()
        .map(cnn_gpu::model::ResolvedLayer::parameters);
    let names: Vec<&str> = last.iter().flatten().map(|p| p.name).collect();
    let has_bias = names.iter().any(|name| ["bias", "beta"].contains(name));
    let (Some((factor, of_bias)), Some(layer)) = (factors, model.layers.last_mut()) else {
        return model;
    };
    if of_bias && has_bias {
        layer.bias_learning_rate_factor = Some(factor);
    } else if !names.is_empty() {
        layer.learning_rate_factor = factor;
    }
    model
}

/// The model, whose last output is merged with an earlier value if there is one that fits: added to
/// one of its shape, otherwise set beside one with the same height and width.
fn merged(model: Sequential, recipe: &Recipe) -> Sequential {
    let Some((pick, times)) = recipe.skip else {
        return model;
    };
    let mut values = vec![("input".to_owned(), model.input_shape.to_vec())];
    let layers = model.resolve().unwrap_or_else(|e| panic!("{e}: {model:?}"));
    values.extend(layers.into_iter().map(|layer| (layer.name, layer.output)));
    let Some((last, shape)) = values.pop() else {
        return model;
    };
    values.retain(|(_, other)| {
        other.len() == shape.len()
            && other.split_last().map(|(_, outer)| outer)
                == shape.split_last().map(|(_, outer)| outer)
    });
    if values.is_empty() {
        return model;
    }
    let (name, other) = &values[pick.index(values.len())];
    let mut from = vec![name.clone(); times];
    from.insert(pick.index(times + 1), last);
    match *other == shape {
        true => model.add_from(from, Add::new()),
        false => model.add_from(from, Concatenate::new()),
    }
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

    /// The recipe without what a following normalization cancels, a bias or a single weight, and
    /// without what may make all values equal.
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
