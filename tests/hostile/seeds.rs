//! Small valid files of every format, most of them written by the program itself.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use exr::prelude::{
    Compression, Encoding, Image, LayerAttributes, SpecificChannels, Vec2, WritableImage as _, f16,
};
use flate2::write::GzEncoder;
use image::{DynamicImage, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba};
use image_webp::WebPEncoder;
use jpeg_encoder::{ColorType, Encoder};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use cnn_gpu::data::{DatasetSpec, load};
use cnn_gpu::exec::Selection;
use cnn_gpu::interchange::{Network, keras, onnx};
use cnn_gpu::model::{
    Activation, ActivationLayer, AveragePooling2D, BatchNormalization, Conv2D, Dense,
    DepthwiseConv2D, Dropout, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D, Initializer,
    Layer, MaxPooling2D, Regularizer, Rescaling, Sequential, SpatialDropout2D, SumPooling2D,
    ZeroPadding2D, preset,
};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::run::checkpoint::{CheckpointSchedule, Checkpointer, RunIdentity};
use cnn_gpu::run::{
    Config, DataRecord, DeviceRecord, ImportRecord, ImportedFolder, InitialWeights, RunFolder,
    moments, weights,
};
use cnn_gpu::shape::Padding;
use cnn_gpu::state::{Layout, State};
use cnn_gpu::train::callbacks::{EarlyStopping, ReduceLROnPlateau};
use cnn_gpu::train::{Metric, Options};

use super::common;
use super::targets::moments_owner;

/// Valid files of a target's format, by name.
pub fn of(target: &str) -> Vec<(String, Vec<u8>)> {
    let named = |name: &str, bytes| (name.to_owned(), bytes);
    match target {
        "idx" => vec![
            named("labels", idx(&[3], &[0, 1, 2])),
            named("images", idx(&[2, 3, 1], &[1, 2, 3, 4, 5, 6])),
        ],
        "gzip" => vec![
            named("labels", gzip(&idx(&[3], &[0, 1, 2]))),
            named("images", gzip(&idx(&[2, 3, 1, 2], &[7; 12]))),
            named("unpacked", idx(&[2, 2, 2], &[9; 8])),
        ],
        "npz" => vec![
            named("stored", npz(CompressionMethod::Stored)),
            named("deflated", npz(CompressionMethod::Deflated)),
        ],
        "cifar10" => vec![named("record", cifar10(1)), named("two", cifar10(2))],
        "picture" => pictures(),
        "weights" => vec![
            named("small", weights(&common::model())),
            named("layers", weights(&every_layer())),
        ],
        "checkpoint" => vec![named("small", checkpoint())],
        "model" => vec![
            named("small", common::model().to_toml().into()),
            named("layers", every_layer().to_toml().into()),
            named("preset", preset("mnist-cnn").unwrap().to_toml().into()),
        ],
        "config" => vec![named("run", config())],
        "keras" => stored(
            "keras",
            &["keras.h5", "keras.weights.h5", "packed.weights.h5"],
        )
        .chain([
            named("small", keras(common::model())),
            named("layers", keras(every_layer())),
        ])
        .collect(),
        "moments" => vec![named("adam", moments())],
        "import" => vec![named("keras", import())],
        "onnx" => stored(
            "onnx",
            &[
                "lab.torchscript.onnx",
                "lab.tf2onnx.onnx",
                "lab.jax2onnx.onnx",
            ],
        )
        .chain([
            named("small", onnx(common::model())),
            named("layers", onnx(every_layer())),
        ])
        .collect(),
        "torch" => stored(
            "torch",
            &[
                "lab.pt",
                "lab.legacy.pt",
                "lab.module.pt",
                "lab.safetensors",
            ],
        )
        .collect(),
        other => panic!("no seeds for `{other}`"),
    }
}

/// A network in Keras's format.
fn keras(model: Sequential) -> Vec<u8> {
    let mut state = State::new(Layout::new(&model).unwrap(), 1);
    state.m = state.params.clone();
    let network = Network::new(model, state).optimizer(Optimizer::adam());
    keras::to_bytes(&network).unwrap().bytes
}

/// A network as an ONNX model.
fn onnx(model: Sequential) -> Vec<u8> {
    let state = State::new(Layout::new(&model).unwrap(), 1);
    let network = Network::new(model, state);
    let options = onnx::Options::default();
    onnx::to_bytes(&network, &options).unwrap().bytes
}

/// Files of other programs, which are part of the corpus.
fn stored(target: &str, names: &[&str]) -> impl Iterator<Item = (String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/corpus");
    let folder = folder.join(target);
    let read = move |name: &&str| ((*name).into(), fs::read(folder.join(name)).unwrap());
    names.iter().map(read).collect::<Vec<_>>().into_iter()
}

/// An array of bytes in IDX format.
pub fn idx(dims: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
    [&bytes, data].concat()
}

/// Compresses with gzip.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An array in NumPy's format.
pub fn npy(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let text = format!("{text:<117}\n");
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(elements);
    bytes
}

/// A zip archive of arrays.
pub fn archive(method: CompressionMethod, arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in arrays {
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn npz(method: CompressionMethod) -> Vec<u8> {
    let labels = [1_i64, 0].map(i64::to_le_bytes).concat();
    let arrays = [
        ("x_train", npy("|u1", "(2, 2, 3)", &[5; 12])),
        ("y_train", npy("<i8", "(2,)", &labels)),
        ("x_test", npy("|u1", "(1, 2, 3)", &[6; 6])),
        ("y_test", npy(">u2", "(1, 1)", &[0, 4])),
    ];
    archive(method, &arrays)
}

fn cifar10(records: usize) -> Vec<u8> {
    let record = |label| [&[label as u8][..], &[label as u8; 3072]].concat();
    (0..records).flat_map(record).collect()
}

/// A picture in a file.
pub fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, format).unwrap();
    file.into_inner()
}

fn pictures() -> Vec<(String, Vec<u8>)> {
    let rgb = RgbImage::from_fn(9, 7, |x, y| Rgb([x as u8 * 28, y as u8 * 36, 99]));
    let rgb = DynamicImage::from(rgb);
    let grey = DynamicImage::from(image::GrayImage::from_fn(28, 28, |x, y| {
        Luma([if x.abs_diff(14) + y.abs_diff(14) < 8 {
            255
        } else {
            0
        }])
    }));
    let deep = image::ImageBuffer::from_pixel(3, 2, Rgba([9_u16, 600, 40_000, 30_000]));
    let alpha = image::ImageBuffer::from_pixel(2, 3, LumaA([200_u8, 77]));
    let all = [
        ("rgb", rgb),
        ("grey", grey),
        ("rgba16", deep.into()),
        ("grey_alpha", alpha.into()),
    ];
    let [rgb8, grey8, ..] = &all;
    let png = |(name, image): &(&str, DynamicImage)| {
        (format!("{name}.png"), encoded(image, ImageFormat::Png))
    };
    let mut files: Vec<_> = all.iter().map(png).collect();
    // JPEG has neither alpha nor 16 bits.
    files.push(("rgb.jpg".into(), jpeg(&rgb8.1, ColorType::Rgb, false)));
    files.push(("grey.jpg".into(), jpeg(&grey8.1, ColorType::Luma, false)));
    files.push((
        "progressive.jpg".into(),
        jpeg(&rgb8.1, ColorType::Rgb, true),
    ));
    for (extension, format) in [
        ("bmp", ImageFormat::Bmp),
        ("gif", ImageFormat::Gif),
        ("ppm", ImageFormat::Pnm),
        ("qoi", ImageFormat::Qoi),
        ("tga", ImageFormat::Tga),
    ] {
        files.push((format!("rgb.{extension}"), encoded(&rgb8.1, format)));
    }
    let mut webp = Vec::new();
    let (width, height) = (rgb8.1.width(), rgb8.1.height());
    WebPEncoder::new(&mut webp)
        .encode(
            rgb8.1.as_bytes(),
            width,
            height,
            image_webp::ColorType::Rgb8,
        )
        .unwrap();
    files.push(("rgb.webp".into(), webp));
    let light = DynamicImage::from(rgb8.1.to_rgb32f());
    files.push(("rgb.hdr".into(), encoded(&light, ImageFormat::Hdr)));
    for (name, compression) in [
        ("zip", Compression::ZIP16),
        ("piz", Compression::PIZ),
        ("dwa", Compression::DWAA(None)),
    ] {
        files.push((format!("{name}.exr"), open_exr(compression)));
    }
    files.push(("rgb.dds".into(), dds()));
    files
}

/// An OpenEXR file of tiles.
fn open_exr(compression: Compression) -> Vec<u8> {
    let light = |Vec2(x, y): Vec2<usize>| {
        let half = |value: usize| f16::from_f32(value as f32 / 16.0);
        (half(x), half(y), half(x * y), half(16))
    };
    let encoding = Encoding {
        compression,
        ..Encoding::FAST_LOSSLESS
    };
    let attributes = LayerAttributes::named("part");
    let layer =
        exr::image::Layer::new((20, 9), attributes, encoding, SpecificChannels::rgba(light));
    let mut file = Cursor::new(Vec::new());
    let image = Image::from_layer(layer);
    image.write().non_parallel().to_buffered(&mut file).unwrap();
    file.into_inner()
}

/// A DDS file of 8x4 pixels in BC1.
fn dds() -> Vec<u8> {
    let mut header = [0_u32; 31];
    [header[0], header[1], header[2], header[3]] = [124, 0x1007, 4, 8];
    [header[18], header[19]] = [32, 4];
    header[20] = u32::from_le_bytes(*b"DXT1");
    let numbers = header.iter().flat_map(|number| number.to_le_bytes());
    let blocks = [7, 99, 200, 1, 228, 27, 3, 250].repeat(2);
    b"DDS "
        .iter()
        .copied()
        .chain(numbers)
        .chain(blocks)
        .collect()
}

fn jpeg(image: &DynamicImage, colours: ColorType, progressive: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 75);
    encoder.set_progressive(progressive);
    let (width, height) = (image.width() as u16, image.height() as u16);
    encoder
        .encode(image.as_bytes(), width, height, colours)
        .unwrap();
    file
}

/// A model with every kind of layer.
pub fn every_layer() -> Sequential {
    let layers: Vec<Layer> = vec![
        Rescaling::new(2.0).offset(-1.0).into(),
        ZeroPadding2D::new([[1, 0], [2, 1]]).into(),
        Conv2D::new(4, 3)
            .groups(2)
            .dilation_rate((2, 1))
            .activation(Activation::Relu)
            .kernel_initializer(Initializer::Constant(0.5))
            .kernel_regularizer(Regularizer::l1_l2(0.5, 0.25))
            .into(),
        BatchNormalization::new().momentum(0.5).scale(false).into(),
        DepthwiseConv2D::new(2)
            .strides(2)
            .padding(Padding::Same)
            .depth_multiplier(2)
            .into(),
        ActivationLayer::new(Activation::Gelu).into(),
        SpatialDropout2D::new(0.25).into(),
        MaxPooling2D::new(2).padding(Padding::Same).into(),
        AveragePooling2D::new((2, 1)).strides(1).into(),
        SumPooling2D::new(1).into(),
        GlobalMaxPooling2D::new().keepdims(true).into(),
        GlobalAveragePooling2D::new().into(),
        Flatten::new().into(),
        Dropout::new(0.5).into(),
        Dense::new(3)
            .use_bias(false)
            .activation(Activation::Softmax)
            .name("head")
            .into(),
    ];
    layers
        .into_iter()
        .fold(Sequential::new([12, 12, 2]), Sequential::add)
}

/// A file of a model's weights.
pub fn weights(model: &Sequential) -> Vec<u8> {
    let state = State::new(Layout::new(model).unwrap(), 1);
    written(|path| weights::save(path, model, &state).unwrap())
}

/// The contents of the file that `write` creates.
fn written(write: impl FnOnce(&Path)) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    write(&path);
    fs::read(path).unwrap()
}

fn checkpoint() -> Vec<u8> {
    let (model, data) = (common::model(), common::images(6));
    let options = Options::default().epochs(2).batch_size(3);
    let identity = RunIdentity::new(model, options.clone(), data.fingerprint());
    written(|path| {
        let mut trainer = common::scripted(options, &[(1.0, 0.5)]);
        let keeper = Checkpointer::new(path, identity, "null", CheckpointSchedule::default());
        trainer.set_keeper(Box::new(keeper));
        let mut stopping = EarlyStopping::new(Metric::Loss);
        let mut plateau = ReduceLROnPlateau::new(Metric::Loss);
        trainer
            .fit_with(&data, &mut [&mut stopping, &mut plateau])
            .unwrap();
    })
}

fn moments() -> Vec<u8> {
    let mut state = moments_owner();
    (state.m, state.v, state.step) = (state.params.clone(), state.params.clone(), 9);
    written(|path| moments::save(path, &state, Optimizer::adamw()).unwrap())
}

fn import() -> Vec<u8> {
    let record = ImportRecord::new("2026-11-29 12:00:00", "net.keras", "0".repeat(64), "Keras")
        .class_names(vec!["cat".into(), "dog".into()])
        .notes(vec!["inputs are pixels".into()])
        .optimizer(Some(Optimizer::sgd()));
    let (model, state) = (common::model(), moments_owner());
    let folder = TempDir::new().unwrap();
    let run = RunFolder::create(&folder.path().join("net")).unwrap();
    ImportedFolder::write(&run, &record, &model, &state).unwrap();
    fs::read(run.path().join("import.toml")).unwrap()
}

fn config() -> Vec<u8> {
    let splits = load(DatasetSpec::Digits, None, &mut |_| {}).unwrap();
    let model = every_layer();
    let layout = Layout::new(&model).unwrap();
    let device = common::reference(layout).describe();
    let mut config = Config::new(
        "2026-11-24T12:00:00+00:00[UTC]",
        Options::default()
            .class_weight([(1, 2.0)])
            .mixup(0.2)
            .cutmix([0.5, 1.0]),
        DataRecord::new("digits", false, &splits),
        DeviceRecord::new(&Selection::default(), "a test", &device),
        model,
    );
    config.callbacks.early_stopping = Some(EarlyStopping::new(Metric::ValLoss));
    config.callbacks.reduce_lr_on_plateau = Some(ReduceLROnPlateau::new(Metric::ValLoss));
    config.weights = Some(InitialWeights::new("runs/first", "0".repeat(64)));
    let folder = TempDir::new().unwrap();
    let run = RunFolder::create(&folder.path().join("run")).unwrap();
    run.write_config(&config).unwrap();
    fs::read(run.config_path()).unwrap()
}
