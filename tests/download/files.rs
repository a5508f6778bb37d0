//! Folders named by the user, and damaged files.

use std::fs;

use cnn_gpu::data::{DataError, DatasetSpec, Event, Published};
use tempfile::TempDir;

use super::{
    FILES, assert_is_one_line, assert_is_the_tiny_set, contents, fill, gzip, idx, load, names_in,
    sha256, sources,
};

#[test]
fn insists_on_a_folder_named_by_the_user() {
    let (empty, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fill(cache.path(), true);
    let mut sources = sources(cache.path(), &[]);
    for by_argument in [true, false] {
        let folder = Some(empty.path().to_path_buf());
        (sources.argument, sources.variable) = if by_argument {
            (folder, None)
        } else {
            (None, folder)
        };
        let error = load(DatasetSpec::Mnist, &sources).0.unwrap_err();
        assert!(
            matches!(&error, DataError::GivenFolder { source, .. } if matches!(**source, DataError::Missing { .. })),
            "{error}"
        );
        assert_is_one_line(&error);
        // There is no fallback to the built-in digits, either.
        let result = load(DatasetSpec::Auto, &sources).0;
        assert!(matches!(result, Err(DataError::GivenFolder { .. })));
    }
}

#[test]
fn the_environments_folder_need_not_hold_every_set() {
    let (home, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fill(cache.path(), true);
    let mut sources = sources(cache.path(), &[]);
    sources.which = Published::FashionMnist;
    sources.variable = Some(home.path().into());
    let (result, events) = load(DatasetSpec::FashionMnist, &sources);
    assert_eq!(result.unwrap().train.name, "fashion-mnist");
    assert!(matches!(events[..], [Event::Rejected { .. }]), "{events:?}");
    // A missing folder is an error for every data set, and so is a sub-folder without the files.
    fs::create_dir(home.path().join("fashion-mnist")).unwrap();
    for folder in [home.path().into(), home.path().join("nowhere")] {
        sources.variable = Some(folder);
        let result = load(DatasetSpec::FashionMnist, &sources).0;
        assert!(matches!(result, Err(DataError::GivenFolder { .. })));
    }
}

#[test]
fn reads_a_folder_in_every_spelling() {
    for packed in [true, false] {
        for dotted in [true, false] {
            let folder = TempDir::new().unwrap();
            fill(folder.path(), packed);
            if dotted {
                for name in names_in(folder.path()) {
                    let other = folder.path().join(name.replace("-idx", ".idx"));
                    fs::rename(folder.path().join(name), other).unwrap();
                }
            }
            let mut sources = sources(&folder.path().join("cache"), &[]);
            sources.argument = Some(folder.path().into());
            let splits = load(DatasetSpec::Mnist, &sources).0.unwrap();
            assert_is_the_tiny_set(&splits);
            assert_eq!(splits.test.source, folder.path().display().to_string());
        }
    }
}

/// The error for a folder whose file `index` holds `bytes`, which may have the expected hash.
fn error_of(index: usize, bytes: &[u8], hash_agrees: bool) -> DataError {
    let folder = TempDir::new().unwrap();
    fill(folder.path(), false);
    fs::write(folder.path().join(FILES[index].0), bytes).unwrap();
    let mut sources = sources(&folder.path().join("cache"), &[]);
    if hash_agrees {
        sources.files[index].sha256 = sha256(bytes);
    }
    sources.argument = Some(folder.path().into());
    match load(DatasetSpec::Mnist, &sources).0 {
        Err(DataError::GivenFolder { source, .. }) => {
            assert_is_one_line(&source);
            assert!(source.to_string().contains(FILES[index].0), "{source}");
            *source
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_what_is_wrong_with_a_file() {
    let images = contents(FILES[0].0);
    let mut other = images.clone();
    other[100] ^= 1;
    assert!(matches!(error_of(0, &other, false), DataError::Hash { .. }));
    assert!(matches!(error_of(0, b"", false), DataError::Hash { .. }));
    assert!(matches!(
        error_of(0, &images[..99], true),
        DataError::Idx { .. }
    ));
    assert!(matches!(
        error_of(0, &idx(&[3, 28], &[0; 84]), true),
        DataError::Dimensions { .. }
    ));
    assert!(matches!(
        error_of(1, &idx(&[3], &[0, 10, 9]), true),
        DataError::LabelRange {
            index: 1,
            label: 10,
            ..
        }
    ));
}

#[test]
fn survives_every_truncation_of_a_packed_file() {
    let packed = gzip(&contents(FILES[1].0));
    for length in 2..packed.len() {
        let error = error_of(1, &packed[..length], false);
        assert!(matches!(error, DataError::Gzip { .. }), "{length}: {error}");
    }
}

#[test]
fn unpacks_no_more_than_the_file_should_hold() {
    let bomb = gzip(&vec![0; 5_000_000]);
    // Packed, the zeros take about 5 kB: too much for a file of labels, but not for one of images.
    for index in [0, 1] {
        assert!(matches!(
            error_of(index, &bomb, false),
            DataError::TooLong { .. }
        ));
    }
    assert!(matches!(
        error_of(1, &gzip(&[0; 5000]), false),
        DataError::TooLong { .. }
    ));
}
