//! No file of this folder uses, over however many others, one that uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The modules of a folder by their paths, with the text of each that is not for tests.
fn modules(folder: &Path, path: &[String], found: &mut BTreeMap<Vec<String>, String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let stem = name.trim_end_matches(".rs").to_owned();
        let mut inner = path.to_vec();
        if name != "mod.rs" {
            inner.push(stem);
        }
        if entry.path().is_dir() {
            modules(&entry.path(), &inner, found);
        } else {
            let text = fs::read_to_string(entry.path()).unwrap();
            let end = text.find("#[cfg(test)]\nmod tests {");
            found.insert(inner, text[..end.unwrap_or(text.len())].to_owned());
        }
    }
}

/// The paths in a text that start at a module: `super::a::b` and `child::b`.
fn paths(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let words =
        code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':'));
    words
        .filter(|word| word.contains("::"))
        .map(|word| word.split("::").collect())
}

/// The module that a path in the text of module `from` leads to; none outside of the folder.
fn resolve(
    from: &[String],
    path: &[&str],
    all: &BTreeMap<Vec<String>, String>,
) -> Option<Vec<String>> {
    let up = path.iter().take_while(|word| **word == "super").count();
    let mut to = from[..from.len().checked_sub(up)?].to_vec();
    for word in &path[up..] {
        to.push((*word).to_owned());
        if !all.contains_key(&to) {
            to.pop();
            break;
        }
    }
    // A path that names no module is one of another crate, or of this file.
    (to != from).then_some(to)
}

#[test]
fn the_files_of_the_gpu_path_use_each_other_in_one_direction() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/exec/gpu");
    let mut all = BTreeMap::new();
    modules(&folder, &[], &mut all);
    for test in ["circles", "mutants", "tests"] {
        all.remove(&[test.to_owned()][..]);
    }
    // The folder's own file only declares the others.
    let root = all.remove(&[][..]).unwrap();
    assert!(!root.contains("fn "), "mod.rs holds code");
    let uses: BTreeMap<_, BTreeSet<_>> = (all.iter())
        .map(|(from, text)| {
            let paths = paths(text).filter_map(|path| resolve(from, &path, &all));
            (from, paths.filter(|to| !to.is_empty()).collect())
        })
        .collect();
    let edges: usize = uses.values().map(BTreeSet::len).sum();
    assert!(edges > 2 * all.len(), "only {edges} uses found");
    // Take away, again and again, what uses nothing that is left.
    let mut left: BTreeSet<_> = all.keys().cloned().collect();
    loop {
        let before = left.len();
        let open: Vec<_> = (left.iter())
            .filter(|from| uses[from].is_disjoint(&left))
            .cloned()
            .collect();
        left.retain(|from| !open.contains(from));
        if left.len() == before {
            break;
        }
    }
    let names: Vec<String> = left.iter().map(|path| path.join("/")).collect();
    assert!(left.is_empty(), "a circle among {names:?}");
}
