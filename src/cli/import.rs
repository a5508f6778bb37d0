//! `cnn-gpu import`.

use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use cnn_gpu::Error;
use cnn_gpu::interchange::{self, Import, ImportOptions};
use cnn_gpu::model::{Activation, Sequential};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::run::{ImportRecord, ImportedFolder, RunFolder};
use cnn_gpu::shape::dims;
use cnn_gpu::words::{counted, short};
use serde::Serialize;

use super::columns::columns;
use super::exit::Exit;
use super::model;
use super::output::{self, OutputFormat, command, say};

/// Import a network from an ONNX, Keras or PyTorch file, into a folder that other commands take like
/// a run's
///
/// The contents of the file tell its format. What was assumed, and what was not taken, is printed
/// and kept in the folder's import.toml.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// ONNX file (.onnx), Keras file (.keras, .h5, .weights.h5) or state dict of PyTorch (.pt, .pth,
    /// .safetensors)
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The model of a file of weights alone (a state dict or .weights.h5): a preset, a TOML file, a
    /// run folder, an imported folder or a model.safetensors file
    #[arg(long)]
    model: Option<String>,

    /// Names of the classes in the order of the outputs, as cat,dog, or a text file with one per
    /// line [default: those in the file, if any]
    #[arg(long, value_name = "NAMES")]
    classes: Option<String>,

    /// The numbers that the network takes as black and white: 0,255 for pixels that were not
    /// divided, -1,1 after Normalize(0.5, 0.5) [default: 0,1]
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true, value_parser = pixel_range)]
    pixel_range: Option<[f32; 2]>,

    /// Activation to add behind the last layer, if the network returns logits
    #[arg(long, value_name = "NAME", value_parser = activations())]
    activation: Option<Activation>,

    /// Folder for the network, new or empty [default: runs/NAME, after the file]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

/// The longest file of class names, in bytes.
const MAX_NAMES: u64 = 1 << 20;

/// The ends of file names that are not part of the network's name.
const ENDINGS: [&str; 7] = [
    ".weights.h5",
    ".h5",
    ".keras",
    ".onnx",
    ".pt",
    ".pth",
    ".safetensors",
];

const EXAMPLES: &str = "\
Examples:
  cnn-gpu import net.onnx --out runs/net
  cnn-gpu import net.keras --classes cat,dog
  cnn-gpu import net.pt --model net.toml --pixel-range -1,1
  cnn-gpu import torch.onnx --activation softmax    a network that returns logits
  cnn-gpu evaluate runs/net --dataset folder:pets   then, as with a run
  cnn-gpu train --weights runs/net                  and further training";

/// The record of an import, for programs.
#[derive(Serialize)]
struct ImportReport<'a> {
    format: &'a str,
    sha256: &'a str,
    weights_hash: String,
    parameters: usize,
    class_names: &'a [String],
    optimizer: Option<&'a str>,
    /// Optimizer steps taken.
    steps: u64,
    matches: Vec<MatchReport<'a>>,
    notes: &'a [String],
    folder: String,
}

#[derive(Serialize)]
struct MatchReport<'a> {
    theirs: &'a str,
    shape: &'a [usize],
    ours: &'a str,
}

fn pixel_range(typed: &str) -> Result<[f32; 2], &'static str> {
    let parse = |(low, high): (&str, &str)| {
        let numbers = [low.trim().parse().ok()?, high.trim().parse().ok()?];
        numbers
            .iter()
            .all(|n: &f32| n.is_finite())
            .then_some(numbers)
    };
    (typed.split_once(',').and_then(parse)).ok_or("expected two numbers, as in 0,255")
}

/// The flag that replaces an assumption.
fn flag(note: &str) -> &'static str {
    match note {
        Import::ASSUMED_PIXELS => " (--pixel-range)",
        note if note.starts_with(Import::DIVIDED_PIXELS) => {
            " (--pixel-range 0,1 if it was trained on divided ones)"
        }
        Import::WITHOUT_PROBABILITIES => " (--activation)",
        _ => "",
    }
}

/// Parses one of the activations that make probabilities.
fn activations() -> impl TypedValueParser<Value = Activation> {
    PossibleValuesParser::new(["softmax", "sigmoid"]).map(|name| match name.as_str() {
        "sigmoid" => Activation::Sigmoid,
        _ => Activation::Softmax,
    })
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    if let Some(out) = &args.out {
        RunFolder::check_free(out)?;
    }
    let options = options(&args)?;
    let import = interchange::read(&args.file, &options)?;
    let now = jiff::ZonedDateTime::now().strftime("%Y-%m-%d %H:%M:%S %:z");
    let record = interchange::record(&args.file, &import, &now.to_string())?;
    let network = &import.network;
    let summary = network.model.summary()?;
    let folder = match &args.out {
        Some(out) => RunFolder::create(out)?,
        None => RunFolder::create_numbered(&default_folder(&args.file))?,
    };
    ImportedFolder::write(&folder, &record, &network.model, &network.state)?;
    for note in &import.notes {
        say(&format!("note: {note}{}", flag(note)));
    }
    match args.format {
        OutputFormat::Text => output::print(&(summary + &text(&import, &record, folder.path())))?,
        OutputFormat::Json => output::print_json(&report(&import, &record, folder.path()))?,
    }
    Ok(Exit::Success)
}

fn options(args: &Args) -> cnn_gpu::Result<ImportOptions> {
    let model = args.model.as_deref().map(model::load).transpose()?;
    let names = args.classes.as_deref().map(class_names).transpose()?;
    Ok(ImportOptions::default()
        .model(model.map(|(model, _)| model))
        .class_names(names.unwrap_or_default())
        .pixel_range(args.pixel_range)
        .output_activation(args.activation))
}

/// The names in a list with commas, or in a file with one per line.
fn class_names(typed: &str) -> cnn_gpu::Result<Vec<String>> {
    if typed.contains(',') {
        return Ok(typed.split(',').map(|name| name.trim().into()).collect());
    }
    let path = Path::new(typed);
    let about = |e: io::Error| {
        let expected = "expected a text file with one per line, or a list such as cat,dog";
        let message = format!("cannot read the names of the classes: {e}; {expected}");
        Error::file(path, message).caused_by(e)
    };
    let text = bounded_text(path).map_err(about)?;
    // Editors on Windows begin files with a byte order mark.
    let text = text.trim_start_matches('\u{feff}').trim_end();
    Ok(text.lines().map(|name| name.trim().into()).collect())
}

/// A text file of moderate length.
fn bounded_text(path: &Path) -> io::Result<String> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() || metadata.len() > MAX_NAMES {
        return Err(io::Error::other("not a text file of up to 1 MiB"));
    }
    fs::read_to_string(path)
}

/// `runs/net` for `files/net.weights.h5`.
fn default_folder(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let known = ENDINGS.iter().find_map(|end| name.strip_suffix(end));
    match known.unwrap_or(&name).trim_start_matches('.') {
        "" => Path::new("runs").join("imported"),
        stem => Path::new("runs").join(stem),
    }
}

/// What is printed behind the summary of the layers.
fn text(import: &Import, record: &ImportRecord, folder: &Path) -> String {
    let network = &import.network;
    let mut out = format!("\n{}\n", matches(import));
    let names = network.class_names.join(", ");
    let rows = [
        ("format", record.format.clone()),
        (
            "classes",
            if names.is_empty() {
                "without names".into()
            } else {
                names
            },
        ),
        ("optimizer", optimizer(import)),
        ("weights hash", network.state.weights_hash()),
        ("folder", folder.display().to_string()),
        ("try", next(&network.model, folder)),
    ];
    for (name, value) in rows {
        out += &format!("{name:<15} {value}\n");
    }
    out
}

/// The next command: MNIST's images need not be named.
fn next(model: &Sequential, folder: &Path) -> String {
    let data = match model.input_shape {
        [28, 28, 1] => "",
        _ => " --dataset folder:PATH",
    };
    command("evaluate", folder) + data
}

/// Which tensor of the file became which parameter.
fn matches(import: &Import) -> String {
    let heads = ["in the file", "shape", "here"].map(String::from);
    let row = |m: &interchange::Match| [m.theirs.clone(), dims(&m.shape), m.ours.clone()];
    let rows: Vec<_> = [heads]
        .into_iter()
        .chain(import.matches.iter().map(row))
        .collect();
    columns(&rows, |_| false)
}

/// `adam, learning rate 0.001, 1,200 steps, with its moments`
fn optimizer(import: &Import) -> String {
    let state = &import.network.state;
    let moments = match state.moments().next() {
        Some(_) => "with its moments",
        None => "without moments",
    };
    let described = |optimizer: Optimizer| {
        let (name, rate) = (optimizer.name(), short(optimizer.learning_rate()));
        let steps = counted(state.step, "step");
        format!("{name}, learning rate {rate}, {steps}, {moments}")
    };
    import.network.optimizer.map_or("unknown".into(), described)
}

fn report<'a>(import: &'a Import, record: &'a ImportRecord, folder: &Path) -> ImportReport<'a> {
    let network = &import.network;
    let parameters = &network.state.layout.parameters;
    let of_match = |m: &'a interchange::Match| MatchReport {
        theirs: &m.theirs,
        shape: &m.shape,
        ours: &m.ours,
    };
    ImportReport {
        format: &record.format,
        sha256: &record.sha256,
        weights_hash: network.state.weights_hash(),
        parameters: parameters.iter().map(|p| p.len()).sum(),
        class_names: &network.class_names,
        optimizer: network.optimizer.as_ref().map(Optimizer::name),
        steps: network.state.step,
        matches: import.matches.iter().map(of_match).collect(),
        notes: &import.notes,
        folder: folder.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_folder_is_named_after_the_file() {
        let named = |file: &str| default_folder(Path::new(file));
        for (file, folder) in [
            ("a/net.weights.h5", "runs/net"),
            ("my.model.v2.onnx", "runs/my.model.v2"),
            ("net", "runs/net"),
            (".net.onnx", "runs/net"),
            ("..", "runs/imported"),
        ] {
            assert_eq!(named(file), Path::new(folder));
        }
    }

    #[test]
    fn class_names_are_a_list_or_the_lines_of_a_file() {
        assert_eq!(class_names("a, b").unwrap(), ["a", "b"]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names.txt");
        fs::write(&path, "\u{feff}a\r\nb c\r\n\r\n").unwrap();
        assert_eq!(class_names(path.to_str().unwrap()).unwrap(), ["a", "b c"]);
        for wrong in [folder.path().join("nmaes.txt"), folder.path().into()] {
            let message = class_names(wrong.to_str().unwrap())
                .unwrap_err()
                .to_string();
            assert!(message.contains("such as cat,dog"), "{message}");
        }
    }

    #[test]
    fn a_pixel_range_is_two_numbers() {
        assert_eq!(pixel_range("-1, 1"), Ok([-1.0, 1.0]));
        for wrong in ["255", "0,1,2", "0,inf", "a,b"] {
            assert!(pixel_range(wrong).is_err(), "{wrong}");
        }
    }
}
