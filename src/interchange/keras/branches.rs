//! Which layers of a file of weights alone are those of a model that branches.
//!
//! Such a file holds its layers in Keras's order, which follows from the whole graph: an activation that is a layer of
//! its own there and not here, or `Add([x, y])` for `Add([y, x])`, lists branches in another order.

use std::collections::HashMap;

use super::blueprint::Place;
use super::layers;
use super::names::{allowed_name, allowed_names};
use crate::error::FormatError;
use crate::model::{Layer, ResolvedLayer, Sequential};

/// Puts the layers of a model that branches where the file has those of their names: `found` are the names of the file's
/// layers, and `put` changes the place of a parameter to that of one of them, by its index. Where not all names are the
/// file's, Keras's order counts, if it does not depend on how the branches are described.
///
/// Names that the model does not give are no names of Keras's, even if they look like its own.
///
/// # Errors
/// One line: two layers that could be exchanged, by their names.
pub(super) fn put_by_name(
    model: &Sequential,
    places: &mut [Place],
    found: &[String],
    put: impl Fn(&mut Place, usize),
) -> Result<(), FormatError> {
    let resolved = model.resolve().map_err(FormatError::from_cause)?;
    let mut numbered = resolved.iter().enumerate();
    if numbered.all(|(index, layer)| layer.follows(index)) {
        return Ok(());
    }
    let Some(named) = by_name(&resolved, found) else {
        return check_order(&resolved);
    };
    let mut places = places.iter_mut();
    for (layer, at) in weighted(&resolved).zip(named) {
        let own = places.by_ref().take(resolved[layer].parameters().len());
        own.for_each(|place| put(place, at));
    }
    Ok(())
}

/// The indices of the layers that have weights.
fn weighted(resolved: &[ResolvedLayer<'_>]) -> impl Iterator<Item = usize> {
    (0..resolved.len()).filter(|&index| !resolved[index].parameters().is_empty())
}

/// Which of the file's layers each layer with weights is; `None` unless all have names that are there, once.
fn by_name(resolved: &[ResolvedLayer<'_>], found: &[String]) -> Option<Vec<usize>> {
    let mut indices: HashMap<String, usize> = HashMap::new();
    for (index, name) in found.iter().enumerate() {
        if indices.insert(allowed_name(name), index).is_some() {
            return None;
        }
    }
    let names = allowed_names(resolved.iter().map(|layer| layer.name.as_str()));
    let index = |layer: usize| {
        resolved[layer].layer.spec().given_name()?;
        indices.remove(&names[layer])
    };
    weighted(resolved).map(index).collect()
}

/// Checks that of layers whose weights have the same shapes each takes, directly or not, the output of the one before:
/// they are in this order wherever the others are.
fn check_order(resolved: &[ResolvedLayer<'_>]) -> Result<(), FormatError> {
    let mut last: HashMap<Vec<Vec<usize>>, usize> = HashMap::new();
    for index in weighted(resolved) {
        let parameters = resolved[index].parameters();
        let shapes = parameters.into_iter().map(|parameter| parameter.shape);
        let Some(before) = last.insert(shapes.collect(), index) else {
            continue;
        };
        if !leads_to(resolved, before, index) {
            let [a, b] = [before, index].map(|index| {
                let layer: &Layer = resolved[index].layer;
                format!("`{}` ({})", resolved[index].name, layers::class(layer))
            });
            return Err(format!(
                "{a} and {b} are on different branches and their weights have the same shapes, so that their order does \
                 not tell which is which: give all layers with weights the names that they have in Keras's model"
            )
            .into());
        }
    }
    Ok(())
}

/// Whether a layer takes the output of an earlier one, directly or through others.
fn leads_to(resolved: &[ResolvedLayer<'_>], earlier: usize, later: usize) -> bool {
    let mut leads = vec![false; later + 1 - earlier];
    leads[0] = true;
    for index in earlier + 1..=later {
        let mut from = resolved[index].from.iter().flatten();
        leads[index - earlier] = from.any(|&source| source >= earlier && leads[source - earlier]);
    }
    leads[later - earlier]
}

#[cfg(test)]
mod tests {
    use super::super::blueprint::Blueprint;
    use super::*;
    use crate::model::{Add, Conv2D, Dense, Flatten};

    fn conv(name: &str) -> Conv2D {
        Conv2D::new(2, 1).name(name)
    }

    fn branching() -> Sequential {
        Sequential::new([2, 2, 2])
            .add(conv("a"))
            .add(conv("b b"))
            .add_from("input", conv("c"))
            .add_from(["b b", "c"], Add::new())
            .add(Flatten::new())
            .add(Dense::new(2).name("head"))
    }

    /// The ranks of a model's layers with weights, or an error.
    fn ranks(model: Sequential, found: &[&str]) -> Result<Vec<usize>, String> {
        let blueprint = Blueprint::of(model).unwrap();
        let mut places = blueprint.places().unwrap();
        let found: Vec<String> = found.iter().map(|&name| name.to_owned()).collect();
        let put = |place: &mut Place, at| place.rank = at;
        put_by_name(&blueprint.model, &mut places, &found, put).map_err(|e| e.to_string())?;
        let kernels = places.iter().filter(|place| place.variable == 0);
        Ok(kernels.map(|place| place.rank).collect())
    }

    #[test]
    fn layers_of_a_model_that_branches_are_found_by_name() {
        let found = ["c", "head", "b/b", "a"];
        assert_eq!(ranks(branching(), &found).unwrap(), [3, 2, 0, 1]);
    }

    #[test]
    fn layers_that_could_be_exchanged_are_refused() {
        for found in [
            &["c", "head", "b", "a"][..],
            &[],
            &["a", "a", "b b", "c", "head"],
        ] {
            let message = ranks(branching(), found).unwrap_err();
            assert!(
                message.starts_with("`b b` (Conv2D) and `c` (Conv2D) are on"),
                "{message}"
            );
        }
        // These names are not the user's.
        let mut model = branching();
        model.layers[5] = Dense::new(2).into();
        let message = ranks(model, &["a", "b b", "c", "dense"]).unwrap_err();
        assert!(message.contains("give all layers"), "{message}");
    }

    #[test]
    fn layers_behind_each_other_and_of_other_shapes_keep_their_order() {
        let joined = |first: Conv2D, second: Conv2D| {
            Sequential::new([2, 2, 2])
                .add(first.name("a"))
                .add(second.name("b"))
                .add_from(["a", "b"], Add::new())
        };
        let one = || Conv2D::new(2, 1);
        assert_eq!(ranks(joined(one(), one()), &[]).unwrap(), [0, 1]);
        let model = Sequential::new([2, 2, 2])
            .add(one().name("a"))
            .add_from(
                "input",
                Conv2D::new(2, [1, 2])
                    .padding(crate::shape::Padding::Same)
                    .name("b"),
            )
            .add_from(["a", "b"], Add::new());
        assert_eq!(ranks(model, &[]).unwrap(), [0, 1]);
    }
}
