//! The data of a training run: loads it, or only summarizes it.

use cnn_gpu::Error;
use cnn_gpu::data::{Dataset, Splits};
use cnn_gpu::run::{DataRecord, RunFolder};
use cnn_gpu::train::{Trainer, TrainingData, ValidationData, Verbose};
use cnn_gpu::words::counted;

use super::args::TrainSettings;
use super::prepare;
use crate::cli::data::{self, described};
use crate::cli::exit::Exit;
use crate::cli::output::{count, say};
use crate::cli::survey;
use crate::cli::trained_model::{known_or_numbers, unnamed_classes, with_new_classes};

/// Summarizes the data set, and fails where the run would fail before training.
pub fn dry_run(settings: &TrainSettings) -> anyhow::Result<Exit> {
    // Before anything uses threads, whose number this sets.
    let device = settings.device.open()?;
    let folder = settings.data_dir.as_deref();
    let split = match settings.validation_data {
        Some(_) => 0.0,
        None => settings.options.validation_split,
    };
    let mut survey = data::survey(&settings.dataset, folder, settings.read.clone(), split)?;
    let classes = model_classes(settings, &survey.classes)?;
    if (survey.classes.iter()).all(|name| classes.contains(name)) {
        survey.arrange_classes(&classes);
    }
    if settings.dataset.has_validation() && settings.validation_data.as_deref() != Some("val") {
        survey.notes.push(SKIPPED_VALIDATION.into());
    }
    survey
        .notes
        .extend(other_classes(settings, &survey.classes));
    survey::print(&survey, settings.format)?;
    if settings.out_is_named {
        RunFolder::check_free(&settings.out)?;
    }
    // The summary contains the warnings. What is left are the errors that would stop the run.
    let splits = data::load_silently(&settings.dataset, folder, settings.read.clone())?;
    let (splits, _) = arrange(settings, splits)?;
    let (trainer, _) = prepare(settings, &device, true)?;
    check(settings, &trainer, &splits)?;
    Ok(Exit::Success)
}

const SKIPPED_VALIDATION: &str =
    "skipped: the data set's validation images, as --validation-data or a split replaces them";

/// The parts that the run uses, with the classes in the model's order. Also whether validation
/// images are skipped, which then take no memory.
fn arrange(settings: &TrainSettings, mut splits: Splits) -> cnn_gpu::Result<(Splits, bool)> {
    let classes = model_classes(settings, &splits.train.class_names)?;
    if (splits.train.class_names.iter()).all(|name| classes.contains(name)) {
        splits = splits.map(|data| data.matched_to(&classes))?;
    }
    let own = splits.validation.take();
    if settings.validation_data.as_deref() == Some("val") {
        splits.validation = Some(own.ok_or_else(|| no_validation(settings))?);
        return Ok((splits, false));
    }
    Ok((splits, own.is_some()))
}

/// Checks what training would stop at: images that do not fit the model, a split that leaves none,
/// a warm-up without an end.
pub fn check(settings: &TrainSettings, trainer: &Trainer, splits: &Splits) -> cnn_gpu::Result<()> {
    let sets = [&splits.train, &splits.test].into_iter();
    for data in sets.chain(&splits.validation) {
        trainer.check(data)?;
    }
    let steps = trainer.steps_per_epoch(&training_data(settings, splits))?;
    let weights = &settings.options.class_weight;
    let weighs = |label: &u8| weights.get(&usize::from(*label)).is_none_or(|w| *w > 0.0);
    let data = training_data(settings, splits);
    let held_out = match data.validation {
        Some(_) => 0,
        None => data.validation_images(settings.options.validation_split),
    };
    let labels = splits.train.labels();
    if !labels.iter().take(labels.len() - held_out).any(weighs) {
        return Err(Error::Argument(
            "--class-weight gives every class the weight 0, so that nothing is learned: expected a class \
             with a positive weight"
                .into(),
        ));
    }
    match settings.callbacks.learning_rate_schedule {
        Some(schedule) => schedule.check_length(settings.options.epochs, steps),
        None => Ok(()),
    }
}

/// What the run trains and validates on.
pub fn training_data<'a>(settings: &TrainSettings, splits: &'a Splits) -> TrainingData<'a> {
    let validation = match settings.validation_data {
        Some(_) => Some(splits.validation.as_ref().unwrap_or(&splits.test)),
        None => None,
    };
    TrainingData::new(&splits.train, validation.map(ValidationData::Dataset))
}

/// Loads the data. Classes that the initial weights or the resumed run know keep their order.
pub fn load(settings: &TrainSettings) -> anyhow::Result<(Splits, DataRecord)> {
    let quiet = settings.options.verbose == Verbose::Silent;
    let read = settings.read.clone();
    let loaded = data::load(&settings.dataset, settings.data_dir.as_deref(), read, quiet)?;
    let (splits, skipped) = arrange(settings, loaded.splits)?;
    if skipped && !quiet {
        say(&format!("data: {SKIPPED_VALIDATION}"));
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
    let images = splits.train.len();
    if let Some(limit) = settings.read.limit.filter(|limit| *limit > images) {
        say(&format!(
            "note: --limit {limit} leaves out nothing, as there are {} to train on",
            counted(images, "image")
        ));
    }
    warn_of_unseen_classes(settings, &splits);
    let choice = settings.dataset.to_string();
    let mut record = DataRecord::new(&choice, loaded.fell_back, &splits);
    record.validation = settings.validation_data.clone();
    record.validation_fingerprint =
        (splits.validation.as_ref()).map(|data| data.fingerprint().to_owned());
    record.mixed = settings.read.seed.is_some();
    record.limit = settings.read.limit;
    record.skip_unreadable = settings.read.skip_unreadable;
    record.interpolation = settings.read.interpolation;
    Ok((splits, record))
}

/// The names of the classes that the initial weights or the resumed run know; numbers if they know
/// none and the data's classes are numbers.
fn model_classes(settings: &TrainSettings, found: &[String]) -> cnn_gpu::Result<Vec<String>> {
    let known = &settings.class_names;
    if settings.weights.is_none() {
        return Ok(known.clone());
    }
    let outputs = settings.model.output_shape()?.iter().product();
    let known = known_or_numbers(known, found, outputs);
    Ok(with_new_classes(&known, found))
}

/// What to say if the initial weights were trained on other classes; `names` are the classes that the
/// data have now, in the order of the model's outputs.
pub fn other_classes(settings: &TrainSettings, names: &[String]) -> Option<String> {
    let theirs = &settings.class_names;
    if theirs.is_empty() {
        // Numbers as names were matched, if each is the number of an output.
        let is_matched = (names.iter().enumerate()).all(|(i, name)| *name == i.to_string());
        return (settings.weights.is_some() && !is_matched).then(|| unnamed_classes(names));
    }
    let ours = match names {
        [] => "other classes".into(),
        names => names.join(", "),
    };
    (theirs != names).then(|| {
        format!(
            "the weights were trained on the classes {}, but the model's outputs are now {ours}",
            theirs.join(", ")
        )
    })
}

fn no_validation(settings: &TrainSettings) -> Error {
    Error::Argument(format!(
        "--validation-data val: {} has no validation images: expected a folder with a sub-folder val, \
         valid or validation next to train, or an .npz file with x_val and y_val; --validation-split \
         SHARE takes some of the training images",
        settings.dataset
    ))
}

/// Warns of classes with validation or test images but no training images.
fn warn_of_unseen_classes(settings: &TrainSettings, splits: &Splits) {
    let split = settings.options.validation_split;
    let validation = training_data(settings, splits).validation;
    let training = &splits.train;
    let of = |validation| TrainingData::new(training, validation);
    let what = match &splits.train.name[..] {
        "folder" => "",
        _ => {
            "; a split takes the last images of an array, so shuffle the images before saving them"
        }
    };
    let warn = |part: &str, classes: Vec<(usize, usize)>, hint: &str| {
        let images: usize = classes.iter().map(|(_, images)| images).sum();
        let names = classes.iter().map(|(class, _)| training.class_name(*class));
        let names: Vec<String> = names.collect();
        if !names.is_empty() {
            say(&format!(
                "warning: {} {} to classes without training images: {}{hint}",
                counted(images, &format!("{part} image")),
                if images == 1 { "belongs" } else { "belong" },
                names.join(", ")
            ));
        }
    };
    if validation.is_some() || split > 0.0 {
        let hint = if validation.is_none() { what } else { "" };
        warn("validation", of(validation).unseen_classes(split), hint);
    }
    warn(
        "test",
        of(Some(ValidationData::Dataset(&splits.test))).unseen_classes(0.0),
        "",
    );
    warn_of_missing_classes(splits);
}

/// Warns of classes without any image, and of those that no test image belongs to.
fn warn_of_missing_classes(splits: &Splits) {
    let training = &splits.train;
    let has = |data: &Dataset, class: usize| {
        data.labels()
            .iter()
            .any(|label| usize::from(*label) == class)
    };
    let named = |is_it: &dyn Fn(usize) -> bool| {
        let classes = (0..training.classes).filter(|&class| is_it(class));
        let names: Vec<String> = classes.map(|class| training.class_name(class)).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let rest = || [&splits.test].into_iter().chain(&splits.validation);
    if let Some(names) =
        named(&|class| !has(training, class) && !rest().any(|data| has(data, class)))
    {
        say(&format!("warning: classes without images: {names}"));
    }
    if let Some(names) = named(&|class| has(training, class) && !has(&splits.test, class)) {
        say(&format!(
            "warning: classes without test images, which the test accuracy does not cover: \
             {names}"
        ));
    }
}
