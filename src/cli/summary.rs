//! `cnn-gpu summary`.

use super::exit::Exit;
use super::model::ModelArgs;
use super::output;

/// Prints a network's layers, output shapes and numbers of parameters
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// Prints the network as a TOML file instead, to start one of your own from
    #[arg(long)]
    toml: bool,
}

const EXAMPLES: &str = "\
Examples:
  cnn-gpu summary
  cnn-gpu summary mnist-mlp
  cnn-gpu summary runs/first
  cnn-gpu summary --toml > mine.toml   then: cnn-gpu train --model mine.toml";

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let (model, _) = args.model.load()?;
    if args.toml {
        output::print(&model.to_toml())?;
    } else {
        output::print(&model.summary()?)?;
    }
    Ok(Exit::Success)
}
