//! A state dict: tensors with names, in an order.

use std::collections::{BTreeSet, HashMap};

use pytorch_reader::Tensor;

use super::natural;
use super::pickle::{Pickled, Unpickled};
use super::tensor::TorchTensor;
use super::walk::in_order;
use crate::error::FormatError;
use crate::interchange::NetworkDescription;
use crate::run::tensors::parse;
use crate::words::one_line;

/// The keys under which checkpoints hold a state dict, and whether a module's part is never called
/// so.
const KEYS: [(&str, bool); 6] = [
    ("state_dict", true),
    ("model_state_dict", true),
    ("model_state", true),
    ("model", false),
    ("net", false),
    ("network", false),
];

/// The ends of the names of tensors that layers have.
pub(super) const LEAVES: [&str; 5] = [
    "weight",
    "bias",
    "running_mean",
    "running_var",
    "num_batches_tracked",
];

/// The tensors of a `.pt` file.
pub(super) struct PickledTensors {
    tensors: HashMap<String, Tensor>,
    /// Their names in the order of the file, as far as it is known.
    order: Vec<String>,
    /// The keys of the file.
    keys: Vec<String>,
}

impl PickledTensors {
    /// Tensors in the order of the pickle that names them.
    pub fn new(tensors: HashMap<String, Tensor>, unpickled: &Unpickled<'_>) -> Self {
        let names: BTreeSet<String> = tensors.keys().cloned().collect();
        Self {
            order: in_order(unpickled, &names),
            keys: keys(unpickled).map(str::to_owned).collect(),
            tensors,
        }
    }
}

/// A state dict.
pub(super) struct StateDict<'a> {
    /// The tensors, in the order of the file or of their names.
    pub tensors: Vec<TorchTensor<'a>>,
    /// Whether that is the file's order, which follows the module's definition.
    pub is_ordered: bool,
    /// What this crate recorded when it wrote the file.
    pub description: Option<NetworkDescription>,
    /// What was not taken, one line each.
    pub notes: Vec<String>,
}

impl<'a> StateDict<'a> {
    /// The contents of a safetensors file, which are sorted.
    ///
    /// # Errors
    /// The bytes are no complete safetensors file.
    pub fn of_safetensors(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let (tensors, metadata) = parse(bytes)?;
        let description = metadata.get(NetworkDescription::KEY);
        let mut tensors: Vec<_> = (tensors.iter())
            .map(|(name, view)| TorchTensor::of_safetensors(name.to_owned(), &view))
            .collect();
        let notes = drop_counters(&mut tensors);
        sort(&mut tensors);
        Ok(Self {
            tensors,
            is_ordered: false,
            description: description
                .map(|text| NetworkDescription::from_json(text))
                .transpose()?,
            notes,
        })
    }

    /// The state dict in a `.pt` file: all of it, or one entry of a checkpoint.
    ///
    /// # Errors
    /// The file holds no tensors.
    pub fn of_pickle(pickled: &PickledTensors) -> Result<Self, FormatError> {
        let mut names: Vec<&String> = pickled.tensors.keys().collect();
        names.sort_unstable();
        let key = checkpoint_key(&names);
        let is_inside = |name: &&String| key.is_none_or(|key| is_below(name, key));
        let (inside, outside): (Vec<&String>, Vec<&String>) =
            names.into_iter().partition(is_inside);
        if inside.is_empty() {
            return Err(
                "holds no tensors: expected a state dict, as `torch.save(net.state_dict(), \
                        ...)` writes it"
                    .into(),
            );
        }
        let is_ordered = pickled.order.iter().filter(is_inside).count() == inside.len();
        let order: Vec<&String> = match is_ordered {
            true => pickled.order.iter().filter(is_inside).collect(),
            false => inside,
        };
        let tensors = order
            .into_iter()
            .filter_map(|name| pickled.tensors.get(name));
        let mut tensors: Vec<_> = tensors.cloned().map(TorchTensor::of_pickle).collect();
        let counters = drop_counters(&mut tensors);
        if !is_ordered {
            sort(&mut tensors);
        }
        Ok(Self {
            tensors,
            is_ordered,
            description: None,
            notes: left_out(key, &pickled.keys, &outside)
                .into_iter()
                .chain(counters)
                .collect(),
        })
    }
}

fn sort(tensors: &mut [TorchTensor<'_>]) {
    tensors.sort_by(|a, b| natural::compare(&a.name, &b.name));
}

/// The key of the state dict in a checkpoint; `None` if the file is a state dict.
fn checkpoint_key(names: &[&String]) -> Option<&'static str> {
    let found = KEYS.iter().find(|(key, is_sure)| {
        let mut inside = names.iter().filter(|name| is_below(name, key));
        let mut outside = names.iter().filter(|name| !is_below(name, key));
        // `model` may also be a part of a module, beside others.
        inside.next().is_some() && (*is_sure || !outside.any(|name| is_of_module(name)))
    });
    found.map(|(key, _)| *key)
}

/// Whether a tensor may belong to the module, and is not an average of its weights (EMA) or a value
/// of an optimizer.
fn is_of_module(name: &str) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    let leaf = name.rsplit('.').next().unwrap_or_default();
    LEAVES.contains(&leaf) && !first.contains("ema")
}

fn is_below(name: &str, key: &str) -> bool {
    name.strip_prefix(key)
        .is_some_and(|rest| rest.starts_with('.'))
}

/// The keys of the file's dictionary.
fn keys<'a>(unpickled: &Unpickled<'a>) -> impl Iterator<Item = &'a str> {
    let root = match unpickled.root {
        Pickled::Dictionary(at) => unpickled.dictionaries.get(at),
        _ => None,
    };
    root.into_iter().flatten().map(|(key, _)| *key)
}

/// What a checkpoint holds beside the state dict.
fn left_out(key: Option<&str>, keys: &[String], outside: &[&String]) -> Option<String> {
    let key = key?;
    let others: Vec<String> = (keys.iter().filter(|other| *other != key))
        .map(|other| format!("`{other}`"))
        .collect();
    let tensors = match outside {
        [] => String::new(),
        [first, ..] => format!(
            ", and not {} of its tensors beside it, such as `{first}`",
            outside.len()
        ),
    };
    let entries = match others.as_slice() {
        [] => String::new(),
        others => format!("; its other entries are {}", others.join(", ")),
    };
    let has_more = !tensors.is_empty() || !entries.is_empty();
    has_more.then(|| {
        one_line(&format!(
            "took the entry `{key}` of a checkpoint{tensors}{entries}"
        ))
    })
}

/// Leaves out single numbers that no layer has, such as `n_averaged` of `AveragedModel`, and says so.
fn drop_counters(tensors: &mut Vec<TorchTensor<'_>>) -> Vec<String> {
    let is_counter =
        |tensor: &TorchTensor<'_>| tensor.shape.is_empty() && !LEAVES.contains(&tensor.leaf());
    let dropped = tensors.extract_if(.., |tensor| is_counter(tensor));
    let note = |tensor: TorchTensor<'_>| format!("not taken: `{}`, a single number", tensor.name);
    dropped.map(|tensor| one_line(&note(tensor))).collect()
}
