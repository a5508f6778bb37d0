//! Random models with one invalid layer.

use cnn_gpu::model::{
    AveragePooling2D, BatchNormalization, Conv2D, Dense, DepthwiseConv2D, Dropout, GaussianNoise,
    Initializer, Layer, MaxPooling2D, Pooling2D, RandomBrightness, RandomContrast, RandomCrop,
    RandomElasticTransform, RandomErasing, RandomRotation, RandomShear, RandomTranslation,
    RandomZoom, Regularizer, Rescaling, Sequential, SpatialDropout2D, SumPooling2D, ZeroPadding2D,
};
use cnn_gpu::shape::Padding;
use proptest::prelude::*;

use super::networks::trials;

/// A model with one invalid layer: which one, and its fault.
#[derive(Clone, Debug)]
pub struct Invalid {
    pub model: Sequential,
    /// The layer's name.
    pub layer: String,
    pub fault: &'static str,
}

pub fn invalid() -> impl Strategy<Value = Invalid> {
    let pick = any::<prop::sample::Index>();
    (trials(), pick.clone(), pick).prop_filter_map(
        "no argument to make invalid",
        |(trial, layer, fault)| {
            let mut model = trial.model;
            let names: Vec<String> = model.resolve().ok()?.into_iter().map(|l| l.name).collect();
            let at = layer.index(names.len());
            let faults = faults(&model.layers[at]);
            let (fault, wrong) = faults.get(fault.index(faults.len().max(1)))?.clone();
            model.layers[at].layer = wrong;
            let layer = names[at].clone();
            Some(Invalid {
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
        Layer::RandomRotation(_) => factor_faults(RandomRotation::new),
        Layer::RandomTranslation(_) => factor_faults(|f| RandomTranslation::new(f, 0.0)),
        Layer::RandomZoom(_) => factor_faults(RandomZoom::new),
        Layer::RandomShear(_) => factor_faults(|f| RandomShear::new(f, 0.0)),
        Layer::RandomContrast(_) => factor_faults(RandomContrast::new),
        Layer::RandomBrightness(_) => factor_faults(RandomBrightness::new),
        Layer::RandomElasticTransform(_) => factor_faults(RandomElasticTransform::new),
        Layer::RandomErasing(_) => factor_faults(RandomErasing::new),
        Layer::GaussianNoise(_) => factor_faults(GaussianNoise::new),
        Layer::BatchNormalization(norm) => normalization_faults(norm),
        Layer::Rescaling(_) => vec![
            ("an infinite scale", Rescaling::new(f32::INFINITY).into()),
            ("no offset", Rescaling::new(1.0).offset(f32::NAN).into()),
        ],
        Layer::ZeroPadding2D(_) => vec![("a frame too large", ZeroPadding2D::new(1 << 40).into())],
        Layer::RandomCrop(_) => vec![
            ("no rows", RandomCrop::new(0, 1).into()),
            ("too many columns", RandomCrop::new(1, 1 << 20).into()),
        ],
        Layer::Flatten(_)
        | Layer::RandomFlip(_)
        | Layer::Activation(_)
        | Layer::Add(_)
        | Layer::Concatenate(_)
        | Layer::GlobalAveragePooling2D(_)
        | Layer::GlobalMaxPooling2D(_) => vec![],
        _ => panic!("no faults are known for {layer:?}"),
    }
}

fn factor_faults<L: Into<Layer>>(layer: impl Fn(f64) -> L) -> Vec<Fault> {
    vec![
        ("a factor above 1", layer(1.5).into()),
        ("a factor that is no number", layer(f64::NAN).into()),
    ]
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
            "a bias that passes channels through",
            with(&|c| c.use_bias(true).bias_initializer(Initializer::Dirac)),
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
            "a kernel of one channel that passes channels through",
            with(&|c| c.depthwise_initializer(Initializer::DiracUniform)),
        ),
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
