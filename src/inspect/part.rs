//! The first layers of a network, with their weights.

use super::outputs::no_such_layer;
use crate::error::Result;
use crate::model::Sequential;
use crate::state::{Layout, State};

/// The model up to and including the layer of this name.
///
/// # Errors
/// As [`Sequential::resolve`]; no layer has this name: the message lists those that exist.
///
/// ```
/// use cnn_gpu::inspect::up_to;
/// use cnn_gpu::model::preset;
/// # let Some(model) = preset("mnist-cnn") else { return Ok(()) };
/// assert_eq!(up_to(&model, "conv2d_1")?.output_shape()?, [11, 11, 64]);
/// let message = up_to(&model, "conv2d_9").unwrap_err().to_string();
/// assert!(message.contains("conv2d, max_pooling2d, conv2d_1"));
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
pub fn up_to(model: &Sequential, layer: &str) -> Result<Sequential> {
    let mut layers = model.resolve()?.into_iter();
    let last = layers.position(|resolved| resolved.name == layer);
    let last = last.ok_or_else(|| no_such_layer(model, layer))?;
    let mut first = model.clone();
    first.layers.truncate(last + 1);
    Ok(first)
}

/// The weights of `model`, taken from those of another model by their names.
///
/// # Errors
/// As [`Sequential::resolve`]; a parameter that `weights` lacks or has in another size.
pub fn with_weights_of(model: &Sequential, weights: &State) -> Result<State> {
    let mut state = State::new(Layout::new(model)?, 0);
    let parameters = state.layout.parameters.clone();
    for parameter in &parameters {
        let values = weights.parameter(&parameter.name)?;
        state.set_parameter(&parameter.name, values)?;
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::preset;

    #[test]
    fn the_first_layers_have_the_weights_of_the_whole() {
        let model = preset("mnist-cnn").unwrap();
        let whole = State::new(Layout::new(&model).unwrap(), 5);
        let mut part = up_to(&model, "max_pooling2d_1").unwrap();
        // A convolution fits images of any size.
        part.input_shape = [64, 48, 1];
        let state = with_weights_of(&part, &whole).unwrap();
        let name = "conv2d_1/kernel";
        assert_eq!(
            state.parameter(name).unwrap(),
            whole.parameter(name).unwrap()
        );
        assert!(state.parameter("dense/kernel").is_err());
        let other = up_to(&preset("mnist-mlp").unwrap(), "dense").unwrap();
        assert!(with_weights_of(&other, &whole).is_err());
    }
}
