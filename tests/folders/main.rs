//! Folders of pictures as people have them: what is read, what is skipped, and how parts are found.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cache;
mod classes;
mod parts;
#[path = "../pets/mod.rs"]
mod pets;
mod pixels;
#[path = "../program/mod.rs"]
mod program;
mod samples;
mod skipped;
mod survey;

use std::fs;
use std::path::Path;

use cnn_gpu::data::{DatasetSpec, Event, ReadOptions, Sources, Splits, load_from};
use serde_json::Value;

use pets::{CAT, DOG, pictures};
use program::{json_lines, run, text};

const HORSE: (&str, [u8; 3]) = ("horse", [20, 20, 200]);

/// Writes the TOML file of a small network.
fn model(folder: &Path, classes: usize) {
    let text = format!(
        "input_shape = [8, 8, 3]\n[[layers]]\ntype = \"Flatten\"\n[[layers]]\ntype = \"Dense\"\n\
         units = {classes}\nactivation = \"softmax\"\n"
    );
    fs::write(folder.join("net.toml"), text).unwrap();
}

fn train(folder: &Path, more: &[&str]) -> std::process::Output {
    let args = "train --backend cpu --model net.toml --format json --epochs 2";
    let args: Vec<&str> = args.split(' ').collect();
    run(folder, &[&args, more].concat())
}

/// Trains; returns the lines of standard output, and standard error.
#[track_caller]
fn trained(folder: &Path, more: &[&str]) -> (Vec<Value>, String) {
    let output = train(folder, more);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    (json_lines(&output.stdout), said)
}

#[track_caller]
fn evaluated(folder: &Path, more: &[&str]) -> (Value, String) {
    let args = ["evaluate", "--backend", "cpu", "--format", "json"];
    let output = run(folder, &[&args, more].concat());
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    (json_lines(&output.stdout)[0].clone(), said)
}

/// Loads a folder with the library; returns also the events.
fn load(path: &Path, read: ReadOptions) -> (Splits, Vec<String>) {
    let mut sources = Sources::from_env(None);
    sources.read = read;
    let mut events = Vec::new();
    let mut on_event = |event: &Event| events.push(event.to_string());
    let splits = load_from(DatasetSpec::Folder(path.into()), &sources, &mut on_event).unwrap();
    (splits, events)
}
