//! The network, drawn.

use crate::error::Result;
use crate::model::{Factor, Layer, Pooling2D, ResolvedLayer, Sequential};
use crate::plan::{Plan, Purpose};
use crate::report::svg::{DiagramLayer, network_diagram};
use crate::report::text::significant;
use crate::report::{Drawing, Figure, ReportBlock, ReportSection, Table};
use crate::shape::{Padding, Pair, dims};
use crate::words::{counted, short, thousands};

/// The layers with their shapes, kernels and parameters, drawn and as a table.
///
/// # Errors
/// As [`Sequential::resolve`].
pub fn network(model: &Sequential) -> Result<ReportSection> {
    let layers = model.resolve()?;
    let input = DiagramLayer {
        title: "input".into(),
        details: vec![times(&model.input_shape)],
        shape: model.input_shape.into(),
        has_weights: false,
        takes_the_last: false,
    };
    let drawn = (layers.iter().enumerate()).map(|(index, layer)| DiagramLayer {
        title: format!("{} ({})", layer.name, layer.layer.spec().kind()),
        details: details(layer)
            .into_iter()
            .chain(sources(&layers, index))
            .collect(),
        shape: layer.output.clone(),
        has_weights: layer.parameter_count() > 0,
        takes_the_last: layer.from.contains(&index.checked_sub(1)),
    });
    let drawn: Vec<DiagramLayer> = std::iter::once(input).chain(drawn).collect();
    let label = format!(
        "The {} of the network {}",
        counted(layers.len(), "layer"),
        model.name
    );
    let caption = "The output of each layer: maps as a box whose face grows with their height and width and whose \
                   depth grows with their number, other outputs as a row. Layers with weights are blue.";
    let drawing = Drawing::Svg(network_diagram(&drawn, &label));
    let figure = Figure::new("network-diagram", drawing, caption).alt(label);
    Ok(ReportSection::new("network", "Network")
        .with(ReportBlock::Text(size(model)?))
        .with(ReportBlock::Figures(vec![figure]))
        .with(ReportBlock::Table(table(&layers))))
}

fn size(model: &Sequential) -> Result<String> {
    let layers = model.resolve()?;
    let trainable: usize = layers.iter().map(ResolvedLayer::trainable_count).sum();
    let all = model.parameter_count()?;
    let plan = Plan::new(model, Purpose::Outputs, 1)?;
    let flops: u64 = plan.ops.iter().map(|op| plan.flops(op)).sum();
    let fixed = match all - trainable {
        0 => String::new(),
        fixed => format!(", of which {} are not trained", thousands(fixed as u64)),
    };
    Ok(format!(
        "{} with {}{fixed}; {} million floating-point operations per image.",
        counted(layers.len(), "layer"),
        counted(all, "parameter"),
        significant(flops as f64 / 1e6)
    ))
}

/// The shape and the number of parameters; the settings, if there are any.
pub(super) fn details(layer: &ResolvedLayer<'_>) -> Vec<String> {
    let shape = times(&layer.output);
    let first = match layer.parameter_count() {
        0 => shape,
        n => format!("{shape} · {}", counted(n, "parameter")),
    };
    std::iter::once(first)
        .chain(settings(layer.layer))
        .collect()
}

/// Where the input of a layer comes from, unless it is the layer before it.
pub(super) fn sources(layers: &[ResolvedLayer<'_>], index: usize) -> Option<String> {
    let layer = layers.get(index).filter(|layer| !layer.follows(index))?;
    Some(format!("from {}", layer.source_names(layers).join(", ")))
}

/// A shape in text: `28×28×1`.
fn times(shape: &[usize]) -> String {
    dims(shape).replace('x', "×")
}

/// What a layer's own settings are, if it has any.
fn settings(layer: &Layer) -> Option<String> {
    match layer {
        Layer::Conv2D(conv) => {
            let mut parts = vec![format!("kernel {}", pair(conv.kernel_size))];
            parts.extend(window(conv.strides, conv.padding));
            parts.extend((conv.groups > 1).then(|| format!("{} groups", conv.groups)));
            parts.extend(dilation(conv.dilation_rate));
            parts.push(conv.activation.name().into());
            Some(parts.join(", "))
        }
        Layer::DepthwiseConv2D(conv) => {
            let mut parts = vec![format!("kernel {}", pair(conv.kernel_size))];
            parts.extend(window(conv.strides, conv.padding));
            parts.extend(dilation(conv.dilation_rate));
            parts.push(conv.activation.name().into());
            Some(parts.join(", "))
        }
        Layer::MaxPooling2D(pool) => Some(pooling(&pool.0)),
        Layer::AveragePooling2D(pool) => Some(pooling(&pool.0)),
        Layer::SumPooling2D(pool) => Some(pooling(&pool.0)),
        Layer::Dense(dense) => Some(dense.activation.name().into()),
        Layer::Activation(layer) => Some(layer.activation.name().into()),
        Layer::Dropout(dropout) => Some(format!("rate {}", short(dropout.rate))),
        Layer::SpatialDropout2D(dropout) => Some(format!("rate {}", short(dropout.rate))),
        Layer::RandomFlip(flip) => Some(flip.mode.name().replace('_', " ")),
        Layer::RandomRotation(layer) => Some(format!("{} turns", factor(layer.factor))),
        Layer::RandomTranslation(layer) => Some(format!(
            "height {}, width {}",
            factor(layer.height_factor),
            factor(layer.width_factor)
        )),
        Layer::RandomZoom(layer) => Some(format!(
            "height {}, width {}",
            factor(layer.height_factor),
            layer.width_factor.map_or("alike".into(), factor)
        )),
        Layer::RandomShear(layer) => Some(format!(
            "x {}, y {}",
            factor(layer.x_factor),
            factor(layer.y_factor)
        )),
        Layer::RandomContrast(layer) => Some(format!("factor {}", factor(layer.factor))),
        Layer::RandomBrightness(layer) => Some(format!("factor {}", factor(layer.factor))),
        Layer::RandomErasing(layer) => Some(format!(
            "factor {}, scale {}",
            factor(layer.factor),
            factor(layer.scale)
        )),
        Layer::RandomElasticTransform(layer) => Some(format!(
            "factor {}, scale {}",
            factor(layer.factor),
            factor(layer.scale)
        )),
        Layer::RandomCrop(_) => Some("at a random place".into()),
        Layer::GaussianNoise(noise) => Some(format!("deviation {}", short(noise.stddev))),
        Layer::ZeroPadding2D(layer) => {
            let [[top, bottom], [left, right]] = layer.padding.0;
            Some(format!(
                "{top} above, {bottom} below, {left} left, {right} right"
            ))
        }
        Layer::Rescaling(layer) => Some(format!(
            "x · {} + {}",
            short(layer.scale),
            short(layer.offset)
        )),
        Layer::Flatten(_)
        | Layer::GlobalAveragePooling2D(_)
        | Layer::GlobalMaxPooling2D(_)
        | Layer::Add(_)
        | Layer::Concatenate(_)
        | Layer::BatchNormalization(_) => None,
    }
}

/// One number, or two in brackets.
fn factor(factor: Factor) -> String {
    match factor {
        Factor::Single(f) => short(f),
        Factor::Between([a, b]) => format!("[{}, {}]", short(a), short(b)),
    }
}

fn pair(Pair([a, b]): Pair) -> String {
    format!("{a}×{b}")
}

fn window(strides: Pair, padding: Padding) -> Vec<String> {
    let strides = (strides != Pair([1, 1])).then(|| format!("strides {}", pair(strides)));
    let padding = (padding == Padding::Same).then(|| "same padding".to_owned());
    strides.into_iter().chain(padding).collect()
}

fn dilation(rate: Pair) -> Option<String> {
    (rate != Pair([1, 1])).then(|| format!("dilation {}", pair(rate)))
}

fn pooling(pool: &Pooling2D) -> String {
    let mut parts = vec![format!("windows {}", pair(pool.pool_size))];
    let strides = pool.strides.filter(|strides| *strides != pool.pool_size);
    parts.extend(strides.map(|strides| format!("strides {}", pair(strides))));
    parts.extend((pool.padding == Padding::Same).then(|| "same padding".to_owned()));
    parts.join(", ")
}

fn table(layers: &[ResolvedLayer<'_>]) -> Table {
    let head = [
        "layer",
        "type",
        "output",
        "settings",
        "parameters",
        "trained",
    ];
    let mut table = Table::new(head).folded("Every layer in numbers");
    for (index, layer) in layers.iter().enumerate() {
        let settings = sources(layers, index)
            .into_iter()
            .chain(settings(layer.layer));
        let settings: Vec<String> = settings.collect();
        table.row([
            layer.name.clone(),
            layer.layer.spec().kind().into(),
            times(&layer.output),
            match settings.is_empty() {
                true => "–".into(),
                false => settings.join(", "),
            },
            thousands(layer.parameter_count() as u64),
            thousands(layer.trainable_count() as u64),
        ]);
    }
    table
}
