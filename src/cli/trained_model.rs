//! A model with its weights, from the folder of a run or of an imported network, or from a file of
//! weights.

use std::path::{Path, PathBuf};

use cnn_gpu::Error;
use cnn_gpu::data::Interpolation;
use cnn_gpu::data::{Dataset, DatasetSpec};
use cnn_gpu::exec::Device;
use cnn_gpu::model::Sequential;
use cnn_gpu::run::{Config, ImportRecord, ImportedFolder, RunFolder, weights};
use cnn_gpu::state::State;
use cnn_gpu::train::{Options, Trainer};

use super::output::say;

/// `0, 1 and so on stand for cat, dog`
fn in_order(names: &[String]) -> String {
    const MOST: usize = 4;
    let more = if names.len() > MOST { ", ..." } else { "" };
    let names = names[..names.len().min(MOST)].join(", ");
    format!("0, 1 and so on stand for {names}{more}")
}

/// Says which class is which if the model's classes have no names and those of the data do.
pub fn unnamed_classes(found: &[String]) -> String {
    let order = in_order(found);
    format!("the model's classes have no names; {order}")
}

/// The names of the model's classes: the known ones, or numbers if the data name their classes by
/// number.
pub fn known_or_numbers(known: &[String], found: &[String], outputs: usize) -> Vec<String> {
    let is_number = |name: &String| name.parse().is_ok_and(|class: usize| class < outputs);
    if known.is_empty() && !found.is_empty() && found.iter().all(is_number) {
        return (0..outputs).map(|class| class.to_string()).collect();
    }
    known.to_vec()
}

/// The model's classes for data with the classes `found`: the known ones keep their outputs, and new
/// ones take, in order, the outputs of those that the data lack. Only the known ones if all are known
/// or the outputs do not suffice.
pub fn with_new_classes(known: &[String], found: &[String]) -> Vec<String> {
    let mut new = found.iter().filter(|name| !known.contains(name));
    let mut names = known.to_vec();
    for name in names.iter_mut().filter(|name| !found.contains(name)) {
        if let Some(new) = new.next() {
            name.clone_from(new);
        }
    }
    if new.next().is_some() {
        return known.to_vec();
    }
    names
}

/// The folder that holds this file.
fn folder_of(file: &Path) -> Option<&Path> {
    match file.parent()? {
        here if here.as_os_str().is_empty() => Some(Path::new(".")),
        folder => Some(folder),
    }
}

/// The settings of the run whose folder holds weights of this model.
fn config_in(folder: &Path, model: &Sequential) -> Option<Config> {
    let config = RunFolder::open(folder).ok()?.config().ok()?;
    (config.model == *model).then_some(config)
}

/// The record of the imported network in this folder, if these are its weights.
fn import_in(folder: &Path, state: &State) -> Option<ImportRecord> {
    let folder = ImportedFolder::open(folder)?;
    let (_, theirs) = folder.weights().ok()?;
    (theirs.weights_hash() == state.weights_hash()).then(|| folder.record().ok())?
}

/// The imported network in this folder, unless it holds a run.
pub fn imported(folder: &RunFolder) -> Option<ImportedFolder> {
    let is_run = folder.config_path().exists();
    (!is_run).then(|| ImportedFolder::open(folder.path()))?
}

/// What a model and its weights are read from.
const SOURCES: &str = "a run folder, an imported folder or a model.safetensors file";

/// A model with its weights.
pub struct TrainedModel {
    pub model: Sequential,
    pub state: State,
    /// The run's settings, if the weights belong to a run folder.
    pub config: Option<Config>,
    /// Where the network came from, if it was imported.
    pub import: Option<ImportRecord>,
    /// The folder of the run or of the imported network.
    pub home: Option<PathBuf>,
}

impl TrainedModel {
    /// Reads the folder of a run or of an imported network, or a file of weights.
    pub fn open(path: &Path) -> cnn_gpu::Result<Self> {
        if !path.try_exists().unwrap_or(true) {
            return Err(Error::file(
                path,
                format!("no such file or folder: expected {SOURCES}"),
            ));
        }
        if !path.is_dir() {
            return Self::of_file(path);
        }
        let home = Some(path.to_owned());
        let folder = RunFolder::open(path)?;
        if let Some(imported) = imported(&folder) {
            let (model, state) = imported.weights()?;
            return Ok(Self {
                model,
                state,
                config: None,
                import: Some(imported.record()?),
                home,
            });
        }
        let (model, state) = folder.weights()?;
        Ok(Self {
            model,
            state,
            config: Some(folder.config()?),
            import: None,
            home,
        })
    }

    fn of_file(path: &Path) -> cnn_gpu::Result<Self> {
        let (model, state) = weights::load(path).map_err(|error| match error {
            Error::File {
                path,
                message,
                source,
            } if path.extension().is_none_or(|end| end != "safetensors") => Error::File {
                message: format!("{message}; expected {SOURCES}"),
                path,
                source,
            },
            other => other,
        })?;
        let folder = folder_of(path);
        let config = folder.and_then(|folder| config_in(folder, &model));
        let import = match config {
            Some(_) => None,
            None => folder.and_then(|folder| import_in(folder, &state)),
        };
        let is_home = config.is_some() || import.is_some();
        Ok(Self {
            home: folder.filter(|_| is_home).map(Path::to_owned),
            model,
            state,
            config,
            import,
        })
    }

    /// Reads the moments of an imported network's optimizer into the state, if there are any.
    ///
    /// # Errors
    /// As [`ImportedFolder::load_moments`].
    pub fn load_imported_moments(&mut self) -> cnn_gpu::Result<()> {
        let home = self.home.as_deref().filter(|_| self.import.is_some());
        if let Some(folder) = home.and_then(ImportedFolder::open) {
            folder.load_moments(&mut self.state)?;
        }
        Ok(())
    }

    /// The model with its weights on a device. Only inference must fit: the batch size is 1.
    pub fn trainer(self, device: &Device) -> cnn_gpu::Result<Trainer> {
        let options = Options::default().batch_size(1);
        let mut trainer = Trainer::new(self.model, device, options)?;
        trainer.set_state(self.state)?;
        Ok(trainer)
    }

    /// The data set of the run, without the fallback: MNIST's scores must come from MNIST.
    pub fn data(&self) -> DatasetSpec {
        let Some(config) = &self.config else {
            return DatasetSpec::default();
        };
        let (spec, name) = (&config.dataset.choice, &config.dataset.name);
        match spec.parse() {
            Ok(DatasetSpec::Auto) | Err(_) => name.parse().unwrap_or_default(),
            Ok(spec) => spec,
        }
    }
    /// The folder that the run read its data set from, if `spec` is that data set and the folder
    /// still exists.
    pub fn folder(&self, spec: &DatasetSpec) -> Option<PathBuf> {
        let record = &self.config.as_ref()?.dataset;
        let theirs = record.spec().ok()?.published()?;
        (spec.published() == Some(theirs))
            .then(|| record.folder())?
            .filter(|folder| theirs.is_in(folder))
    }

    /// The class names, if the run or the import recorded them.
    pub fn class_names(&self) -> Vec<String> {
        match (&self.config, &self.import) {
            (Some(config), _) => config.dataset.class_names.clone(),
            (None, Some(import)) => import.class_names.clone(),
            (None, None) => Vec::new(),
        }
    }

    /// How the run resized pictures to the model's input.
    pub fn interpolation(&self) -> Interpolation {
        let config = self.config.as_ref();
        config.map_or_else(Interpolation::default, |config| {
            config.dataset.interpolation
        })
    }

    /// The data with the model's classes, matched by name if both have names.
    ///
    /// # Errors
    /// The data have a class that the model does not know.
    pub fn matched(&self, data: Dataset) -> cnn_gpu::Result<Dataset> {
        let outputs: usize = self.model.output_shape()?.iter().product();
        let names = known_or_numbers(&self.class_names(), &data.class_names, outputs);
        if names.is_empty() {
            if !data.class_names.is_empty() {
                say(&format!("note: {}", unnamed_classes(&data.class_names)));
            }
            return Ok(data);
        }
        if data.class_names.is_empty() {
            let order = in_order(&names);
            say(&format!(
                "note: the classes of the images have no names; {order}"
            ));
            return Ok(data);
        }
        Ok(data.matched_to(&names)?)
    }

    /// Whether the model was trained on digits. Weights without a run are assumed to be if they
    /// have ten classes, without names or named by number.
    pub fn knows_digits(&self) -> bool {
        let is_digit = |(class, name): (usize, &String)| *name == class.to_string();
        match &self.config {
            Some(config) => ["mnist", "digits"].contains(&config.dataset.name.as_str()),
            None => {
                self.model.output_shape().is_ok_and(|shape| shape == [10])
                    && self.class_names().iter().enumerate().all(is_digit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_s_data_set_is_read_from_the_folder_that_the_run_used() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().display().to_string();
        let published = cnn_gpu::data::Published::Mnist.files();
        let files = published.map(|file| folder.path().join(file.name));
        for file in &files {
            std::fs::write(file, "").unwrap();
        }
        let trained = |name: &str, source: &str| {
            let config = format!(
                "version = \"1\"\nstarted = \"\"\n[training]\n[device]\nrequested_backend = \"cpu\"\n\
                 backend = \"cpu\"\nadapter = \"\"\ndriver = \"\"\nsoftware = false\nreason = \"\"\n\
                 [dataset]\nchoice = \"{name}\"\nname = \"{name}\"\nsource = {source:?}\n\
                 fell_back = false\ntrain_images = 1\ntest_images = 1\ntrain_fingerprint = \"\"\n\
                 test_fingerprint = \"\"\n[model]\ninput_shape = [1, 1, 1]\n[[model.layers]]\n\
                 type = \"Flatten\"\n"
            );
            let config = Config::from_toml(&config).unwrap();
            let model = config.model.clone();
            let layout = cnn_gpu::state::Layout::new(&model).unwrap();
            TrainedModel {
                model,
                state: State::new(layout, 1),
                config: Some(config),
                import: None,
                home: None,
            }
        };
        let mnist = trained("mnist", &source);
        for same in [DatasetSpec::Mnist, DatasetSpec::Auto] {
            assert_eq!(mnist.folder(&same).as_deref(), Some(folder.path()));
        }
        for other in [
            DatasetSpec::Kmnist,
            DatasetSpec::Digits,
            DatasetSpec::Npz("x".into()),
        ] {
            assert_eq!(mnist.folder(&other), None);
        }
        assert_eq!(
            trained("mnist", "/nowhere").folder(&DatasetSpec::Mnist),
            None
        );
        assert_eq!(
            trained("digits", &source).folder(&DatasetSpec::Digits),
            None
        );
        // Without a file it is no longer the data set's folder, and the search is the usual one.
        std::fs::remove_file(&files[0]).unwrap();
        assert_eq!(trained("mnist", &source).folder(&DatasetSpec::Mnist), None);
    }
}
