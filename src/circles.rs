//! Tests that files have no circular dependencies, except where a test says so.

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
            !["cli", "main", "circles", "type_names"].contains(&first)
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

fn module(path: &str) -> Module {
    path.split('/').map(String::from).collect()
}

/// The modules in circles, without those that only lie between two circles.
fn in_circles(uses: &BTreeMap<&Module, BTreeSet<Module>>) -> BTreeSet<String> {
    let mut found = circles(uses);
    found.retain(|from| reaches(uses, from, from));
    names(&found).into_iter().collect()
}

#[test]
fn no_file_is_in_a_circle_except_those_that_build_plans() {
    // Layers add their operations to a plan, and a plan is built from layers.
    const PLANS: [&str; 3] = ["model", "plan", "state"];
    let all = Crate::read();
    let uses = all.uses();
    assert!(uses.len() > 200, "only {} files found", uses.len());
    let edges: usize = uses.values().map(BTreeSet::len).sum();
    assert!(edges > 4 * uses.len(), "only {edges} uses found");
    // Imports in groups, through `pub use` and through the crate's root are all seen.
    for (from, to) in [
        ("error", "data/error"),
        ("data/folder/scan", "run_files"),
        ("data/digits/stream", "error"),
        ("data/load", "data/folder"),
        ("exec/cpu/rows", "exec/cpu/weights"),
        ("exec/cpu/loss", "exec/cpu/rows/group"),
        ("exec/gpu/adapter", "exec/backend"),
        ("exec/open", "exec/gpu/device"),
        ("train/metric", "train/epoch_logs"),
    ] {
        let (from, to) = (module(from), module(to));
        assert!(uses[&from].contains(&to), "{from:?} uses {to:?}");
    }
    let mut found = in_circles(&uses);
    found.retain(|name| !PLANS.contains(&name.split('/').next().unwrap_or_default()));
    assert!(found.is_empty(), "a circle through {found:?}");
}

#[test]
fn the_folders_of_the_gpu_path_use_each_other_in_one_direction() {
    let all = Crate::read();
    let root = &all.0[&["exec", "gpu"].map(String::from)[..]];
    // `mod.rs` only declares the other files.
    assert!(!root.contains("fn "), "mod.rs holds code");
    let tests = ["mutants", "mutation", "tests"];
    let is_gpu = |module: &Module| {
        module.len() > 2 && module[..2] == ["exec", "gpu"] && !tests.contains(&module[2].as_str())
    };
    let uses = all.uses();
    let entry = |module: &Module| module[..3].to_vec();
    let mut folders: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (from, used) in uses.iter().filter(|(from, _)| is_gpu(from)) {
        let used = used.iter().filter(|to| is_gpu(to)).map(entry);
        (folders.entry(entry(from)).or_default()).extend(used.filter(|to| *to != entry(from)));
    }
    let lower = &folders[&module("exec/gpu/lower")];
    assert!(lower.contains(&module("exec/gpu/tiled")), "{lower:?}");
    let folders = folders.iter().map(|(from, used)| (from, used.clone()));
    let found = in_circles(&folders.collect());
    assert!(found.is_empty(), "a circle through {found:?}");
}

#[test]
fn data_use_neither_training_nor_its_files() {
    let all = Crate::read();
    for (from, used) in all.uses() {
        let above = |to: &&Module| ["train", "run", "exec"].contains(&to[0].as_str());
        if from.first().is_some_and(|folder| folder == "data") {
            let found: Vec<_> = used
                .iter()
                .filter(|to| !to.is_empty())
                .filter(above)
                .collect();
            assert!(found.is_empty(), "{} uses {found:?}", from.join("/"));
        }
    }
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
