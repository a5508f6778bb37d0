//! How the program ends.

use std::process::ExitCode;

use cnn_gpu::Error;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Success = 0,
    /// Something went wrong, or a check failed.
    Failure = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Stopped by Ctrl-C or a signal: 128 + SIGINT, as shells have it.
    Interrupted = 130,
}

impl Exit {
    /// The code for an error: an argument out of range is a matter of usage.
    pub fn of(error: &anyhow::Error) -> Self {
        let is_usage = error.chain().any(|cause| {
            let cause = cause.downcast_ref::<Error>();
            matches!(cause, Some(Error::Argument(_)))
        });
        if is_usage { Self::Usage } else { Self::Failure }
    }
}

/// Ends the process at once, whatever its threads are at.
#[cfg(unix)]
#[expect(unsafe_code, reason = "calls the C library")]
pub fn at_once(exit: Exit) -> ! {
    // What a driver has registered to run at the end would wait for its threads, or pull away from under them
    // what they use.
    // SAFETY: takes a number and returns to nobody.
    unsafe { libc::_exit(exit as i32) }
}

/// Ends the process at once, whatever its threads are at.
#[cfg(not(unix))]
pub fn at_once(exit: Exit) -> ! {
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
    fn an_argument_out_of_range_is_a_matter_of_usage() {
        let error = anyhow::Error::new(Error::Argument("batch size 0".into()));
        assert_eq!(Exit::of(&error.context("train")), Exit::Usage);
        assert_eq!(Exit::of(&anyhow::anyhow!("no")), Exit::Failure);
    }
}
