//! Choosing and loading a data set on the command line, with progress on standard error.

use std::fs;
use std::io::IsTerminal;
use std::mem::discriminant;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use cnn_gpu::Error;
use cnn_gpu::data::Interpolation;
use cnn_gpu::data::survey::Survey;
use cnn_gpu::data::{
    self, Dataset, DatasetSpec, Event, PictureCache, Published, ReadOptions, Sources, Splits,
};
use cnn_gpu::words::counted;
use indicatif::{ProgressBar, ProgressStyle};

use super::output::say;

/// What was loaded.
pub struct Loaded {
    /// The training and the test set.
    pub splits: Splits,
    /// Whether the built-in digits stand in for MNIST.
    pub fell_back: bool,
}

/// Parses a data set. Paths become absolute, so that a run can be resumed from any folder.
pub fn dataset_spec(typed: &str) -> Result<DatasetSpec, String> {
    Ok(
        match typed.parse().map_err(|e: data::DataError| e.to_string())? {
            DatasetSpec::Folder(path) => DatasetSpec::Folder(absolute(&path)),
            DatasetSpec::Idx(path) => DatasetSpec::Idx(absolute(&path)),
            DatasetSpec::Cifar10(path) => DatasetSpec::Cifar10(absolute(&path)),
            DatasetSpec::Npz(path) => DatasetSpec::Npz(absolute(&path)),
            named => named,
        },
    )
}

/// Parses the name of an interpolation; `--help` lists them all.
pub fn interpolation() -> impl TypedValueParser<Value = Interpolation> {
    PossibleValuesParser::new(Interpolation::ALL.map(Interpolation::name)).map(|name| {
        let mut all = Interpolation::ALL.into_iter();
        all.find(|one| one.name() == name).unwrap_or_default()
    })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Where to keep decoded pictures.
pub fn picture_cache(is_off: bool) -> Option<PictureCache> {
    PictureCache::of_user().filter(|_| !is_off)
}

/// Loads a data set and reports progress on standard error. Warnings are printed even if `quiet`.
pub fn load(
    spec: &DatasetSpec,
    folder: Option<&Path>,
    read: ReadOptions,
    quiet: bool,
) -> anyhow::Result<Loaded> {
    let mut printer = EventPrinter::new(quiet);
    let sources = sources(spec, folder, read);
    let print = &mut |event: &Event| printer.print(event);
    let splits = data::load_from(spec.clone(), &sources, print).map_err(Error::from)?;
    Ok(Loaded {
        splits,
        fell_back: printer.fell_back,
    })
}

/// Like [`load`], but only the test images, for a model that was trained on other data.
pub fn load_test(
    spec: &DatasetSpec,
    folder: Option<&Path>,
    read: ReadOptions,
) -> anyhow::Result<Dataset> {
    let mut printer = EventPrinter::new(false);
    let sources = sources(spec, folder, read);
    let print = &mut |event: &Event| printer.print(event);
    Ok(data::load_test_from(spec.clone(), &sources, print).map_err(Error::from)?)
}

/// Like [`load`], but prints nothing, for data that [`survey`] has described.
pub fn load_silently(
    spec: &DatasetSpec,
    folder: Option<&Path>,
    read: ReadOptions,
) -> anyhow::Result<Splits> {
    let sources = silent_sources(spec, folder, read);
    Ok(data::load_from(spec.clone(), &sources, &mut |_| ()).map_err(Error::from)?)
}

/// Whether two data sets are the same, however their paths are spelt.
pub fn is_same(a: &DatasetSpec, b: &DatasetSpec) -> bool {
    let resolved = |spec: &DatasetSpec| -> Option<PathBuf> { fs::canonicalize(spec.path()?).ok() };
    let same_path = || resolved(a).is_some_and(|a| Some(a) == resolved(b));
    a == b || discriminant(a) == discriminant(b) && same_path()
}

/// What a data set holds; see [`Survey`].
pub fn survey(
    spec: &DatasetSpec,
    folder: Option<&Path>,
    read: ReadOptions,
    validation_split: f64,
) -> anyhow::Result<Survey> {
    let mut printer = EventPrinter::new(false);
    let sources = sources(spec, folder, read);
    let print = &mut |event: &Event| printer.print(event);
    Ok(Survey::of(spec, &sources, validation_split, print).map_err(Error::from)?)
}

fn sources(spec: &DatasetSpec, folder: Option<&Path>, read: ReadOptions) -> Sources {
    if let (Some(folder), None) = (folder, spec.published()) {
        say(&format!(
            "note: --data-dir {} has no effect, as {spec} is not MNIST, Fashion-MNIST or KMNIST",
            folder.display()
        ));
    }
    silent_sources(spec, folder, read)
}

fn silent_sources(spec: &DatasetSpec, folder: Option<&Path>, read: ReadOptions) -> Sources {
    // The run's settings record it, and may be read from another working directory.
    let folder = folder.map(absolute);
    let mut sources = Sources::of(
        spec.published().unwrap_or(Published::Mnist),
        folder.as_deref(),
    );
    sources.read = read;
    sources
}

/// Notes on flags that only affect folders of pictures, if `spec` is not one: a line for each flag
/// that was given.
pub fn without_pictures(spec: &DatasetSpec, flags: &[(&str, bool)]) -> Vec<String> {
    if matches!(spec, DatasetSpec::Folder(_)) {
        return Vec::new();
    }
    let given = flags.iter().filter(|(_, given)| *given);
    given
        .map(|(flag, _)| format!("{flag} has no effect, as {spec} is not a folder of pictures"))
        .collect()
}

/// A data set in words: `digits (built in), 60,000 images`.
pub fn described(data: &Dataset) -> String {
    let images = counted(data.len(), "image");
    format!("{} ({}), {images}", data.name, data.source)
}

struct EventPrinter {
    quiet: bool,
    fell_back: bool,
    bar: Option<(PathBuf, ProgressBar)>,
}

impl EventPrinter {
    fn new(quiet: bool) -> Self {
        Self {
            quiet,
            fell_back: false,
            bar: None,
        }
    }

    fn print(&mut self, event: &Event) {
        match event {
            Event::Progress {
                file,
                received,
                total,
            } => return self.progress(file, *received, *total),
            Event::FellBack { .. } => {
                self.fell_back = true;
                say(&format!("warning: {event} (--data-dir)"));
            }
            Event::Skipped { .. } | Event::Warning { .. } => say(&format!("warning: {event}")),
            _ if self.quiet => {}
            _ => say(&format!("data: {event}")),
        }
        self.bar = None;
    }

    fn progress(&mut self, file: &Path, received: u64, total: Option<u64>) {
        if self.quiet || !std::io::stderr().is_terminal() {
            return;
        }
        if self.bar.as_ref().is_none_or(|(of, _)| of != file) {
            self.bar = Some((file.to_owned(), bytes_bar(total)));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_position(received);
        }
    }
}

fn bytes_bar(total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "  {bar:20} {bytes} of {total_bytes}, {bytes_per_sec}",
        None => "  {spinner} {bytes}, {bytes_per_sec}",
    };
    let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("━╸─")),
        Err(_) => bar,
    }
    .with_finish(indicatif::ProgressFinish::AndClear)
}
