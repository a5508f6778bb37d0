//! `cnn-gpu plan`.

use cnn_gpu::model::Sequential;
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::plan::{Plan, Purpose};

use super::exit::Exit;
use super::output;

/// Prints what one step does: its operations, with their arithmetic and memory traffic
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
    let model = Sequential::load(args.named.as_ref().unwrap_or(&args.model))?;
    let purpose = match args.inference {
        true => Purpose::Inference,
        false => Purpose::Training(Optimizer::default()),
    };
    let plan = Plan::new(&model, purpose, args.batch_size)?;
    output::print(&plan.to_string())?;
    Ok(Exit::Success)
}
