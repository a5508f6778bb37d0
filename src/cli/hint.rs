//! Flags and commands that may fix an error. The library, which reports the error, knows no flags.

use std::path::Path;

use cnn_gpu::Error;
use cnn_gpu::data::DataError;
use cnn_gpu::error::RunFolderProblem;

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
        Error::TooLarge {
            largest_batch: Some(_),
            ..
        } => Some("--batch-size, --micro-batch".into()),
        Error::NoAdapter(_) => Some("--backend cpu".into()),
        Error::NoWeightsYet { run } => Some(resume(run)),
        Error::ModelNeeded { .. } => Some("--model".into()),
        Error::RunFolder { path, problem } => Some(match problem {
            RunFolderProblem::Unfinished => format!("{}, --out", resume(path)),
            _ => "--out".into(),
        }),
        Error::Data(error) => of_data(error),
        _ => None,
    }
}

fn resume(run: &Path) -> String {
    format!("cnn-gpu train --resume {}", run.display())
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
    #[cfg(not(feature = "gpu"))]
    use cnn_gpu::exec::{self, Backend, Selection};
    use cnn_gpu::run::RunFolder;

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

    #[test]
    fn a_folder_in_the_way_is_followed_by_the_flags_that_help() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path();
        let refused = || hint(&RunFolder::check_free(path).unwrap_err().into());
        std::fs::write(path.join("notes.txt"), "mine").unwrap();
        assert_eq!(refused().as_deref(), Some("--out"));
        std::fs::write(path.join("config.toml"), "").unwrap();
        let expected = format!("cnn-gpu train --resume {}, --out", path.display());
        assert_eq!(refused(), Some(expected));
        let file = RunFolder::check_free(&path.join("notes.txt")).unwrap_err();
        assert_eq!(hint(&file.into()).as_deref(), Some("--out"));
        let free = path.join("free");
        let _first = RunFolder::create(&free).unwrap();
        let second = RunFolder::open(&free).unwrap().locked().unwrap_err();
        assert_eq!(hint(&second.into()).as_deref(), Some("--out"));
    }

    #[test]
    fn a_batch_that_does_not_fit_is_followed_by_the_flag_that_helps() {
        let too_large = |largest_batch| Error::TooLarge {
            needs: "more".into(),
            allows: "there is less".into(),
            fits: String::new(),
            largest_batch,
        };
        let hint_for = |largest_batch| hint(&too_large(largest_batch).into());
        assert_eq!(
            hint_for(Some(8)).as_deref(),
            Some("--batch-size, --micro-batch")
        );
        assert_eq!(hint_for(None), None);
    }

    #[cfg(not(feature = "gpu"))]
    #[test]
    fn a_missing_adapter_is_followed_by_the_backend_that_helps() {
        let error = exec::open(&Selection::new(Backend::Vulkan))
            .map(|_| ())
            .unwrap_err();
        assert_eq!(hint(&error.into()).as_deref(), Some("--backend cpu"));
    }
}
