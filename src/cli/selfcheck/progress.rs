//! Progress of `selfcheck`: finished rows on standard output, the current case on standard error.

use std::io::{IsTerminal as _, stderr, stdout};
use std::time::Duration;

use cnn_gpu::check::{self, CheckEvent, Factory, Limits, OpRow, Trouble, Watch};
use indicatif::ProgressBar;

use crate::cli::exit::{self, Exit};
use crate::cli::output::{self, OutputFormat};

/// Reports the current case, and prints each row as soon as it is complete.
pub struct CaseProgress {
    /// Drawn on a terminal only; otherwise each case is printed on a line.
    spinner: ProgressBar,
    rows: bool,
    watch: Watch,
}

impl CaseProgress {
    /// Starts the watchdog. `compiling` returns the kernel that the driver is compiling, and for
    /// how long it has been.
    pub fn start(
        format: OutputFormat,
        patience: Duration,
        compiling: impl Fn() -> Option<(String, Duration)> + Send + 'static,
    ) -> Self {
        let limits = Limits {
            abort_after: patience,
            ..Limits::default()
        };
        let rows = format == OutputFormat::Text;
        let report = move |trouble| match trouble {
            Trouble::Slow(why) => output::say(&format!("warning: {why}")),
            Trouble::Hopeless(why) => abort(&why, rows),
        };
        Self {
            spinner: ProgressBar::new_spinner(),
            rows,
            watch: Watch::start(limits, compiling, report),
        }
    }

    /// Runs the cases and prints their table, under the name of the kernel variant if given.
    pub fn check_all(
        &self,
        factory: Factory<'_>,
        filter: Option<&str>,
        kernels: Option<&str>,
    ) -> anyhow::Result<check::OpsReport> {
        let mut heads = heads(kernels);
        let mut written = Ok(());
        let report = check::check_ops(factory, filter, &mut |event| match event {
            CheckEvent::Begins(case) => self.begins(case),
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

    /// Announces what starts now.
    pub fn begins(&self, what: &str) {
        self.watch.now(Some(what));
        if stderr().is_terminal() {
            self.spinner.reset();
            self.spinner.set_message(what.to_owned());
            // Drawn at once: the bar's own pace would leave out most of the cases, and a driver
            // that aborts the process must leave the name of its case.
            self.spinner.force_draw();
        } else {
            output::say(what);
        }
    }

    /// Clears the current case.
    pub fn ends(&self) {
        self.watch.now(None);
        self.spinner.finish_and_clear();
    }
}

fn heads(kernels: Option<&str>) -> String {
    let kernels = kernels.map(|kernels| format!("\nkernels: {kernels}\n"));
    format!("{}{}\n", kernels.unwrap_or_default(), OpRow::heads())
}

/// Ends the program although the driver is still busy, as no call can interrupt it.
fn abort(why: &str, text: bool) {
    // The check that is still running must not print after the verdict.
    let _quiet = (stdout().lock(), stderr().lock());
    output::say(&format!("error: {why}"));
    if text {
        // There is nowhere to report a failure.
        let _ = output::print("verdict: FAIL\n");
    }
    exit::immediately(Exit::Failure);
}
