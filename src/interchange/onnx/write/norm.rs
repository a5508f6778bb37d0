//! Batch normalization.

use super::attributes::float;
use super::edge::Edge;
use super::layer_writer::LayerWriter;
use crate::error::Result;
use crate::model::BatchNormalization;

/// A node of its own, though it could be folded into the layer before it: so it can be read again,
/// and runtimes fold it themselves.
pub(super) fn batch_normalization(
    w: &mut LayerWriter<'_>,
    layer: &BatchNormalization,
    x: &Edge,
) -> Result<Edge> {
    let channels = x.channels();
    // The operator requires a scale and an offset. Others than the layer's have other names.
    let gamma = match layer.scale {
        true => w.per_channel("gamma", x)?,
        false => w.constant(
            "ones",
            &[channels],
            &vec![1.0; channels],
            (&[channels], &[0]),
        ),
    };
    let beta = match layer.center {
        true => w.per_channel("beta", x)?,
        false => w.constant(
            "zeros",
            &[channels],
            &vec![0.0; channels],
            (&[channels], &[0]),
        ),
    };
    let mean = w.per_channel("moving_mean", x)?;
    let variance = w.per_channel("moving_variance", x)?;
    let epsilon = float("epsilon", layer.epsilon as f32);
    let others = vec![gamma, beta, mean, variance];
    let name = w.name.into();
    Ok((w.graph).map("BatchNormalization", (x, others), vec![epsilon], name))
}
