//! One filter over one picture, on a device.

use cnn_gpu::exec::Device;
use cnn_gpu::inspect::{Filter, LayerOutput, Matrix, layer_outputs, up_to, with_weights_of};
use cnn_gpu::model::{
    Activation, AveragePooling2D, Conv2D, Layer, MaxPooling2D, PoolKind, Sequential, SumPooling2D,
};
use cnn_gpu::shape::{Padding, Pair, Window};
use cnn_gpu::state::{Layout, State};
use cnn_gpu::{Error, Result};

use crate::cli::trained_model::TrainedModel;

/// The name of the layer that slides a given filter.
const CONVOLUTION: &str = "convolution";
/// The name of the pool after it.
const POOL: &str = "pool of the output";

/// Numbers by row, column and channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Cube {
    pub size: [usize; 2],
    pub channels: usize,
    /// `[h, w, c]`.
    pub values: Vec<f32>,
}

impl Cube {
    /// The values `[h, w, c]` of this size.
    pub fn new(size: [usize; 2], channels: usize, values: Vec<f32>) -> Self {
        Self {
            size,
            channels,
            values,
        }
    }

    /// Height, width and channels.
    pub fn shape(&self) -> [usize; 3] {
        [self.size[0], self.size[1], self.channels]
    }

    /// One number; 0 outside.
    pub fn at(&self, y: usize, x: usize, channel: usize) -> f32 {
        let at = (y * self.size[1] + x) * self.channels + channel;
        self.values.get(at).copied().unwrap_or_default()
    }

    /// One channel.
    pub fn channel(&self, channel: usize) -> Result<Matrix> {
        let values = self.values.iter().skip(channel).step_by(self.channels);
        Matrix::new(self.size[1], values.copied().collect())
    }

    /// Some of the channels.
    fn channels(&self, first: usize, count: usize) -> Self {
        let pixels = self.values.chunks_exact(self.channels);
        let values = pixels.flat_map(|pixel| pixel.iter().skip(first).take(count));
        Self::new(self.size, count, values.copied().collect())
    }
}

/// A filter of a layer: its weights, and what follows the sum.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterKernel {
    pub weights: Cube,
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

/// How the filter moves; what is not given is the layer's own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Movement {
    pub padding: Option<Padding>,
    pub strides: Option<Pair>,
    pub dilation: Option<Pair>,
}

/// A network whose layer slides the filter, with its weights.
pub struct ShownConvolution {
    model: Sequential,
    state: State,
    /// The layer's place in the network.
    index: usize,
    /// The output channel of the filter.
    channel: usize,
    pool: Option<PoolArg>,
}

/// What a filter makes of a picture.
#[derive(Clone, Debug)]
pub struct FilterPass {
    /// What the filter slides over: the picture, or what the layers before make of it.
    pub input: Cube,
    pub kernel: FilterKernel,
    pub window: Window,
    pub output: Matrix,
    pub pooled: Option<PoolPass>,
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
        let layer = moved(
            Conv2D::new(1, size).name(CONVOLUTION).use_bias(false),
            movement,
        );
        let model = with_pool(Sequential::new([h, w, c]).add(layer), pool);
        let mut state = State::new(Layout::new(&model)?, 0);
        let weights = filter.weights.values().iter();
        let weights: Vec<f32> = weights.flat_map(|&weight| vec![weight; c]).collect();
        state.set_parameter(&format!("{CONVOLUTION}/kernel"), &weights)?;
        Ok(Self {
            model,
            state,
            index: 0,
            channel: 0,
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
        let known = convolutions(&trained.model)?;
        if !known.iter().any(|name| name == layer) {
            return Err(Error::Argument(format!(
                "--layer {layer}: expected a convolution of the network: {}",
                known.join(", ")
            )));
        }
        let mut model = up_to(&trained.model, layer)?;
        model.input_shape = [h, w, model.input_shape[2]];
        let index = model.layers.len() - 1;
        if let Some(Layer::Conv2D(conv)) = model.layers.last_mut() {
            if channel >= conv.filters {
                return Err(Error::Argument(format!(
                    "--channel {channel}: layer {layer} has the channels 0 to {}",
                    conv.filters - 1
                )));
            }
            *conv = moved(conv.clone(), movement);
        }
        let model = with_pool(model, pool);
        Ok(Self {
            state: with_weights_of(&model, &trained.state)?,
            model,
            index,
            channel,
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
            Some(before) => cube(outputs.get(before))?,
            None => image.clone(),
        };
        let conv = self.layer()?;
        let kernel = self.kernel(conv)?;
        let own = kernel.weights.channels;
        // With groups, a filter reads only the channels of its group.
        let group = self.channel * conv.groups / conv.filters;
        let strides = (conv.kernel_size, conv.dilation_rate);
        let window = Window::dilated(before.size, strides, conv.strides, conv.padding);
        let output = cube(outputs.get(self.index))?;
        let pooled = self.pool.map(|pool| {
            let window = Window::new(output.size, pool.size, pool.size, Padding::Valid);
            Ok::<_, Error>(PoolPass {
                pool,
                window: window.map_err(Error::Argument)?,
                output: cube(outputs.get(self.index + 1))?.channel(self.channel)?,
            })
        });
        Ok(FilterPass {
            input: before.channels(group * own, own),
            kernel,
            window: window.map_err(Error::Argument)?,
            output: output.channel(self.channel)?,
            pooled: pooled.transpose()?,
        })
    }

    fn layer(&self) -> Result<&Conv2D> {
        match self.model.layers.get(self.index) {
            Some(Layer::Conv2D(conv)) => Ok(conv),
            _ => Err(Error::device("the network has no convolution there")),
        }
    }

    /// The weights of the filter, `[kh, kw, c]`.
    fn kernel(&self, conv: &Conv2D) -> Result<FilterKernel> {
        let resolved = self.model.resolve()?;
        let name = resolved.get(self.index).map_or("", |layer| &layer.name);
        let all = self.state.parameter(&format!("{name}/kernel"))?;
        let own = all.iter().skip(self.channel).step_by(conv.filters).copied();
        let own: Vec<f32> = own.collect();
        let Pair([kh, kw]) = conv.kernel_size;
        let bias = match conv.use_bias {
            true => self
                .state
                .parameter(&format!("{name}/bias"))?
                .get(self.channel),
            false => None,
        };
        Ok(FilterKernel {
            weights: Cube::new([kh, kw], own.len() / (kh * kw).max(1), own),
            bias: bias.copied(),
            activation: conv.activation,
        })
    }
}

fn moved(mut layer: Conv2D, movement: Movement) -> Conv2D {
    layer.padding = movement.padding.unwrap_or(layer.padding);
    layer.strides = movement.strides.unwrap_or(layer.strides);
    layer.dilation_rate = movement.dilation.unwrap_or(layer.dilation_rate);
    layer
}

fn with_pool(model: Sequential, pool: Option<PoolArg>) -> Sequential {
    match pool {
        Some(pool) => model.add(pool.layer()),
        None => model,
    }
}

/// The names of a network's convolutions.
pub fn convolutions(model: &Sequential) -> Result<Vec<String>> {
    let layers = model.resolve()?.into_iter();
    let convolutions = layers.filter(|layer| matches!(layer.layer, Layer::Conv2D(_)));
    Ok(convolutions.map(|layer| layer.name).collect())
}

/// A layer's output as an image.
fn cube(output: Option<&LayerOutput>) -> Result<Cube> {
    match output.map(|output| (&output.shape[..], &output.values)) {
        Some((&[h, w, c], values)) => Ok(Cube::new([h, w], c, values.clone())),
        _ => Err(Error::device("a layer gives no image")),
    }
}
