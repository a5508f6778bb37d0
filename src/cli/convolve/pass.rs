//! One filter over one picture, on a device.

use cnn_gpu::exec::Device;
use cnn_gpu::inspect::{Filter, LayerOutput, Matrix, layer_outputs, up_to, with_weights_of};
use cnn_gpu::model::{
    Activation, AveragePooling2D, Conv2D, Layer, MaxPooling2D, PoolKind, Sequential, SumPooling2D,
};
use cnn_gpu::shape::{Padding, Pair, Window, dims};
use cnn_gpu::state::{Layout, State};
use cnn_gpu::{Error, Result};

use super::cube::Cube;
use super::filter_layer::{FilterLayer, Movement};
use crate::cli::trained_model::TrainedModel;

/// The name of the layer that slides a given filter.
const CONVOLUTION: &str = "convolution";
/// The name of the pool after it.
const POOL: &str = "pool of the output";

/// A filter of a layer: its weights, and what follows the sum.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterKernel {
    pub weights: Cube,
    /// Whether a network learned it.
    pub is_learned: bool,
    pub bias: Option<f32>,
    pub activation: Activation,
}

/// A pool after the convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolArg {
    pub kind: PoolKind,
    pub size: Pair,
}

impl PoolArg {
    fn layer(self) -> Layer {
        match self.kind {
            PoolKind::Max => MaxPooling2D::new(self.size).name(POOL).into(),
            PoolKind::Average => AveragePooling2D::new(self.size).name(POOL).into(),
            _ => SumPooling2D::new(self.size).name(POOL).into(),
        }
    }

    /// `max`, `average` or `sum`.
    pub fn word(self) -> &'static str {
        match self.kind {
            PoolKind::Max => "max",
            PoolKind::Average => "average",
            _ => "sum",
        }
    }
}

/// A network whose layer slides the filter, with its weights.
pub struct ShownConvolution {
    model: Sequential,
    state: State,
    layer: FilterLayer,
    /// The layer's place in the network.
    index: usize,
    /// The output channel of the filter.
    channel: usize,
    is_learned: bool,
    pool: Option<PoolArg>,
}

/// What a filter makes of a picture.
#[derive(Clone, Debug)]
pub struct FilterPass {
    /// What the filter slides over: the picture, or what the layers before make of it.
    pub input: Cube,
    /// Whether the input is the picture itself.
    pub is_picture: bool,
    /// The channels of the input, if it is a group of several that there are.
    pub group: Option<ChannelGroup>,
    pub kernel: FilterKernel,
    pub window: Window,
    pub output: Matrix,
    pub pooled: Option<PoolPass>,
}

/// Some of several channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelGroup {
    pub first: usize,
    pub count: usize,
    pub all: usize,
}

/// What a pool makes of the output.
#[derive(Clone, Debug)]
pub struct PoolPass {
    pub pool: PoolArg,
    pub window: Window,
    pub output: Matrix,
}

impl ShownConvolution {
    /// A given filter over an image of this shape; all channels have the same weights.
    pub fn given(
        filter: &Filter,
        [h, w, c]: [usize; 3],
        movement: Movement,
        pool: Option<PoolArg>,
    ) -> Result<Self> {
        let size = [filter.weights.rows(), filter.weights.columns()];
        let layer = Conv2D::new(1, size).name(CONVOLUTION).use_bias(false);
        let mut layer = Layer::from(layer);
        movement.apply_to(&mut layer);
        let model = with_pool(Sequential::new([h, w, c]).add(layer), pool)?;
        let mut state = State::new(Layout::new(&model)?, 0);
        let weights = filter.weights.values().iter();
        let weights: Vec<f32> = weights.flat_map(|&weight| vec![weight; c]).collect();
        state.set_parameter(&format!("{CONVOLUTION}/kernel"), &weights)?;
        Ok(Self {
            layer: FilterLayer::named(&model, CONVOLUTION)?,
            model,
            state,
            index: 0,
            channel: 0,
            is_learned: false,
            pool,
        })
    }

    /// A learned filter, after the layers before it, over an image of this size.
    ///
    /// # Errors
    /// No such layer, a layer that is no convolution, or no such channel; the message says which
    /// there are.
    pub fn learned(
        trained: &TrainedModel,
        (layer, channel): (&str, usize),
        [h, w]: [usize; 2],
        movement: Movement,
        pool: Option<PoolArg>,
    ) -> Result<Self> {
        let filters = FilterLayer::named(&trained.model, layer)?.filters;
        if channel >= filters {
            return Err(Error::Argument(format!(
                "--channel {channel}: layer {layer} has the channels 0 to {}",
                filters.saturating_sub(1)
            )));
        }
        let mut model = up_to(&trained.model, layer)?;
        model.input_shape = [h, w, model.input_shape[2]];
        let index = model.layers.len() - 1;
        movement.apply_to(&mut model.layers[index]);
        if let Err(error) = model.output_shape() {
            return Err(Error::Argument(format!(
                "an image of {h}x{w} does not fit the layers up to {layer}: {error}"
            )));
        }
        let model = with_pool(model, pool)?;
        Ok(Self {
            layer: FilterLayer::named(&model, layer)?,
            state: with_weights_of(&model, &trained.state)?,
            model,
            index,
            channel,
            is_learned: true,
            pool,
        })
    }

    /// The height and width of the convolution's output.
    pub fn output_size(&self) -> Result<[usize; 2]> {
        let layers = self.model.resolve()?;
        match layers.get(self.index).map(|layer| &layer.output[..]) {
            Some(&[h, w, _]) => Ok([h, w]),
            _ => Err(Error::device("the network has no convolution there")),
        }
    }

    /// Runs on a device, with the kernels of training.
    pub fn run(&self, device: &Device, image: &Cube) -> Result<FilterPass> {
        let outputs = layer_outputs(device, &self.model, &self.state, &image.values)?;
        let before = match self.index.checked_sub(1) {
            Some(before) => cube(&outputs, before)?,
            None => image.clone(),
        };
        let kernel = self.kernel()?;
        let layer = &self.layer;
        let size = (layer.kernel_size, layer.dilation);
        let window = Window::dilated(before.size, size, layer.strides, layer.padding);
        let group = self.group(&kernel, &before);
        Ok(FilterPass {
            input: before.channels(group.first, group.count),
            is_picture: self.index == 0,
            group: (group.count < group.all).then_some(group),
            kernel,
            window: window.map_err(Error::Argument)?,
            output: cube(&outputs, self.index)?.channel(self.channel)?,
            pooled: self
                .pool
                .map(|pool| self.pooled(pool, &outputs))
                .transpose()?,
        })
    }

    /// The channels that the filter reads.
    fn group(&self, kernel: &FilterKernel, input: &Cube) -> ChannelGroup {
        let count = kernel.weights.channels;
        ChannelGroup {
            first: self.layer.group(self.channel) * count,
            count,
            all: input.channels,
        }
    }

    fn pooled(&self, pool: PoolArg, outputs: &[LayerOutput]) -> Result<PoolPass> {
        let size = cube(outputs, self.index)?.size;
        let window = Window::new(size, pool.size, pool.size, Padding::Valid);
        Ok(PoolPass {
            pool,
            window: window.map_err(Error::Argument)?,
            output: cube(outputs, self.index + 1)?.channel(self.channel)?,
        })
    }

    /// The weights of the filter, `[kh, kw, c]`.
    fn kernel(&self) -> Result<FilterKernel> {
        let FilterLayer { name, filters, .. } = &self.layer;
        // `[kh, kw, c / groups, filters]`, or `[kh, kw, c, multiplier]` with one filter each.
        let all = self.state.parameter(&format!("{name}/kernel"))?.iter();
        let own: Vec<f32> = all.skip(self.channel).step_by(*filters).copied().collect();
        let Pair([kh, kw]) = self.layer.kernel_size;
        let bias = match self.layer.use_bias {
            true => {
                let biases = self.state.parameter(&format!("{name}/bias"))?;
                biases.get(self.channel).copied()
            }
            false => None,
        };
        Ok(FilterKernel {
            weights: Cube::new([kh, kw], own.len() / (kh * kw).max(1), own),
            is_learned: self.is_learned,
            bias,
            activation: self.layer.activation,
        })
    }
}

/// The model with a pool after it, whose window fits its output.
fn with_pool(model: Sequential, pool: Option<PoolArg>) -> Result<Sequential> {
    let Some(pool) = pool else {
        return Ok(model);
    };
    let (output, Pair([h, w])) = (model.output_shape()?, pool.size);
    if output.len() == 3 && (output[0] < h || output[1] < w) {
        return Err(Error::Argument(format!(
            "--pool {}:{h},{w}: the output is {}, smaller than the window of {h}x{w}: expected a smaller pool, stride \
             or filter, or a larger picture",
            pool.word(),
            dims(&output[..2])
        )));
    }
    Ok(model.add(pool.layer()))
}

/// The output of the layer with this index as an image.
fn cube(outputs: &[LayerOutput], index: usize) -> Result<Cube> {
    let output = outputs.get(index);
    output.map_or_else(|| Err(Error::device("a layer is missing")), Cube::try_from)
}
