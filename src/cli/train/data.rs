//! The data of a training run: loads it, or only summarizes it.

use cnn_gpu::Error;
use cnn_gpu::data::Splits;
use cnn_gpu::run::DataRecord;
use cnn_gpu::train::{TrainingData, Verbose};
use cnn_gpu::words::counted;

use super::args::TrainSettings;
use crate::cli::data::{self, described};
use crate::cli::exit::Exit;
use crate::cli::output::{count, say};
use crate::cli::survey;

/// Summarizes the data set, and fails if the model has too few outputs for it.
pub fn dry_run(settings: &TrainSettings) -> anyhow::Result<Exit> {
    let folder = settings.data_dir.as_deref();
    let split = match settings.validation_data {
        Some(_) => 0.0,
        None => settings.options.validation_split,
    };
    let survey = data::survey(&settings.dataset, folder, settings.read.clone(), split)?;
    survey::print(&survey, settings.format)?;
    let outputs: usize = settings.model.output_shape()?.iter().product();
    if survey.classes.len() > outputs {
        return Err(Error::Model {
            model: settings.model.name.clone(),
            message: format!(
                "expected {outputs} classes, one per unit of the last layer, received {} with {}; give the \
                 last layer {} units",
                survey.dataset,
                survey.classes.len(),
                survey.classes.len()
            ),
        }
        .into());
    }
    Ok(Exit::Success)
}

/// Loads the data. Classes that the initial weights or the resumed run know keep their order.
pub fn load(settings: &TrainSettings, classes: &[String]) -> anyhow::Result<(Splits, DataRecord)> {
    let quiet = settings.options.verbose == Verbose::Silent;
    let read = settings.read.clone();
    let loaded = data::load(&settings.dataset, settings.data_dir.as_deref(), read, quiet)?;
    let mut splits = loaded.splits;
    if (splits.train.class_names.iter()).all(|name| classes.contains(name)) {
        splits = splits.map(|data| data.matched_to(classes))?;
    }
    // Validation images that are not used take no memory.
    let own = splits.validation.take();
    if settings.validation_data.as_deref() == Some("val") {
        splits.validation = Some(own.ok_or_else(|| no_validation(settings))?);
    } else if own.is_some() && !quiet {
        say("data: skipped: the data set's validation images, which a split replaces");
    }
    if !quiet {
        let validation = splits.validation.as_ref();
        let validation = validation.map(|data| format!("{} to validate on, ", count(data.len())));
        say(&format!(
            "data: {} to train on, {}{} to test on",
            described(&splits.train),
            validation.unwrap_or_default(),
            count(splits.test.len())
        ));
    }
    warn_of_unseen_classes(settings, &splits);
    let choice = settings.dataset.to_string();
    let record = DataRecord {
        validation: settings.validation_data.clone(),
        validation_fingerprint: (splits.validation.as_ref())
            .map(|data| data.fingerprint().to_owned()),
        mixed: settings.read.seed.is_some(),
        limit: settings.read.limit,
        skip_unreadable: settings.read.skip_unreadable,
        interpolation: settings.read.interpolation,
        ..DataRecord::new(&choice, loaded.fell_back, &splits)
    };
    Ok((splits, record))
}

fn no_validation(settings: &TrainSettings) -> Error {
    Error::Argument(format!(
        "--validation-data val: {} has no validation images: expected a folder with a sub-folder val, \
         valid or validation next to train; --validation-split SHARE takes some of the training images",
        settings.dataset
    ))
}

/// Warns of classes to validate or test on that are never trained on.
fn warn_of_unseen_classes(settings: &TrainSettings, splits: &Splits) {
    let split = settings.options.validation_split;
    let validation = match settings.validation_data.as_deref() {
        Some("val") => splits.validation.as_ref(),
        Some(_) => Some(&splits.test),
        None => None,
    };
    let training = &splits.train;
    let of = |validation| TrainingData {
        training,
        validation,
    };
    let what = match &splits.train.name[..] {
        "folder" => "",
        _ => {
            "; a split takes the last images of an array, so shuffle the images before saving them"
        }
    };
    let warn = |word: &str, classes: Vec<(usize, usize)>, hint: &str| {
        let images: usize = classes.iter().map(|(_, images)| images).sum();
        let names = classes.iter().map(|(class, _)| training.class_name(*class));
        let names: Vec<String> = names.collect();
        if !names.is_empty() {
            say(&format!(
                "warning: {} to {word} on {} to classes that are never trained on: {}{hint}",
                counted(images, "image"),
                if images == 1 { "belongs" } else { "belong" },
                names.join(", ")
            ));
        }
    };
    if validation.is_some() || split > 0.0 {
        let hint = if validation.is_none() { what } else { "" };
        warn("validate", of(validation).unseen_classes(split), hint);
    }
    warn("test", of(Some(&splits.test)).unseen_classes(0.0), "");
}
