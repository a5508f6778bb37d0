//! Finding, downloading and checking MNIST, with a small server on loopback and a tiny data set.
#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, in helpers as well"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use cnn_gpu::data::{
    Content, DataError, DatasetSpec, Event, Hashed, Mirrors, MnistFile, Published, Sources, Splits,
    load_from,
};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// How the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// The file.
    Whole,
    /// The file, decompressed on the way.
    Unpacked,
    /// Half of the file, then it closes the connection.
    Half,
    /// Half of the file, then nothing more.
    Stall,
    /// Nothing at all.
    Mute,
    /// Other bytes, correctly compressed.
    Wrong,
    /// An HTML page, like the login page of a hotel network.
    Page,
    /// Endless bytes.
    Endless,
    /// No such file.
    NotFound,
}

/// A server and the names requested from it.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/mnist/", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = Arc::clone(&log);
                // The client may close the connection at any time, so errors are ignored.
                thread::spawn(move || drop(serve(stream, answer, &log)));
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn serve(mut stream: TcpStream, answer: Answer, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let name = read_request(&stream)?;
    log.lock().unwrap().push(name.clone());
    let raw = contents(name.trim_end_matches(".gz"));
    let packed = gzip(&raw);
    let half = &packed[..packed.len() / 2];
    match answer {
        Answer::Whole => respond(&mut stream, 200, packed.len(), &packed),
        Answer::Unpacked => respond(&mut stream, 200, raw.len(), &raw),
        Answer::Half => respond(&mut stream, 200, packed.len(), half),
        Answer::Wrong => {
            let wrong = gzip(&raw.iter().map(|byte| byte ^ 1).collect::<Vec<_>>());
            respond(&mut stream, 200, wrong.len(), &wrong)
        }
        Answer::Page => respond(&mut stream, 200, 6, b"<html>"),
        Answer::NotFound => respond(&mut stream, 404, 0, b""),
        Answer::Endless => {
            respond(&mut stream, 200, 1 << 40, b"")?;
            loop {
                stream.write_all(&[0; 1024])?;
            }
        }
        Answer::Stall => {
            respond(&mut stream, 200, packed.len(), half)?;
            wait_for_hang_up(&mut stream)
        }
        Answer::Mute => wait_for_hang_up(&mut stream),
    }
}

/// The name of the requested file.
fn read_request(stream: &TcpStream) -> std::io::Result<String> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or(Ok(String::new()))?;
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let path = first.split(' ').nth(1).unwrap_or_default();
    Ok(path.rsplit('/').next().unwrap_or_default().into())
}

fn respond(stream: &mut TcpStream, status: u16, length: usize, body: &[u8]) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(body)
}

fn wait_for_hang_up(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.read(&mut [0]).map(drop)
}

/// The four files of a tiny data set: name, content, samples.
const FILES: [(&str, Content, usize); 4] = [
    ("train-images-idx3-ubyte", Content::Images, 3),
    ("train-labels-idx1-ubyte", Content::Labels, 3),
    ("t10k-images-idx3-ubyte", Content::Images, 2),
    ("t10k-labels-idx1-ubyte", Content::Labels, 2),
];

/// The decompressed bytes of a file.
fn contents(name: &str) -> Vec<u8> {
    match FILES.iter().find(|file| file.0 == name) {
        Some((_, Content::Images, n)) => {
            let pixels: Vec<u8> = (0..n * 784).map(|i| (i * 7 % 251) as u8).collect();
            idx(&[*n, 28, 28], &pixels)
        }
        Some((_, Content::Labels, n)) => {
            idx(&[*n], &(0..*n).map(|i| i as u8 * 3).collect::<Vec<_>>())
        }
        None => Vec::new(),
    }
}

fn idx(dims: &[usize], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    for &dim in dims {
        bytes.extend((dim as u32).to_be_bytes());
    }
    bytes.extend(data);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Sources without user folders: a cache folder and mirrors.
fn sources(cache: &Path, urls: &[&str]) -> Sources {
    let mut sources = Sources::of(Published::Mnist, None);
    sources.variable = None;
    sources.cache = Some(cache.into());
    sources.mirrors = Mirrors::default();
    sources.mirrors.urls = urls.iter().map(|url| url.to_string()).collect();
    sources.mirrors.idle_timeout = Duration::from_secs(1);
    sources.mirrors.use_proxy = false;
    sources.files = FILES.map(|(name, content, samples)| MnistFile {
        name: name.into(),
        content,
        samples,
        sha256: sha256(&contents(name)),
        hashed: Hashed::Unpacked,
    });
    sources
}

/// Writes all four files to a folder, compressed or not.
fn fill(folder: &Path, packed: bool) {
    for (name, ..) in FILES {
        if packed {
            fs::write(folder.join(format!("{name}.gz")), gzip(&contents(name))).unwrap()
        } else {
            fs::write(folder.join(name), contents(name)).unwrap()
        }
    }
}

/// Loads the data set. Returns the events too.
fn load(spec: DatasetSpec, sources: &Sources) -> (Result<Splits, DataError>, Vec<Event>) {
    let mut events = Vec::new();
    let result = load_from(spec, sources, &mut |event| events.push(event.clone()));
    (result, events)
}

/// An address without a server.
fn dead_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn assert_is_the_tiny_set(splits: &Splits) {
    assert_eq!((splits.train.len(), splits.test.len()), (3, 2));
    assert_eq!(splits.train.shape(), [28, 28, 1]);
    assert_eq!(splits.train.labels(), [0, 3, 6]);
    assert_eq!(
        splits.test.images(),
        &contents("t10k-images-idx3-ubyte")[16..]
    );
}

fn assert_is_one_line(error: &DataError) {
    let message = error.to_string();
    assert!(!message.contains('\n'), "{message}");
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

        // The cached files are found again, without a server.
        let (again, events) = load(DatasetSpec::Mnist, &sources(&cache, &[]));
        assert_is_the_tiny_set(&again.unwrap());
        assert_eq!(events, []);
    }
}

#[test]
fn takes_the_second_mirror_when_the_first_fails() {
    use Answer::*;
    // Unreachable mirrors are tried once; those with missing or wrong files are tried for each
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
fn takes_the_second_mirror_when_the_first_is_unreachable() {
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
            matches!(result, Err(DataError::Unavailable { .. })),
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
fn names_every_address_when_mnist_cannot_be_found() {
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
        "a machine without a network is left as it was"
    );
}

#[test]
fn falls_back_to_the_digits_with_a_message() {
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
fn a_cache_folder_that_cannot_be_created_is_reported() {
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
        // The digits do not replace a named data set.
        let result = load(DatasetSpec::Auto, &sources).0;
        assert!(matches!(result, Err(DataError::GivenFolder { .. })));
    }
}

#[test]
fn the_folder_in_the_environment_need_not_have_every_set() {
    let (home, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fill(cache.path(), true);
    let mut sources = sources(cache.path(), &[]);
    sources.which = Published::FashionMnist;
    sources.variable = Some(home.path().into());
    let (result, events) = load(DatasetSpec::FashionMnist, &sources);
    assert_eq!(result.unwrap().train.name, "fashion-mnist");
    assert!(matches!(events[..], [Event::Rejected { .. }]), "{events:?}");
    // A missing folder is an error for every set, and so is a sub-folder without the files.
    fs::create_dir(home.path().join("fashion-mnist")).unwrap();
    for folder in [home.path().into(), home.path().join("nowhere")] {
        sources.variable = Some(folder);
        let result = load(DatasetSpec::FashionMnist, &sources).0;
        assert!(matches!(result, Err(DataError::GivenFolder { .. })));
    }
}

#[test]
fn reads_a_folder_with_any_spelling_of_the_names() {
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

/// The error of a folder whose file `index` has these `bytes`, with their hash expected or not.
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
fn states_what_is_wrong_with_a_file() {
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
fn survives_every_truncation_of_a_compressed_file() {
    let packed = gzip(&contents(FILES[1].0));
    for length in 2..packed.len() {
        let error = error_of(1, &packed[..length], false);
        assert!(matches!(error, DataError::Gzip { .. }), "{length}: {error}");
    }
}

#[test]
fn decompresses_no_more_than_the_file_should_contain() {
    let bomb = gzip(&vec![0; 5_000_000]);
    // Compressed, the zeros take about 5 kB: more than a file of labels may have, less than one of
    // images.
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
