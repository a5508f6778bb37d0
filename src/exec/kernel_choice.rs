//! The kernels that `tune` chose for an adapter.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

/// The settings of kernels that differ from those of the adapter's class, by name; empty for the
/// class's own. Kernels add in an order of their own, so results agree bit for bit only between equal
/// choices.
///
/// ```
/// use cnn_gpu::exec::KernelChoice;
/// let choice = KernelChoice::from_iter([("workgroup", 128), ("accumulators", 32)]);
/// assert_eq!(choice.to_string(), "accumulators 32, workgroup 128");
/// assert!(!choice.is_empty() && KernelChoice::default().is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KernelChoice(BTreeMap<String, usize>);

impl KernelChoice {
    /// Whether all settings are those of the adapter's class.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The settings that differ, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

impl<'a> FromIterator<(&'a str, usize)> for KernelChoice {
    fn from_iter<I: IntoIterator<Item = (&'a str, usize)>>(settings: I) -> Self {
        let settings = settings.into_iter();
        Self(settings.map(|(name, value)| (name.into(), value)).collect())
    }
}

impl Display for KernelChoice {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let settings: Vec<String> = self
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        f.write_str(&settings.join(", "))
    }
}
