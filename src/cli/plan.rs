//! `cnn-gpu plan`.

use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::plan::{Plan, Purpose};

use super::exit::Exit;
use super::model::ModelArgs;
use super::output;

/// Prints what one step does: its operations, with their arithmetic and memory traffic
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// Images in a step
    #[arg(
        long,
        value_name = "N",
        default_value_t = 64,
        allow_negative_numbers = true
    )]
    batch_size: usize,

    /// The forward pass only, instead of a training step
    #[arg(long)]
    inference: bool,
}

const EXAMPLES: &str = "\
Examples:
  cnn-gpu plan
  cnn-gpu plan mnist-mlp --batch-size 128 --inference";

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let model = args.model.load()?;
    let purpose = match args.inference {
        true => Purpose::Inference,
        false => Purpose::Training(Optimizer::default()),
    };
    let plan = Plan::new(&model, purpose, args.batch_size)?;
    output::print(&plan.to_string())?;
    Ok(Exit::Success)
}
