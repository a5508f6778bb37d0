//! How a graph's input holds images.

use super::graph::LiveGraph;
use super::interpret::{GraphTensors, ImageInput, interpret};
use super::link::Link;
use super::nd_array::count;
use super::view::ImagePlaces;
use crate::error::FormatError;
use crate::interchange::pixels::square_image;

/// Images have fewer elements than this.
const MOST: usize = 1 << 31;
/// Images have no more channels than this, if the order of axes must be guessed.
const CHANNELS: usize = 4;

/// The orders of the input's axes with which the graph can be read, the likeliest one first, and the
/// layers with each. `recorded` is the shape of images that the file's metadata say; `is_torch` tells
/// that it is a network of PyTorch's, which has channels first.
///
/// # Errors
/// The graph can be read with none.
pub(super) fn readable<'a>(
    graph: &LiveGraph<'a>,
    tensors: &mut GraphTensors<'a>,
    (recorded, is_torch): (Option<[usize; 3]>, bool),
) -> Result<Vec<(ImageInput, Vec<Link>)>, FormatError> {
    let mut inputs = orders(graph)?;
    inputs.sort_by_key(|input| match recorded {
        Some(image) => (input.image != image, false),
        None => {
            let is_first = input.places == ImagePlaces::CHANNELS_FIRST;
            (is_torch && !is_first, input.image[2] > CHANNELS)
        }
    });
    let mut read = Vec::new();
    let mut failed: Option<(usize, FormatError)> = None;
    for input in inputs {
        match interpret(graph, tensors, input) {
            Ok(links) => read.push((input, links)),
            // The error is that of the order with which most of the graph can be read.
            Err(e) if failed.as_ref().is_some_and(|(far, _)| *far >= e.0) => {}
            Err(e) => failed = Some(e),
        }
    }
    match (read.is_empty(), failed) {
        (true, Some((_, e))) => Err(e),
        _ => Ok(read),
    }
}

/// The orders in which the input's axes can be.
fn orders(graph: &LiveGraph<'_>) -> Result<Vec<ImageInput>, FormatError> {
    let input = graph.input;
    let wanted = "expected [batch, height, width, channels] or [batch, channels, height, width]";
    let Some((&batch, image)) = graph.input_dims.split_first() else {
        return Err(format!("its input `{input}` has no axes; {wanted}").into());
    };
    let fixed = image.iter().enumerate().map(|(i, &size)| {
        size.ok_or_else(|| {
            format!("its input `{input}` has no fixed size on axis {}; export it for images of one size", i + 1)
        })
    });
    let order = |places, image| ImageInput {
        places,
        batch,
        image,
    };
    let fixed = fixed.collect::<Result<Vec<_>, _>>()?;
    if count(&fixed).is_none_or(|n| n >= MOST) {
        return Err(format!("its input `{input}` has 2^31 elements or more").into());
    }
    match *fixed {
        [a, b, c] => Ok(vec![
            order(ImagePlaces::CHANNELS_LAST, [a, b, c]),
            order(ImagePlaces::CHANNELS_FIRST, [b, c, a]),
        ]),
        [height, width] => Ok(vec![order(
            ImagePlaces::WITHOUT_CHANNELS,
            [height, width, 1],
        )]),
        [n] => match square_image(n) {
            Some(image) => Ok(vec![order(ImagePlaces::ROWS, image)]),
            None => Err(format!(
                "its input `{input}` is a vector of {n} numbers, which are not the pixels of a grey square \
                 image; {wanted}: export the network with a flattening of images before it"
            )
            .into()),
        },
        _ => Err(format!(
            "its input `{input}` has {} axes; {wanted}",
            graph.input_dims.len()
        )
        .into()),
    }
}
