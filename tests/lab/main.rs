//! Runs every command of `docs/lab.md` and `docs/laboratorio.md`, and compares what it prints and
//! the pictures that it makes with those that the documents show.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod document;
#[path = "../program/mod.rs"]
mod program;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use document::{Document, Listing, matches};
use program::{PROGRAM, run, text};

const ENGLISH: &str = include_str!("../../docs/lab.md");
const SPANISH: &str = include_str!("../../docs/laboratorio.md");

/// The folder of the documents' pictures.
fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/lab")
}

/// Runs the commands in order in one folder, as a reader would.
fn check(document: &str) {
    let folder = TempDir::new().unwrap();
    fs::copy(pictures().join("cat.png"), folder.path().join("cat.png")).unwrap();
    for listing in Document::new(document).listings() {
        check_listing(folder.path(), &listing);
    }
    check_pictures(folder.path());
}

fn check_listing(folder: &Path, listing: &Listing) {
    let command = &listing.command;
    let [program, args @ ..] = &command[..] else {
        panic!("an empty command")
    };
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    if program == "cat" {
        let shown = fs::read_to_string(folder.join(args[0])).unwrap();
        assert!(
            matches(&listing.output, &shown),
            "{command:?} gives:\n{shown}"
        );
        return;
    }
    if program == "sed" {
        return replace(folder, &args);
    }
    assert_eq!(program, "cnn-gpu", "{command:?}");
    let redirected = args.iter().position(|&word| word == ">");
    let (args, file) = match redirected {
        Some(at) => (&args[..at], args.get(at + 1)),
        None => (&args[..], None),
    };
    let output = run(folder, args);
    let (shown, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?} says: {said}");
    if let Some(file) = file {
        fs::write(folder.join(file), output.stdout).unwrap();
        return;
    }
    assert!(
        matches(&listing.output, &shown),
        "{command:?} does not print what the document shows, but:\n{shown}"
    );
}

/// Does what `sed "s/OLD/NEW/" FILE > FILE` does, as not every system has it.
fn replace(folder: &Path, args: &[&str]) {
    let [script, from, ">", to] = args else {
        panic!("sed {args:?}")
    };
    let parts: Vec<&str> = script.split('/').collect();
    let ["s", old, new, ""] = parts[..] else {
        panic!("sed {script}")
    };
    let text = fs::read_to_string(folder.join(from)).unwrap();
    assert!(text.contains(old), "{from} has no {old}");
    fs::write(folder.join(to), text.replace(old, new)).unwrap();
}

/// Compares the pictures that were made with those of the documents, which a network's rounding on
/// another processor may change a little.
fn check_pictures(folder: &Path) {
    let mut compared = 0;
    for entry in fs::read_dir(pictures()).unwrap() {
        let path = entry.unwrap().path();
        let made = folder.join(path.file_name().unwrap());
        assert!(made.exists(), "no command makes {}", path.display());
        let [shown, made] = [&path, &made].map(|path| image::open(path).unwrap().to_rgb8());
        assert_eq!(shown.dimensions(), made.dimensions(), "{}", path.display());
        let pairs = shown.as_raw().iter().zip(made.as_raw());
        let most = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(most <= 2, "{} differs by {most}", path.display());
        compared += 1;
    }
    assert!(compared > 3, "only {compared} pictures");
}

#[test]
fn the_english_lab_shows_what_its_commands_print() {
    check(ENGLISH);
}

#[test]
fn both_languages_have_the_same_commands_code_and_pictures() {
    let [english, spanish] = [ENGLISH, SPANISH].map(Document::new);
    assert_eq!(english.listings(), spanish.listings());
    assert_eq!(english.code(), spanish.code());
    assert_eq!(english.pictures(), spanish.pictures());
    assert_eq!(english.sections(), spanish.sections());
    assert!(english.listings().len() > 20 && english.code().len() > 2);
    for picture in english.pictures() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("docs")
            .join(&picture);
        assert!(path.exists(), "no picture {picture}");
    }
    assert!(Path::new(PROGRAM).exists());
}
