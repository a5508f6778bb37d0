//! Turns what exporters made of layers back into layers.

use super::factors::Factors;
use super::link::{ConnectionLink, ConvolutionLink, Link, LinkKind, NormalizationLink, WindowPool};
use super::nd_array::NdArray;
use super::placement::Placement;
use super::value::{Floats, merged};
use crate::model::PoolKind;

/// The epsilon of a batch normalization that only multiplies and adds: Keras's default.
const EPSILON: f32 = 1e-3;

/// The layers, with factors and offsets merged into those that have weights, and notes on what
/// became of them.
pub(super) fn simplified(links: Vec<Link>) -> (Vec<Link>, Vec<String>) {
    let mut notes = Vec::new();
    let uses = uses(&links);
    let mut result: Vec<Link> = Vec::with_capacity(links.len());
    // Where each layer is in the result.
    let mut places: Vec<usize> = Vec::with_capacity(links.len());
    for mut link in links {
        // Only what no other layer takes can be changed.
        let alone = match link.from[..] {
            [Some(before)] if uses[before] == 1 => Some(places[before]),
            _ => None,
        };
        let before = alone.and_then(|place| Some((place, result.get_mut(place)?)));
        if let Some((place, before)) = before
            && merge(before, &link, &mut notes)
        {
            places.push(place);
            continue;
        }
        for from in link.from.iter_mut().flatten() {
            *from = places[*from];
        }
        places.push(result.len());
        result.push(link);
    }
    for link in &mut result {
        if let Some(kind) = as_layer(link, &mut notes) {
            link.kind = kind;
        }
    }
    (result, notes)
}

/// How often the output of each layer is taken.
pub(super) fn uses(links: &[Link]) -> Vec<usize> {
    let mut uses = vec![0usize; links.len()];
    for &from in links.iter().flat_map(|link| &link.from).flatten() {
        uses[from] += 1;
    }
    uses
}

/// Merges a layer into the one before it, if that computes the same.
fn merge(before: &mut Link, link: &Link, notes: &mut Vec<String>) -> bool {
    if let LinkKind::Connection(dense) = &link.kind {
        return merge_forward(before, link, dense, notes);
    }
    let merged = match (&mut before.kind, &link.kind) {
        (LinkKind::GlobalPool { keepdims, .. }, LinkKind::Flatten) => {
            *keepdims = false;
            true
        }
        (LinkKind::Pool(pool), &LinkKind::GlobalPool { kind, keepdims })
            if pool.kind == kind && pool.is_reduction =>
        {
            before.kind = LinkKind::GlobalPool { kind, keepdims };
            true
        }
        (LinkKind::Convolution(conv), LinkKind::Affine { scale, shift }) => {
            let filters = conv.kernel.array.dims().first().copied().unwrap_or(1);
            let per_output = conv.kernel.array.len() / filters.max(1);
            let part = Scaled {
                kernel: &mut conv.kernel,
                bias: &mut conv.bias,
                outputs: filters,
            };
            part.scaled(scale.as_ref(), shift.as_ref(), |i| i / per_output.max(1))
        }
        (LinkKind::Connection(dense), LinkKind::Affine { scale, shift }) => {
            let units = dense.kernel.array.dims().last().copied().unwrap_or(1);
            let part = Scaled {
                kernel: &mut dense.kernel,
                bias: &mut dense.bias,
                outputs: units,
            };
            part.scaled(scale.as_ref(), shift.as_ref(), |i| i % units.max(1))
        }
        (LinkKind::Pool(pool), LinkKind::Affine { scale, shift: None }) => {
            scaled_pool(pool, scale.as_ref().and_then(Factors::single))
        }
        _ => false,
    };
    if merged {
        notes.extend(note_of(before, link));
        before.name = link.name.clone().or(before.name.take());
    }
    merged
}

/// What a user may want to know about a layer that was merged: an offset is only a bias.
fn note_of(before: &Link, link: &Link) -> Option<String> {
    let weights = matches!(
        before.kind,
        LinkKind::Convolution(_) | LinkKind::Connection(_)
    );
    let scales = matches!(link.kind, LinkKind::Affine { scale: Some(_), .. });
    (weights && scales).then(|| {
        format!(
            "{}: merged into the weights of the layer before it, {}",
            link.label, before.label
        )
    })
}

/// Merges factors per feature into the fully connected layer behind them.
fn merge_forward(
    before: &mut Link,
    link: &Link,
    dense: &ConnectionLink,
    notes: &mut Vec<String>,
) -> bool {
    let LinkKind::Affine { scale, shift } = &before.kind else {
        return false;
    };
    let Some(dense) = behind(scale.as_ref(), shift.as_ref(), dense) else {
        return false;
    };
    notes.push(format!(
        "{}: merged into the weights of the layer behind it, {}",
        before.label, link.label
    ));
    before.kind = LinkKind::Connection(dense);
    before.label.clone_from(&link.label);
    before.name.clone_from(&link.name);
    true
}

/// A kernel and a bias for so many outputs.
struct Scaled<'a> {
    kernel: &'a mut Floats,
    bias: &'a mut Option<Floats>,
    outputs: usize,
}

impl Scaled<'_> {
    /// Multiplies each output and adds to it. `output` is that of each weight. One factor for all
    /// outputs stays a layer of its own.
    fn scaled(
        self,
        scale: Option<&Factors>,
        shift: Option<&Factors>,
        output: impl Fn(usize) -> usize,
    ) -> bool {
        let mut bias = self.bias.as_ref().map(Factors::from);
        if let Some(scale) = scale {
            let Some(kernel) = scaled(self.kernel, scale, output) else {
                return false;
            };
            *self.kernel = kernel;
            bias = bias.map(|bias| bias.zip(scale, |b, s| b * s));
        }
        let sum = match (bias, shift) {
            (Some(bias), Some(shift)) => Some(bias.zip(shift, |b, s| b + s)),
            (bias, shift) => bias.or(shift.cloned()),
        };
        *self.bias = sum.map(|sum| sum.numbers(self.outputs));
        true
    }
}

/// Weights, multiplied by the factor whose index `of` gives for each; unless there is one for all.
fn scaled(weights: &Floats, scale: &Factors, of: impl Fn(usize) -> usize) -> Option<Floats> {
    if scale.single().is_some() {
        return None;
    }
    let elements = weights.array.elements().iter().enumerate();
    let elements = elements.map(|(i, &w)| (f64::from(w) * scale.of(of(i))) as f32);
    Some(Floats {
        array: NdArray::new(weights.array.dims().to_vec(), elements.collect())?,
        origins: merged(&[&weights.origins, &scale.origins]),
    })
}

/// The fully connected layer of inputs that are multiplied and added to, unless that is done by one
/// number for all.
fn behind(
    scale: Option<&Factors>,
    shift: Option<&Factors>,
    dense: &ConnectionLink,
) -> Option<ConnectionLink> {
    let &[_, units] = dense.kernel.array.dims() else {
        return None;
    };
    let mut both = [scale, shift].into_iter().flatten();
    if units == 0 || both.all(|factors| factors.single().is_some()) {
        return None;
    }
    let bias = match (shift, &dense.bias) {
        (Some(shift), bias) => Some(moved_bias(shift, dense, units, bias.as_ref())),
        (None, bias) => bias.clone(),
    };
    let scale = scale.map(|scale| each(scale, dense.kernel.array.len() / units));
    let kernel = match scale {
        Some(scale) => scaled(&dense.kernel, &scale, |i| i / units)?,
        None => dense.kernel.clone(),
    };
    Some(ConnectionLink { kernel, bias })
}

/// What the layer makes of an offset of its inputs, and its bias.
fn moved_bias(
    shift: &Factors,
    dense: &ConnectionLink,
    units: usize,
    bias: Option<&Floats>,
) -> Floats {
    let mut sums = vec![0.0; units];
    let rows = dense.kernel.array.elements().chunks_exact(units);
    for (i, row) in rows.enumerate() {
        for (sum, &weight) in sums.iter_mut().zip(row) {
            *sum += f64::from(weight) * shift.of(i);
        }
    }
    let sums = Factors {
        values: sums.into(),
        origins: shift.origins.clone(),
    };
    let bias = bias.map(|bias| Factors::from(bias).zip(&sums, |b, s| b + s));
    bias.unwrap_or(sums).numbers(units)
}

/// The same factors, one for each of `n`.
fn each(factors: &Factors, n: usize) -> Factors {
    Factors {
        values: (0..n).map(|i| factors.of(i)).collect(),
        origins: factors.origins.clone(),
    }
}

/// Makes an average a sum or a sum an average, if a factor does so.
fn scaled_pool(pool: &mut WindowPool, factor: Option<f64>) -> bool {
    let Some(factor) = factor else {
        return false;
    };
    let close = |wanted: f64| (factor - wanted).abs() <= 1e-6 * wanted;
    match pool.kind {
        PoolKind::Average if pool.counts_padding && close(pool.over.taps()) => {
            pool.kind = PoolKind::Sum;
            true
        }
        PoolKind::Sum if close(pool.over.taps().recip()) => {
            pool.kind = PoolKind::Average;
            pool.counts_padding = true;
            true
        }
        _ => false,
    }
}

/// The layer that multiplies each channel by its own factor and adds to it.
fn as_layer(link: &Link, notes: &mut Vec<String>) -> Option<LinkKind> {
    let LinkKind::Affine { scale, shift } = &link.kind else {
        return None;
    };
    let mut factors = [scale, shift].into_iter().flatten();
    if factors.all(|f| f.single().is_some()) {
        return None;
    }
    let n = link.channels();
    let scale = scale.clone().unwrap_or(Factors::one(1.0));
    let shift = shift.clone().unwrap_or(Factors::one(0.0));
    let (kind, what) = match link.image() {
        Some(_) => (
            depthwise(&scale, &shift, n)?,
            "a depthwise convolution of 1x1",
        ),
        None => (
            normalization(&scale, &shift, n),
            "a batch normalization, whose statistics start anew if it is trained further",
        ),
    };
    notes.push(format!(
        "{}: a factor per channel became {what}",
        link.label
    ));
    Some(kind)
}

fn depthwise(scale: &Factors, shift: &Factors, channels: usize) -> Option<LinkKind> {
    let kernel = scale.numbers(channels);
    let array = kernel.array.reshaped(vec![channels, 1, 1, 1])?;
    Some(LinkKind::Convolution(ConvolutionLink {
        kernel: kernel.derived(array),
        bias: Some(shift.numbers(channels)),
        groups: channels,
        over: Placement {
            size: [1; 2],
            strides: [1; 2],
            dilation: [1; 2],
            pads: [[0; 2]; 2],
        },
    }))
}

fn normalization(scale: &Factors, shift: &Factors, features: usize) -> LinkKind {
    let same = |value| Factors::one(value).numbers(features);
    LinkKind::Normalization(NormalizationLink {
        gamma: scale.numbers(features),
        beta: shift.numbers(features),
        mean: same(0.0),
        variance: same(1.0 - f64::from(EPSILON)),
        epsilon: EPSILON,
    })
}
