//! The first layers of a network, with their weights.

use super::outputs::no_such_layer;
use crate::error::Result;
use crate::model::{PlacedLayer, ResolvedLayer, Sequential};
use crate::state::{Layout, State};

/// The layer of this name and all that its output depends on: in a chain, the layers before it. If
/// others are left out, because they lie on branches that only later layers take, those that stay
/// name themselves as in `model`. The last layer, if it has one input, takes the layer before it.
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
    let resolved = model.resolve()?;
    let last = resolved.iter().position(|resolved| resolved.name == layer);
    let last = last.ok_or_else(|| no_such_layer(model, layer))?;
    let mut is_needed = vec![false; last + 1];
    is_needed[last] = true;
    for index in (0..=last).rev() {
        if is_needed[index] {
            let sources = resolved[index].from.iter().flatten();
            sources.for_each(|source| is_needed[*source] = true);
        }
    }
    let mut part = model.clone();
    part.layers.truncate(last + 1);
    if is_needed.contains(&false) {
        // Their own names depend on the layers before them.
        let all = part.layers.into_iter().zip(&resolved).zip(is_needed);
        let needed = all.filter(|(_, is_needed)| *is_needed);
        let named = |(mut placed, resolved): (PlacedLayer, &ResolvedLayer<'_>)| {
            placed.layer = placed.layer.named(&resolved.name);
            placed
        };
        part.layers = needed.map(|(layer, _)| named(layer)).collect();
    }
    Ok(part)
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
    use crate::model::{Add, Conv2D, Flatten, preset};

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

    #[test]
    fn branches_that_a_layer_does_not_need_are_left_out() {
        let model = Sequential::new([4, 4, 2])
            .add(Conv2D::new(3, 1))
            .add_from("input", Conv2D::new(3, 1))
            .add_from("conv2d", Conv2D::new(3, 1))
            .add_from(["conv2d_1", "conv2d_2"], Add::new())
            .add(Flatten::new());
        let names = |of: &Sequential| -> Vec<String> {
            let resolved = of.resolve().unwrap().into_iter();
            resolved.map(|layer| layer.name).collect()
        };
        let whole = State::new(Layout::new(&model).unwrap(), 5);
        for (layer, expected) in [
            ("conv2d", vec!["conv2d"]),
            ("conv2d_1", vec!["conv2d_1"]),
            ("conv2d_2", vec!["conv2d", "conv2d_2"]),
            ("add", vec!["conv2d", "conv2d_1", "conv2d_2", "add"]),
        ] {
            let part = up_to(&model, layer).unwrap();
            part.check().unwrap();
            assert_eq!(names(&part), expected);
            let last = part.resolve().unwrap().pop().unwrap();
            assert!(last.from.len() > 1 || last.follows(expected.len() - 1));
            let state = with_weights_of(&part, &whole).unwrap();
            let name = format!("{}/kernel", expected[expected.len().min(2) - 1]);
            assert_eq!(
                state.parameter(&name).unwrap(),
                whole.parameter(&name).unwrap()
            );
        }
    }
}
