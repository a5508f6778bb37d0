//! The order of tensors, by the names that their dictionaries give them.

use std::collections::{BTreeSet, HashSet};

use super::pickle::{Pickled, Unpickled};

/// The names of the tensors, `known` in any order, in that of the file; some may be missing. A
/// tensor's name is the path of keys to it, joined by dots.
pub(super) fn in_order(unpickled: &Unpickled<'_>, known: &BTreeSet<String>) -> Vec<String> {
    let mut walk = Walker {
        unpickled,
        known,
        visited: HashSet::new(),
        found: Vec::new(),
    };
    walk.descend(unpickled.root, "");
    walk.found
}

struct Walker<'a> {
    unpickled: &'a Unpickled<'a>,
    known: &'a BTreeSet<String>,
    /// Each path is followed once, so that no dictionary that contains itself, or the same one many
    /// times, takes long.
    visited: HashSet<String>,
    found: Vec<String>,
}

impl Walker<'_> {
    fn descend(&mut self, value: Pickled<'_>, path: &str) {
        let Pickled::Dictionary(at) = value else {
            return;
        };
        for (key, value) in self.unpickled.dictionaries.get(at).into_iter().flatten() {
            let name = match path {
                "" => (*key).to_owned(),
                _ => format!("{path}.{key}"),
            };
            if !self.is_prefix(&name) || !self.visited.insert(name.clone()) {
                continue;
            }
            if self.known.contains(&name) {
                self.found.push(name);
            } else {
                self.descend(*value, &name);
            }
        }
    }

    /// Whether a tensor has this name, or one that continues it.
    fn is_prefix(&self, name: &str) -> bool {
        let mut from = self.known.range(name.to_owned()..);
        from.next().is_some_and(|first| first.starts_with(name))
    }
}
