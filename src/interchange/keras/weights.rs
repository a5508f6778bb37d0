//! The weights of a file and the parameters that they become.

use std::collections::HashSet;
use std::sync::Arc;

use super::blueprint::Place;
use super::hdf5::{StoredTensor, WeightsFile};
use crate::error::FormatError;
use crate::interchange::Match;
use crate::state::{Layout, State, check_memory};

/// The folders that Keras 3 and, before it, Keras 2.13 keep the layers in.
const FOLDERS: [&str; 2] = ["layers", "_layer_checkpoint_dependencies"];

/// The group of the state of a layer's random generator.
const SEEDS: &str = "seed_generator";

/// The most groups within each other.
const MOST_NESTED: usize = 32;

/// The folder that a file keeps its layers in; `None` if it is no file of this kind.
pub(super) fn folder(file: &WeightsFile) -> Option<&'static str> {
    FOLDERS.into_iter().find(|folder| file.has_group(folder))
}

/// The paths of the parameters.
///
/// # Errors
/// The file holds weights of layers that the model lacks.
pub(super) fn paths(
    file: &WeightsFile,
    folder: &str,
    places: &[Place],
) -> Result<Vec<String>, FormatError> {
    let path = |place: &Place| format!("{folder}/{}/vars/{}", place.group, place.variable);
    let paths: Vec<String> = places.iter().map(path).collect();
    let known = paths.iter().map(String::as_str).collect();
    check_known(file, folder, &known)?;
    Ok(paths)
}

/// The groups of layers that have a name in a file of Keras 3, and these names.
///
/// # Errors
/// A damaged file.
pub(super) fn names(
    file: &WeightsFile,
    folder: &str,
) -> Result<(Vec<String>, Vec<String>), FormatError> {
    let (mut groups, mut names) = (Vec::new(), Vec::new());
    for group in file.groups(folder)? {
        let vars = format!("{folder}/{group}/vars");
        let name = file.texts(&vars, "name")?.unwrap_or_default();
        // Layers without weights could have any name.
        if let (Some(name), false) = (name.into_iter().next(), file.tensors(&vars)?.is_empty()) {
            groups.push(group);
            names.push(name);
        }
    }
    Ok((groups, names))
}

/// Checks that a folder holds no other weights, at any depth. Hard links may let a group be in itself.
fn check_known(file: &WeightsFile, folder: &str, known: &HashSet<&str>) -> Result<(), FormatError> {
    let mut left = vec![folder.to_owned()];
    let mut groups_left = file.most_groups();
    while let Some(group) = left.pop() {
        if group.ends_with("/vars") {
            for tensor in file.tensors(&group)? {
                check_tensor(&format!("{group}/{tensor}"), known)?;
            }
        }
        let inner = file.groups(&group)?;
        let rest = groups_left.checked_sub(inner.len());
        let is_deep = !inner.is_empty() && group.matches('/').count() >= MOST_NESTED;
        groups_left = rest.filter(|_| !is_deep).ok_or_else(|| {
            format!("holds too many groups in {group}: expected the weights of this model")
        })?;
        // The states of random generators, which dropout has, are no weights.
        let inner = inner.into_iter().filter(|name| name != SEEDS);
        left.extend(inner.map(|name| format!("{group}/{name}")));
    }
    Ok(())
}

fn check_tensor(found: &str, known: &HashSet<&str>) -> Result<(), FormatError> {
    match known.contains(found) {
        true => Ok(()),
        false => Err(format!(
            "holds the weights {found}, which the model lacks: expected the weights of this model"
        )
        .into()),
    }
}

/// The weights that a file holds, found and checked but not read.
pub(super) struct StoredWeights {
    tensors: Vec<StoredTensor>,
    layout: Arc<Layout>,
}

impl StoredWeights {
    /// Looks for the parameters of a layout at these paths.
    ///
    /// # Errors
    /// Weights that are missing or of another shape or type.
    pub(super) fn find(
        file: &mut WeightsFile,
        paths: &[String],
        layout: Arc<Layout>,
    ) -> Result<Self, FormatError> {
        let mut tensors = Vec::with_capacity(paths.len());
        for (path, parameter) in paths.iter().zip(&layout.parameters) {
            let tensor = file.tensor(path)?;
            let tensor = tensor
                .ok_or_else(|| {
                    let name = &parameter.name;
                    format!("lacks the weights {path}, which are {name}; links to other places or files are not read")
                })?;
            tensor.expect_shape(&parameter.shape, &parameter.name)?;
            tensors.push(tensor);
        }
        let (found, expected) = (tensors.len(), layout.parameters.len());
        if found != expected {
            return Err(format!("expected {expected} tensors of weights, found {found}").into());
        }
        Ok(Self { tensors, layout })
    }

    /// Reads the weights. The other arenas are empty.
    ///
    /// # Errors
    /// Too little memory, or a damaged file.
    pub(super) fn read(&self, file: &WeightsFile) -> Result<State, FormatError> {
        check_memory("the weights", self.layout.len).map_err(FormatError::from_cause)?;
        let mut params = vec![0.0; self.layout.len];
        for (tensor, parameter) in self.tensors.iter().zip(&self.layout.parameters) {
            file.read(tensor, &mut params[parameter.range()])?;
        }
        Ok(State {
            layout: Arc::clone(&self.layout),
            params,
            m: Vec::new(),
            v: Vec::new(),
            average: Vec::new(),
            step: 0,
        })
    }

    /// Which tensor became which parameter.
    pub(super) fn matches(&self) -> Vec<Match> {
        let pairs = self.tensors.iter().zip(&self.layout.parameters);
        pairs
            .map(|(tensor, p)| Match::new(&tensor.path, tensor.shape.clone(), &p.name))
            .collect()
    }
}
