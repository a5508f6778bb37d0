//! `cnn-gpu data`, and what `train --dry-run` prints.

use std::path::PathBuf;

use anyhow::Context as _;
use cnn_gpu::data::survey::{Duplicates, Imbalance, Survey};
use cnn_gpu::data::{DatasetSpec, PictureCache, ReadOptions};
use cnn_gpu::words::counted;
use indicatif::HumanBytes;

use super::columns::columns;
use super::data::{self, dataset_spec};
use super::exit::Exit;
use super::output::{self, OutputFormat, count, say};

/// Summarize a data set: classes, sizes, formats, skipped files, duplicates
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Data set: auto, mnist, fashion-mnist, kmnist, digits, folder:PATH, idx:PATH,
    /// cifar10:PATH or npz:PATH
    #[arg(value_name = "DATASET", value_parser = dataset_spec, required_unless_present = "clear_picture_cache")]
    dataset: Option<DatasetSpec>,

    /// Folder with the four files of MNIST, Fashion-MNIST or KMNIST
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Remove the decoded pictures that earlier runs have kept; see docs/data.md
    #[arg(long, exclusive = true)]
    clear_picture_cache: bool,

    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

const EXAMPLES: &str = "\
Examples:
  cnn-gpu data folder:pets
  cnn-gpu data npz:mine.npz --format json
  cnn-gpu data --clear-picture-cache
  cnn-gpu train --dataset folder:pets --validation-split 0.2 --dry-run   with a run's split";

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    if args.clear_picture_cache {
        return clear_picture_cache();
    }
    let folder = args.data_dir.as_deref();
    let read = ReadOptions::default().inspect(true);
    // Only without the flag, by which clap asks for it.
    if let Some(dataset) = &args.dataset {
        let survey = data::survey(dataset, folder, read, 0.0)?;
        print(&survey, args.format)?;
    }
    Ok(Exit::Success)
}

/// Removes the decoded pictures that are kept.
fn clear_picture_cache() -> anyhow::Result<Exit> {
    let Some(cache) = PictureCache::of_user() else {
        say("data: no home folder, so there is no cache");
        return Ok(Exit::Success);
    };
    let place = cache.folder().display();
    let size = cache.size().and_then(|size| cache.clear().map(|()| size));
    let size = size.with_context(|| format!("cannot empty {place}; remove the folder by hand"))?;
    say(&format!("data: removed {} from {place}", HumanBytes(size)));
    Ok(Exit::Success)
}

/// Prints the summary of a data set.
pub fn print(survey: &Survey, format: OutputFormat) -> anyhow::Result<()> {
    match format {
        OutputFormat::Json => output::print_json(survey),
        OutputFormat::Text => output::print(&text(survey)),
    }
}

fn text(survey: &Survey) -> String {
    let mut out = format!("{}\n\n{}\n", survey.dataset, table(survey));
    let mut row = |name: &str, value: String| out += &format!("{name:<12} {value}\n");
    let side = |[width, height]: [usize; 2]| format!("{width}x{height}");
    let sizes = survey.sizes;
    if sizes.largest == sizes.smallest && sizes.smallest != [0, 0] {
        let all = side(sizes.median);
        row("sizes", format!("all {all} (width x height)"));
    } else if sizes.largest != [0, 0] {
        let [smallest, median, largest] = [sizes.smallest, sizes.median, sizes.largest].map(side);
        let text =
            format!("{smallest} smallest, {median} median, {largest} largest (width x height)");
        row("sizes", text);
    }
    let formats = survey
        .formats
        .iter()
        .map(|(name, n)| format!("{name} {}", count(*n)));
    let formats: Vec<String> = formats.collect();
    if !formats.is_empty() {
        row("formats", formats.join(", "));
    }
    for note in &survey.notes {
        row("note", note.clone());
    }
    for (reason, line) in survey.passed_over.lines() {
        let word = if reason.is_worth_a_warning() {
            "warning"
        } else {
            "skipped"
        };
        let line = if word == "warning" {
            format!("skipped: {line}")
        } else {
            line
        };
        row(word, line);
    }
    let unreadable = &survey.unreadable;
    if unreadable.count > 0 {
        let pictures = counted(unreadable.count, "picture");
        let outcome = if unreadable.skipped {
            "training skips them"
        } else {
            "training fails without --skip-unreadable"
        };
        row("warning", format!("{pictures} cannot be read: {outcome}"));
        for line in &unreadable.first {
            row("", line.clone());
        }
    }
    if survey.blank > 0 {
        let pictures = counted(survey.blank, "picture");
        let line = "with transparency and a single colour, from which nothing can be learned";
        row("warning", format!("{pictures} {line}"));
    }
    let classes = [
        (
            "classes with validation or test images but no training images",
            &survey.unseen,
        ),
        ("classes without images", &survey.absent),
        ("classes without test images", &survey.untested),
    ];
    for (what, names) in classes.iter().filter(|(_, names)| !names.is_empty()) {
        row("warning", format!("{what}: {}", names.join(", ")));
    }
    if let Some(imbalance) = &survey.imbalance {
        row("warning", in_words(imbalance, survey));
        row("", weights(imbalance));
    }
    for duplicates in &survey.duplicates {
        let word = if duplicates.part == duplicates.also_in {
            "duplicates"
        } else {
            "warning"
        };
        row(word, repeated(duplicates));
        for [image, other] in &duplicates.first {
            row("", format!("{image} = {other}"));
        }
    }
    out
}

/// The number of images per class and part.
fn table(survey: &Survey) -> String {
    let mut rows = vec![vec!["class".to_owned()]];
    rows[0].extend(survey.parts.iter().map(|part| part.part.to_string()));
    for (class, name) in survey.classes.iter().enumerate() {
        let mut row = vec![name.replace(char::is_control, "\u{fffd}")];
        row.extend(survey.parts.iter().map(|part| count(part.by_class[class])));
        rows.push(row);
    }
    let mut total = vec!["total".to_owned()];
    total.extend(survey.parts.iter().map(|part| count(part.images)));
    rows.push(total);
    columns(&rows, |column| column > 0)
}

fn in_words(imbalance: &Imbalance, survey: &Survey) -> String {
    let images = |name: &String| {
        let class = survey.classes.iter().position(|other| other == name);
        class.map_or(0, |class| survey.parts[0].by_class[class])
    };
    let Imbalance {
        largest, smallest, ..
    } = imbalance;
    format!(
        "the classes are unbalanced: {} of the training images show {largest}, {} {smallest}; balance them \
         with",
        count(images(largest)),
        count(images(smallest))
    )
}

fn weights(imbalance: &Imbalance) -> String {
    let weights = imbalance.class_weights.iter().enumerate();
    let weights = weights.filter_map(|(class, weight)| Some(format!("{class}={:.4}", (*weight)?)));
    format!("--class-weight {}", weights.collect::<Vec<_>>().join(","))
}

fn repeated(duplicates: &Duplicates) -> String {
    let Duplicates {
        part,
        also_in,
        count: n,
        with_other_class,
        ..
    } = duplicates;
    let repeat = if *n == 1 {
        "image repeats"
    } else {
        "images repeat"
    };
    let place = if part == also_in {
        format!("another {part} image")
    } else {
        format!("a {also_in} image")
    };
    let classes = match with_other_class {
        0 => String::new(),
        n => format!(", {} of them in another class", count(*n)),
    };
    format!(
        "{} {part} {repeat} the pixels of {place}{classes}",
        count(*n)
    )
}
