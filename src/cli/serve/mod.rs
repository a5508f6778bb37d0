//! `cnn-gpu serve`: a network's web page on a local port, also of a run that is training.
//!
//! - `address`: where the server listens, and the names by which it may be called,
//! - `server`: connections, with bounds on their number, their time and the size of a request,
//! - `answer`: what a request is answered,
//! - `site`: the files,
//! - `follow`: the news and the newest weights of a run that is training.

mod address;
mod answer;
mod follow;
mod server;
mod site;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::Notify;

use super::exit::Exit;
use super::output::{self, say, say_after_interrupt};
use address::PageAddress;
use site::ServedSite;

/// Serve a trained network as a web page, on this machine
///
/// The page is that of `cnn-gpu export --web`: draw a digit or show a picture, look inside, train
/// further. With --follow it also shows a run while it trains: the curves so far, and the network
/// with its newest weights. The server only reads the run's files. Ctrl-C ends it.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Run folder, imported folder or model.safetensors file
    #[arg(value_name = "RUN")]
    path: PathBuf,

    /// Show the curves and the newest weights of a run folder while the run trains
    #[arg(long)]
    follow: bool,

    /// Port to listen on; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 8526)]
    port: u16,

    /// Address or name of this machine to listen on. By default only this machine can open the
    /// page; 0.0.0.0 lets every machine in the network open it
    #[arg(long, value_name = "HOST", default_value = address::LOOPBACK)]
    host: String,

    /// Open the page in a browser
    #[arg(long)]
    open: bool,

    /// Images per training step in the page [default: as in the run]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch_size: Option<u32>,
}

const EXAMPLES: &str = "\
Examples:
  cnn-gpu serve runs/first --open
  cnn-gpu serve runs/first --follow     while `cnn-gpu train --out runs/first` runs
  cnn-gpu serve net.safetensors --port 9000
  cnn-gpu serve runs/first --host 0.0.0.0";

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let site = ServedSite::open(&args.path, args.follow, args.batch_size)?;
    let (listener, address) = PageAddress::listen(&args.host, args.port)?;
    let end = Arc::new(Notify::new());
    let interrupted = Arc::clone(&end);
    ctrlc::set_handler(move || interrupted.notify_one()).context("cannot watch for Ctrl-C")?;
    for line in &site.left_out {
        say(&format!("note: the page lacks {line}"));
    }
    if let Some(warning) = address.warning() {
        say(&format!("warning: {warning}"));
    }
    let (name, url) = (&site.name, address.url());
    output::print(&format!("serving {name} at {url} until Ctrl-C\n"))?;
    if args.open {
        open(url);
    }
    server::serve(listener, Arc::new(site), address, &end).context("cannot serve")?;
    say_after_interrupt("the server has ended");
    Ok(Exit::Success)
}

/// Opens a browser. Some launchers wait until it is closed, so this does not wait for them.
fn open(url: String) {
    std::thread::spawn(move || {
        if let Err(error) = open::that(&url) {
            say(&format!(
                "note: no browser could be opened ({error}): open {url} in one"
            ));
        }
    });
}
