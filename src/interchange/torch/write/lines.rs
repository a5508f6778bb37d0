//! The Python of each layer.

use super::edges::EdgeCells;
use super::literals::pair;
use super::variables::NEXT;
use crate::error::{FormatError, Result};
use crate::interchange::torch::arrangement::TorchLayer;
use crate::model::{
    Activation, BatchNormalization, Conv2D, Dense, DepthwiseConv2D, Layer, PoolKind, Pooling2D,
    RandomCrop, Rescaling, ZeroPadding2D,
};
use crate::plan::ResizeShape;
use crate::shape::{Padding, Pair};
use crate::words::short;

/// A layer's lines.
#[derive(Default)]
pub(super) struct LayerLines {
    /// What the constructor assigns to the layer's attribute, and what it then does with it.
    pub module: Vec<String>,
    /// What the layer computes.
    pub forward: String,
}

impl LayerLines {
    /// A layer without a module.
    fn function(forward: impl Into<String>) -> Self {
        Self {
            module: Vec::new(),
            forward: forward.into(),
        }
    }
}

/// The name of the function for averages over windows that extend past the image on one side.
pub(super) const AVERAGE: &str = "average_pool2d";

/// The lines of a layer that computes with these variables.
///
/// # Errors
/// The layer does not accept its input.
pub(super) fn lines(layer: &TorchLayer<'_>, inputs: &[String]) -> Result<LayerLines, FormatError> {
    let x = inputs.first().map_or(NEXT, String::as_str);
    let call = |module: String| LayerLines {
        module: vec![module],
        forward: format!("self.{}({x})", layer.attribute),
    };
    Ok(match layer.resolved.layer {
        Layer::Conv2D(l) => convolution(layer, &Convolution::of(l), x)?,
        Layer::DepthwiseConv2D(l) => convolution(layer, &Convolution::depthwise(l, layer), x)?,
        Layer::Dense(l) => dense(layer, l, x),
        Layer::BatchNormalization(l) => norm(layer, l, x),
        Layer::MaxPooling2D(l) => pool(layer, &l.0, PoolKind::Max, x)?,
        Layer::AveragePooling2D(l) => pool(layer, &l.0, PoolKind::Average, x)?,
        Layer::SumPooling2D(l) => pool(layer, &l.0, PoolKind::Sum, x)?,
        Layer::Flatten(_) if layer.permutes => {
            LayerLines::function(format!("{x}.permute(0, 2, 3, 1).flatten(1)"))
        }
        Layer::Flatten(_) => LayerLines::function(format!("{x}.flatten(1)")),
        Layer::Activation(l) => LayerLines::function(activated(l.activation, x.into())),
        Layer::GlobalAveragePooling2D(l) => {
            LayerLines::function(format!("{x}.mean((2, 3){})", keepdims(l.0.keepdims)))
        }
        Layer::GlobalMaxPooling2D(l) => {
            LayerLines::function(format!("{x}.amax((2, 3){})", keepdims(l.0.keepdims)))
        }
        Layer::ZeroPadding2D(l) => zeros(l, x),
        Layer::Rescaling(l) => rescaling(l, x),
        Layer::RandomCrop(l) => crop(layer, l, x)?,
        Layer::Add(_) => LayerLines::function(inputs.join(" + ")),
        Layer::Concatenate(_) => {
            LayerLines::function(format!("torch.cat(({}), dim=1)", inputs.join(", ")))
        }
        Layer::Dropout(l) => call(format!("nn.Dropout({})", short(l.rate))),
        Layer::SpatialDropout2D(l) => call(format!("nn.Dropout2d({})", short(l.rate))),
        // They pass their input on unless the network trains.
        Layer::RandomFlip(_)
        | Layer::RandomRotation(_)
        | Layer::RandomTranslation(_)
        | Layer::RandomZoom(_)
        | Layer::RandomShear(_)
        | Layer::RandomContrast(_)
        | Layer::RandomBrightness(_)
        | Layer::RandomErasing(_)
        | Layer::RandomElasticTransform(_)
        | Layer::GaussianNoise(_) => LayerLines::function(x),
    })
}

fn keepdims(keepdims: bool) -> &'static str {
    if keepdims { ", keepdim=True" } else { "" }
}

/// `f(x)`.
fn activated(activation: Activation, x: String) -> String {
    match activation {
        Activation::Linear => x,
        Activation::LeakyRelu => format!("F.leaky_relu({x}, 0.2)"),
        Activation::Softmax => format!("F.softmax({x}, dim=1)"),
        Activation::Sigmoid | Activation::Tanh => format!("torch.{}({x})", activation.name()),
        // Their defaults are the same, including GELU without an approximation.
        Activation::Relu
        | Activation::Elu
        | Activation::Selu
        | Activation::Gelu
        | Activation::Silu
        | Activation::Softplus => format!("F.{}({x})", activation.name()),
    }
}

/// A convolution's arguments.
struct Convolution {
    filters: usize,
    groups: usize,
    kernel_size: Pair,
    strides: Pair,
    padding: Padding,
    dilation_rate: Pair,
    use_bias: bool,
    activation: Activation,
}

impl Convolution {
    fn of(layer: &Conv2D) -> Self {
        Self {
            filters: layer.filters,
            groups: layer.groups,
            kernel_size: layer.kernel_size,
            strides: layer.strides,
            padding: layer.padding,
            dilation_rate: layer.dilation_rate,
            use_bias: layer.use_bias,
            activation: layer.activation,
        }
    }

    fn depthwise(layer: &DepthwiseConv2D, torch: &TorchLayer<'_>) -> Self {
        Self {
            filters: torch.channels() * layer.depth_multiplier,
            groups: torch.channels(),
            kernel_size: layer.kernel_size,
            strides: layer.strides,
            padding: layer.padding,
            dilation_rate: layer.dilation_rate,
            use_bias: layer.use_bias,
            activation: layer.activation,
        }
    }
}

/// `, NAME=VALUE` unless it is the default.
fn unless_one(name: &str, value: Pair) -> String {
    match value == 1.into() {
        true => String::new(),
        false => format!(", {name}={}", pair(value)),
    }
}

fn convolution(
    layer: &TorchLayer<'_>,
    conv: &Convolution,
    x: &str,
) -> Result<LayerLines, FormatError> {
    let kernel = (conv.kernel_size, conv.dilation_rate);
    let edges = EdgeCells::of(&layer.resolved.input, kernel, conv.strides, conv.padding)?;
    let strides = unless_one("stride", conv.strides);
    let dilation = unless_one("dilation", conv.dilation_rate);
    let groups = unless_one("groups", conv.groups.into());
    let arguments = [strides, edges.argument(), dilation, groups].concat();
    let module = format!(
        "nn.Conv2d({}, {}, {}{arguments}{})",
        layer.channels(),
        conv.filters,
        pair(conv.kernel_size),
        bias(conv.use_bias)
    );
    let call = format!("self.{}({})", layer.attribute, edges.around(x, ""));
    Ok(LayerLines {
        module: vec![module],
        forward: activated(conv.activation, call),
    })
}

fn bias(use_bias: bool) -> &'static str {
    if use_bias { "" } else { ", bias=False" }
}

fn dense(torch: &TorchLayer<'_>, layer: &Dense, x: &str) -> LayerLines {
    let (inputs, units) = (torch.channels(), layer.units);
    LayerLines {
        module: vec![format!(
            "nn.Linear({inputs}, {units}{})",
            bias(layer.use_bias)
        )],
        forward: activated(layer.activation, format!("self.{}({x})", torch.attribute)),
    }
}

fn norm(torch: &TorchLayer<'_>, layer: &BatchNormalization, x: &str) -> LayerLines {
    let axes = if torch.resolved.input.len() == 3 {
        2
    } else {
        1
    };
    let affine = match layer.scale || layer.center {
        true => "",
        false => ", affine=False",
    };
    // Without the last digits of the difference, which are rounding.
    let momentum = ((1.0 - layer.momentum) * 1e12).round() / 1e12;
    let module = format!(
        "nn.BatchNorm{axes}d({}, eps={}, momentum={}{affine})",
        torch.channels(),
        short(layer.epsilon),
        short(momentum)
    );
    let constants = [("weight", layer.scale), ("bias", layer.center)];
    let fixed = (constants.into_iter())
        .filter(|(_, is_learnt)| affine.is_empty() && !is_learnt)
        .map(|(leaf, _)| format!("self.{}.{leaf}.requires_grad = False", torch.attribute));
    LayerLines {
        module: std::iter::once(module).chain(fixed).collect(),
        forward: format!("self.{}({x})", torch.attribute),
    }
}

fn pool(
    layer: &TorchLayer<'_>,
    pool: &Pooling2D,
    kind: PoolKind,
    x: &str,
) -> Result<LayerLines, FormatError> {
    let strides = pool.strides.unwrap_or(pool.pool_size);
    let kernel = (pool.pool_size, 1.into());
    let edges = EdgeCells::of(&layer.resolved.input, kernel, strides, pool.padding)?;
    let mut window = pair(pool.pool_size);
    if strides != pool.pool_size {
        window = format!("{window}, {}", pair(strides));
    }
    let padding = edges.argument();
    let uncounted = if edges.is_empty() {
        ""
    } else {
        ", count_include_pad=False"
    };
    Ok(LayerLines::function(match kind {
        PoolKind::Max => {
            let x = edges.around(x, ", value=-torch.inf");
            format!("F.max_pool2d({x}, {window}{padding})")
        }
        PoolKind::Average if edges.is_even() => {
            format!("F.avg_pool2d({x}, {window}{padding}{uncounted})")
        }
        PoolKind::Average => {
            let (size, strides) = (pair(pool.pool_size), pair(strides));
            format!("{AVERAGE}({x}, {size}, {strides}, {})", edges.sides())
        }
        // Not `divisor_override=1`, which torch.onnx drops (findings/torch_onnx_divisor_override.sh).
        PoolKind::Sum => {
            let x = edges.around(x, "");
            let Pair([kh, kw]) = pool.pool_size;
            format!("F.avg_pool2d({x}, {window}{padding}) * {}", kh * kw)
        }
    }))
}

fn zeros(layer: &ZeroPadding2D, x: &str) -> LayerLines {
    let sides = EdgeCells::new(layer.padding.0).sides();
    LayerLines::function(format!("F.pad({x}, {sides})"))
}

/// The part that inference reads, at the size of the output.
fn crop(layer: &TorchLayer<'_>, crop: &RandomCrop, x: &str) -> Result<LayerLines, FormatError> {
    let ResizeShape {
        start: [top, left],
        window: [rows, columns],
        to: [height, width],
        ..
    } = crop.centre(&layer.resolved.input)?;
    let part = format!("{x}[:, :, {top}:{}, {left}:{}]", top + rows, left + columns);
    Ok(LayerLines::function(format!(
        "F.interpolate({part}, ({height}, {width}), mode=\"bilinear\", align_corners=False)"
    )))
}

fn rescaling(layer: &Rescaling, x: &str) -> LayerLines {
    let offset = match layer.offset {
        0.0 => String::new(),
        offset if offset < 0.0 => format!(" - {}", short(-offset)),
        offset => format!(" + {}", short(offset)),
    };
    LayerLines::function(format!("{x} * {}{offset}", short(layer.scale)))
}
