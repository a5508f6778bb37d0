//! A test that each type has a name of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The names that several files define.
const SHARED: [&str; 8] = [
    // A subcommand's arguments.
    "Args",
    // The two implementations of the same types, with and without the cargo feature `download`.
    "Download",
    "Downloader",
    // Associated types, which the standard library and `pulp` name.
    "Err",
    "Error",
    "Item",
    "Output",
    "Target",
];

/// Adds the types defined below a folder, each with its files.
fn read(folder: &Path, found: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for name in text.lines().filter_map(defined) {
                let files = found.entry(name.to_owned()).or_default();
                files.insert(path.display().to_string());
            }
        }
    }
}

/// The type that a line defines.
fn defined(line: &str) -> Option<&str> {
    const KEYWORDS: [&str; 5] = ["enum", "struct", "trait", "type", "union"];
    let mut words = line.trim_start();
    if let Some(rest) = words.strip_prefix("pub") {
        let path = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        words = path.map_or(rest, |(_, rest)| rest);
    }
    let mut words = words.split_whitespace();
    let name = words.find(|word| *word != "unsafe").and_then(|keyword| {
        let name = words.next()?;
        KEYWORDS.contains(&keyword).then_some(name)
    })?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
    let name = &name[..end.unwrap_or(name.len())];
    name.starts_with(char::is_uppercase).then_some(name)
}

#[test]
fn no_two_files_define_a_type_of_the_same_name() {
    let mut found = BTreeMap::new();
    read(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut found,
    );
    assert!(found.len() > 400, "only {} types found", found.len());
    // Types of each visibility, in a function, with parameters and as an alias are all seen.
    for name in ["Sequential", "Walk", "ValueTerms", "Lanes", "CpuExecutor"] {
        assert!(found.contains_key(name), "{name} not found");
    }
    found.retain(|_, files| files.len() > 1);
    for name in SHARED {
        assert!(found.remove(name).is_some(), "{name} is no longer shared");
    }
    assert!(found.is_empty(), "{found:#?}");
}
