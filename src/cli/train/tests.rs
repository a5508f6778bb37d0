//! Runs on a disk that fails at each write in turn and in every way: the run ends with one line of
//! error, its files are intact, and resuming it gives the same bytes as a run without a failure.

#[path = "../../../tests/common/backend.rs"]
mod backend;

use std::cell::Cell;
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use cnn_gpu::internal::disk::{self, Act};
use cnn_gpu::run::checkpoint::Checkpoint;
use cnn_gpu::run::{RunFolder, weights};
use serde_json::Value;
use tempfile::TempDir;

use backend::test_backend;

use crate::cli::exit::Exit;
use crate::cli::{one_line, parse};

/// How a disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// From a certain write on, the disk is full and stores only part of the data.
    Full,
    /// As [`Fault::Full`], but the next write has room again.
    FullOnce,
    /// From a certain write on, the user has no permission to write.
    Forbidden,
    /// The run folder is moved away; open files stay open.
    Vanished,
}

const FAULTS: [Fault; 4] = [
    Fault::Full,
    Fault::FullOnce,
    Fault::Forbidden,
    Fault::Vanished,
];

/// A folder with data and a model to train.
struct Site {
    folder: TempDir,
    backend: &'static str,
}

impl Site {
    /// A model and images that train in an instant.
    fn new(backend: &'static str) -> Self {
        // The runs wait for the disk thousands of times, so in memory if possible.
        let folder = TempDir::new_in("/dev/shm")
            .or_else(|_| TempDir::new())
            .unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        for (part, n) in [("train", 24), ("t10k", 8)] {
            let pixels: Vec<u8> = (0..n * 16).map(|i| (i * 37 % 251) as u8).collect();
            let labels: Vec<u8> = (0..n).map(|i| (i % 3) as u8).collect();
            write_idx(
                &data.join(format!("{part}-images-idx3-ubyte")),
                &[n, 4, 4],
                &pixels,
            );
            write_idx(
                &data.join(format!("{part}-labels-idx1-ubyte")),
                &[n],
                &labels,
            );
        }
        let model = "input_shape = [4, 4, 1]\n[[layers]]\ntype = \"Flatten\"\n\
                     [[layers]]\ntype = \"Dense\"\nunits = 3\nactivation = \"softmax\"\n";
        fs::write(folder.path().join("model.toml"), model).unwrap();
        Self { folder, backend }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `train` in this process.
    fn train(&self, args: &[String]) -> anyhow::Result<Exit> {
        let program = ["cnn-gpu", "train", "--verbose", "0"].map(String::from);
        let backend = ["--backend", self.backend].map(String::from);
        let args = [&program[..], &backend, args].concat();
        let (command, typed) = parse(args.into_iter().map(Into::into)).unwrap();
        command.run(&typed)
    }

    /// A run with everything that writes files.
    fn begin(&self, run: &str) -> anyhow::Result<Exit> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let mut args: Vec<String> = vec![
            "--dataset".into(),
            format!("idx:{}", text(self.path("data"))),
            "--model".into(),
            text(self.path("model.toml")),
            "--tensorboard".into(),
            text(self.path("logs")),
            "--out".into(),
            text(self.path(run)),
        ];
        let options = "--batch-size 4 --epochs 3 --checkpoint-steps 2 --validation-split 0.25 \
                       --checkpoint-best --reduce-lr-on-plateau 1 --early-stopping 5 \
                       --restore-best-weights";
        args.extend(options.split_whitespace().map(String::from));
        self.train(&args)
    }

    fn resume(&self, run: &str) -> anyhow::Result<Exit> {
        let run = self.path(run);
        self.train(
            &["--resume", run.to_str().unwrap(), "--checkpoint-steps", "2"].map(String::from),
        )
    }

    /// Resumes as a user would.
    fn resume_or_begin(&self, run: &str) -> anyhow::Result<Exit> {
        if self.path(run).join("config.toml").exists() {
            self.resume(run)
        } else {
            self.begin(run)
        }
    }

    /// A run's results, without what depends on the clock or on the folder's name.
    fn essence(&self, run: &str) -> (Vec<Vec<u8>>, Vec<Value>, Vec<String>, Value) {
        let folder = self.path(run);
        let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let files = ["model.safetensors", "best.safetensors"];
        let mut epochs: Vec<Value> = (text("history.jsonl").lines())
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for epoch in &mut epochs {
            for key in ["seconds", "images_per_second"] {
                epoch.as_object_mut().unwrap().remove(key);
            }
        }
        // The last two columns are times.
        let csv = (text("history.csv").lines())
            .map(|line| line.rsplitn(3, ',').last().unwrap().to_owned())
            .collect();
        let result: Value = serde_json::from_str(&text("result.json")).unwrap();
        (
            files
                .map(|name| fs::read(folder.join(name)).unwrap())
                .into(),
            epochs,
            csv,
            result["weights_hash"].clone(),
        )
    }

    /// Runs `work` on a disk that fails at write number `k`. Returns the number of writes too.
    fn with_fault<T>(
        &self,
        run: &str,
        fault: Option<(Fault, usize)>,
        work: impl FnOnce() -> T,
    ) -> (T, usize) {
        let count = Rc::new(Cell::new(0));
        let (run, counted) = (self.path(run), Rc::clone(&count));
        let watcher = move |act: Act<'_>, path: &Path| {
            let number = counted.replace(counted.get() + 1);
            match fault {
                Some((fault, k)) => fault.strike(number, k, act, path, &run),
                None => Ok(()),
            }
        };
        let outcome = disk::watch(watcher, work);
        (outcome, count.get())
    }
}

impl Fault {
    fn strike(
        self,
        number: usize,
        k: usize,
        act: Act<'_>,
        path: &Path,
        run: &Path,
    ) -> io::Result<()> {
        let struck = match self {
            Self::Full | Self::Forbidden => number >= k,
            Self::FullOnce | Self::Vanished => number == k,
        };
        if !struck {
            return Ok(());
        }
        match self {
            Self::Full | Self::FullOnce => {
                if let Act::Write(bytes) = act {
                    let mut file = fs::OpenOptions::new().append(true).open(path)?;
                    file.write_all(&bytes[..bytes.len() / 2])?;
                }
                Err(ErrorKind::StorageFull.into())
            }
            Self::Forbidden => Err(ErrorKind::PermissionDenied.into()),
            Self::Vanished if run.exists() => fs::rename(run, away(run)),
            Self::Vanished => Ok(()),
        }
    }
}

/// Where a vanished folder is.
fn away(run: &Path) -> PathBuf {
    run.with_extension("away")
}

fn write_idx(path: &Path, shape: &[u32], bytes: &[u8]) {
    let mut file = vec![0, 0, 8, shape.len() as u8];
    file.extend(shape.iter().flat_map(|n| n.to_be_bytes()));
    file.extend_from_slice(bytes);
    fs::write(path, file).unwrap();
}

/// Checks for one line of error and the right exit code, and that the remaining files are intact.
fn ended_well(outcome: anyhow::Result<Exit>, run: &Path, case: &str) {
    if let Err(error) = outcome {
        let message = one_line(&error);
        assert!(!message.contains('\n'), "{case}: {message}");
        let causes = error.chain().map(ToString::to_string);
        assert!(
            causes.into_iter().all(|cause| message.contains(&cause)),
            "{case}: {message}"
        );
        assert_eq!(Exit::of(&error), Exit::Failure, "{case}: {message}");
    }
    let checkpoint = run.join("checkpoint.safetensors");
    if checkpoint.exists() {
        Checkpoint::load(&checkpoint).unwrap_or_else(|e| panic!("{case}: {e}"));
    }
    for name in ["model.safetensors", "best.safetensors"] {
        let path = run.join(name);
        if path.exists() {
            weights::load(&path).unwrap_or_else(|e| panic!("{case}: {e}"));
        }
    }
}

/// Lets `work` fail at each of its writes in turn in the ways that `faults` returns for it, and
/// resumes.
fn fails_at_every_write(
    site: &Site,
    prepare: impl Fn(&str),
    work: impl Fn(&str) -> anyhow::Result<Exit>,
    faults: impl Fn(usize) -> Vec<Fault>,
) {
    assert_eq!(site.begin("whole").unwrap(), Exit::Success);
    let whole = site.essence("whole");
    let attempt = |run, fault| {
        prepare(run);
        // Its file names contain the second, and a name that is taken costs one more attempt.
        let _ = fs::remove_dir_all(site.path("logs"));
        site.with_fault(run, fault, || work(run))
    };
    let (outcome, writes) = attempt("counted", None);
    assert_eq!(outcome.unwrap(), Exit::Success);
    assert_eq!(site.essence("counted"), whole);
    for (k, fault) in (0..writes).flat_map(|k| faults(k).into_iter().map(move |f| (k, f))) {
        let case = format!("{fault:?} at write {k} of {writes}");
        let run = site.path("run");
        let (outcome, _) = attempt("run", Some((fault, k)));
        // Open files can still be written after their folder has vanished.
        assert!(outcome.is_err() || fault == Fault::Vanished, "{case}");
        if away(&run).exists() {
            let _ = fs::remove_dir_all(&run);
            fs::rename(away(&run), &run).unwrap();
        }
        ended_well(outcome, &run, &case);
        let resumed = site.resume_or_begin("run");
        let exit = resumed.unwrap_or_else(|e| panic!("{case}: {e:#}"));
        assert_eq!(exit, Exit::Success, "{case}");
        assert_eq!(site.essence("run"), whole, "{case}");
        fs::remove_dir_all(&run).unwrap();
    }
}

#[test]
fn a_run_survives_a_disk_that_fails_at_any_write_on_the_cpu() {
    let site = Site::new("cpu");
    fails_at_every_write(&site, |_| {}, |run| site.begin(run), |_| FAULTS.into());
}

#[test]
fn a_run_survives_a_disk_that_fails_at_any_write_on_the_gpu() {
    let site = Site::new(test_backend().name());
    // One fault per write, as each run opens the device again.
    let in_turn = |k| vec![FAULTS[k % FAULTS.len()]];
    fails_at_every_write(&site, |_| {}, |run| site.begin(run), in_turn);
}

/// Copies the files of a run, which has no sub-folders.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_resumed_run_survives_a_disk_that_fails_at_any_write() {
    let site = Site::new("cpu");
    let (stopped, _) = site.with_fault("part", Some((Fault::Full, 60)), || site.begin("part"));
    assert!(stopped.is_err());
    let checkpoint = RunFolder::open(&site.path("part"))
        .unwrap()
        .checkpoint_path();
    let snapshot = Checkpoint::load(&checkpoint).unwrap().snapshot;
    assert!(snapshot.epochs_done > 0 && snapshot.partial_epoch.is_some());
    let copy = |run: &str| copy(&site.path("part"), &site.path(run));
    fails_at_every_write(&site, copy, |run| site.resume(run), |_| FAULTS.into());
}
