//! Reading.

use std::fs::File;
use std::path::Path;

use serde_json::Value;

use super::archive::{CONFIG, KerasArchive, METADATA};
use super::blueprint::{Blueprint, Place};
use super::branches::put_by_name;
use super::hdf5::WeightsFile;
use super::moments::{StoredMoments, StoredVariables};
use super::objects::KerasObject;
use super::order::in_keras_order;
use super::section::Section;
use super::substitute::substituted;
use super::weights::StoredWeights;
use super::{legacy, loss, optimizer, weights};
use crate::error::{Error, FormatError, Result};
use crate::interchange::outputs;
use crate::interchange::{Import, Network, NetworkDescription, with_training_details};
use crate::model::Sequential;
use crate::optimizer::Optimizer;
use crate::state::{Layout, State};
use crate::words::one_line;

/// Reads a file of Keras, by its contents: `.keras`, `.weights.h5` or `.h5`.
///
/// A file of weights alone needs `model`, the model that they belong to; all others describe their
/// own. Weights are read where they lie, so that a file takes no more memory than what it becomes.
///
/// The notes of an [`Import`] say what was assumed: how inputs are prepared, which settings only
/// training needs are not available, and why the optimizer's state was not taken.
///
/// # Errors
/// One line: a missing or damaged file, a model with several inputs or outputs or of layers that this crate lacks (by
/// the name of the layer), weights that are not float32 or not the model's.
pub fn read(path: &Path, model: Option<&Sequential>) -> Result<Import> {
    read_for(path, model, InputNumbers::Fractions)
}

/// Like [`read`], for inputs that are given to the network as they were given to Keras's, in place of
/// pixels divided by 255: a first layer that divides them stays, and nothing is assumed about them. Vectors of n
/// features become images of 1x1xn, which a `Flatten` named [`FEATURES`](super::FEATURES) takes;
/// [`Network::input_shape`] has the shape in the file.
///
/// # Errors
/// Those of [`read`].
pub fn read_unchanged(path: &Path, model: Option<&Sequential>) -> Result<Import> {
    read_for(path, model, InputNumbers::AsInKeras)
}

/// What the network that is read takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InputNumbers {
    /// Pixels divided by 255.
    Fractions,
    /// What Keras's takes.
    AsInKeras,
}

fn read_for(path: &Path, model: Option<&Sequential>, inputs: InputNumbers) -> Result<Import> {
    let section = File::open(path).and_then(Section::of_file);
    let section = section
        .map_err(|e| Error::file(path, format!("cannot read the model: {e}")).caused_by(e))?;
    contents(section, model, inputs).map_err(|e| e.at(path))
}

/// Whether an HDF5 file holds weights without their model.
///
/// # Errors
/// The file cannot be read, or is damaged.
pub fn is_weights(path: &Path) -> Result<bool> {
    let section = File::open(path).and_then(Section::of_file);
    let section = section
        .map_err(|e| Error::file(path, format!("cannot read the model: {e}")).caused_by(e))?;
    let is_weights = |section| {
        let file = WeightsFile::open(section)?;
        Ok(weights::folder(&file).is_some() || legacy::json(&file, "model_config")?.is_none())
    };
    is_weights(section).map_err(|e: FormatError| e.at(path))
}

/// Like [`read`], from the file's contents.
///
/// # Errors
/// Those of [`read`].
pub fn from_bytes(bytes: Vec<u8>, model: Option<&Sequential>) -> Result<Import, FormatError> {
    contents(Section::of_bytes(bytes), model, InputNumbers::Fractions)
}

fn contents(
    section: Section,
    model: Option<&Sequential>,
    inputs: InputNumbers,
) -> Result<Import, FormatError> {
    let magic = section.magic().map_err(FormatError::from_cause)?;
    match &magic[..] {
        [b'P', b'K', 3 | 5, 4 | 6, ..] => of_archive(section, inputs),
        b"\x89HDF\r\n\x1a\n" => of_hdf5(section, model, inputs),
        [b'{' | b'[', ..] => Err(
            "a JSON text: a model without weights, or the list of sharded weights, are not supported; expected a \
             .keras file, as model.save writes it"
                .into(),
        ),
        _ => Err("not a file of Keras: expected .keras, .weights.h5 or .h5".into()),
    }
}

/// A model that a file describes, before its values are read.
struct Reading {
    model: Sequential,
    places: Vec<Place>,
    optimizer: Option<Optimizer>,
    /// Whether the file says which optimizer there was, even if it is not available.
    names_optimizer: bool,
    /// Whether the file's loss takes labels as one-hot rows.
    one_hot_labels: bool,
    /// See [`Network::input_shape`].
    input_shape: Option<Vec<usize>>,
    notes: Vec<String>,
}

impl Reading {
    /// Reads a model's configuration, with its loss and optimizer if it is compiled.
    fn new(
        config: &Value,
        [loss, optimizer]: [Option<&Value>; 2],
        description: Option<&NetworkDescription>,
        inputs: InputNumbers,
    ) -> Result<Self, FormatError> {
        let is_unchanged = description.is_some() || inputs == InputNumbers::AsInKeras;
        let mut blueprint = Blueprint::read(config, is_unchanged)?;
        blueprint.model.resolve().map_err(FormatError::from_cause)?;
        let one_hot_labels = loss.is_some_and(loss::takes_one_hot_labels);
        if let Some(description) = description {
            if let Some((recorded, order)) = recorded(&blueprint.model, description)? {
                let mut reading = Self::of(blueprint, optimizer)?;
                reading.one_hot_labels = one_hot_labels;
                reading.model = recorded;
                let mut places = order.into_iter().zip(reading.places).collect::<Vec<_>>();
                places.sort_by_key(|&(parameter, _)| parameter);
                reading.places = places.into_iter().map(|(_, place)| place).collect();
                return Ok(reading);
            }
            let note = "the model was changed since cnn-gpu wrote the file";
            blueprint.notes.push(note.into());
        }
        loss::set(&mut blueprint.model, loss, &mut blueprint.notes);
        blueprint.notes.extend(outputs::note(&blueprint.model));
        let mut reading = Self::of(blueprint, optimizer)?;
        reading.one_hot_labels = one_hot_labels;
        Ok(reading)
    }

    fn of(blueprint: Blueprint, optimizer: Option<&Value>) -> Result<Self, FormatError> {
        let places = blueprint.places().map_err(FormatError::from_cause)?;
        let mut notes = blueprint.notes;
        let names_optimizer = optimizer.is_some();
        let optimizer = optimizer.map(|value| (value, optimizer::read(value)));
        let optimizer = optimizer.and_then(|(value, read)| {
            let class = KerasObject::new(value).map_or("(unnamed)", |object| object.class);
            notes.extend(optimizer::note(value).filter(|_| read.is_ok()));
            let note = |e| format!("the optimizer {class} and its state were not taken: {e}");
            read.map_err(|e| notes.push(note(e))).ok()
        });
        Ok(Self {
            model: blueprint.model,
            input_shape: blueprint.input_shape,
            places,
            optimizer,
            names_optimizer,
            one_hot_labels: false,
            notes,
        })
    }

    /// Reads the values of a file: the weights at these paths, and the optimizer's state.
    fn finish(
        mut self,
        mut file: WeightsFile,
        weights: &[String],
        variables: Result<Option<StoredVariables>, FormatError>,
    ) -> Result<Import, FormatError> {
        let layout = Layout::new(&self.model).map_err(FormatError::from_cause)?;
        let weights = StoredWeights::find(&mut file, weights, layout)?;
        let mut state = weights.read(&file)?;
        let state_read = variables.and_then(|variables| match (variables, &mut self.optimizer) {
            (Some(variables), Some(optimizer)) => {
                moments(&mut file, &variables, (optimizer, &self.places), &mut state)
            }
            (Some(_), None) if self.names_optimizer => Ok(()),
            (Some(_), None) => Err("the file does not say which optimizer it belongs to".into()),
            (None, _) => Ok(()),
        });
        if let Err(e) = state_read {
            // What was read before the error.
            (state.m, state.v, state.average) = Default::default();
            state.step = 0;
            let note = format!("the optimizer's state was not taken: {e}");
            self.notes.push(note);
        }
        let mut network = Network::new(self.model, state);
        network.optimizer = self.optimizer;
        network.one_hot_labels = self.one_hot_labels;
        network.input_shape = self.input_shape;
        Ok(Import {
            network,
            matches: weights.matches(),
            notes: self.notes.iter().map(|note| one_line(note)).collect(),
        })
    }
}

/// Reads the optimizer's state.
fn moments(
    file: &mut WeightsFile,
    variables: &StoredVariables,
    (optimizer, places): (&mut Optimizer, &[Place]),
    state: &mut State,
) -> Result<(), FormatError> {
    let numbered = places.iter().enumerate();
    let trained = numbered.filter(|(_, place)| place.is_trainable);
    let mut trained: Vec<usize> = trained.map(|(index, _)| index).collect();
    trained.sort_by_key(|&index| places[index].rank);
    let found = StoredMoments::find(file, variables, (optimizer, &trained), state)?;
    found.read(file, optimizer, state)
}

/// The model that this crate wrote, if it is still that of the file, and the indices of its parameters in the file's order.
fn recorded(
    read: &Sequential,
    description: &NetworkDescription,
) -> Result<Option<(Sequential, Vec<usize>)>, FormatError> {
    let recorded = description.model()?;
    let Ok(written) = substituted(&recorded) else {
        return Ok(None);
    };
    let in_order = in_keras_order(&written).map_err(FormatError::from_cause)?;
    let (written, parameters) = in_order;
    let same = with_training_details(read, written).map_err(FormatError::from_cause)?;
    Ok(same.map(|_| (recorded, parameters)))
}

/// Reads a `.keras` file.
fn of_archive(section: Section, inputs: InputNumbers) -> Result<Import, FormatError> {
    let mut archive = KerasArchive::open(section)?;
    let config = archive.text(CONFIG)?;
    let config = config.ok_or_else(|| format!("lacks {CONFIG}: expected a .keras file"))?;
    let config = parsed(CONFIG, &config)?;
    let metadata = archive.text(METADATA)?;
    let description = metadata.map(|text| described(&text)).transpose()?.flatten();
    let compiled = config.get("compile_config").unwrap_or(&Value::Null);
    let compiled = ["loss", "optimizer"].map(|key| given(compiled, key));
    let reading = Reading::new(&config, compiled, description.as_ref(), inputs)?;
    let file = WeightsFile::open(archive.weights()?)?;
    let mut import = of_layers(file, reading)?;
    if let Some(description) = description {
        import
            .notes
            .extend(description.complete(&mut import.network));
    }
    Ok(import)
}

/// Reads the weights of a file in Keras 3's format.
fn of_layers(file: WeightsFile, reading: Reading) -> Result<Import, FormatError> {
    let folder = weights::folder(&file).ok_or("holds no weights: expected the group `layers`")?;
    let paths = weights::paths(&file, folder, &reading.places)?;
    let variables = variables(&file);
    reading.finish(file, &paths, variables)
}

/// The optimizer's variables in Keras 3's format; `None` if there are none.
fn variables(file: &WeightsFile) -> Result<Option<StoredVariables>, FormatError> {
    let folder = "optimizer/vars";
    let count = file.tensors(folder)?.len();
    if count == 0 {
        return Ok(None);
    }
    let path = |i: usize| format!("{folder}/{i}");
    // Keras 2 does not store it.
    let has_rate = file.float(&path(1))?.is_some();
    Ok(Some(StoredVariables {
        step: path(0),
        learning_rate: has_rate.then(|| path(1)),
        moments: (1 + usize::from(has_rate)..count).map(path).collect(),
    }))
}

/// Reads an HDF5 file: a file of weights, or a model in the older format.
fn of_hdf5(
    section: Section,
    model: Option<&Sequential>,
    inputs: InputNumbers,
) -> Result<Import, FormatError> {
    let file = WeightsFile::open(section)?;
    if let Some(folder) = weights::folder(&file) {
        let (groups, names) = weights::names(&file, folder)?;
        let put = |place: &mut Place, at: usize| place.group.clone_from(&groups[at]);
        return of_layers(file, of_model(model, &names, put)?);
    }
    let config = legacy::json(&file, "model_config")?;
    let root = legacy::root(&file)?.ok_or("not a model of Keras: holds no layers")?;
    let reading = match &config {
        None => {
            let names = legacy::names(&file, root)?;
            of_model(model, &names, |place, at| place.rank = at)?
        }
        Some(config) => {
            let compiled = legacy::json(&file, "training_config")?.unwrap_or_default();
            let compiled = ["loss", "optimizer_config"].map(|key| given(&compiled, key));
            Reading::new(config, compiled, None, inputs)?
        }
    };
    let paths = legacy::paths(&file, root, &reading.places)?;
    let variables = legacy::optimizer(&file);
    reading.finish(file, &paths, variables)
}

/// The model that a file of weights alone belongs to. The file has layers of these names, at which `put` puts parameters.
fn of_model(
    model: Option<&Sequential>,
    names: &[String],
    put: impl Fn(&mut Place, usize),
) -> Result<Reading, FormatError> {
    let model = model.ok_or(
        "holds weights without a model: give the model that they belong to, or save a .keras file",
    )?;
    let written = substituted(model).map_err(FormatError::from_cause)?;
    let blueprint = Blueprint::of(written).map_err(FormatError::from_cause)?;
    let written = blueprint.model.clone();
    let mut reading = Reading::of(blueprint, None)?;
    put_by_name(&written, &mut reading.places, names, put)?;
    reading.model = model.clone();
    Ok(reading)
}

/// A field that is there and not null.
fn given<'a>(object: &'a Value, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

fn parsed(name: &str, text: &str) -> Result<Value, FormatError> {
    serde_json::from_str(text)
        .map_err(|e| FormatError::from(format!("its {name} is not valid JSON: {e}")).caused_by(e))
}

/// What this crate wrote into the metadata, if it wrote the file.
fn described(metadata: &str) -> Result<Option<NetworkDescription>, FormatError> {
    let metadata = parsed(METADATA, metadata)?;
    let entry = given(&metadata, NetworkDescription::KEY);
    entry
        .map(|entry| NetworkDescription::from_json(&entry.to_string()))
        .transpose()
}
