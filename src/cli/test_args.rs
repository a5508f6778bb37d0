//! Choosing and loading test images on the command line, for a model that has been trained.

use std::path::PathBuf;

use cnn_gpu::Error;
use cnn_gpu::data::Interpolation;
use cnn_gpu::data::{Dataset, DatasetSpec, ReadOptions};
use cnn_gpu::run::Config;
use cnn_gpu::shape::dims;

use super::data::{self, dataset_spec, interpolation};
use super::output::say;
use super::trained_model::TrainedModel;

/// The test images.
#[derive(clap::Args, Clone, Debug)]
pub struct TestArgs {
    /// Data set to test on [default: the run's, or auto for a file outside a run folder]; a folder
    /// of pictures without a sub-folder test is used whole
    #[arg(long, value_name = "NAME", value_parser = dataset_spec)]
    pub dataset: Option<DatasetSpec>,

    /// Folder with the four files of MNIST, Fashion-MNIST or KMNIST
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Skip pictures that cannot be read
    #[arg(long)]
    skip_unreadable: bool,

    /// How to resize pictures to the model's input_shape [default: as in the run]
    #[arg(long, value_name = "HOW", value_parser = interpolation())]
    pub interpolation: Option<Interpolation>,

    /// Decode all pictures of a folder, even those that are in the cache, and do not add them to it
    #[arg(long)]
    no_picture_cache: bool,
}

impl TestArgs {
    /// The flags that were given.
    pub fn given(&self) -> impl Iterator<Item = &'static str> {
        let flags = [
            ("--dataset", self.dataset.is_some()),
            ("--data-dir", self.data_dir.is_some()),
            ("--skip-unreadable", self.skip_unreadable),
            ("--interpolation", self.interpolation.is_some()),
            ("--no-picture-cache", self.no_picture_cache),
        ];
        let given = flags.into_iter().filter(|(_, given)| *given);
        given.map(|(flag, _)| flag)
    }

    /// The test images, with the model's classes; warns if they are not those of the run.
    pub fn load(&self, trained: &TrainedModel) -> anyhow::Result<Dataset> {
        let (test, is_own) = self.read(trained)?;
        let test = trained.matched(test)?;
        say(&format!("data: {}", data::described(&test)));
        if let Some(config) = &trained.config {
            compare(config, &test, is_own);
        }
        Ok(test)
    }

    /// The test images, and whether they are those that the run's own data set holds out.
    fn read(&self, trained: &TrainedModel) -> anyhow::Result<(Dataset, bool)> {
        let is_unknown = trained.import.is_some() && self.dataset.is_none();
        if is_unknown && trained.model.input_shape != [28, 28, 1] {
            return Err(Error::Argument(format!(
                "an imported network has no data set of its own: expected --dataset, with images of {}",
                dims(&trained.model.input_shape)
            ))
            .into());
        }
        let own = trained.config.as_ref().map(|_| trained.data());
        let spec = self.dataset.clone().unwrap_or_else(|| trained.data());
        let record = (trained.config.as_ref())
            .filter(|_| own.as_ref().is_some_and(|own| data::is_same(own, &spec)))
            .map(|config| &config.dataset);
        let read = ReadOptions::default()
            .shape(trained.model.input_shape)
            .skip_unreadable(self.skip_unreadable || record.is_some_and(|r| r.skip_unreadable))
            .interpolation((self.interpolation).unwrap_or_else(|| trained.interpolation()))
            .cache(data::picture_cache(self.no_picture_cache));
        let picture_flags = [
            ("--skip-unreadable", self.skip_unreadable),
            ("--interpolation", self.interpolation.is_some()),
            ("--no-picture-cache", self.no_picture_cache),
        ];
        for line in data::without_pictures(&spec, &picture_flags) {
            say(&format!("note: {line}"));
        }
        let folder = (self.data_dir.clone()).or_else(|| trained.folder(&spec));
        let folder = folder.as_deref();
        if record.is_none() {
            return Ok((data::load_test(&spec, folder, read)?, false));
        }
        if self.dataset.is_some() {
            say(
                "note: the run was trained on this data set; testing on the images that it holds out",
            );
        }
        Ok((data::load(&spec, folder, read, false)?.splits.test, true))
    }
}

fn compare(config: &Config, test: &Dataset, is_own: bool) {
    if config.dataset.test_fingerprint == test.fingerprint() {
        return;
    }
    if is_own {
        say(&format!(
            "warning: the data set {} has changed since the run, so the run may have been trained on some \
             of these test images",
            config.dataset.name
        ));
    } else {
        say(&format!(
            "note: the run was tested on other images ({})",
            config.dataset.name
        ));
    }
}
