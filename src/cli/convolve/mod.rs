//! `cnn-gpu convolve`: the lab's convolutions, paddings, strides and pools on one's own picture.

mod args;
mod cube;
mod filter_layer;
mod formula;
mod greys;
mod input;
mod pass;
mod pictures;
mod record;

use std::io::IsTerminal as _;

use cnn_gpu::exec::Device;
use cnn_gpu::inspect::{Filter, Matrix, number};
use cnn_gpu::model::Activation;
use cnn_gpu::shape::{Padding, Pair, Window, dims};
use cnn_gpu::{Error, Result};

pub use args::Args;

use super::blocks::{Colours, draw_panels};
use super::device::announce;
use super::exit::Exit;
use super::output::{self, OutputFormat, say};
use super::panel;
use super::trained_model::TrainedModel;
use args::WindowPlace;
use cube::Cube;
use filter_layer::{FilterLayer, Movement, expected};
use greys::Greys;
use input::ImageOrigin;
use pass::{ChannelGroup, FilterPass, PoolPass, ShownConvolution};
use record::ConvolveRecord;

/// The filter of the lab's example.
const FILTER: &str = "vertical-edges";
/// Channels of which all weights are printed.
const PRINTED: usize = 4;

/// What there is to show: one pass, or one for each plane of colour and one for their sum.
pub struct Shown {
    /// What the picture is, in words.
    origin: String,
    /// The filter's name.
    filter: String,
    is_typed: bool,
    passes: Vec<(&'static str, FilterPass)>,
    greys: Greys,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let trained = args.run.as_deref().map(TrainedModel::open).transpose()?;
    let layer = trained.as_ref().map(|trained| layer(&args, trained));
    let layer = layer.transpose()?;
    let origin = origin(&args, trained.as_ref());
    let shown = match (&trained, layer) {
        (Some(trained), Some(layer)) => learned(&args, &origin, trained, layer)?,
        _ => given(&args, &origin)?,
    };
    if let Some(path) = &args.out {
        let rows = pictures::for_file(&pictures::rows(&shown)?);
        let scale = pictures::scale(&rows, args.scale);
        panel::sheet(&rows, scale).save(path)?;
    }
    if args.steps.is_some() && args.format == OutputFormat::Json {
        say("note: --steps has no effect with --format json");
    }
    match args.format {
        OutputFormat::Json => output::print_json(&ConvolveRecord::new(&shown))?,
        OutputFormat::Text => output::print(&text(&shown, args.steps)?)?,
    }
    if let Some(path) = &args.out {
        say(&format!("wrote {}", path.display()));
    }
    Ok(Exit::Success)
}

/// The picture: a file, the command line or a sample, by default of the data set that the network was
/// trained on.
fn origin(args: &Args, trained: Option<&TrainedModel>) -> ImageOrigin {
    if let Some(path) = &args.image {
        return ImageOrigin::File(path.clone());
    }
    if let Some(matrix) = &args.matrix {
        return ImageOrigin::Typed(matrix.clone());
    }
    let theirs = || trained.map(TrainedModel::data);
    let spec = (args.dataset.clone()).or_else(theirs).unwrap_or_default();
    let folder = || trained.and_then(|trained| trained.folder(&spec));
    ImageOrigin::Sample {
        folder: args.data_dir.clone().or_else(folder),
        index: args.index,
        shape: trained.map(|trained| trained.model.input_shape),
        spec,
    }
}

/// The layer of a learned filter.
fn layer<'a>(args: &'a Args, trained: &TrainedModel) -> Result<&'a str> {
    if let Some(layer) = &args.layer {
        return Ok(layer);
    }
    let known = FilterLayer::all(&trained.model)?;
    Err(Error::Argument(format!(
        "--run needs --layer: expected {}",
        expected(&known)
    )))
}

fn open(args: &Args) -> anyhow::Result<Device> {
    let device = args.device.open()?;
    announce(&device.describe(), &device);
    Ok(device)
}

/// A given filter over the grey picture, or over its three planes and all of them together.
fn given(args: &Args, origin: &ImageOrigin) -> anyhow::Result<Shown> {
    let filter = match &args.filter {
        Some(filter) => filter.clone(),
        None => FILTER.parse()?,
    };
    let image = origin.read(if args.colour { 3 } else { 1 })?;
    check_window(origin, image.size, &filter, args.movement())?;
    let convolution =
        |image: &Cube| ShownConvolution::given(&filter, image.shape(), args.movement(), args.pool);
    check_steps(args.steps, &convolution(&image)?)?;
    let device = open(args)?;
    let mut passes = Vec::new();
    if args.colour {
        for (channel, name) in ["red", "green", "blue"].into_iter().enumerate() {
            let plane = Cube::new(image.size, 1, image.channel(channel)?.values().to_vec());
            passes.push((name, convolution(&plane)?.run(&device, &plane)?));
        }
    }
    let name = if args.colour { "sum" } else { "grey" };
    passes.push((name, convolution(&image)?.run(&device, &image)?));
    let planes = passes.iter().map(|(_, pass)| &pass.output);
    let numbers: Vec<&Matrix> = planes.take(3).collect();
    Ok(Shown {
        origin: origin.name(),
        is_typed: matches!(origin, ImageOrigin::Typed(_)),
        greys: Greys::of(args.grey, &numbers, Some(filter.weights.sum())),
        filter: filter.name,
        passes,
    })
}

/// A learned filter, after the layers before it.
fn learned(
    args: &Args,
    origin: &ImageOrigin,
    trained: &TrainedModel,
    layer: &str,
) -> anyhow::Result<Shown> {
    let is_typed = matches!(origin, ImageOrigin::Typed(_));
    let channel = args.channel.unwrap_or(0);
    let mut image = origin.read(trained.model.input_shape[2])?;
    if !is_typed {
        image.values.iter_mut().for_each(|value| *value /= 255.0);
    }
    let (place, movement) = ((layer, channel), args.movement());
    let convolution = ShownConvolution::learned(trained, place, image.size, movement, args.pool)?;
    check_steps(args.steps, &convolution)?;
    let pass = convolution.run(&open(args)?, &image)?;
    Ok(Shown {
        origin: origin.name(),
        filter: format!("{layer}, channel {channel}"),
        is_typed,
        greys: Greys::of(args.grey, &[&pass.output], None),
        passes: vec![("grey", pass)],
    })
}

/// Checks that the filter fits the picture, and that it either strides or has gaps.
fn check_window(
    origin: &ImageOrigin,
    size: [usize; 2],
    filter: &Filter,
    movement: Movement,
) -> Result<()> {
    let [strides, dilation] =
        [movement.strides, movement.dilation].map(|given| given.unwrap_or(1.into()));
    let kernel = Pair([filter.weights.rows(), filter.weights.columns()]);
    let words = |Pair(pair): Pair| dims(&pair);
    if strides != 1.into() && dilation != 1.into() {
        return Err(Error::Argument(format!(
            "--strides {} cannot be combined with --dilation {}: expected 1 for one of them",
            words(strides),
            words(dilation)
        )));
    }
    let padding = movement.padding.unwrap_or_default();
    let fits = Window::dilated(size, (kernel, dilation), strides, padding);
    let reach = |i: usize| {
        (kernel.0[i] - 1)
            .saturating_mul(dilation.0[i])
            .saturating_add(1)
    };
    let is_small = padding == Padding::Valid && (reach(0) > size[0] || reach(1) > size[1]);
    if is_small {
        return Err(Error::Argument(format!(
            "{} of {} is smaller than the filter of {}: expected a larger picture, a smaller filter or \
             --padding same",
            origin.name(),
            words(size.into()),
            words([reach(0), reach(1)].into())
        )));
    }
    fits.map(drop).map_err(Error::Argument)
}

/// Checks that the output has the requested number.
fn check_steps(steps: Option<WindowPlace>, convolution: &ShownConvolution) -> Result<()> {
    let [oh, ow] = convolution.output_size()?;
    match steps {
        Some(WindowPlace([row, column])) if row >= oh || column >= ow => {
            Err(Error::Argument(format!(
                "--steps {row},{column}: the output has the rows 0 to {} and the columns 0 to {}",
                oh - 1,
                ow - 1
            )))
        }
        _ => Ok(()),
    }
}

fn text(shown: &Shown, steps: Option<WindowPlace>) -> Result<String> {
    let mut out = String::new();
    // Of colours, the last pass is that of all planes together.
    let Some((_, pass)) = shown.passes.last() else {
        return Ok(out);
    };
    let [h, w] = [pass.output.rows(), pass.output.columns()];
    let input = tuple(&pass.input.shape());
    if shown.is_typed && pass.input.channels == 1 {
        out += &format!("image {input}\n{}\n", pass.input.channel(0)?);
    } else {
        let group = pass.group.map(channels).unwrap_or_default();
        out += &format!("image {input}: {}{group}\n\n", shown.origin);
    }
    out += &format!("{}\n", filter(shown, pass)?);
    out += &format!("output {}\n", tuple(&[h, w, 1]));
    out += &format!(
        "{}\n",
        lines(formula::SIZE, &formula::sizes(&pass.window, false))
    );
    if shown.is_typed {
        out += &format!("\n{}", pass.output);
    }
    if let Some(PoolPass {
        pool,
        window,
        output,
    }) = &pass.pooled
    {
        let shape = tuple(&[output.rows(), output.columns(), 1]);
        let (how, size) = (pool.word(), dims(&pool.size.0));
        out += &format!("\npooled {shape}: {how} of {size}\n");
        out += &format!(
            "{}\n",
            lines(formula::POOLED, &formula::sizes(window, true))
        );
        if shown.is_typed {
            out += &format!("\n{output}");
        }
    }
    if let Some(WindowPlace([row, column])) = steps {
        out += &format!("\n{}", worked(pass, [row, column]));
    }
    if !shown.is_typed {
        out += &format!("\n{}", levels(shown));
        out += &drawing(shown)?;
    }
    Ok(out)
}

/// The channels that a filter reads, in words.
fn channels(ChannelGroup { first, count, all }: ChannelGroup) -> String {
    match count {
        1 => format!(", channel {first} of {all}"),
        _ => format!(", channels {first} to {} of {all}", first + count - 1),
    }
}

/// The sum behind one number; of colours, that over the three planes.
fn worked(pass: &FilterPass, place: [usize; 2]) -> String {
    let sum = formula::worked_sum(&pass.input, &pass.kernel, &pass.window, place);
    let computed = f64::from(pass.output.at(place[0], place[1]));
    format!("{sum}computed by the device: {}\n", number(computed))
}

/// The numbers of the outputs, and how they are shown.
fn levels(shown: &Shown) -> String {
    let planes: Vec<&Matrix> = (shown.passes.iter().take(3))
        .map(|(_, pass)| &pass.output)
        .collect();
    let of = |numbers: &[&Matrix]| {
        let [low, high] = greys::range(numbers).map(|value| number(value.into()));
        format!("{low} to {high}")
    };
    let mut text = format!("numbers from {}", of(&planes));
    let sum = shown.passes.get(3).map(|(_, pass)| pass);
    if let Some(sum) = sum {
        text += &format!(", their sum from {}", of(&[&sum.output]));
    }
    text += &format!("; shown in grey: {}", shown.greys);
    if let Some(sum) = sum {
        text += &format!("; their sum: {}", pictures::sum_greys(shown, sum));
    }
    text + "\n"
}

/// The filter's shape and weights, and what follows the sum.
fn filter(shown: &Shown, pass: &FilterPass) -> Result<String> {
    let weights = &pass.kernel.weights;
    let mut out = format!("filter {}: {}\n", tuple(&weights.shape()), shown.filter);
    let is_same = shown.passes.len() > 1;
    let printed = match weights.channels {
        _ if is_same => 1,
        channels if channels <= PRINTED => channels,
        _ => 0,
    };
    for channel in 0..printed {
        if printed > 1 {
            out += &format!("channel {channel}\n");
        }
        out += &weights.channel(channel)?.to_string();
    }
    if let Some(bias) = pass.kernel.bias {
        out += &format!("bias {}\n", number(bias.into()));
    }
    if pass.kernel.activation != Activation::Linear {
        out += &format!("activation {}\n", pass.kernel.activation.name());
    }
    Ok(out)
}

/// `(6, 6, 1)`
fn tuple(shape: &[usize]) -> String {
    let parts: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!("({})", parts.join(", "))
}

fn lines(first: &str, rest: &[String]) -> String {
    let all: Vec<&str> = [first]
        .into_iter()
        .chain(rest.iter().map(String::as_str))
        .collect();
    all.join("\n")
}

/// The pictures for the terminal.
fn drawing(shown: &Shown) -> Result<String> {
    let colours = if std::io::stdout().is_terminal() {
        Colours::from_env()
    } else {
        Colours::None
    };
    let before = match colours {
        Colours::None => "without colours, █ is dark\n\n",
        Colours::Indexed | Colours::True => "\n",
    };
    let rows = pictures::for_terminal(&pictures::rows(shown)?);
    let rows = rows.iter().map(|row| draw_panels(row, colours));
    Ok(before.to_owned() + &rows.collect::<String>())
}
