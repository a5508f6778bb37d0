//! `cnn-gpu summary`.

use super::exit::Exit;
use super::model::ModelArgs;
use super::output;

/// Print a model's layers, output shapes and parameter counts
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// Print the model as a TOML file instead, as a starting point for your own
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
