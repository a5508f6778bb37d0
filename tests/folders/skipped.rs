//! Skipped files and folders, and unreadable pictures.

use std::fs;

use cnn_gpu::data::folder::Reason;
use cnn_gpu::data::{ImageFolder, ReadOptions};
use tempfile::TempDir;

use super::program::{fails, only_says, text};
use super::{CAT, DOG, evaluated, load, model, pictures, train, trained};

#[test]
fn sub_folders_are_walked_and_skipped_files_are_counted() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(path, &[CAT, DOG], 10);
    for i in 0..6 {
        let deep = path.join("cat/more").join((i % 2).to_string());
        fs::create_dir_all(&deep).unwrap();
        fs::copy(path.join("cat/000.png"), deep.join(format!("{i}.PNG"))).unwrap();
    }
    let files = [
        "cat/a.heic",
        "dog/b.heic",
        "dog/c.avif",
        "notes.txt",
        "cat/more/labels.csv",
        "dog/.hidden.png",
        ".DS_Store",
        "Thumbs.db",
    ];
    for file in files {
        fs::write(path.join(file), "x").unwrap();
    }
    fs::copy(path.join("cat/000.png"), path.join("cover.png")).unwrap();
    let opened = ImageFolder::open(path, None).unwrap();
    assert_eq!((opened.len(), opened.shape()), (26, [8, 8, 3]));
    let counts = [
        (Reason::Format, 3),
        (Reason::NoClass, 1),
        (Reason::NoPicture, 2),
        (Reason::Hidden, 3),
        (Reason::Runs, 0),
    ];
    for (reason, count) in counts {
        assert_eq!(opened.skipped().count(reason), count, "{reason:?}");
    }
    let (_, events) = load(path, ReadOptions::default());
    let shown = path.display();
    let expected = [
        format!("skipped: {shown}: 3 pictures in unsupported formats (2 .heic, 1 .avif)"),
        format!("skipped: {shown}: 1 picture outside all class folders ({shown}/cover.png)"),
        format!("skipped: {shown}: 2 files that are not pictures (1 .csv, 1 .txt)"),
    ];
    assert_eq!(events[..3], expected);
    assert!(events[3].starts_with(&format!("skipped: {shown}: 3 hidden files and folders")));

    // A warning is printed even with --verbose 0; other skipped files are not.
    let above = path.parent().unwrap();
    let dataset = format!("folder:{shown}");
    let site = TempDir::new_in(above).unwrap();
    model(site.path(), 2);
    let args = ["--dataset", &dataset, "--out", "r", "--verbose"];
    let (_, said) = trained(site.path(), &[&args[..], &["0"]].concat());
    assert!(
        said.contains("warning: skipped") && !said.contains("not pictures"),
        "{said}"
    );
}

#[cfg(unix)]
#[test]
fn links_are_followed_without_loops() {
    use std::os::unix::fs::symlink;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("d");
    pictures(&path, &[CAT, DOG], 5);
    pictures(&folder.path().join("elsewhere"), &[("more", [9; 3])], 4);
    symlink(folder.path().join("elsewhere/more"), path.join("cat/more")).unwrap();
    symlink(&path, path.join("dog/up")).unwrap();
    symlink(path.join("dog"), folder.path().join("elsewhere/more/dog")).unwrap();
    let opened = ImageFolder::open(&path, None).unwrap();
    // Cats: five, four behind a link, and the five dogs behind a link in there. Dogs: five.
    let classes: Vec<usize> = opened.files().map(|(_, class)| class).collect();
    let count = |of| classes.iter().filter(|class| **class == of).count();
    assert_eq!((count(0), count(1)), (14, 5));
    assert_eq!(opened.skipped().count(Reason::Loop), 2);
}

#[test]
fn folders_of_runs_are_skipped() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(path, &[CAT, DOG], 10);
    model(path, 2);
    for _ in 0..2 {
        let args = ["--dataset", "folder:.", "--tensorboard", "logs"];
        let (lines, _) = trained(path, &args);
        assert_eq!(lines.last().unwrap()["train_images"], 16);
    }
    trained(path, &["--dataset", "folder:.", "--out", "cat/run"]);
    let (_, events) = load(path, ReadOptions::default());
    let line = events
        .iter()
        .find(|line| line.contains("training runs"))
        .unwrap();
    assert!(
        line.contains(": 3 folders of training runs or their logs ("),
        "{line}"
    );
    for name in ["cat/run", "logs", "runs"] {
        assert!(
            line.contains(&path.join(name).display().to_string()),
            "{line}"
        );
    }
    // With a picture they may be a class.
    fs::copy(path.join("cat/000.png"), path.join("runs/curve.png")).unwrap();
    let output = train(path, &["--dataset", "folder:."]);
    fails(
        &output,
        1,
        &["holds training runs or their logs, and 1 picture"],
    );
    // An empty folder is neither a class nor a run.
    fs::remove_dir_all(path.join("runs")).unwrap();
    fs::create_dir(path.join("runs")).unwrap();
    let (_, said) = trained(path, &["--dataset", "folder:."]);
    assert!(
        said.contains("skipped") && said.contains("1 empty folder ("),
        "{said}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn names_of_classes_are_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(path, &[CAT, DOG], 10);
    model(path, 2);
    fs::rename(path.join("cat"), path.join(OsStr::from_bytes(b"caf\xe9"))).unwrap();
    let output = train(path, &["--dataset", "folder:."]);
    fails(&output, 1, &["the name of a class is not UTF-8"]);
}

#[test]
fn one_error_lists_all_unreadable_pictures() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    pictures(&path.join("d"), &[CAT, DOG], 20);
    model(path, 2);
    for i in [1, 5, 9, 11, 12, 13] {
        for class in ["cat", "dog"] {
            fs::write(path.join(format!("d/{class}/{i:03}.png")), "").unwrap();
        }
    }
    let args = ["--dataset", "folder:d", "--verbose", "0"];
    let output = train(path, &args);
    only_says(&output, 1, "d cannot be read: ");
    // Including the test pictures, which are read later.
    fails(
        &output,
        1,
        &[
            "12 of 40 pictures in",
            "and 2 more; fix, remove or skip them",
            "--skip-unreadable",
        ],
    );
    let named = text(&output.stderr).matches(".png: ").count();
    assert_eq!(named, 10);
    let (lines, said) = trained(
        path,
        &[&args[..], &["--skip-unreadable", "--out", "r"]].concat(),
    );
    assert_eq!(lines.last().unwrap()["train_images"], 22);
    assert!(said.contains("warning: skipped: 12 of 40"), "{said}");
    assert!(said.contains("and 2 more\n"), "{said}");
    let (scores, _) = evaluated(path, &["r"]);
    assert_eq!(scores["images"], 6);
    // A stream can drop them first, so that it does not fail on them.
    let mut opened = ImageFolder::open(&path.join("d"), Some([4, 4, 1])).unwrap();
    assert_eq!(opened.retain_readable().len(), 12);
    assert_eq!(opened.load().unwrap().len(), 28);
}
