//! Exit codes.

use std::process::ExitCode;

use cnn_gpu::Error;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Success.
    Success = 0,
    /// An error, or a failed check.
    Failure = 1,
    /// An invalid command line.
    Usage = 2,
    /// Stopped by Ctrl-C or a signal: 128 + SIGINT, as in shells.
    Interrupted = 130,
}

impl Exit {
    /// The code for an error: an invalid argument is a usage error.
    pub fn of(error: &anyhow::Error) -> Self {
        let is_usage = error.chain().any(|cause| {
            let cause = cause.downcast_ref::<Error>();
            matches!(cause, Some(Error::Argument(_)))
        });
        if is_usage { Self::Usage } else { Self::Failure }
    }
}

/// Ends the process immediately, whatever its threads are doing.
#[cfg(unix)]
#[expect(unsafe_code, reason = "calls the C library")]
pub fn immediately(exit: Exit) -> ! {
    // A driver's exit handlers would wait for its threads, or free what they still use.
    // SAFETY: `_exit` takes an integer and does not return.
    unsafe { libc::_exit(exit as i32) }
}

/// Ends the process immediately, whatever its threads are doing.
#[cfg(not(unix))]
pub fn immediately(exit: Exit) -> ! {
    std::process::exit(exit as i32)
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_argument_is_a_usage_error() {
        let error = anyhow::Error::new(Error::Argument("batch size 0".into()));
        assert_eq!(Exit::of(&error.context("train")), Exit::Usage);
        assert_eq!(Exit::of(&anyhow::anyhow!("no")), Exit::Failure);
    }
}
