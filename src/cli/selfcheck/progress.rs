//! What `selfcheck` says while it runs: rows on standard output, what is under way on standard error.

use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use cnn_gpu::check::{self, CheckEvent, Factory, Limits, OpRow, Trouble, Watch};
use indicatif::ProgressBar;

use crate::cli::exit::{self, Exit};
use crate::cli::output::{self, OutputFormat};

/// Says what is under way, and writes rows as they are done.
pub struct CaseProgress {
    /// Drawn on a terminal only; elsewhere each case has a line.
    spinner: ProgressBar,
    rows: bool,
    watch: Watch,
}

impl CaseProgress {
    /// Begins to watch. `compiling` gives the kernel that the driver is compiling, and for how long.
    pub fn start(
        format: OutputFormat,
        patience: Duration,
        compiling: impl Fn() -> Option<(String, Duration)> + Send + 'static,
    ) -> Self {
        let limits = Limits {
            patience,
            ..Limits::default()
        };
        let rows = format == OutputFormat::Text;
        let tell = move |trouble| match trouble {
            Trouble::Slow(why) => output::say(&format!("warning: {why}")),
            Trouble::Hopeless(why) => give_up(&why, rows),
        };
        Self {
            spinner: ProgressBar::new_spinner(),
            rows,
            watch: Watch::start(limits, compiling, tell),
        }
    }

    /// Runs the cases, with `kernels` above their table if it has a name.
    pub fn check_all(
        &self,
        factory: Factory<'_>,
        filter: Option<&str>,
        kernels: Option<&str>,
    ) -> anyhow::Result<check::OpsReport> {
        let mut heads = heads(kernels);
        let mut written = Ok(());
        let report = check::check_ops(factory, filter, &mut |event| match event {
            CheckEvent::Begins(case) => self.begins(&case.vars),
            CheckEvent::Ends(result) => {
                self.watch.now(None);
                if !stderr().is_terminal() {
                    let verdict = if result.passes() { "pass" } else { "FAIL" };
                    output::say(&format!("  {:.1e}  {verdict}", result.worst()));
                }
            }
            CheckEvent::Row(row) => {
                let line = format!("{}{row}\n", std::mem::take(&mut heads));
                if self.rows && written.is_ok() {
                    written = self.spinner.suspend(|| output::print(&line));
                }
            }
        })?;
        written?;
        self.ends();
        if self.rows {
            output::print(&report.to_string())?;
        }
        Ok(report)
    }

    /// Names what begins now.
    pub fn begins(&self, what: &str) {
        self.watch.now(Some(what));
        if stderr().is_terminal() {
            self.spinner.set_message(what.to_owned());
            self.spinner.tick();
        } else {
            output::say(what);
        }
    }

    /// Nothing is under way any more.
    pub fn ends(&self) {
        self.watch.now(None);
        self.spinner.set_message("");
        self.spinner.suspend(|| ());
    }
}

fn heads(kernels: Option<&str>) -> String {
    let kernels = kernels.map(|kernels| format!("\nkernels: {kernels}\n"));
    format!("{}{}\n", kernels.unwrap_or_default(), OpRow::heads())
}

/// Ends the program while a driver is at work that no call can break off.
fn give_up(why: &str, text: bool) {
    output::say(&format!("error: {why}"));
    if text {
        // Nothing can be done if nobody listens.
        let _ = output::print("verdict: FAIL\n");
    }
    exit::at_once(Exit::Failure);
}
