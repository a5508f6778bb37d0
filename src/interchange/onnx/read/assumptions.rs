//! What a file of another program does not say.

use crate::interchange::Import;
use crate::interchange::outputs;
use crate::interchange::pixels::feed_fractions;
use crate::model::{Layer, PlacedLayer, Sequential};

/// The model with a loss that suits its last layer, and what was assumed. `is_ours` tells that this
/// crate wrote the file, so that its inputs are pixels divided by 255.
pub(super) fn made(mut model: Sequential, is_ours: bool) -> (Sequential, Vec<String>) {
    let mut notes = Vec::new();
    if !is_ours {
        rescale_first(&mut model);
        notes.extend(feed_fractions(&mut model).0);
    }
    if let Some(loss) = outputs::suitable_loss(&model) {
        model.loss = loss;
        notes.push(format!("{}{}", Import::ASSUMED_LOSS, loss.name()));
    }
    notes.extend(outputs::note(&model));
    (model, notes)
}

/// Lets a model rescale its image before it flattens it, which changes no number: vectors of pixels are images that are
/// flattened first.
fn rescale_first(model: &mut Sequential) {
    let Ok(resolved) = model.resolve() else {
        return;
    };
    let sources: Vec<Vec<Option<usize>>> = resolved.into_iter().map(|layer| layer.from).collect();
    let mut others = sources.iter().skip(2).flatten();
    // All others take what both make.
    let both = !others.any(|source| source.is_none_or(|index| index == 0));
    if let ([flatten, rescaling, ..], [_, source, ..]) = (&model.layers[..], &sources[..])
        && matches!(flatten.layer, Layer::Flatten(_))
        && matches!(rescaling.layer, Layer::Rescaling(_))
        && both
        && *source == [Some(0)]
    {
        let mut layers: Vec<PlacedLayer> = model.layers.clone();
        layers.swap(0, 1);
        let swapped = model
            .clone()
            .with_layers(layers.into_iter().zip(sources).collect());
        if let Ok(swapped) = swapped {
            *model = swapped;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dense, Flatten, Rescaling};

    #[test]
    fn vectors_that_are_divided_by_255_are_pixels() {
        let model = Sequential::new([2, 2, 1])
            .add(Flatten::new().name("flat"))
            .add(Rescaling::new(1.0 / 255.0).name("divided"))
            .add(Dense::new(2).name("dense"));
        let (model, notes) = made(model, false);
        assert_eq!(model.layers.len(), 2, "{model:?}");
        assert!(notes[0].starts_with(Import::DIVIDED_PIXELS), "{notes:?}");
    }
}
