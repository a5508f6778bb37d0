//! Flags and commands that may fix an error. The library, which reports the error, knows no flags.

use std::path::Path;

use cnn_gpu::Error;
use cnn_gpu::data::DataError;

/// The flags or the command that may fix `error`, if there are any.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let of_library = cause.downcast_ref().and_then(of);
        // A data error may also come without a library error around it.
        of_library.or_else(|| cause.downcast_ref().and_then(of_data))
    })
}

fn of(error: &Error) -> Option<String> {
    match error {
        Error::OutOfMemory(_) => Some("--batch-size, --adapter".into()),
        Error::TooLarge { fits, .. } if fits.contains("largest batch") => {
            Some("--batch-size".into())
        }
        Error::Device(message) if message.ends_with("use the CPU") => Some("--backend cpu".into()),
        Error::NoWeightsYet { run } => Some(format!("cnn-gpu train --resume {}", run.display())),
        Error::File { path, message, .. } => of_file(path, message),
        Error::Data(error) => of_data(error),
        _ => None,
    }
}

/// The command or the flags that help with a folder that a run cannot use.
fn of_file(path: &Path, message: &str) -> Option<String> {
    if message.ends_with("resume it, or choose another folder") {
        return Some(format!("cnn-gpu train --resume {}, --out", path.display()));
    }
    let is_taken = message.ends_with("choose another folder");
    is_taken.then(|| "--out".into())
}

/// Like [`hint`], for a data error.
fn of_data(error: &DataError) -> Option<String> {
    match error {
        DataError::Unavailable { .. } => Some("--data-dir, --dataset digits".into()),
        DataError::GivenFolder { given_by, .. } if *given_by != "CNN_GPU_DATA_DIR" => {
            Some("--data-dir".into())
        }
        DataError::Pictures { .. } => Some("--skip-unreadable".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_followed_by_the_flags_that_help() {
        let full = anyhow::Error::new(Error::OutOfMemory("the tensors".into()));
        assert_eq!(
            hint(&full.context("training")).as_deref(),
            Some("--batch-size, --adapter")
        );
        let run = "runs/first".into();
        let early = anyhow::Error::new(Error::NoWeightsYet { run });
        let command = "cnn-gpu train --resume runs/first";
        assert_eq!(hint(&early).as_deref(), Some(command));
        let given = || DataError::GivenFolder {
            given_by: "the given folder",
            source: Box::new(DataError::UnknownDataset { given: "".into() }),
        };
        for error in [anyhow::Error::new(given()), Error::Data(given()).into()] {
            assert_eq!(hint(&error).as_deref(), Some("--data-dir"));
        }
        assert_eq!(hint(&anyhow::anyhow!("no")), None);
    }
}
