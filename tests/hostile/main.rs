//! Hostile files: whatever the bytes, the readers report an error in one line, and stay within the
//! memory limit for such a file. `corpus/TARGET/` contains valid files and files with which fuzzing
//! reached new code; see `fuzz/`. After a change of a format, `CNN_GPU_WRITE_SEEDS=1 cargo test
//! --test hostile` rewrites the valid files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bombs;
#[path = "../common/mod.rs"]
mod common;
mod memory;
mod seeds;
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

use cnn_gpu::rng::{Key, Stream};

use targets::{TARGETS, Target};

fn corpus(target: &Target) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/corpus");
    folder.join(target.name)
}

#[test]
fn valid_files_are_read() {
    for target in &TARGETS {
        for (name, bytes) in seeds::of(target.name) {
            let (outcome, _) = target.check(&bytes);
            assert_eq!(outcome, Ok(()), "{} {name}", target.name);
            if std::env::var_os("CNN_GPU_WRITE_SEEDS").is_some() {
                fs::create_dir_all(corpus(target)).unwrap();
                fs::write(corpus(target).join(name), bytes).unwrap();
            }
        }
    }
}

#[test]
fn every_file_of_the_corpora_is_handled() {
    for target in &TARGETS {
        let files = fs::read_dir(corpus(target)).unwrap();
        let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "{} has no corpus", target.name);
        for path in paths {
            println!("{}", path.display());
            let _ = target.check(&fs::read(path).unwrap());
        }
    }
}

#[test]
fn every_target_can_be_fuzzed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let [manifest, readme] =
        ["Cargo.toml", "README.md"].map(|name| fs::read_to_string(folder.join(name)).unwrap());
    for Target { name, .. } in &TARGETS {
        let path = format!("fuzz_targets/{name}.rs");
        let source = fs::read_to_string(folder.join(&path)).unwrap();
        assert!(
            source.contains(&format!("Target::named(\"{name}\")")),
            "{path}"
        );
        assert!(manifest.contains(&format!("path = \"{path}\"")), "{path}");
        assert!(readme.contains(&format!("| `{name}` | ")), "{name}");
    }
}

/// Truncates every file in many places, and changes its bytes in many ways.
#[test]
fn any_damage_to_a_valid_file_is_handled() {
    for target in &TARGETS {
        for (_, bytes) in seeds::of(target.name) {
            for i in 0..400 {
                let _ = target.check(&damaged(&bytes, Key::new(1).stream(Stream::Check, i)));
            }
        }
    }
}

fn damaged(bytes: &[u8], key: Key) -> Vec<u8> {
    let at = |counter| key.bits(counter) as usize % bytes.len();
    if key.bits(0).is_multiple_of(4) {
        return bytes[..at(1)].to_vec();
    }
    let mut damaged = bytes.to_vec();
    for i in 0..1 + key.bits(2) % 3 {
        let byte = key.bits(10 * i + 3);
        // Values that often cause errors, or random ones.
        damaged[at(10 * i + 4)] = [0, 1, 0x7f, 0xff, b'9', byte as u8][byte as usize % 6];
    }
    damaged
}
