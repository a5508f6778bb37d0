//! Exports and imports on a disk that fails at each write in turn: the command ends with one line of
//! error and leaves no half-written file.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use cnn_gpu::internal::disk::{self, Act};
use cnn_gpu::model::{Dense, Flatten, Sequential};
use cnn_gpu::run::weights;
use cnn_gpu::state::{Layout, State};
use tempfile::TempDir;

use crate::cli::exit::Exit;
use crate::cli::{one_line, parse};

/// Runs a command in this process.
fn execute(args: &[&str]) -> anyhow::Result<Exit> {
    let args = ["cnn-gpu"].iter().chain(args).map(Into::into);
    let (command, typed) = parse(args).unwrap();
    command.run(&typed)
}

/// Runs a command on a disk that is full from write number `k` on.
fn on_full_disk(k: usize, args: &[&str]) -> anyhow::Result<Exit> {
    let mut number = 0;
    let full = move |_: Act<'_>, _: &Path| -> io::Result<()> {
        number += 1;
        match number > k {
            true => Err(ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    };
    disk::watch(full, || execute(args))
}

/// Lets a command fail at each of its writes, and returns at how many it can. `left` asserts what is
/// left of each attempt.
fn fails_at_every_write(args: &[&str], left: impl Fn(usize)) -> usize {
    for k in 0.. {
        match on_full_disk(k, args) {
            Ok(exit) => {
                assert_eq!(exit, Exit::Success);
                return k;
            }
            Err(error) => {
                let message = one_line(&error);
                assert!(
                    !message.contains('\n') && message.contains("cannot"),
                    "{message}"
                );
                assert_eq!(Exit::of(&error), Exit::Failure);
                left(k);
            }
        }
    }
    unreachable!("it succeeds at some time")
}

#[test]
fn a_full_disk_leaves_no_half_written_network() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let model = Sequential::new([2, 2, 1])
        .add(Flatten::new())
        .add(Dense::new(3).activation(cnn_gpu::model::Activation::Softmax));
    let state = State::new(Layout::new(&model).unwrap(), 1);
    let weights = path("model.safetensors");
    weights::save(Path::new(&weights), &model, &state).unwrap();
    let names = || {
        let entries = fs::read_dir(folder.path()).unwrap().flatten();
        let mut names: Vec<_> = entries
            .map(|e| e.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let keras = path("a.keras");
    let export = ["export", &weights, "--keras", &keras];
    // The last write makes the finished file durable.
    let writes = fails_at_every_write(&export, |k| {
        let found = names();
        assert!(
            found == ["model.safetensors"] || k > 3,
            "write {k}: {found:?}"
        );
        let _ = fs::remove_file(&keras);
    });
    assert_eq!(writes, 5);
    let out = path("net");
    let import = ["import", &keras, "--out", &out];
    let writes = fails_at_every_write(&import, |k| {
        assert_eq!(names(), ["a.keras", "model.safetensors"], "write {k}");
    });
    assert_eq!(writes, 14);
}

#[test]
fn a_full_disk_leaves_both_old_files_for_pytorch() {
    let folder = TempDir::new().unwrap();
    let save = |name: &str, units| {
        let model = Sequential::new([2, 2, 1])
            .add(Flatten::new())
            .add(Dense::new(units));
        let state = State::new(Layout::new(&model).unwrap(), 1);
        let path = folder.path().join(name);
        weights::save(&path, &model, &state).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (old, new) = (save("old.safetensors", 3), save("new.safetensors", 4));
    let out = folder.path().join("torch");
    let read = || {
        let entries = fs::read_dir(&out).unwrap().flatten();
        let mut files: Vec<_> = entries
            .map(|e| (e.file_name(), fs::read(e.path()).unwrap()))
            .collect();
        files.sort();
        files
    };
    let torch = out.to_str().unwrap();
    execute(&["export", &old, "--torch", torch]).unwrap();
    let before = read();
    assert_eq!(before.len(), 2);
    fails_at_every_write(&["export", &new, "--torch", torch, "--force"], |k| {
        // Later, only a rename or making it durable can fail.
        assert!(read() == before || k > 7, "write {k}");
    });
    assert!(read() != before);
}
