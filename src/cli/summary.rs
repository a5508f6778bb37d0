//! `cnn-gpu summary`.

use cnn_gpu::model::Sequential;

use super::exit::Exit;
use super::output;

/// Prints a network's layers, output shapes and numbers of parameters
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A preset (mnist-cnn, mnist-mlp) or the path of a TOML file
    #[arg(
        value_name = "MODEL",
        default_value = "mnist-cnn",
        conflicts_with = "named"
    )]
    model: String,

    /// The same, as `train` and `bench` take it
    #[arg(long = "model", value_name = "MODEL", hide = true)]
    named: Option<String>,

    /// Prints the network as a TOML file instead, to start one of your own from
    #[arg(long)]
    toml: bool,
}

const EXAMPLES: &str = "\
Examples:
  cnn-gpu summary
  cnn-gpu summary mnist-mlp
  cnn-gpu summary --toml > mine.toml   then: cnn-gpu train --model mine.toml";

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let model = Sequential::load(args.named.as_ref().unwrap_or(&args.model))?;
    if args.toml {
        output::print(&model.to_toml())?;
    } else {
        output::print(&model.summary()?)?;
    }
    Ok(Exit::Success)
}
