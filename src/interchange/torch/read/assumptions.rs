//! What a state dict does not say.

use super::super::arrangement::TorchLayer;
use crate::error::FormatError;
use crate::interchange::{Import, outputs};
use crate::model::{Layer, Pooling2D, ResolvedLayer, Sequential};
use crate::shape::{Padding, Pair, Window};
use crate::words::{counted, short};

/// What PyTorch's batch normalization adds to the variance by default.
const EPSILON: f64 = 1e-5;

/// Notes on what is assumed about a file that this crate did not write.
pub(super) fn assumptions(model: &Sequential, layers: &[TorchLayer<'_>]) -> Vec<String> {
    let notes = [
        epsilons(model),
        paddings(layers),
        order(layers),
        outputs::note(model),
    ];
    let notes = notes.into_iter().flatten();
    std::iter::once(Import::ASSUMED_PIXELS.into())
        .chain(notes)
        .collect()
}

fn epsilons(model: &Sequential) -> Option<String> {
    let mut epsilons = model
        .layers
        .iter()
        .filter_map(|placed| match &placed.layer {
            Layer::BatchNormalization(l) => Some(l.epsilon),
            _ => None,
        });
    let other = epsilons.find(|&epsilon| epsilon != EPSILON)?;
    Some(format!(
        "the file does not say what batch normalization adds to the variance: assumed epsilon = {} as in \
         the model; PyTorch's default is {}",
        short(other),
        short(EPSILON)
    ))
}

/// PyTorch's layers pad opposite sides alike, except for convolutions with `padding="same"`.
fn paddings(layers: &[TorchLayer<'_>]) -> Option<String> {
    let mut uneven = layers.iter().filter(|layer| is_uneven(&layer.resolved));
    let first = &uneven.next()?.resolved.name;
    let more = match uneven.count() {
        0 => String::new(),
        more => format!(" and {}", counted(more, "other layer")),
    };
    Some(format!(
        "`same` pads `{first}`{more} unevenly: if PyTorch padded both sides alike, with padding=1 for \
         example, use a ZeroPadding2D and `valid` in the model"
    ))
}

/// Whether a layer pads opposite sides differently.
fn is_uneven(layer: &ResolvedLayer<'_>) -> bool {
    let pool = |l: &Pooling2D| {
        let strides = l.strides.unwrap_or(l.pool_size);
        (l.pool_size, Pair::from(1), strides, l.padding)
    };
    let (kernel, dilation, strides, padding) = match layer.layer {
        Layer::Conv2D(l) => (l.kernel_size, l.dilation_rate, l.strides, l.padding),
        Layer::DepthwiseConv2D(l) => (l.kernel_size, l.dilation_rate, l.strides, l.padding),
        Layer::MaxPooling2D(l) => pool(&l.0),
        Layer::AveragePooling2D(l) => pool(&l.0),
        Layer::SumPooling2D(l) => pool(&l.0),
        _ => return false,
    };
    let &[ih, iw, _] = layer.input.as_slice() else {
        return false;
    };
    let Ok(w) = Window::dilated([ih, iw], (kernel, dilation), strides, padding) else {
        return false;
    };
    let behind = |outputs: usize, stride: usize, reach: usize, inside: usize| {
        ((outputs - 1) * stride + reach).saturating_sub(inside)
    };
    let below = behind(w.oh, w.sh, (w.kh - 1) * w.dh + 1, ih + w.pad_top);
    let right = behind(w.ow, w.sw, (w.kw - 1) * w.dw + 1, iw + w.pad_left);
    padding == Padding::Same && (below != w.pad_top || right != w.pad_left)
}

/// A flattening without a dense layer behind it, whose weights could be put in another order.
fn order(layers: &[TorchLayer<'_>]) -> Option<String> {
    let flatten = &layers.iter().find(|layer| layer.permutes)?.resolved.name;
    Some(format!(
        "`{flatten}` flattens [h, w, c] and PyTorch [c, h, w]: the outputs are in another order"
    ))
}

/// Checks that nothing that depends on the order of elements takes the output of such a flattening: no layer with weights,
/// which are in PyTorch's order, and none that joins it with elements in this crate's.
///
/// # Errors
/// Some are.
pub(super) fn check_order(layers: &[TorchLayer<'_>]) -> Result<(), FormatError> {
    // The flattening whose order each layer's output has in PyTorch.
    let mut flattenings: Vec<Option<usize>> = Vec::with_capacity(layers.len());
    for (index, layer) in layers.iter().enumerate() {
        let resolved = &layer.resolved;
        let of = |source: &Option<usize>| source.and_then(|source| flattenings[source]);
        let image = |source: &Option<usize>| of(source).map(|at| &layers[at].resolved.input);
        let found = resolved.from.iter().find_map(of);
        let first = resolved.from.first().and_then(image);
        if found.is_some() && resolved.from.iter().any(|source| image(source) != first) {
            let names = resolved.from.iter();
            let names = names.map(|source| match *source {
                Some(source) => format!("`{}`", layers[source].resolved.name),
                None => "`input`".to_owned(),
            });
            let names = names.collect::<Vec<_>>().join(" and ");
            return Err(format!(
                "layer `{}`: {names} are joined behind a flattening, whose order in PyTorch is [c, h, w] and here \
                 [h, w, c]; use a global pooling",
                resolved.name
            )
            .into());
        }
        if let Some(flatten) = found.filter(|_| !layer.slots().is_empty()) {
            return Err(format!(
                "layer `{}`: its weights are in the order of PyTorch's flattening [c, h, w], and `{}` flattens \
                 [h, w, c] and not for dense layers alone; use a global pooling or a dense layer",
                resolved.name, layers[flatten].resolved.name
            )
            .into());
        }
        flattenings.push(match layer.permutes {
            true => Some(index),
            false => found,
        });
    }
    Ok(())
}
