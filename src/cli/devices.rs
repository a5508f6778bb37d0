//! `cnn-gpu devices`.

use std::fmt::Display;

#[cfg(feature = "gpu")]
use cnn_gpu::exec::gpu::adapters;
use cnn_gpu::exec::{Backend, Description, Selection, open};
use serde::Serialize;

use super::exit::Exit;
use super::output::{self, OutputFormat};

/// List the devices that can train, and the one that `--backend auto` picks
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// List the OpenGL adapters; some drivers print messages when they are opened
    #[arg(long)]
    gl: bool,

    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

const EXAMPLES: &str = "\
Examples:
  cnn-gpu devices
  cnn-gpu train --adapter 1        choose an adapter by its index
  cnn-gpu train --adapter radeon   or by part of its name";

#[derive(Serialize)]
struct Devices<A> {
    adapters: Vec<A>,
    cpu: Description,
    /// The device that `--backend auto` picks.
    auto: Description,
    /// Why it picks that one.
    reason: String,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let backend = if args.gl { Backend::Gl } else { Backend::Auto };
    let cpu = Selection::new(Backend::Cpu);
    let auto = open(&Selection::default())?;
    let devices = Devices {
        adapters: adapters(backend),
        cpu: open(&cpu)?.describe(),
        auto: auto.describe(),
        reason: auto.reason,
    };
    match args.format {
        OutputFormat::Text => output::print(&text(&devices, args.gl))?,
        OutputFormat::Json => output::print_json(&devices)?,
    }
    Ok(Exit::Success)
}

/// Without the cargo feature `gpu` there are no adapters.
#[cfg(not(feature = "gpu"))]
fn adapters(_backend: Backend) -> Vec<String> {
    Vec::new()
}

fn text(devices: &Devices<impl Display>, gl: bool) -> String {
    let mut out = String::new();
    for adapter in &devices.adapters {
        out += &format!("{adapter}\n");
    }
    if devices.adapters.is_empty() {
        let hint = if gl {
            ""
        } else {
            " (`--gl` lists OpenGL adapters)"
        };
        out += &format!("no adapter found{hint}\n");
    }
    out += &format!("cpu: {}\n", devices.cpu.adapter);
    out += &format!(
        "auto picks {} ({}): {}\n",
        devices.auto.adapter, devices.auto.backend, devices.reason
    );
    out
}
