//! Downloads, the cache and the fallback.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use cnn_gpu::data::{DataError, DatasetSpec, Event};
use tempfile::TempDir;

use super::server::{Answer, Server};
use super::{FILES, assert_is_one_line, assert_is_the_tiny_set, fill, load, names_in, sources};

/// An address that refuses connections.
fn dead_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

#[test]
fn downloads_checks_and_keeps_the_files() {
    for answer in [Answer::Whole, Answer::Unpacked] {
        let home = TempDir::new().unwrap();
        let cache = home.path().join("not/yet/there");
        let server = Server::start(answer);
        let (result, events) = load(DatasetSpec::Mnist, &sources(&cache, &[&server.url]));
        let splits = result.unwrap();
        assert_is_the_tiny_set(&splits);
        assert_eq!(splits.train.source, server.url);
        assert!(
            names_in(&cache)
                .iter()
                .all(|name| name.ends_with("ubyte.gz"))
        );
        assert_eq!(names_in(&cache).len(), 4);
        assert!(events.iter().any(|event| matches!(
            event,
            Event::Progress { received, total: Some(total), .. } if received == total
        )));

        // The stored files are found again without a server.
        let (again, events) = load(DatasetSpec::Mnist, &sources(&cache, &[]));
        assert_is_the_tiny_set(&again.unwrap());
        assert_eq!(events, []);
    }
}

#[test]
fn takes_the_second_mirror_when_the_first_fails() {
    use Answer::*;
    // A mirror that does not respond gets one request; one with missing or wrong files gets one per
    // file.
    let cases = [
        (NotFound, 4),
        (Wrong, 4),
        (Page, 4),
        (Endless, 4),
        (Half, 1),
        (Stall, 1),
        (Mute, 1),
    ];
    for (answer, asked) in cases {
        let cache = TempDir::new().unwrap();
        let (bad, good) = (Server::start(answer), Server::start(Whole));
        let start = Instant::now();
        let (result, events) = load(
            DatasetSpec::Mnist,
            &sources(cache.path(), &[&bad.url, &good.url]),
        );
        assert_is_the_tiny_set(&result.unwrap());
        assert_eq!((bad.asked(), good.asked()), (asked, 4), "{answer:?}");
        let failed = events.iter().filter(
            |event| matches!(event, Event::MirrorFailed { url, .. } if url.starts_with(&bad.url)),
        );
        assert_eq!(failed.count(), asked, "{answer:?}: {events:?}");
        assert_eq!(names_in(cache.path()).len(), 4, "{answer:?}");
        assert!(start.elapsed() < Duration::from_secs(10), "{answer:?}");
    }
}

#[test]
fn takes_the_second_mirror_when_the_first_refuses_connections() {
    let cache = TempDir::new().unwrap();
    let good = Server::start(Answer::Whole);
    let (result, events) = load(
        DatasetSpec::Mnist,
        &sources(cache.path(), &[&dead_url(), &good.url]),
    );
    assert_is_the_tiny_set(&result.unwrap());
    let failed = events
        .iter()
        .filter(|event| matches!(event, Event::MirrorFailed { .. }));
    assert_eq!(failed.count(), 1);
}

#[test]
fn leaves_no_broken_file_behind() {
    for answer in [Answer::Half, Answer::Wrong, Answer::Page, Answer::Endless] {
        let cache = TempDir::new().unwrap();
        let partial = cache.path().join("train-images-idx3-ubyte.gz.partial");
        fs::write(partial, "left by a run that was killed").unwrap();
        let server = Server::start(answer);
        let (result, _) = load(DatasetSpec::Mnist, &sources(cache.path(), &[&server.url]));
        assert!(
            matches!(
                result,
                Err(DataError::Unavailable {
                    source: Some(_),
                    ..
                })
            ),
            "{answer:?}"
        );
        assert_eq!(names_in(cache.path()), [""; 0], "{answer:?}");
    }
}

#[test]
fn downloads_only_what_is_missing_or_broken() {
    let cache = TempDir::new().unwrap();
    fill(cache.path(), false);
    fs::remove_file(cache.path().join(FILES[1].0)).unwrap();
    fs::write(cache.path().join(FILES[2].0), "broken").unwrap();
    let server = Server::start(Answer::Whole);
    let (result, events) = load(DatasetSpec::Mnist, &sources(cache.path(), &[&server.url]));
    assert_is_the_tiny_set(&result.unwrap());
    assert_eq!(server.asked(), 2);
    assert!(
        matches!(&events[3..], [Event::Rejected { reason }, ..] if reason.contains(FILES[2].0)),
        "{events:?}"
    );
}

#[test]
fn lists_every_address_when_mnist_is_not_found() {
    let home = TempDir::new().unwrap();
    let cache = home.path().join("cache");
    let urls = [dead_url(), dead_url()];
    let (result, _) = load(DatasetSpec::Mnist, &sources(&cache, &[&urls[0], &urls[1]]));
    let error = result.unwrap_err();
    assert_is_one_line(&error);
    let message = error.to_string();
    for part in [
        &urls[0][..],
        &urls[1],
        FILES[3].0,
        "CNN_GPU_DATA_DIR",
        &cache.display().to_string(),
    ] {
        assert!(message.contains(part), "{message} lacks {part}");
    }
    assert!(
        !cache.exists(),
        "a machine without a network is left unchanged"
    );
}

#[test]
fn falls_back_to_the_digits_and_says_so() {
    let home = TempDir::new().unwrap();
    let sources = sources(&home.path().join("cache"), &[&dead_url()]);
    let (result, events) = load(DatasetSpec::Auto, &sources);
    let splits = result.unwrap();
    assert_eq!((splits.train.len(), splits.test.len()), (60_000, 10_000));
    assert_eq!(
        (&splits.train.name[..], &splits.train.source[..]),
        ("digits", "built in")
    );
    let Some(Event::FellBack { reason }) = events.last() else {
        panic!("{events:?}");
    };
    assert!(reason.contains("http://127.0.0.1"), "{reason}");
}

#[test]
fn a_cache_folder_that_cannot_be_created_is_an_error() {
    let home = TempDir::new().unwrap();
    fs::write(home.path().join("file"), "").unwrap();
    let server = Server::start(Answer::Whole);
    let sources = sources(&home.path().join("file/cache"), &[&server.url]);
    let (result, _) = load(DatasetSpec::Mnist, &sources);
    assert!(matches!(result.unwrap_err(), DataError::Write { .. }));
    let (result, events) = load(DatasetSpec::Auto, &sources);
    assert_eq!(result.unwrap().train.name, "digits");
    let Some(Event::FellBack { reason }) = events.last() else {
        panic!("{events:?}");
    };
    assert!(reason.contains("file/cache"), "{reason}");
}
