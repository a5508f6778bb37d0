//! Networks that were trained on other numbers than pixels divided by 255.

use super::Import;
use crate::error::{Error, Result};
use crate::model::{Layer, PlacedLayer, Rescaling, Sequential};
use crate::shape::dims;
use crate::state::Layout;
use crate::words::short;

/// The name of a layer that is added.
const NAME: &str = "pixel_range";

/// The end of the notes on layers whose numbers are those of other pixels.
const ADVICE: &str = "if the model takes pixels from 0 to 255, import it with --pixel-range 0,255";

/// What pixels are divided by.
const DIVISOR: f64 = 255.0;

/// How far a first layer may be from one that changes nothing: the rounding of 1 / 255.
const ROUNDING: f64 = 1e-6;

impl Import {
    /// The note of a reader that finds nothing about the network's inputs in a file.
    pub const ASSUMED_PIXELS: &str = "inputs are taken to be pixels divided by 255";

    /// How the note of a reader begins if the network seems to divide pixels itself.
    pub const DIVIDED_PIXELS: &str =
        "the model divides pixels from 0 to 255, which are divided by 255 here";

    /// The network for inputs divided by 255, if it takes black pixels as `low` and white ones as
    /// `high`: 0 and 255 for pixels as they are, -1 and 1 after `Normalize(0.5, 0.5)`,
    /// `-mean / std` and `(1 - mean) / std` after `Normalize(mean, std)`. Its first layer becomes a
    /// [`Rescaling`], or is changed if it is one.
    ///
    /// # Errors
    /// Numbers that are not finite or equal; a file that this crate wrote, whose inputs are known.
    pub fn pixel_range(mut self, [low, high]: [f32; 2]) -> Result<Self> {
        let extent = high - low;
        if !(low.is_finite() && extent.is_finite() && extent != 0.0) {
            return Err(Error::Argument(format!(
                "a pixel range is two different numbers, for black and for white, as 0 and 255; \
                 received {} and {}",
                short(low),
                short(high)
            )));
        }
        let assumed = (self.notes.iter_mut()).find_map(|note| match note.as_str() {
            Self::ASSUMED_PIXELS => Some((note, 1.0)),
            text if text.starts_with(Self::DIVIDED_PIXELS) => Some((note, DIVISOR)),
            _ => None,
        });
        let Some((note, divisor)) = assumed else {
            return Err(Error::Argument(
                "a pixel range is for files that do not say what their inputs are, and this one does"
                    .into(),
            ));
        };
        *note = format!(
            "inputs are pixels divided by 255, and become numbers from {} to {}",
            short(low),
            short(high)
        );
        self.notes.retain(|note| !note.ends_with(ADVICE));
        let network = &mut self.network;
        // The reader has taken a factor out of the first layer.
        let range = [low, extent].map(|number| f64::from(number) / divisor);
        rescale(&mut network.model, range)?;
        // The parameters are the same; only layers without any have changed.
        network.state.layout = Layout::new(&network.model)?;
        Ok(self)
    }
}

/// The grey square image of so many pixels.
pub(super) fn square_image(pixels: usize) -> Option<[usize; 3]> {
    let side = pixels.isqrt();
    (side > 0 && side.checked_mul(side) == Some(pixels)).then_some([side, side, 1])
}

/// The note of a reader that takes vectors as images. `is_assumed` tells that no layer reshapes them.
pub(super) fn vector_note(pixels: usize, image: [usize; 3], is_assumed: bool) -> String {
    let image = dims(&image);
    match is_assumed {
        true => format!("assumed: vectors of {pixels} numbers are images of {image}, row by row"),
        false => format!(
            "takes images of {image} in place of vectors of {pixels} numbers, which it reshapes to them"
        ),
    }
}

/// Makes a model for pixels from 0 to 255 one for pixels divided by 255, if its first layer, or the
/// first behind those that vary images, divides them and no other takes them. Returns notes that say so or what is assumed
/// about inputs, and which layer was left out, if any.
pub(super) fn feed_fractions(model: &mut Sequential) -> (Vec<String>, Option<usize>) {
    let vary = model.leading_augmentation().len();
    let assumed = |model: &Sequential| {
        let of_bytes = model.layers[..vary].iter().filter_map(|placed| {
            let [_, high] = value_range(&placed.layer)?;
            let kind = placed.spec().kind();
            (high > 2.0)
                .then(|| format!("{kind} has a value_range up to {}: {ADVICE}", short(high)))
        });
        let note = Import::ASSUMED_PIXELS.into();
        (std::iter::once(note).chain(of_bytes).collect(), None)
    };
    let is_alone = is_alone(model, vary);
    let first = model.layers.get_mut(vary).map(|placed| &mut placed.layer);
    let Some(Layer::Rescaling(Rescaling { scale, offset, .. })) = first.filter(|_| is_alone) else {
        return assumed(model);
    };
    let from = f64::from(*scale);
    let is_near = |expected: f64| (from / expected - 1.0).abs() < 0.01;
    if !is_near(1.0 / 255.0) && !is_near(1.0 / 127.5) {
        return assumed(model);
    }
    let new = (from * 255.0) as f32;
    // Without the rounding of the reciprocal.
    *scale = if (new - new.round()).abs() < 1e-6 {
        new.round()
    } else {
        new
    };
    let is_idle = (*scale, *offset) == (1.0, 0.0);
    let becomes = match is_idle {
        true => "layer was left out".into(),
        false => format!("scale {} became {}", short(from as f32), short(*scale)),
    };
    if is_idle && let Ok(without) = without(model, vary) {
        *model = without;
    }
    for placed in &mut model.layers[..vary] {
        divide(&mut placed.layer);
    }
    let note = format!("{}: its first {becomes}", Import::DIVIDED_PIXELS);
    let before = (vary > 0).then(|| "the layers before it vary pixels divided by 255 alike".into());
    (
        std::iter::once(note).chain(before).collect(),
        is_idle.then_some(vary),
    )
}

/// The range of pixels that a layer clips to.
fn value_range(layer: &Layer) -> Option<[f64; 2]> {
    match layer {
        Layer::RandomContrast(l) => Some(l.value_range),
        Layer::RandomBrightness(l) => Some(l.value_range),
        Layer::RandomErasing(l) => Some(l.value_range),
        Layer::RandomElasticTransform(l) => Some(l.value_range),
        _ => None,
    }
}

/// Lets a layer that varies pixels from 0 to 255 do the same to pixels divided by 255.
fn divide(layer: &mut Layer) {
    let range = |range: &mut [f64; 2]| range.iter_mut().for_each(|end| *end /= DIVISOR);
    let pixel = |value: &mut f32| *value = (f64::from(*value) / DIVISOR) as f32;
    match layer {
        Layer::RandomRotation(l) => pixel(&mut l.fill_value),
        Layer::RandomTranslation(l) => pixel(&mut l.fill_value),
        Layer::RandomZoom(l) => pixel(&mut l.fill_value),
        Layer::RandomShear(l) => pixel(&mut l.fill_value),
        Layer::RandomContrast(l) => range(&mut l.value_range),
        Layer::RandomBrightness(l) => range(&mut l.value_range),
        Layer::RandomElasticTransform(l) => {
            range(&mut l.value_range);
            pixel(&mut l.fill_value);
        }
        Layer::RandomErasing(l) => {
            range(&mut l.value_range);
            l.fill_value.iter_mut().for_each(pixel);
        }
        Layer::GaussianNoise(l) => l.stddev /= DIVISOR,
        _ => {}
    }
}

/// Whether only the first layers take the model's input and each other's outputs, up to the one with
/// this index.
fn is_alone(model: &Sequential, index: usize) -> bool {
    let Ok(layers) = with_sources(model) else {
        return false;
    };
    let mut others = layers
        .iter()
        .skip(index + 1)
        .flat_map(|(_, sources)| sources);
    !others.any(|source| source.is_none_or(|source| source < index))
}

/// Each layer with the indices of those whose outputs it takes; `None` is the model's input.
fn with_sources(model: &Sequential) -> Result<Vec<(PlacedLayer, Vec<Option<usize>>)>> {
    let resolved = model.resolve()?.into_iter();
    let sources = resolved.map(|layer| layer.from);
    Ok(model.layers.iter().cloned().zip(sources).collect())
}

/// The model without the layer with this index, for which the one before it stands in.
fn without(model: &Sequential, index: usize) -> Result<Sequential> {
    let mut layers = with_sources(model)?;
    layers.remove(index);
    let sources = layers.iter_mut().flat_map(|(_, sources)| sources);
    sources.for_each(|source| match source {
        Some(other) if *other >= index => *source = other.checked_sub(1),
        _ => {}
    });
    model.clone().with_layers(layers)
}

/// The model behind another layer, which takes the input in place of all others.
fn behind(model: &Sequential, first: Rescaling) -> Result<Sequential> {
    let mut layers = with_sources(model)?;
    let sources = layers.iter_mut().flat_map(|(_, sources)| sources);
    sources.for_each(|source| *source = Some(source.map_or(0, |index| index + 1)));
    layers.insert(0, (first.into(), vec![None]));
    model.clone().with_layers(layers)
}

/// Lets a model begin with `x * scale + offset`.
fn rescale(model: &mut Sequential, [offset, scale]: [f64; 2]) -> Result<()> {
    let first = model.layers.first().map(|placed| &placed.layer);
    let is_merged = matches!(first, Some(Layer::Rescaling(_))) && is_alone(model, 0);
    let (scale, offset, name) = match first {
        Some(Layer::Rescaling(first)) if is_merged => {
            let own = f64::from(first.scale);
            let offset = own * offset + f64::from(first.offset);
            (own * scale, offset, first.name.clone())
        }
        _ => (scale, offset, None),
    };
    let is_idle = (scale - 1.0).abs() < ROUNDING && offset.abs() < ROUNDING;
    if is_idle {
        if is_merged {
            *model = without(model, 0)?;
        }
        return Ok(());
    }
    let mut first = Rescaling::new(scale as f32).offset(offset as f32);
    if is_merged {
        first.name = name;
        if let Some(placed) = model.layers.first_mut() {
            placed.layer = first.into();
        }
    } else {
        first.name = Some(free_name(model)?);
        *model = behind(model, first)?;
    }
    Ok(())
}

/// A name that no layer has.
fn free_name(model: &Sequential) -> Result<String> {
    let layers = model.resolve()?;
    let mut name = NAME.to_owned();
    while layers.iter().any(|layer| layer.name == name) {
        name.push('_');
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interchange::Network;
    use crate::model::{Add, Conv2D, Dense, Dropout, Flatten};
    use crate::state::State;

    fn import(model: Sequential) -> Import {
        let model = model
            .add(Conv2D::new(2, 3).name(NAME))
            .add(Flatten::new())
            .add(Dense::new(3));
        let state = State::new(Layout::new(&model).unwrap(), 1);
        Import {
            network: Network::new(model, state),
            matches: Vec::new(),
            notes: vec![Import::ASSUMED_PIXELS.into()],
        }
    }

    fn bare() -> Sequential {
        Sequential::new([4, 4, 1])
    }

    #[test]
    fn the_input_of_several_layers_is_rescaled_for_all() {
        let joined = |first: Sequential, source: &str| {
            let from = vec![source.to_owned(), "conv".into()];
            let conv = Conv2D::new(1, 1).name("conv");
            first
                .add(conv)
                .add_from(from, Add::new())
                .add(Dropout::new(0.5))
        };
        let divided = || bare().add(Rescaling::new(1.0 / 255.0).name("divided"));
        let mut model = joined(divided(), "divided");
        assert_eq!(feed_fractions(&mut model).1, Some(0));
        assert_eq!(model, joined(bare(), "input"));
        // Another layer takes pixels as they are.
        let mut model = joined(divided(), "input");
        let before = model.clone();
        assert_eq!(
            feed_fractions(&mut model),
            (vec![Import::ASSUMED_PIXELS.into()], None)
        );
        assert_eq!(model, before);
        rescale(&mut model, [-1.0, 2.0]).unwrap();
        let [first, second, ..] = &model.layers[..] else {
            panic!("{model:?}");
        };
        let expected = Rescaling::new(2.0).offset(-1.0).name(NAME);
        assert_eq!((first, second), (&expected.into(), &before.layers[0]));
        assert_eq!(model.layers[3].from, [NAME, "conv"]);
        let mut model = joined(bare(), "input");
        rescale(&mut model, [-1.0, 2.0]).unwrap();
        assert_eq!(model.layers[2].from, [NAME, "conv"]);
    }

    #[test]
    fn a_layer_before_the_first_one_rescales_and_moves_no_weights() {
        let before = import(bare()).network;
        let after = import(bare()).pixel_range([-1.0, 1.0]).unwrap();
        assert!(after.notes[0].contains("from -1 to 1"), "{:?}", after.notes);
        let after = after.network;
        let expected = Rescaling::new(2.0).offset(-1.0).name("pixel_range_");
        assert_eq!(after.model.layers[0], expected.into());
        assert_eq!(after.model.layers[1..], before.model.layers);
        assert_eq!(after.state.weights_hash(), before.state.weights_hash());
        assert_eq!(*after.state.layout, *before.state.layout);
        let same = import(bare()).pixel_range([0.0, 1.0]).unwrap().network;
        assert_eq!(same.model, before.model);
    }

    #[test]
    fn a_first_layer_that_rescales_takes_the_range_in() {
        let begins_with = |first: Rescaling| import(bare().add(first)).pixel_range([0.0, 255.0]);
        let halved = Rescaling::new(1.0 / 127.5).offset(-1.0).name("first");
        let model = begins_with(halved).unwrap().network.model;
        let expected = Rescaling::new(2.0).offset(-1.0).name("first");
        assert_eq!(model.layers[0], expected.into());
        let model = begins_with(Rescaling::new(1.0 / 255.0))
            .unwrap()
            .network
            .model;
        assert_eq!(model, import(bare()).network.model);
    }

    /// A network that was trained here with such a layer, for example.
    #[test]
    fn a_given_range_wins_over_what_the_first_layer_suggests() {
        for first in [
            Rescaling::new(1.0 / 255.0),
            Rescaling::new(1.0 / 127.5).offset(-1.0),
        ] {
            let changed = || {
                let mut import = import(bare().add(first.clone()));
                import.notes = feed_fractions(&mut import.network.model).0;
                import
            };
            let expected = changed().network.model;
            let whole = changed().pixel_range([0.0, 255.0]).unwrap();
            assert_eq!(whole.network.model, expected);
            let fractions = changed().pixel_range([0.0, 1.0]).unwrap();
            let [placed, ..] = &fractions.network.model.layers[..] else {
                panic!("no layers");
            };
            let Layer::Rescaling(found) = &placed.layer else {
                panic!("{:?}", fractions.network.model.layers);
            };
            assert_eq!((found.scale, found.offset), (first.scale, first.offset));
        }
    }

    #[test]
    fn a_range_without_extent_or_without_need_is_refused() {
        for range in [[1.0, 1.0], [0.0, f32::NAN], [f32::MIN, f32::MAX]] {
            let message = import(bare()).pixel_range(range).unwrap_err().to_string();
            assert!(message.contains("0 and 255"), "{message}");
        }
        let mut known = import(bare());
        known.notes.clear();
        let message = known.pixel_range([0.0, 255.0]).unwrap_err().to_string();
        assert!(message.contains("this one does"), "{message}");
    }
}
