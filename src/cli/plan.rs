//! `cnn-gpu plan`.

use cnn_gpu::plan::{Plan, Purpose};

use super::exit::Exit;
use super::model::ModelArgs;
use super::output;

/// Print the operations of one step, with their arithmetic and memory traffic
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,

    /// Images per step [default: the run's, or 64]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    batch_size: Option<usize>,

    /// Print the forward pass instead of a training step
    #[arg(long)]
    inference: bool,
}

const EXAMPLES: &str = "\
Examples:
  cnn-gpu plan
  cnn-gpu plan mnist-mlp --batch-size 128 --inference
  cnn-gpu plan runs/first            with the run's optimizer and batch size";

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let (model, options) = args.model.load()?;
    let purpose = if args.inference {
        Purpose::Inference
    } else {
        options.purpose()?
    };
    let plan = Plan::new(
        &model,
        purpose,
        args.batch_size.unwrap_or(options.batch_size),
    )?;
    output::print(&plan.to_string())?;
    Ok(Exit::Success)
}
