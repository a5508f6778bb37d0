//! Files that declare or contain far more than their size, and large valid files.

use std::io::Write;

use flate2::{Compression, Crc, write::ZlibEncoder};
use zip::CompressionMethod;

use cnn_gpu::interchange::{self, ImportOptions, Network, keras, onnx, torch};
use cnn_gpu::model::{Activation, Conv2D, Dense, Flatten, Sequential};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::rng::{Key, Stream};
use cnn_gpu::run::{ImportedFolder, RunFolder};
use cnn_gpu::state::{Layout, State};

use super::memory::peak_of;
use super::seeds::{archive, gzip, idx, npy, of, weights};
use super::targets::{SMALL, Target};

/// More than any limit that does not depend on the file.
const HUGE: usize = 64 << 20;

/// Feeds a target. Returns its message and the memory it took.
fn fed(target: &str, bytes: &[u8]) -> (String, usize) {
    let (outcome, peak) = Target::named(target).check(bytes);
    (outcome.err().unwrap_or_default(), peak)
}

/// Asserts that a file is refused with these words, with hardly more memory than twice the file.
#[track_caller]
fn assert_defused(target: &str, bytes: &[u8], words: &str) {
    let (message, peak) = fed(target, bytes);
    assert!(message.contains(words), "{target}: {message:?}");
    let allowed = 2 * bytes.len() + SMALL;
    assert!(peak <= allowed, "{target}: {peak} bytes, {allowed} allowed");
}

fn noise(n: usize) -> Vec<u8> {
    let key = Key::new(3).stream(Stream::Check, 0);
    (0..n as u32).map(|i| key.bits(i) as u8).collect()
}

#[test]
fn gzip_is_decompressed_no_further_than_its_header_declares() {
    let bomb = gzip(&idx(&[3], &vec![0; HUGE]));
    assert!(bomb.len() < HUGE / 900);
    assert_defused("gzip", &bomb, "too long: expected 23 bytes");
    let empty = gzip(&idx(&[u32::MAX, 3], &[]));
    assert_defused("gzip", &empty, "more than its");
}

#[test]
fn an_array_is_decompressed_no_further_than_its_archive_declares() {
    let array = npy("|u1", "(2, 2, 3)", &[5; 12]);
    let promised = (array.len() as u32).to_le_bytes();
    let bomb = [array, vec![0; HUGE]].concat();
    let held = (bomb.len() as u32).to_le_bytes();
    let mut bytes = archive(CompressionMethod::Deflated, &[("x_train", bomb)]);
    let places: Vec<_> = (0..bytes.len() - 3)
        .filter(|&i| bytes[i..i + 4] == held)
        .collect();
    assert_eq!(
        places.len(),
        2,
        "the size stands before the array and in the directory"
    );
    for place in places {
        bytes[place..place + 4].copy_from_slice(&promised);
    }
    assert_defused("npz", &bytes, "x_train: cannot be unpacked");
}

/// A chunk of a PNG file.
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind, data].concat();
    let mut crc = Crc::new();
    crc.update(&body);
    let length = (data.len() as u32).to_be_bytes();
    [&length[..], &body, &crc.sum().to_be_bytes()].concat()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A PNG file of grey pixels with this many bits, preceded by these chunks.
fn png([width, height]: [u32; 2], bits: u8, more: &[u8], raw: &[u8]) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([bits, 0, 0, 0, 0]);
    [
        b"\x89PNG\r\n\x1a\n",
        &chunk(b"IHDR", &header)[..],
        more,
        &chunk(b"IDAT", &deflated(raw)),
        &chunk(b"IEND", &[]),
    ]
    .concat()
}

#[test]
fn a_picture_is_no_larger_than_its_bytes_can_hold() {
    let cannot = "more than its bytes can hold";
    assert_defused("picture", &png([11_000, 11_000], 8, &[], &[0; 50]), cannot);
    assert_defused(
        "picture",
        &png([1 << 31, 1 << 31], 8, &[], &[]),
        "at most 2^27",
    );
    assert_defused(
        "picture",
        &png([1 << 20, 1 << 20], 1, &[], &[]),
        "at most 2^27",
    );
    // Resized to a model's height it would take gigabytes, although the file is small.
    let wide = png([1 << 27, 1], 1, &[], &vec![0; (1 << 24) + 1]);
    assert_defused("picture", &wide, "65535 a side");
    let (_, mut jpeg) = of("picture")
        .into_iter()
        .find(|(name, _)| name == "rgb.jpg")
        .unwrap();
    let frame = jpeg
        .windows(2)
        .position(|marker| marker == [0xff, 0xc0])
        .unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x2b; 4]);
    assert_defused("picture", &jpeg, cannot);
}

/// A WebP file of 9x7 pixels like the seed, from its chunks (name and contents) and the declared
/// length of the last one.
fn webp(flags: u8, parts: &[(&[u8; 4], &[u8])], claimed: Option<u32>) -> Vec<u8> {
    let mut body = b"WEBP".to_vec();
    let canvas = [flags, 0, 0, 0, 8, 0, 0, 6, 0, 0];
    let all = [(b"VP8X", &canvas[..])]
        .into_iter()
        .chain(parts.iter().copied());
    let last = parts.len();
    for (i, (name, contents)) in all.enumerate() {
        let length = contents.len() as u32;
        let length = claimed.filter(|_| i == last).unwrap_or(length);
        body.extend(name);
        body.extend(length.to_le_bytes());
        body.extend(contents);
        body.resize(body.len().next_multiple_of(2), 0);
    }
    let length = claimed.unwrap_or(0).max(body.len() as u32);
    [b"RIFF", &length.to_le_bytes()[..], &body].concat()
}

#[test]
fn a_chunk_of_a_webp_file_takes_no_more_memory_than_the_file() {
    let (_, whole) = of("picture")
        .into_iter()
        .find(|(name, _)| name == "rgb.webp")
        .unwrap();
    // The seed's pixels follow RIFF, a length, WEBP, VP8L and a length.
    let pixels = &whole[20..];
    let promised = webp(8, &[(b"VP8L", pixels), (b"EXIF", b"II")], Some(1 << 30));
    assert_defused("picture", &promised, "emory limit");
    let honest = webp(8, &[(b"VP8L", pixels), (b"EXIF", b"II")], None);
    assert_eq!(fed("picture", &honest).0, "");
    // A key frame of 16,383 pixels a side, on a canvas of 9x7.
    let frame = [
        &[0x10, 0, 0, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f][..],
        &[0; 60],
    ]
    .concat();
    let large = webp(0, &[(b"VP8 ", &frame)], None);
    assert_defused("picture", &large, "frames is larger than the picture");
}

#[test]
fn a_screen_of_a_gif_is_no_larger_than_a_picture() {
    let gif = [&b"GIF89a"[..], &[0xff; 4], &[0; 20]].concat();
    assert_defused("picture", &gif, "at most 2^27");
}

#[test]
fn metadata_of_a_picture_is_decompressed_only_up_to_a_limit() {
    let profile = [b"bomb\0\0", &deflated(&vec![0; HUGE])[..]].concat();
    let small = png([1, 1], 8, &chunk(b"iCCP", &profile), &[0, 7]);
    let (message, peak) = fed("picture", &small);
    assert_eq!(message, "");
    assert!(peak <= 3 * small.len() + SMALL, "{peak}");
    let (message, peak) = fed("picture", &png([1, 1], 8, &[], &vec![0; HUGE]));
    assert_eq!(message, "");
    assert!(peak <= 2 * small.len() + SMALL, "{peak}");
}

#[test]
fn a_large_blank_page_of_one_bit_per_pixel_is_a_picture() {
    let page = png([8_000, 6_000], 1, &[], &vec![255; 6_000 * 1_001]);
    assert!(page.len() < 10_000, "{}", page.len());
    // The first bytes of the rows are not filters.
    assert!(fed("picture", &page).0.contains("damaged picture"));
    let rows: Vec<u8> = std::iter::repeat_n([&[0][..], &[255; 1_000]].concat(), 6_000)
        .flatten()
        .collect();
    assert_eq!(fed("picture", &png([8_000, 6_000], 1, &[], &rows)).0, "");
}

/// The header of a safetensors file, without data.
fn safetensors(metadata: &[(&str, &str)]) -> Vec<u8> {
    let metadata: std::collections::BTreeMap<_, _> = metadata.iter().copied().collect();
    let header = serde_json::json!({ "__metadata__": metadata }).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
}

/// A model with 2^29 weights.
fn vast() -> Sequential {
    Sequential::new([1, 1, 1])
        .add(Flatten::new())
        .add(Dense::new(1 << 28))
}

#[test]
fn weights_that_a_file_lacks_take_no_memory() {
    for target in ["weights", "checkpoint"] {
        for length in [(16 << 20) + 1, u64::MAX] {
            let bytes = [&length.to_le_bytes()[..], b"{}"].concat();
            assert_defused(target, &bytes, "length of the header");
        }
    }
    let header = format!(
        "version = '1'\nstep = 0\nweights_hash = ''\n[model]\n{}",
        vast().to_toml()
    );
    let header = header.replace("[[layers]]", "[[model.layers]]");
    let bytes = safetensors(&[("cnn_gpu", &header)]);
    assert_defused("weights", &bytes, "lacks the weights `dense/kernel`");
}

#[test]
fn a_huge_model_is_planned_without_memory_for_its_tensors() {
    let (message, peak) = fed("model", vast().to_toml().as_bytes());
    assert!(message.contains("softmax"), "{message}");
    assert!(peak < SMALL, "{peak}");
}

/// Texts with as many memory-consuming elements per character as possible. The targets check the
/// memory.
#[test]
fn dense_text_stays_within_the_memory_limit() {
    let layers = "[[layers]]\ntype='Flatten'\n".repeat(10_000);
    let model = format!(
        "input_shape = [1, 1, 1]\n{layers}[[layers]]\ntype='Dense'\nunits=2\nactivation='softmax'"
    );
    assert_eq!(fed("model", model.as_bytes()).0, "");
    assert!(
        fed("model", "a=[".repeat(50_000).as_bytes())
            .0
            .contains("line 1")
    );
    let config = String::from_utf8(of("config").remove(0).1).unwrap();
    let names = format!("class_names = [{}]\nchoice", "'',".repeat(100_000));
    assert_eq!(
        fed("config", config.replacen("choice", &names, 1).as_bytes()).0,
        ""
    );
    let tensor = |i| format!("\"{i}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}");
    let tensors: Vec<String> = (0..10_000).map(tensor).collect();
    let dims = format!(
        "\"a\":{{\"dtype\":\"F32\",\"shape\":[{}0],\"data_offsets\":[0,0]}}",
        "1,".repeat(200_000)
    );
    for text in [tensors.join(","), dims] {
        let header = format!("{{{text}}}");
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
        assert!(fed("weights", &bytes).0.contains("contains no model"));
    }
}

#[test]
fn a_text_longer_than_any_model_is_not_read() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("net.toml");
    std::fs::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
    let (read, peak) = peak_of(|| Sequential::from_file(&path));
    let message = read.unwrap_err().to_string();
    assert!(message.contains("longer than 1 MiB"), "{message}");
    assert!(peak < 4 << 20, "{peak}");
}

#[test]
fn an_archive_of_many_files_takes_little_memory() {
    let names: Vec<String> = (0..20_000).map(|i| i.to_string()).collect();
    let files: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (name.as_str(), vec![])).collect();
    let bytes = archive(CompressionMethod::Stored, &files);
    let (message, peak) = fed("npz", &bytes);
    assert!(message.contains("x_train"), "{message}");
    assert!(peak < 8 * bytes.len(), "{peak} for {}", bytes.len());
}

/// Files so large that an extra copy is noticeable.
#[test]
fn large_files_take_twice_their_size() {
    let n: u32 = 8 << 20;
    let pixels = noise(n as usize);
    let array = npy("|u1", &format!("({n}, 1, 1)"), &pixels);
    let labels = npy("|u1", &format!("({n},)"), &vec![3; n as usize]);
    let one = |name| {
        (
            name,
            npy(
                "|u1",
                if name == "x_test" {
                    "(1, 1, 1)"
                } else {
                    "(1,)"
                },
                &[1],
            ),
        )
    };
    let arrays = [
        ("x_train", array),
        ("y_train", labels),
        one("x_test"),
        one("y_test"),
    ];
    let records = noise(2000 * 3073)
        .chunks(3073)
        .flat_map(|r| [&[3], &r[1..]].concat())
        .collect();
    let head = Dense::new(1000).activation(Activation::Softmax);
    let model = Sequential::new([40, 50, 1]).add(Flatten::new()).add(head);
    let files: [(&str, Vec<u8>); 5] = [
        ("weights", weights(&model)),
        ("idx", idx(&[n], &pixels)),
        ("gzip", idx(&[n], &pixels)),
        ("npz", archive(CompressionMethod::Stored, &arrays)),
        ("cifar10", records),
    ];
    for (target, bytes) in files {
        let (message, peak) = fed(target, &bytes);
        assert_eq!(message, "", "{target}");
        assert!(
            peak <= 2 * bytes.len() + SMALL,
            "{target}: {peak} for {}",
            bytes.len()
        );
    }
}

/// As the program imports it: weights and moments are read where they lie, and written in pieces.
#[test]
fn importing_a_large_keras_file_takes_little_more_than_its_size() {
    let head = Dense::new(1000).activation(Activation::Softmax);
    let model = Sequential::new([50, 50, 1]).add(Flatten::new()).add(head);
    let mut state = State::new(Layout::new(&model).unwrap(), 1);
    for with_moments in [false, true] {
        if with_moments {
            (state.m, state.v) = (state.params.clone(), state.params.clone());
        }
        let network = Network::new(model.clone(), state.clone()).optimizer(Optimizer::adam());
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("net.keras");
        let bytes = keras::to_bytes(&network).unwrap().bytes;
        std::fs::write(&path, &bytes).unwrap();
        let imported = || {
            let import = interchange::read(&path, &ImportOptions::default())?;
            let record = interchange::record(&path, &import, "today")?;
            let out = RunFolder::create(&folder.path().join("net"))?;
            let network = &import.network;
            ImportedFolder::write(&out, &record, &network.model, &network.state).map(|_| ())
        };
        let (done, peak) = peak_of(imported);
        done.unwrap();
        assert!(peak < bytes.len() * 11 / 10, "{peak} for {}", bytes.len());
    }
}

#[test]
fn exchanging_a_large_network_takes_little_more_memory_than_its_files() {
    let model = Sequential::new([40, 40, 2])
        .add(Conv2D::new(128, 20))
        .add(Flatten::new())
        .add(Dense::new(40).activation(Activation::Softmax));
    let state = State::new(Layout::new(&model).unwrap(), 1);
    let params = state.params.clone();
    let network = Network::new(model, state);
    let (export, peak) = peak_of(|| torch::export(&network).unwrap());
    // The largest tensor, and the file.
    let size = export.weights.len();
    assert!(peak < size * 21 / 10, "{peak} for {size}");
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("net.onnx");
    for channels_first in [false, true] {
        let options = onnx::Options::default().channels_first(channels_first);
        let (bytes, peak) = peak_of(|| onnx::to_bytes(&network, &options).unwrap().bytes);
        // The tensors, and the file.
        assert!(peak < bytes.len() * 21 / 10, "{peak} for {}", bytes.len());
        std::fs::write(&path, &bytes).unwrap();
        let (import, peak) = peak_of(|| onnx::read(&path).unwrap());
        assert!(import.network.state.params == params);
        assert!(peak < bytes.len() * 12 / 10, "{peak} for {}", bytes.len());
    }
}

/// A message as a field of another.
fn field(number: u8, message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = message.len();
    while length > 127 {
        bytes.push(length as u8 | 128);
        length >>= 7;
    }
    bytes.push(length as u8);
    [&bytes, message].concat()
}

/// An ONNX model of empty messages, which take two bytes each.
#[test]
fn empty_messages_of_onnx_stay_within_the_memory_limit() {
    let count = 1 << 18;
    let empty = |number| field(number, &[]).repeat(count);
    // Nodes, initializers, inputs, dimensions of an input, attributes of a node.
    let dims = field(11, &field(2, &field(1, &field(2, &empty(1)))));
    let graphs = [empty(1), empty(5), empty(11), dims, field(1, &empty(5))];
    for graph in graphs {
        let opset = field(8, &[16, 17]);
        let bytes = [&[8, 8][..], &opset, &field(7, &graph)].concat();
        // Fails if reading takes more memory than the target allows.
        fed("onnx", &bytes);
    }
}
