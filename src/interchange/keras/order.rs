//! The order in which Keras lists the layers of a functional model, and with them weights and moments.

use super::layers;
use crate::error::Result;
use crate::model::{PlacedLayer, ResolvedLayer, Sequential};

/// The indices of a model's layers in Keras's order: as `keras.src.ops.function.map_graph` sorts operations, by how many
/// others are between them and the output, those furthest away first, and then as a search from the output, depth first,
/// meets them. Layers that do not lead to the output are left out. Those of a chain keep their order.
/// What is written behind a [crop](layers::crop) counts too.
pub(super) fn keras_order(layers: &[ResolvedLayer<'_>]) -> Vec<usize> {
    let own = |layer| usize::from(layers::crop(layer).is_some());
    let mut depths: Vec<usize> = layers.iter().map(own).collect();
    for (index, layer) in layers.iter().enumerate().rev() {
        for source in layer.from.iter().flatten() {
            let depth = depths[index] + 1 + own(&layers[*source]);
            depths[*source] = depths[*source].max(depth);
        }
    }
    let mut met = vec![false; layers.len()];
    let mut order = Vec::with_capacity(layers.len());
    let mut left: Vec<usize> = layers.len().checked_sub(1).into_iter().collect();
    while let Some(index) = left.pop() {
        if !std::mem::replace(&mut met[index], true) {
            order.push(index);
            left.extend(layers[index].from.iter().rev().flatten());
        }
    }
    // What is equal stays in the order of the search.
    order.sort_by_key(|&index| std::cmp::Reverse(depths[index]));
    order
}

/// The indices of a model's parameters in the order of its layers that is given.
pub(super) fn parameter_order(layers: &[ResolvedLayer<'_>], order: &[usize]) -> Vec<usize> {
    let mut first = 0;
    let ranges = layers.iter().map(|layer| {
        let start = first;
        first += layer.layer.spec().parameters(&layer.input).len();
        start..first
    });
    let ranges: Vec<_> = ranges.collect();
    let ranges = order.iter().filter_map(|&index| ranges.get(index).cloned());
    ranges.flatten().collect()
}

/// The model with its layers in Keras's order, and the indices of its parameters in this order.
///
/// # Errors
/// As [`Sequential::resolve`].
pub(super) fn in_keras_order(model: &Sequential) -> Result<(Sequential, Vec<usize>)> {
    let resolved = model.resolve()?;
    let order = keras_order(&resolved);
    let parameters = parameter_order(&resolved, &order);
    let mut places = vec![0; resolved.len()];
    (order.iter().enumerate()).for_each(|(place, &index)| places[index] = place);
    let layers = order.iter().map(|&index| {
        let from = resolved[index].from.iter();
        let from = from.map(|from| from.map(|index| places[index]));
        // Names that follow from an order do not change with it.
        let layer = model.layers[index].layer.clone();
        let mut placed = PlacedLayer::from(layer.named(&resolved[index].name));
        placed.trainable = resolved[index].trainable;
        (placed, from.collect())
    });
    let ordered = model.clone().with_layers(layers.collect())?;
    Ok((ordered, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Add, Conv2D, Dropout, RandomCrop, preset};

    fn names(model: &Sequential) -> Vec<String> {
        let layers = model.resolve().unwrap();
        let order = keras_order(&layers).into_iter();
        order.map(|index| layers[index].name.clone()).collect()
    }

    /// As Keras 3.15.1 orders the layers of this model.
    #[test]
    fn the_longest_way_to_the_output_comes_first() {
        let conv = |name: &str| Conv2D::new(2, 1).name(name);
        let model = Sequential::new([4, 4, 2])
            .add(conv("short"))
            .add_from("input", conv("long"))
            .add(conv("longer"))
            .add_from("input", Dropout::new(0.5).name("drop"))
            .add_from(["drop", "short", "longer"], Add::new().name("sum"));
        let expected = ["long", "drop", "short", "longer", "sum"];
        assert_eq!(names(&model), expected);
        let layers = model.resolve().unwrap();
        let order = parameter_order(&layers, &keras_order(&layers));
        assert_eq!(order, [2, 3, 0, 1, 4, 5]);
    }

    #[test]
    fn what_is_written_behind_a_crop_is_on_the_way_to_the_output() {
        let model = Sequential::new([4, 4, 2])
            .add(RandomCrop::new(4, 4).name("crop"))
            .add(Conv2D::new(2, 1).name("c"))
            .add_from("input", Conv2D::new(2, 1).name("a"))
            .add(Conv2D::new(2, 1).name("b"))
            .add_from(["b", "c"], Add::new().name("sum"));
        assert_eq!(names(&model), ["crop", "a", "b", "c", "sum"]);
    }

    #[test]
    fn chains_keep_their_order() {
        let model = preset("mnist-cnn").unwrap();
        let layers = model.resolve().unwrap();
        assert!(keras_order(&layers).into_iter().eq(0..layers.len()));
    }
}
