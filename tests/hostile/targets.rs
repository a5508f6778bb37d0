//! The targets of hostile bytes: one function per format, which the regression test runs on the
//! corpora in this folder, and the fuzz targets in `fuzz/` on generated inputs. Each function
//! processes a file as the program does, up to the point where it would need a device. No input may
//! cause a panic, an error of several lines, or more memory than [`Target::allowed`].

use std::fs;
use std::io::Cursor;
use std::path::Path;

use cnn_gpu::data::picture::BYTES_PER_PIXEL;
use cnn_gpu::data::{Dataset, Picture, cifar10, idx, idx_folder, npz, prepare};
use cnn_gpu::interchange::{Import, keras, onnx, torch};
use cnn_gpu::model::{Activation, Conv2D, Dense, Flatten, MaxPooling2D, Sequential};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::plan::{Plan, Purpose};
use cnn_gpu::run::checkpoint::Checkpoint;
use cnn_gpu::run::{Config, ImportRecord, moments, weights};
use cnn_gpu::state::{Layout, State};
use cnn_gpu::train::Metric;
use cnn_gpu::train::callbacks::{Callback, EarlyStopping, ReduceLROnPlateau, restore};

use exr::meta::header::Header;
use image::codecs::tga::TgaDecoder;
use image::{ImageDecoder, ImageFormat, ImageReader};
use image_webp::WebPDecoder;

use crate::memory::peak_of;

/// A file format.
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    read: fn(&[u8]) -> Result<(), String>,
    /// The memory limit for a file with these contents, the file included.
    allowed: fn(&[u8]) -> usize,
}

/// All formats.
pub const TARGETS: [Target; 14] = [
    target("idx", idx, plain),
    target("gzip", gzip, packed),
    target("npz", npz, packed),
    target("cifar10", cifar10, plain),
    target("picture", picture, pixels),
    target("weights", weights, tensors),
    target("checkpoint", checkpoint, tensors),
    target("model", model, text),
    target("config", config, text),
    target("keras", keras, network),
    target("moments", moments, tensors),
    target("import", import, text),
    target("onnx", onnx, graph),
    target("torch", torch, pickle),
];

const fn target(
    name: &'static str,
    read: fn(&[u8]) -> Result<(), String>,
    allowed: fn(&[u8]) -> usize,
) -> Target {
    Target {
        name,
        read,
        allowed,
    }
}

impl Target {
    /// The target of this name.
    ///
    /// # Panics
    /// There is no such target.
    pub fn named(name: &str) -> &'static Self {
        let found = TARGETS.iter().find(|target| target.name == name);
        found.unwrap_or_else(|| panic!("no target `{name}`"))
    }

    /// Reads hostile bytes. Returns their error, if any, and the memory that it took.
    ///
    /// # Panics
    /// The bytes cause what no input may cause.
    pub fn check(&self, bytes: &[u8]) -> (Result<(), String>, usize) {
        let (outcome, peak) = peak_of(|| (self.read)(bytes));
        let allowed = (self.allowed)(bytes);
        assert!(
            peak <= allowed,
            "{}: {} bytes took {peak} bytes of memory, more than {allowed}",
            self.name,
            bytes.len()
        );
        if let Err(message) = &outcome {
            let one_line = !message.is_empty() && !message.contains(char::is_control);
            assert!(one_line, "{}: {message:?} is not one line", self.name);
        }
        (outcome, peak)
    }
}

/// For names, messages, and the fixed memory of decoders.
pub const SMALL: usize = 1 << 20;
/// The maximum expansion of Deflate.
const MAX_UNPACKED: usize = 1100;
/// The maximum expansion of packed weights.
const MAX_EXPANSION: usize = 100;
/// For the block of an OpenEXR file that is decompressed.
const OPEN_EXR_BUFFERS: usize = 32;
/// For the elements of lists and tables, and for the operations of a plan.
const PER_CHARACTER: usize = 128;

/// Twice the file: its bytes, and the parsed data.
fn plain(bytes: &[u8]) -> usize {
    2 * bytes.len() + SMALL
}

/// The file and its declared size, as far as the file can hold it.
fn packed(bytes: &[u8]) -> usize {
    plain(bytes) + MAX_UNPACKED * bytes.len()
}

/// The file, the arrays in it, and the header's text.
fn tensors(bytes: &[u8]) -> usize {
    let header = bytes
        .first_chunk()
        .map_or(0, |n| u64::from_le_bytes(*n) as usize);
    plain(bytes) + PER_CHARACTER * header.min(bytes.len())
}

/// The file, its texts, the weights, as far as the file can hold them, and what `hdf5-pure` reserves, without writing
/// to it, for the members of a type: as many as the file says, at most 2^16, of 72 bytes.
fn network(bytes: &[u8]) -> usize {
    text(bytes) + MAX_EXPANSION * bytes.len() + (72 << 16)
}

/// The file, its messages, and the weights before and after they are put into this crate's order.
fn graph(bytes: &[u8]) -> usize {
    2 * text(bytes) + 4 * bytes.len()
}

/// The file, its pickle's objects, which take two bytes with their place in the memo, and the weights.
fn pickle(bytes: &[u8]) -> usize {
    2 * text(bytes) + 4 * bytes.len()
}

fn text(bytes: &[u8]) -> usize {
    plain(bytes) + PER_CHARACTER * bytes.len()
}

/// The file, its metadata before and after decompression, and its pixels before and after resizing
/// to a model's height.
fn pixels(bytes: &[u8]) -> usize {
    let pixels = size(bytes).map_or(0, |(w, h)| u64::from(w) * (u64::from(h) + 28));
    plain(bytes) + bytes.len() + (pixels * BYTES_PER_PIXEL) as usize + blocks(bytes)
}

/// The buffers for a block of an OpenEXR file, of all its channels.
fn blocks(bytes: &[u8]) -> usize {
    let blocks = parts(bytes)
        .into_iter()
        .map(|part| part.max_block_byte_size());
    OPEN_EXR_BUFFERS * blocks.max().unwrap_or(0)
}

/// The parts of an OpenEXR file.
fn parts(bytes: &[u8]) -> Vec<Header> {
    if !bytes.starts_with(&[0x76, 0x2f, 0x31, 0x01]) {
        return Vec::new();
    }
    let reader = exr::block::read(Cursor::new(bytes), false);
    reader.map_or(Vec::new(), |reader| reader.headers().to_vec())
}

/// The size that a picture's header declares.
fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let file = || Cursor::new(bytes);
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => {
            let mut decoder = jpeg_decoder::Decoder::new(bytes);
            decoder.read_info().ok()?;
            let info = decoder.info()?;
            Some((info.width.into(), info.height.into()))
        }
        Ok(ImageFormat::OpenExr) => {
            let window = parts(bytes).first()?.shared_attributes.display_window;
            Some((window.size.width() as u32, window.size.height() as u32))
        }
        Ok(ImageFormat::Dds) => {
            let number = |at| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
            Some((number(16)?, number(12)?))
        }
        Ok(ImageFormat::WebP) => Some(WebPDecoder::new(file()).ok()?.dimensions()),
        Ok(format) => ImageReader::with_format(file(), format)
            .into_dimensions()
            .ok(),
        Err(_) => Some(TgaDecoder::new(file()).ok()?.dimensions()),
    }
}

/// A name for messages.
fn path() -> &'static Path {
    Path::new("hostile")
}

fn line<T>(result: Result<T, impl ToString>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    line(str::from_utf8(bytes))
}

fn idx(bytes: &[u8]) -> Result<(), String> {
    let array = line(idx::parse(bytes))?;
    assert_eq!(array.dims().iter().product::<usize>(), array.data.len());
    Ok(())
}

fn gzip(bytes: &[u8]) -> Result<(), String> {
    let file = line(idx_folder::from_bytes(path(), bytes.to_vec()))?;
    assert_eq!(file.dims.iter().product::<usize>(), file.data.len());
    Ok(())
}

fn npz(bytes: &[u8]) -> Result<(), String> {
    let (splits, _) = line(npz::from_reader(path(), Cursor::new(bytes)))?;
    for set in [splits.train, splits.test] {
        assert!(
            set.labels()
                .iter()
                .all(|&label| usize::from(label) < set.classes)
        );
    }
    Ok(())
}

fn cifar10(bytes: &[u8]) -> Result<(), String> {
    let records = line(cifar10::records(path(), bytes))?;
    let (mut images, mut labels) = (Vec::with_capacity(bytes.len()), Vec::new());
    for (label, planes) in records {
        labels.push(label);
        images.extend(cifar10::interleaved(planes));
    }
    line(Dataset::new("cifar10", "", [32, 32, 3], 10, images, labels)).map(|_| ())
}

fn picture(bytes: &[u8]) -> Result<(), String> {
    // Files without a known signature are read as TGA, which has none.
    let picture = line(Picture::from_bytes(Path::new("hostile.tga"), bytes))?;
    assert_eq!(line(picture.resized([28, 28, 1]))?.len(), 28 * 28);
    if let Some(digit) = prepare::digit(&picture) {
        assert_eq!(digit.len(), prepare::SIDE * prepare::SIDE);
    }
    Ok(())
}

fn weights(bytes: &[u8]) -> Result<(), String> {
    let (model, state) = line(weights::from_bytes(bytes.to_vec()))?;
    assert_eq!(state.layout.len, state.params.len());
    plan(&model)
}

fn checkpoint(bytes: &[u8]) -> Result<(), String> {
    let checkpoint = line(Checkpoint::from_bytes(bytes))?;
    let identity = &checkpoint.identity;
    line(identity.options.check())?;
    // Its callbacks may differ, which must be an error of one line.
    let mut stopping = EarlyStopping::new(Metric::Loss);
    let mut plateau = ReduceLROnPlateau::new(Metric::Loss);
    let mut callbacks: [&mut dyn Callback; 2] = [&mut stopping, &mut plateau];
    line(restore(
        &mut callbacks,
        &checkpoint.snapshot.callback_states,
    ))
}

fn model(bytes: &[u8]) -> Result<(), String> {
    let model = line(Sequential::from_toml(utf8(bytes)?))?;
    line(Sequential::from_toml(&model.to_toml())).expect("what is written can be read");
    plan(&model)
}

fn plan(model: &Sequential) -> Result<(), String> {
    line(model.parameter_count())?;
    for purpose in [Purpose::Inference, Purpose::Training(Optimizer::adam())] {
        line(Plan::new(model, purpose, 3))?;
    }
    Ok(())
}

fn config(bytes: &[u8]) -> Result<(), String> {
    let config = line(Config::from_toml(utf8(bytes)?))?;
    line(config.training.check())?;
    line(config.dataset.spec())?;
    line(config.model.resolve()).map(|_| ())
}

fn keras(bytes: &[u8]) -> Result<(), String> {
    let model = Sequential::new([2, 2, 1])
        .add(Flatten::new())
        .add(Dense::new(3).activation(Activation::Softmax));
    imported(line(keras::from_bytes(bytes.to_vec(), Some(&model)))?)
}

fn moments(bytes: &[u8]) -> Result<(), String> {
    let mut state = moments_owner();
    line(moments::from_bytes(bytes, &mut state)).map(|_| ())?;
    assert!(
        state
            .moments()
            .all(|(_, arena)| arena.len() == state.params.len())
    );
    Ok(())
}

/// The weights that the moments of this target belong to.
pub fn moments_owner() -> State {
    let head = Dense::new(2).activation(Activation::Softmax);
    let model = Sequential::new([2, 2, 1]).add(Flatten::new()).add(head);
    State::new(line(Layout::new(&model)).expect("it is valid"), 1)
}

fn import(bytes: &[u8]) -> Result<(), String> {
    line(ImportRecord::from_toml(utf8(bytes)?)).map(|_| ())
}

fn onnx(bytes: &[u8]) -> Result<(), String> {
    imported(line(onnx::from_bytes(bytes, None))?)
}

/// The reader of pickles wants a file.
fn torch(bytes: &[u8]) -> Result<(), String> {
    let folder = line(tempfile::tempdir())?;
    let path = folder.path().join("net.pt");
    line(fs::write(&path, bytes))?;
    let model = lab();
    let read = torch::read(&path, &model).map_err(|e| {
        // The folder has another name each time.
        e.to_string().replace(&path.display().to_string(), "net.pt")
    });
    imported(read?)
}

/// The model of the state dicts in the corpus.
fn lab() -> Sequential {
    Sequential::new([13, 11, 1])
        .add(Conv2D::new(4, 3).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(Conv2D::new(6, 2).activation(Activation::Relu))
        .add(MaxPooling2D::new(2).strides(1))
        .add(Flatten::new())
        .add(Dense::new(7).activation(Activation::Relu))
        .add(Dense::new(4).activation(Activation::Softmax))
}

/// Checks what was read of a network, whatever its format.
fn imported(import: Import) -> Result<(), String> {
    let network = import.network;
    assert_eq!(network.state.layout.len, network.state.params.len());
    let matched = import.matches.into_iter().map(|found| found.theirs);
    for line in import.notes.into_iter().chain(matched) {
        assert!(!line.contains(char::is_control), "{line:?} is not one line");
    }
    plan(&network.model)
}
