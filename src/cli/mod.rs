//! One subcommand per file. Each turns its arguments into a validated configuration and uses only
//! the public library.
//!
//! Results go to standard output, everything else to standard error.

mod bench;
mod blocks;
mod columns;
mod convolve;
mod data;
mod device;
mod devices;
mod evaluate;
mod exit;
#[cfg(feature = "interchange")]
mod export;
mod hint;
#[cfg(feature = "interchange")]
mod import;
mod interrupt;
mod model;
mod output;
mod panel;
mod plan;
mod predict;
mod ranks;
mod report;
mod selfcheck;
#[cfg(feature = "serve")]
mod serve;
mod sha256;
mod show;
mod summary;
mod survey;
mod test_args;
mod train;
mod trained_model;
mod tta_args;
#[cfg(feature = "gpu")]
mod tune;
mod usage;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches as _, Parser, Subcommand};
use cnn_gpu::Error;
use cnn_gpu::data::DataError;

use exit::Exit;

/// Train convolutional networks with compute shaders, on any GPU and on the CPU.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  cnn-gpu train                        download MNIST and train on the best device
  cnn-gpu train --backend cpu          train on the CPU
  cnn-gpu find-rate                    look for a learning rate before training
  cnn-gpu evaluate runs/first          measure loss and accuracy on the test set
  cnn-gpu predict runs/first digit.png classify a picture
  cnn-gpu export runs/first --onnx first.onnx
                                       write a file for other programs
  cnn-gpu serve runs/first --open      show the network in a browser, also while it trains
  cnn-gpu import net.keras             read a network of another program
  cnn-gpu report runs/first            write report.html: curves, mistakes, what the network sees
  cnn-gpu show --dataset digits        show some images
  cnn-gpu convolve photo.jpg           slide a filter over a picture
  cnn-gpu data folder:pets             summarize a data set
  cnn-gpu devices                      list the adapters
  cnn-gpu selfcheck --backend vulkan   compare an adapter's results with the reference
  cnn-gpu bench --backend vulkan       measure an adapter's speed, operation by operation
  cnn-gpu tune --backend vulkan        find the kernels with which an adapter trains fastest

`cnn-gpu COMMAND --help` describes a command and its options.";

#[derive(Subcommand)]
enum Command {
    Train(Box<train::Args>),
    FindRate(Box<train::find_rate::Args>),
    Evaluate(evaluate::Args),
    Predict(predict::Args),
    #[cfg(feature = "interchange")]
    Export(export::Args),
    #[cfg(feature = "interchange")]
    Import(import::Args),
    #[cfg(feature = "serve")]
    Serve(serve::Args),
    Report(report::Args),
    Show(show::Args),
    Convolve(Box<convolve::Args>),
    Data(survey::Args),
    Summary(summary::Args),
    Plan(plan::Args),
    Devices(devices::Args),
    Selfcheck(selfcheck::Args),
    Bench(bench::Args),
    #[cfg(feature = "gpu")]
    Tune(tune::Args),
}

/// Parses, runs, and prints the error if there is one.
pub fn main() -> ExitCode {
    let (command, typed) = match parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(message) => return usage::print(&message).into(),
    };
    let exit = command.run(&typed).unwrap_or_else(|error| {
        output::say(&format!("error: {}", with_hint(&error)));
        Exit::of(&error)
    });
    exit.into()
}

/// The flags that were given on the command line, by field name.
type Typed = BTreeSet<String>;

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<(Command, Typed), clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(args)?;
    let typed = matches.subcommand().and_then(|(name, matches)| {
        let command = command.find_subcommand(name)?;
        Some(typed(command, matches))
    });
    let cli = Cli::from_arg_matches(&matches)?;
    Ok((cli.command, typed.unwrap_or_default()))
}

fn typed(command: &clap::Command, matches: &clap::ArgMatches) -> Typed {
    // From the command, as the matches also list argument groups.
    let ids = command.get_arguments().map(|arg| arg.get_id().as_str());
    let typed = |id: &&str| matches.value_source(id) == Some(ValueSource::CommandLine);
    ids.filter(typed).map(str::to_owned).collect()
}

impl Command {
    fn run(self, typed: &Typed) -> anyhow::Result<Exit> {
        match self {
            Self::Train(args) => train::run(*args, typed),
            Self::FindRate(args) => train::find_rate::run(*args),
            Self::Evaluate(args) => evaluate::run(args),
            Self::Predict(args) => predict::run(args),
            #[cfg(feature = "interchange")]
            Self::Export(args) => export::run(args),
            #[cfg(feature = "interchange")]
            Self::Import(args) => import::run(args),
            #[cfg(feature = "serve")]
            Self::Serve(args) => serve::run(args),
            Self::Report(args) => report::run(args),
            Self::Show(args) => show::run(args),
            Self::Convolve(args) => convolve::run(*args),
            Self::Data(args) => survey::run(args),
            Self::Summary(args) => summary::run(args),
            Self::Plan(args) => plan::run(args),
            Self::Devices(args) => devices::run(args),
            Self::Selfcheck(args) => selfcheck::run(args),
            Self::Bench(args) => bench::run(args),
            #[cfg(feature = "gpu")]
            Self::Tune(args) => tune::run(args),
        }
    }
}

/// An error, its causes and the flags that may help, on one line.
fn with_hint(error: &anyhow::Error) -> String {
    match hint::hint(error) {
        Some(hint) => format!("{} ({hint})", one_line(error)),
        None => one_line(error),
    }
}

/// An error and its causes, on one line.
fn one_line(error: &anyhow::Error) -> String {
    // A library error's own message ends with its causes.
    let is_whole =
        |cause: &&(dyn std::error::Error + 'static)| cause.is::<Error>() || cause.is::<DataError>();
    let last = error.chain().position(|cause| is_whole(&cause));
    let causes = error.chain().take(last.map_or(usize::MAX, |last| last + 1));
    let text = causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use anyhow::Context as _;

    use super::*;

    #[test]
    fn an_error_names_each_of_its_causes_once() {
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let path = Path::new("a");
        let data = || DataError::Read {
            path: path.into(),
            source: missing(),
        };
        let expected = "cannot read a: entity not found; expected a readable file; check the path and its \
                        permissions";
        for error in [anyhow::Error::new(data()), Error::Data(data()).into()] {
            assert_eq!(one_line(&error), expected);
            assert_eq!(
                one_line(&error.context("while")),
                format!("while: {expected}")
            );
        }
        let file = Error::file(path, format!("no: {}", missing())).caused_by(missing());
        assert_eq!(one_line(&file.into()), "a: no: entity not found");
        let other = Err::<(), _>(missing())
            .context("first\n  line")
            .unwrap_err();
        assert_eq!(one_line(&other), "first line: entity not found");
    }
}
