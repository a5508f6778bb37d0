//! `cnn-gpu export`.

pub mod collect;
mod target;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::ArgGroup;
use clap::builder::{PathBufValueParser, TypedValueParser};
use cnn_gpu::interchange::onnx;
use serde::Serialize;

use super::exit::Exit;
use super::output::{self, OutputFormat, count};
use collect::Collected;
use target::{ExportTarget, Written};

/// Export a trained network to ONNX, Keras or PyTorch, or as a web page
///
/// Equal networks give equal files. What a format cannot hold is printed as left behind.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("targets").required(true).multiple(true).args(TARGETS))]
#[cfg_attr(feature = "gpu", command(group = ArgGroup::new("page").multiple(true).args(["web", "single"])))]
pub struct Args {
    /// Run folder, imported folder or model.safetensors file
    #[arg(value_name = "RUN")]
    path: PathBuf,

    /// Write an ONNX file, for inference in any runtime
    #[arg(long, value_name = "FILE.onnx", value_parser = named(".onnx"))]
    onnx: Option<PathBuf>,

    /// With --onnx: images are [batch, channels, height, width], as in PyTorch, instead of [batch,
    /// height, width, channels], and no image is transposed
    #[arg(long, requires = "onnx")]
    channels_first: bool,

    /// Write a file of Keras 3, which trains on with the optimizer's state
    #[arg(long, value_name = "FILE.keras", value_parser = named(".keras"))]
    keras: Option<PathBuf>,

    /// Write a folder with a PyTorch module, model.py, and its weights, weights.safetensors
    #[arg(long, value_name = "DIR")]
    torch: Option<PathBuf>,

    /// Write a folder with a web page that computes with WebGPU, and trains; needs a web server
    #[cfg(feature = "gpu")]
    #[arg(long, value_name = "DIR")]
    web: Option<PathBuf>,

    /// Write the same page as one file, which needs no server
    #[cfg(feature = "gpu")]
    #[arg(long, value_name = "FILE.html", value_parser = named(".html"))]
    single: Option<PathBuf>,

    /// With --web or --single: images per training step in the page [default: as in the run]
    #[cfg(feature = "gpu")]
    #[arg(long, value_name = "N", requires = "page", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch_size: Option<u32>,

    /// Replace existing files
    #[arg(long)]
    force: bool,

    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

/// The arguments that name a target, at least one of which must be given.
const TARGETS: &[&str] = &[
    "onnx",
    "keras",
    "torch",
    #[cfg(feature = "gpu")]
    "web",
    #[cfg(feature = "gpu")]
    "single",
];

const EXAMPLES: &str = "\
Examples:
  cnn-gpu export runs/first --onnx first.onnx
  cnn-gpu export runs/first --onnx first.onnx --channels-first
  cnn-gpu export runs/first --keras first.keras --torch first
  cnn-gpu export runs/first --single first.html";

/// What was written, for programs.
#[derive(Serialize)]
struct ExportReport<'a> {
    weights_hash: String,
    tensors: usize,
    written: &'a [Written],
}

/// Accepts only paths that end in `ending`.
fn named(ending: &'static str) -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(move |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match name.to_lowercase().strip_suffix(ending) {
            Some(stem) if !stem.is_empty() => Ok(path),
            _ => Err(format!("expected a file name that ends in {ending}")),
        }
    })
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let targets = args.targets();
    if !args.force {
        targets.iter().try_for_each(ExportTarget::check_free)?;
    }
    #[cfg_attr(not(feature = "gpu"), expect(unused_mut))]
    let mut collected = Collected::of(&args.path)?;
    #[cfg(feature = "gpu")]
    if let Some(n) = args.batch_size {
        collected.page.training.batch_size = n as usize;
    }
    // All of them before the first is written, as a format may refuse the network.
    let files: cnn_gpu::Result<Vec<_>> = targets.iter().map(|t| t.files(&collected)).collect();
    let Collected {
        network,
        left_behind,
        only_on_pages,
        ..
    } = collected;
    let mut written = Vec::new();
    for (target, files) in targets.iter().zip(files?) {
        let mut one = target.write(files)?;
        let lacking = only_on_pages.iter().filter(|_| !target.is_page());
        (one.left_behind).splice(..0, left_behind.iter().chain(lacking).cloned());
        written.push(one);
    }
    let report = ExportReport {
        weights_hash: network.state.weights_hash(),
        tensors: network.state.layout.parameters.len(),
        written: &written,
    };
    match args.format {
        OutputFormat::Text => output::print(&report.text())?,
        OutputFormat::Json => output::print_json(&report)?,
    }
    Ok(Exit::Success)
}

impl Args {
    fn targets(&self) -> Vec<ExportTarget> {
        let options = onnx::Options::default().channels_first(self.channels_first);
        let onnx = self
            .onnx
            .clone()
            .map(|path| ExportTarget::Onnx(path, options));
        let keras = self.keras.clone().map(ExportTarget::Keras);
        let torch = self.torch.clone().map(ExportTarget::Torch);
        let targets = onnx.into_iter().chain(keras).chain(torch);
        #[cfg(feature = "gpu")]
        let targets = {
            let web = self.web.clone().map(ExportTarget::Web);
            let single = self.single.clone().map(ExportTarget::WebPage);
            targets.chain(web).chain(single)
        };
        targets.collect()
    }
}

impl ExportReport<'_> {
    /// What was left behind, each once, with the formats that lack it if others hold it.
    fn left_behind(&self) -> Vec<String> {
        let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
        for written in self.written {
            for line in &written.left_behind {
                match found.iter_mut().find(|(known, _)| known == line) {
                    Some((_, formats)) => formats.push(written.format),
                    None => found.push((line, vec![written.format])),
                }
            }
        }
        let all = self.written.len();
        let named = |(line, formats): (&str, Vec<&str>)| match formats.len() == all {
            true => line.to_owned(),
            false => format!("{line} ({})", formats.join(", ")),
        };
        found.into_iter().map(named).collect()
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let mut row = |name: &str, value: &str| out += &format!("{name:<15} {value}\n");
        for written in self.written {
            for file in &written.files {
                let bytes = count(file.bytes as u64);
                row("wrote", &format!("{} ({bytes} bytes)", file.path));
            }
            row("load with", &written.load_with);
        }
        for line in self.left_behind() {
            row("left behind", &line);
        }
        row("tensors", &count(self.tensors));
        row("weights hash", &self.weights_hash);
        out
    }
}
