//! Saliency maps.

use super::frozen::Frozen;
use super::gradient::input_gradient;
use crate::error::{Error, Result};
use crate::exec::Device;
use crate::model::Sequential;
use crate::shape::dims;
use crate::state::State;

/// How strongly a class's score depends on each pixel.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Saliency {
    /// The class.
    pub class: usize,
    /// Height, width and channels of the image.
    pub shape: [usize; 3],
    /// The gradient of the score with respect to the image, `[h, w, c]`.
    pub gradient: Vec<f32>,
}

impl Saliency {
    /// The saliency of each pixel, `[h, w]`: the largest absolute gradient of its channels.
    pub fn map(&self) -> Vec<f32> {
        let pixels = self.gradient.chunks(self.shape[2].max(1));
        let largest = |pixel: &[f32]| pixel.iter().fold(0.0_f32, |m, g| m.max(g.abs()));
        pixels.map(largest).collect()
    }
}

/// The saliency of an image's pixels for a class (Simonyan, Vedaldi and Zisserman, 2013): the
/// gradient of the class's score with respect to the image, `[h, w, c]`.
///
/// The score is the logit, the value before the last softmax or sigmoid, as in the paper; the
/// output itself for a model with the mean squared error as its loss. The network computes as in
/// inference: without dropout, and with the moving statistics of batch normalization.
///
/// # Errors
/// An image of another size, no such class, a model that cannot be trained with its loss, weights
/// of another model, or a device failure.
pub fn saliency(
    device: &Device,
    model: &Sequential,
    state: &State,
    image: &[f32],
    class: usize,
) -> Result<Saliency> {
    check_image(model, image)?;
    let (frozen, weights) = Frozen::new(model, state)?.from(0)?;
    Ok(Saliency {
        class,
        shape: model.input_shape,
        gradient: input_gradient(device, (&frozen, &weights), image, class)?,
    })
}

/// Checks that `image` is one image.
pub(super) fn check_image(model: &Sequential, image: &[f32]) -> Result<()> {
    let size: usize = model.input_shape.iter().product();
    if image.len() == size {
        return Ok(());
    }
    Err(Error::Argument(format!(
        "expected one image of {} ({size} values), received {} values",
        dims(&model.input_shape),
        image.len()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::{Backend, Selection, open};
    use crate::inspect::ForwardPass;
    use crate::model::{
        Activation, ActivationLayer, BatchNormalization, Conv2D, Dense, Dropout, Flatten, Loss,
        MaxPooling2D, Rescaling, SpatialDropout2D,
    };
    use crate::rng::{Key, Stream};
    use crate::state::Layout;

    /// Weights and moving statistics that are neither zeros nor ones.
    fn drawn(model: &Sequential) -> State {
        let mut state = State::new(Layout::new(model).unwrap(), 5);
        for (i, p) in state.layout.clone().parameters.iter().enumerate() {
            let key = Key::new(9).stream(Stream::Check, i as u32);
            let values: Vec<f32> = (0..p.len() as u32).map(|i| key.uniform(i) - 0.4).collect();
            let moved = values.iter().map(|v| v.abs() + 0.5).collect();
            let values = if p.name.ends_with("variance") {
                moved
            } else {
                values
            };
            state.set_parameter(&p.name, &values).unwrap();
        }
        state
    }

    fn image(model: &Sequential) -> Vec<f32> {
        let key = Key::new(2).stream(Stream::Check, 99);
        let size: usize = model.input_shape.iter().product();
        (0..size as u32).map(|i| key.uniform(i)).collect()
    }

    /// Compares with the differences of the scores of `scored`, the model without its end.
    fn agrees(model: &Sequential, scored: &Sequential, [class, column]: [usize; 2], sign: f32) {
        let device = open(&Selection::new(Backend::Cpu)).unwrap();
        let (state, image) = (drawn(model), image(model));
        let found = saliency(&device, model, &state, &image, class).unwrap();
        let mut forward = ForwardPass::new(&device, scored, &state).unwrap();
        let mut score = |image: &[f32]| {
            let outputs = forward.all(image).unwrap();
            f64::from(outputs.last().unwrap().values[column])
        };
        let step = 1e-2;
        for i in (0..image.len()).step_by(7) {
            let mut moved = |by: f32| {
                let mut image = image.clone();
                image[i] += by;
                score(&image)
            };
            let expected = (moved(step) - moved(-step)) / f64::from(2.0 * step);
            let found = f64::from(sign * found.gradient[i]);
            let close = (found - expected).abs() < 2e-3 * expected.abs().max(1.0);
            assert!(close, "pixel {i}: {found}, by differences {expected}");
        }
    }

    fn body() -> Sequential {
        Sequential::new([6, 5, 2])
            .add(Rescaling::new(2.0))
            .add(Conv2D::new(3, 3).activation(Activation::Tanh))
            .add(BatchNormalization::new())
            .add(SpatialDropout2D::new(0.4))
            .add(Flatten::new())
            .add(Dense::new(4).activation(Activation::Gelu))
            .add(BatchNormalization::new().scale(false))
            .add(Dropout::new(0.5))
    }

    #[test]
    fn it_is_the_gradient_of_the_logit_in_inference() {
        let linear = body().add(Dense::new(3));
        for class in 0..3 {
            let mut model = linear
                .clone()
                .add(ActivationLayer::new(Activation::Softmax));
            agrees(&model, &linear, [class, class], 1.0);
            model.layers.pop();
            model.layers.pop();
            let fused = model.add(Dense::new(3).activation(Activation::Softmax));
            agrees(&fused, &linear, [class, class], 1.0);
        }
    }

    #[test]
    fn a_single_sigmoid_has_the_opposite_gradient_for_class_0() {
        let linear = body().add(Dense::new(1));
        let model = body()
            .add(Dense::new(1).activation(Activation::Sigmoid))
            .loss(Loss::binary_crossentropy());
        agrees(&model, &linear, [1, 0], 1.0);
        agrees(&model, &linear, [0, 0], -1.0);
    }

    #[test]
    fn without_a_cross_entropy_it_is_the_gradient_of_the_output() {
        let model = body()
            .add(Dense::new(3).activation(Activation::Tanh))
            .loss(Loss::MeanSquaredError);
        agrees(&model, &model, [2, 2], 1.0);
    }

    #[test]
    fn a_layer_may_be_called_input_and_the_end_may_have_no_weights() {
        let linear = Sequential::new([4, 4, 1])
            .add(Conv2D::new(2, 3).activation(Activation::Tanh).name("input"))
            .add(MaxPooling2D::new(2))
            .add(Flatten::new());
        let model = linear
            .clone()
            .add(ActivationLayer::new(Activation::Softmax));
        agrees(&model, &linear, [1, 1], 1.0);
    }

    #[test]
    fn the_map_takes_the_largest_channel() {
        let saliency = Saliency {
            class: 0,
            shape: [1, 2, 2],
            gradient: vec![1.0, -3.0, 0.5, 0.25],
        };
        assert_eq!(saliency.map(), [3.0, 0.5]);
    }

    #[test]
    fn wrong_images_and_classes_are_refused() {
        let device = open(&Selection::new(Backend::Cpu)).unwrap();
        let model = body().add(Dense::new(3).activation(Activation::Softmax));
        let state = drawn(&model);
        let short = saliency(&device, &model, &state, &[0.0; 59], 0).unwrap_err();
        assert!(short.to_string().contains("6x5x2 (60 values)"), "{short}");
        let other = saliency(&device, &model, &state, &[0.0; 60], 3).unwrap_err();
        assert_eq!(other.to_string(), "no class 3: expected a class below 3");
    }
}
