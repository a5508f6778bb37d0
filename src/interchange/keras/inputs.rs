//! Inputs that are not images in Keras: vectors of features, and images without channels.

use crate::error::{Error, Result};
use crate::model::{Layer, ResolvedLayer, Sequential};
use crate::shape::dims;

/// The name of the `Flatten` that makes a vector of the features of an image of 1x1xn. Keras's networks of vectors have
/// no such layer: it is added by reading, and left out by writing.
pub const FEATURES: &str = "features_of_vector";

/// Gives layers their places and shapes in Keras for inputs of the shape `input`; returns that of the model's inputs.
///
/// # Errors
/// A shape that is not another form of the model's, or an input that is not flattened.
pub(super) fn restore(
    layers: &mut Vec<ResolvedLayer<'_>>,
    model: &Sequential,
    input: Option<&[usize]>,
) -> Result<Vec<usize>> {
    let image = model.input_shape;
    let Some(input) = input.filter(|input| *input != image) else {
        return Ok(image.to_vec());
    };
    let is_vector = matches!((input, image), (&[n], [1, 1, c]) if n == c);
    let is_gray = matches!((input, image), (&[h, w], [ih, iw, 1]) if [h, w] == [ih, iw]);
    if !is_vector && !is_gray {
        return Err(Error::Argument(format!(
            "images of {} have no other form of {}; expected the number of features of an image of 1x1xn, or the \
             height and width of one with one channel",
            dims(&image),
            dims(input)
        )));
    }
    if is_vector {
        leave_out_features(layers);
    }
    for layer in layers.iter_mut().filter(|layer| layer.from.contains(&None)) {
        match layer.layer {
            Layer::Flatten(_) => layer.input = input.to_vec(),
            _ if layer.input == input => {}
            _ => {
                let problem = format!(
                    "it takes images; expected a Flatten of the inputs of {}",
                    dims(input)
                );
                return Err(Error::layer(&layer.name, problem));
            }
        }
    }
    Ok(input.to_vec())
}

/// Leaves out a first layer that was added for vectors.
fn leave_out_features(layers: &mut Vec<ResolvedLayer<'_>>) {
    let is_added = |layer: &ResolvedLayer<'_>| {
        layer.name == FEATURES && matches!(layer.layer, Layer::Flatten(_))
    };
    if layers.len() < 2 || !is_added(&layers[0]) {
        return;
    }
    layers.remove(0);
    for source in layers.iter_mut().flat_map(|layer| &mut layer.from) {
        *source = source.and_then(|index| index.checked_sub(1));
    }
}
