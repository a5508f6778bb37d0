//! Tests that the parts of the crate named here have no circular dependencies between files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module's path: `["exec", "gpu", "device"]`; empty for the crate itself.
type Module = Vec<String>;

/// The library's modules by path, each with its code excluding tests.
struct Crate(BTreeMap<Module, String>);

impl Crate {
    fn read() -> Self {
        let mut all = BTreeMap::new();
        read(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &[],
            &mut all,
        );
        all.retain(|module, _| {
            let first = module.first().map_or("", String::as_str);
            !["cli", "main", "circles"].contains(&first)
        });
        Self(all)
    }

    /// The module that `path` refers to, as seen from `from`, and the item in that module; `None`
    /// for a path into another crate.
    fn resolve<'a>(&self, from: &[String], path: &'a str) -> Option<(Module, &'a str)> {
        let mut words = path.split("::").peekable();
        let mut to = from.to_vec();
        match *words.peek()? {
            "crate" => to.clear(),
            "self" | "super" => {}
            child => {
                to.push(child.into());
                if !self.0.contains_key(&to) {
                    return None;
                }
                to.pop();
            }
        }
        while let Some(word) = words.next_if(|word| ["crate", "self", "super"].contains(word)) {
            if word == "super" {
                to.pop()?;
            }
        }
        for word in words {
            to.push(word.into());
            if !self.0.contains_key(&to) {
                to.pop();
                return Some((to, word));
            }
        }
        Some((to, ""))
    }

    /// The modules that each module uses; re-exports are followed to the module that defines the
    /// item.
    fn uses(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let mut exported = BTreeMap::new();
        for (module, code) in &self.0 {
            for tree in statements(code, "pub use ") {
                for path in flattened("", tree) {
                    if let Some(target) = self.resolve(module, &path) {
                        let name = path.rsplit("::").next().unwrap_or_default().to_owned();
                        let (to, item) = target;
                        exported.insert((module.clone(), name), (to, item.to_owned()));
                    }
                }
            }
        }
        let behind = |mut to: (Module, String)| {
            while let Some(next) = exported.get(&to).filter(|next| **next != to) {
                to = next.clone();
            }
            to.0
        };
        let used = |module: &Module, code: &str| -> BTreeSet<Module> {
            let target = |path: &String| {
                let (to, item) = self.resolve(module, path)?;
                Some(behind((to, item.to_owned())))
            };
            let used = paths(code).iter().filter_map(target).collect::<Vec<_>>();
            used.into_iter().filter(|to| to != module).collect()
        };
        (self.0.iter())
            .map(|(module, code)| (module, used(module, code)))
            .collect()
    }
}

/// Reads the modules below a folder.
fn read(folder: &Path, path: &[String], found: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let mut inner = path.to_vec();
        if !["mod.rs", "lib.rs"].contains(&name.as_str()) {
            inner.push(name.trim_end_matches(".rs").to_owned());
        }
        if entry.path().is_dir() {
            read(&entry.path(), &inner, found);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).unwrap();
            let end = text.find("\nmod tests {");
            let code = text[..end.unwrap_or(text.len())]
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                // All that is visible outside the module can be used through it.
                .map(|line| line.replace("pub(crate) use ", "pub use "))
                .map(|line| line.replace("pub(super) use ", "pub use "));
            found.insert(inner, code.collect::<Vec<_>>().join("\n"));
        }
    }
}

/// The text between `start` at the beginning of a line and the next semicolon, for each such line.
fn statements<'a>(code: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    code.match_indices(start).filter_map(move |(at, _)| {
        let line = code[..at].rsplit('\n').next().unwrap_or_default();
        let rest = &code[at + start.len()..];
        line.trim().is_empty().then(|| rest.split(';').next())?
    })
}

/// The paths in a `use` tree: `a::{b, c::d}` names `a::b` and `a::c::d`.
fn flattened(before: &str, tree: &str) -> Vec<String> {
    let Some((start, rest)) = tree.split_once('{') else {
        let path = tree.trim().split(" as ").next().unwrap_or_default();
        return vec![format!("{before}{path}")];
    };
    let before = format!("{before}{}", start.trim());
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in inner.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match parts.last_mut() {
            Some(part) if c != ',' || depth > 0 => part.push(c),
            _ => parts.push(String::new()),
        }
    }
    let named = parts.iter().filter(|part| !part.trim().is_empty());
    named.flat_map(|part| flattened(&before, part)).collect()
}

/// The paths that a module's code uses, excluding those that it only re-exports.
fn paths(code: &str) -> Vec<String> {
    let imports = statements(code, "use ").flat_map(|tree| flattened("", tree));
    let all_uses = ["use ", "pub use "].map(|start| statements(code, start));
    let mut rest = code.to_owned();
    for tree in all_uses.into_iter().flatten() {
        rest = rest.replace(tree, "");
    }
    let words = rest.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    let words = words.filter(|word| word.contains("::"));
    imports.chain(words.map(str::to_owned)).collect()
}

/// The modules in circles, and those between two circles.
fn circles<'a>(uses: &BTreeMap<&'a Module, BTreeSet<Module>>) -> BTreeSet<&'a Module> {
    let mut left: BTreeSet<&Module> = uses.keys().copied().collect();
    loop {
        let before = left.len();
        // Removes modules that use none of the remaining ones, or that none of them uses.
        let used: BTreeSet<&Module> = (left.iter()).flat_map(|from| &uses[from]).collect();
        let is_in = |module: &&Module| {
            used.contains(module) && uses[module].iter().any(|to| left.contains(to))
        };
        left = left.iter().copied().filter(is_in).collect();
        if left.len() == before {
            return left;
        }
    }
}

fn names(modules: &BTreeSet<&Module>) -> Vec<String> {
    modules.iter().map(|path| path.join("/")).collect()
}

#[test]
fn the_files_of_the_gpu_path_use_each_other_in_one_direction() {
    let all = Crate::read();
    let root = &all.0[&["exec", "gpu"].map(String::from)[..]];
    // `mod.rs` only declares the other files.
    assert!(!root.contains("fn "), "mod.rs holds code");
    let tests = ["mutants", "mutation", "tests"];
    let is_gpu = |module: &Module| {
        module.len() > 2 && module[..2] == ["exec", "gpu"] && !tests.contains(&module[2].as_str())
    };
    let mut uses = all.uses();
    uses.retain(|module, _| is_gpu(module));
    uses.values_mut().for_each(|used| used.retain(is_gpu));
    let edges: usize = uses.values().map(BTreeSet::len).sum();
    assert!(edges > 2 * uses.len(), "only {edges} uses found");
    let circles = circles(&uses);
    assert!(circles.is_empty(), "a circle among {:?}", names(&circles));
}

#[test]
fn the_files_of_the_cpu_path_use_each_other_in_one_direction() {
    let all = Crate::read();
    let is_cpu = |module: &Module| {
        module.len() >= 2
            && module[..2] == ["exec", "cpu"]
            && module.get(2).is_none_or(|file| file != "tests")
    };
    let mut uses = all.uses();
    uses.retain(|module, _| is_cpu(module));
    uses.values_mut().for_each(|used| used.retain(is_cpu));
    let path = |path: &str| path.split('/').map(String::from).collect::<Module>();
    assert!(uses[&path("exec/cpu/rows")].contains(&path("exec/cpu/weights")));
    assert!(uses[&path("exec/cpu/loss")].contains(&path("exec/cpu/rows/group")));
    let circles = circles(&uses);
    assert!(circles.is_empty(), "a circle among {:?}", names(&circles));
}

#[test]
fn no_file_of_the_data_is_in_a_circle_nor_are_the_errors() {
    const OPEN: [&str; 8] = [
        "data",
        "disk",
        "error",
        "memory",
        "read_toml",
        "rng",
        "shape",
        "words",
    ];
    let all = Crate::read();
    let uses = all.uses();
    let is_open = |module: &Module| {
        OPEN.iter()
            .any(|open| module.first().is_some_and(|m| m == open))
    };
    assert!(uses.keys().filter(|module| is_open(module)).count() > 50);
    let module = |path: &str| path.split('/').map(String::from).collect::<Module>();
    // Finds grouped imports, re-exports and imports from the crate's root.
    for (from, to) in [
        ("error", "data/error"),
        ("data/folder/scan", "run/folder"),
        ("data/digits/stream", "error"),
        ("data/load", "data/folder"),
    ] {
        assert!(
            uses[&module(from)].contains(&module(to)),
            "{from} uses {to}"
        );
    }
    // A module between two circles is in neither.
    let mut found = circles(&uses);
    found.retain(|from| reaches(&uses, from, from) && is_open(from));
    assert!(found.is_empty(), "a circle through {:?}", names(&found));
}

/// Whether one module uses another, directly or through others.
fn reaches(uses: &BTreeMap<&Module, BTreeSet<Module>>, from: &Module, to: &Module) -> bool {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(module) = next.pop() {
        for used in uses.get(module).into_iter().flatten() {
            if used == to {
                return true;
            }
            if seen.insert(used) {
                next.push(used);
            }
        }
    }
    false
}
