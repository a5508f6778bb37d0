//! Gradient-weighted class activation maps.

use super::frozen::{Frozen, FrozenLayer};
use super::gradient::input_gradient;
use super::outputs::{ForwardPass, no_such_layer};
use super::saliency::check_image;
use crate::error::{Error, Result};
use crate::exec::Device;
use crate::model::{Layer, Sequential};
use crate::shape::dims;
use crate::state::State;

/// Where a layer sees what speaks for a class.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GradCam {
    /// The class.
    pub class: usize,
    /// The layer whose output is weighted.
    pub layer: String,
    /// Height and width of the layer's output.
    pub shape: [usize; 2],
    /// The evidence for the class in each place, `[h, w]`, not negative.
    pub map: Vec<f32>,
}

impl GradCam {
    /// The map enlarged to an image's height and width, bilinearly, and scaled to a maximum of 1;
    /// all zeros if there is no evidence anywhere.
    pub fn enlarged(&self, [height, width]: [usize; 2]) -> Vec<f32> {
        let largest = self.map.iter().copied().fold(0.0, f32::max);
        let [h, w] = self.shape;
        let rows: Vec<Blend> = Blend::all(h, height);
        let columns: Vec<Blend> = Blend::all(w, width);
        let at = |y: usize, x: usize| self.map.get(y * w + x).copied().unwrap_or_default();
        let value = |row: &Blend, column: &Blend| {
            let along = |y| column.mix(at(y, column.low), at(y, column.high));
            row.mix(along(row.low), along(row.high)) / largest
        };
        if largest == 0.0 {
            return vec![0.0; height * width];
        }
        let values = (rows.iter()).flat_map(|row| columns.iter().map(move |c| (row, c)));
        values.map(|(row, column)| value(row, column)).collect()
    }
}

/// A place between two cells of an axis.
struct Blend {
    low: usize,
    high: usize,
    /// The share of `high`.
    share: f32,
}

impl Blend {
    /// The centres of `many` cells on an axis of `few`.
    fn all(few: usize, many: usize) -> Vec<Self> {
        let last = few.saturating_sub(1);
        let place = |i: usize| {
            let centre = (i as f32 + 0.5) * few as f32 / many as f32 - 0.5;
            let centre = centre.clamp(0.0, last as f32);
            let low = centre.floor() as usize;
            Self {
                low,
                high: (low + 1).min(last),
                share: centre - low as f32,
            }
        };
        (0..many).map(place).collect()
    }

    fn mix(&self, low: f32, high: f32) -> f32 {
        low + self.share * (high - low)
    }
}

/// Grad-CAM (Selvaraju et al., 2017) of an image, `[h, w, c]`, for a class: the channels of a
/// layer's output, each weighted by the mean gradient of the class's score over its places, added up
/// where the sum is positive.
///
/// The layer must give an image, `[h, w, c]`, and all that follows must depend on it alone, so that
/// no connection may skip it. By default it is the last convolution, with the batch normalization,
/// the activation, the Add and the Concatenate that directly follow it, or the first such layer from
/// there on. The score is that of [`saliency`] (the logit).
///
/// # Errors
/// No such layer or class; a layer without height and width, without another one after it, or that
/// a connection skips; by default, a model without a convolution, or in which connections skip all
/// maps from the last one on; and those of [`saliency`].
///
/// [`saliency`]: super::saliency()
pub fn grad_cam(
    device: &Device,
    model: &Sequential,
    state: &State,
    image: &[f32],
    class: usize,
    layer: Option<&str>,
) -> Result<GradCam> {
    check_image(model, image)?;
    let frozen = Frozen::new(model, state)?;
    let index = match layer {
        Some(name) => named(model, &frozen, name)?,
        None => last_convolution(model, &frozen)?,
    };
    let name = &frozen.layers[index].name;
    let output = ForwardPass::new(device, model, state)?.of(name, image)?;
    let (rest, weights) = frozen.from(index + 1)?;
    let gradient = input_gradient(device, (&rest, &weights), &output.values, class)?;
    let [h, w, channels] = rest.input_shape;
    Ok(GradCam {
        class,
        layer: name.clone(),
        shape: [h, w],
        map: weighted(&output.values, &gradient, channels),
    })
}

/// Checks that [`grad_cam`] can weight the output of a layer, without computing anything.
///
/// # Errors
/// No such layer, or one without height and width or without another one after it.
pub(crate) fn check_layer(model: &Sequential, state: &State, layer: &str) -> Result<()> {
    named(model, &Frozen::new(model, state)?, layer).map(drop)
}

/// The sum of the channels, each times its mean gradient, where it is positive.
fn weighted(activations: &[f32], gradient: &[f32], channels: usize) -> Vec<f32> {
    let mut weights = vec![0.0_f64; channels];
    let places = gradient.len() / channels.max(1);
    for place in gradient.chunks(channels.max(1)) {
        let terms = weights.iter_mut().zip(place);
        terms.for_each(|(sum, &g)| *sum += f64::from(g) / places as f64);
    }
    let sum = |place: &[f32]| -> f64 {
        let terms = place.iter().zip(&weights);
        terms.map(|(&a, weight)| f64::from(a) * weight).sum()
    };
    let places = activations.chunks(channels.max(1));
    places.map(|place| sum(place).max(0.0) as f32).collect()
}

/// The index of the layer with this name, which must give an image that another layer reads.
fn named(model: &Sequential, frozen: &Frozen, name: &str) -> Result<usize> {
    let found = frozen.layers.iter().position(|layer| layer.name == name);
    let Some(index) = found else {
        let there = model.resolve()?.iter().any(|layer| layer.name == name);
        return Err(if there {
            Error::layer(
                name,
                "changes nothing in inference; choose the layer before it",
            )
        } else {
            no_such_layer(model, name)
        });
    };
    let FrozenLayer { output, .. } = &frozen.layers[index];
    if output.len() != 3 || index + 1 == frozen.layers.len() {
        return Err(Error::layer(
            name,
            format!(
                "Grad-CAM needs a layer with an output of height x width x channels, such as a convolution; \
                 this one gives {}",
                dims(output)
            ),
        ));
    }
    if !frozen.is_passage(index) {
        return Err(Error::layer(
            name,
            "Grad-CAM needs a layer that everything behind it depends on alone, and a connection skips this one; \
             choose one behind the Add or the Concatenate",
        ));
    }
    Ok(index)
}

/// The index of the last convolution, or of the last batch normalization, activation or merging of
/// those that directly follow it; of the first layer from there on that no connection skips.
fn last_convolution(model: &Sequential, frozen: &Frozen) -> Result<usize> {
    let resolved = model.resolve()?;
    let original = |layer: &FrozenLayer| {
        let found = resolved.iter().find(|original| original.name == layer.name);
        found.map(|found| found.layer)
    };
    let is_convolution = |layer: &FrozenLayer| {
        matches!(
            original(layer),
            Some(Layer::Conv2D(_) | Layer::DepthwiseConv2D(_))
        )
    };
    let follows = |index: usize, layer: &FrozenLayer| {
        let is_maps = layer.output.len() == 3;
        let takes_the_last = layer.from.contains(&Some(index));
        let kind = original(layer).filter(|_| is_maps && takes_the_last);
        matches!(
            kind,
            Some(
                Layer::BatchNormalization(_)
                    | Layer::Activation(_)
                    | Layer::Add(_)
                    | Layer::Concatenate(_)
            )
        )
    };
    let Some(index) = frozen.layers.iter().rposition(is_convolution) else {
        return Err(model.error("has no convolution, which Grad-CAM needs".into()));
    };
    let after = (index..).zip(&frozen.layers[index + 1..]);
    let index = index + after.take_while(|(i, layer)| follows(*i, layer)).count();
    let mut maps = (index..frozen.layers.len()).filter(|i| frozen.layers[*i].output.len() == 3);
    maps.find(|i| frozen.is_passage(*i)).ok_or_else(|| {
        model.error(
            "has no maps from its last convolution on that no connection skips, which Grad-CAM needs by default; \
             name an earlier layer"
                .into(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::{Backend, Selection, open};
    use crate::model::{
        Activation, ActivationLayer, BatchNormalization, Concatenate, Conv2D, Dense, Dropout,
        Flatten, GlobalAveragePooling2D, preset,
    };
    use crate::state::Layout;

    fn cpu() -> Device {
        open(&Selection::new(Backend::Cpu)).unwrap()
    }

    /// With a global average pool and a dense layer, Grad-CAM is the class activation map of Zhou et
    /// al. (2016): the channels, weighted by the dense layer's weights.
    #[test]
    fn after_a_global_average_it_is_the_class_activation_map() {
        let model = Sequential::new([2, 2, 1])
            .add(Conv2D::new(2, 1).use_bias(false))
            .add(GlobalAveragePooling2D::new())
            .add(Dense::new(2).activation(Activation::Softmax));
        let mut state = State::new(Layout::new(&model).unwrap(), 1);
        state.set_parameter("conv2d/kernel", &[1.0, -1.0]).unwrap();
        state
            .set_parameter("dense/kernel", &[4.0, 0.0, 1.0, 0.0])
            .unwrap();
        let image = [1.0, -1.0, 0.5, 0.0];
        let found = grad_cam(&cpu(), &model, &state, &image, 0, None).unwrap();
        // (4 - 1) * image / 4 places.
        assert_eq!(found.map, [0.75, 0.0, 0.375, 0.0]);
        assert_eq!((found.shape, found.layer.as_str()), ([2, 2], "conv2d"));
        let none = grad_cam(&cpu(), &model, &state, &image, 1, None).unwrap();
        assert_eq!(none.map, [0.0; 4]);
        assert_eq!(none.enlarged([3, 3]), [0.0; 9]);
    }

    #[test]
    fn the_default_layer_includes_what_follows_the_last_convolution() {
        let model = Sequential::new([4, 4, 1])
            .add(Conv2D::new(2, 3).name("first"))
            .add(Conv2D::new(2, 2).name("second"))
            .add(BatchNormalization::new().name("norm"))
            .add(ActivationLayer::new(Activation::Relu).name("relu"))
            .add(Dropout::new(0.5).name("drop"))
            .add(Flatten::new().name("flat"))
            .add(ActivationLayer::new(Activation::Softmax).name("end"));
        let state = State::new(Layout::new(&model).unwrap(), 1);
        let of = |layer| grad_cam(&cpu(), &model, &state, &[0.5; 16], 0, layer);
        assert_eq!(of(None).unwrap().layer, "relu");
        let first = of(Some("first")).unwrap();
        assert_eq!((first.layer.as_str(), first.shape), ("first", [2, 2]));
        for (layer, expected) in [
            (
                "none",
                "no layer `none`: expected one of first, second, norm",
            ),
            ("drop", "layer `drop`: changes nothing"),
            ("flat", "this one gives 2"),
        ] {
            let message = of(Some(layer)).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        let flat = preset("mnist-mlp").unwrap();
        let state = State::new(Layout::new(&flat).unwrap(), 1);
        let error = grad_cam(&cpu(), &flat, &state, &[0.0; 784], 0, None).unwrap_err();
        assert!(error.to_string().contains("no convolution"), "{error}");
    }

    #[test]
    fn branches_that_merge_as_vectors_have_no_default_layer() {
        let model = Sequential::new([4, 4, 1])
            .add(Conv2D::new(2, 3).name("trunk"))
            .add(Conv2D::new(2, 2).name("branch"))
            .add(Flatten::new().name("one"))
            .add_from("trunk", Flatten::new().name("other"))
            .add_from(["one", "other"], Concatenate::new())
            .add(Dense::new(3).activation(Activation::Softmax));
        let state = State::new(Layout::new(&model).unwrap(), 1);
        let of = |layer| grad_cam(&cpu(), &model, &state, &[0.5; 16], 0, layer);
        // The report puts "the network" in front.
        let Error::Model { message, .. } = of(None).unwrap_err() else {
            panic!("expected an error of the model");
        };
        assert!(
            message.starts_with("has no maps from its last"),
            "{message}"
        );
        assert_eq!(of(Some("trunk")).unwrap().shape, [2, 2]);
    }

    #[test]
    fn the_map_is_enlarged_between_the_centres_of_its_cells() {
        let cam = GradCam {
            class: 0,
            layer: String::new(),
            shape: [1, 2],
            map: vec![0.0, 2.0],
        };
        assert_eq!(cam.enlarged([1, 4]), [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(cam.enlarged([2, 2]), [0.0, 1.0, 0.0, 1.0]);
    }
}
