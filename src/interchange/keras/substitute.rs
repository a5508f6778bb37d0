//! A model without the layers that Keras lacks.

use super::names::free_name;
use crate::error::{Error, Result};
use crate::model::{
    AveragePooling2D, Layer, PlacedLayer, Rescaling, ResolvedLayer, Sequential, SumPooling2D,
};
use crate::shape::{Padding, Pair, Window};

/// The model with each sum pool as an average pool and a rescaling by the window's size, which give
/// the same where windows do not extend past the edge.
///
/// # Errors
/// A sum pool with padding, by its name; as [`Sequential::resolve`].
pub(super) fn substituted(model: &Sequential) -> Result<Sequential> {
    let resolved = model.resolve()?;
    let mut names: Vec<String> = resolved.iter().map(|layer| layer.name.clone()).collect();
    let mut layers: Vec<(PlacedLayer, Vec<Option<usize>>)> = Vec::with_capacity(resolved.len());
    // Where the output of each layer is made.
    let mut makers: Vec<usize> = Vec::with_capacity(resolved.len());
    for layer in &resolved {
        let from = layer
            .from
            .iter()
            .map(|from| from.map(|index| makers[index]));
        let from: Vec<Option<usize>> = from.collect();
        if let Layer::SumPooling2D(pool) = layer.layer {
            let [average, factor] = sum_pool(pool, layer, &mut names)?;
            layers.push((average.into(), from));
            layers.push((factor.into(), vec![Some(layers.len() - 1)]));
        } else {
            let mut placed = PlacedLayer::from(layer.layer.clone());
            placed.trainable = layer.trainable;
            layers.push((placed, from));
        }
        makers.push(layers.len() - 1);
    }
    model.clone().with_layers(layers)
}

/// A sum pool as layers that Keras has.
fn sum_pool(
    pool: &SumPooling2D,
    resolved: &ResolvedLayer<'_>,
    names: &mut Vec<String>,
) -> Result<[Layer; 2]> {
    let SumPooling2D(pool) = pool;
    let Pair([kh, kw]) = pool.pool_size;
    if !is_inside(
        resolved,
        pool.strides.unwrap_or(pool.pool_size),
        pool.pool_size,
        pool.padding,
    ) {
        let problem = "Keras has no sum pooling, and with padding it is not an average pooling with a factor; \
                       use `valid` padding behind a ZeroPadding2D";
        return Err(Error::layer(&resolved.name, problem));
    }
    let mut average = AveragePooling2D(pool.clone());
    average.0.name = Some(resolved.name.clone());
    let factor = free_name(&format!("{}_size", resolved.name), |name| {
        names.iter().any(|taken| taken == name)
    });
    names.push(factor.clone());
    let factor = Rescaling::new((kh * kw) as f32).name(factor);
    Ok([average.into(), factor.into()])
}

/// Whether all windows lie inside the image.
fn is_inside(resolved: &ResolvedLayer<'_>, strides: Pair, size: Pair, padding: Padding) -> bool {
    let &[ih, iw, _] = resolved.input.as_slice() else {
        return false;
    };
    let window = |padding| Window::new([ih, iw], size, strides, padding).ok();
    let valid = window(Padding::Valid);
    valid.is_some() && valid == window(padding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Add, Conv2D, MaxPooling2D};

    #[test]
    fn a_sum_pool_is_an_average_pool_and_a_factor() {
        let model = Sequential::new([6, 6, 2])
            .add(Conv2D::new(3, 3).name("sum_pooling2d_size"))
            .add(SumPooling2D::new([2, 4]).padding(Padding::Same))
            .add(MaxPooling2D::new(1));
        let expected = Sequential::new([6, 6, 2])
            .add(Conv2D::new(3, 3).name("sum_pooling2d_size"))
            .add(
                AveragePooling2D::new([2, 4])
                    .padding(Padding::Same)
                    .name("sum_pooling2d"),
            )
            .add(Rescaling::new(8.0).name("sum_pooling2d_size_1"))
            .add(MaxPooling2D::new(1));
        assert_eq!(substituted(&model).unwrap(), expected);
        let (mut frozen, mut expected) = (model, expected);
        frozen.layers[0].trainable = false;
        expected.layers[0].trainable = false;
        assert_eq!(substituted(&frozen).unwrap(), expected);
    }

    #[test]
    fn what_takes_a_sum_takes_the_factor() {
        let conv = || Conv2D::new(2, 1).name("conv");
        let model = Sequential::new([6, 6, 2])
            .add(SumPooling2D::new(1).name("sum"))
            .add_from("input", conv())
            .add_from(["conv", "sum"], Add::new());
        let expected = Sequential::new([6, 6, 2])
            .add(AveragePooling2D::new(1).name("sum"))
            .add(Rescaling::new(1.0).name("sum_size"))
            .add_from("input", conv())
            .add_from(["conv", "sum_size"], Add::new());
        assert_eq!(substituted(&model).unwrap(), expected);
    }

    #[test]
    fn a_sum_pool_with_padding_is_refused_by_its_name() {
        let pool = SumPooling2D::new(3).padding(Padding::Same).name("sum");
        let message = substituted(&Sequential::new([7, 7, 2]).add(pool))
            .unwrap_err()
            .to_string();
        assert!(message.starts_with("layer `sum`"), "{message}");
    }
}
