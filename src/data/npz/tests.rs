//! Every type and order of numbers, and invalid files.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;

/// An array as NumPy writes it.
fn npy(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    ordered(descr, "False", shape, elements)
}

fn ordered(descr: &str, fortran: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
    let text = format!("{text:<117}\n");
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(elements);
    bytes
}

fn good() -> Vec<(&'static str, Vec<u8>)> {
    let pixels = |n: u8| (0..n * 6).map(|i| 15 * i).collect::<Vec<u8>>();
    let labels = [3_i64, 0, 1].map(i64::to_le_bytes).concat();
    vec![
        ("x_train", npy("|u1", "(3, 2, 3)", &pixels(3))),
        ("y_train", npy("<i8", "(3,)", &labels)),
        ("x_test", npy("|u1", "(2, 2, 3)", &pixels(2))),
        ("y_test", npy(">u2", "(2, 1)", &[0, 4, 0, 2])),
    ]
}

fn write(folder: &TempDir, method: CompressionMethod, arrays: &[(&str, Vec<u8>)]) -> PathBuf {
    let path = folder.path().join("data.npz");
    let mut zip = ZipWriter::new(File::create(&path).unwrap());
    for (name, bytes) in arrays {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    path
}

/// The error if one array is replaced.
fn error_with(name: &'static str, bytes: Vec<u8>) -> String {
    let folder = TempDir::new().unwrap();
    let mut arrays = good();
    arrays.retain(|(other, _)| *other != name);
    arrays.push((name, bytes));
    let path = write(&folder, CompressionMethod::Stored, &arrays);
    let message = splits(&path).unwrap_err().to_string();
    assert!(
        message.contains("data.npz") && !message.contains('\n'),
        "{message}"
    );
    message
}

#[test]
fn reads_packed_and_unpacked() {
    let folder = TempDir::new().unwrap();
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let data = splits(&write(&folder, method, &good())).unwrap();
        assert_eq!((data.train.shape(), data.train.classes), ([2, 3, 1], 5));
        assert_eq!(data.train.labels(), [3, 0, 1]);
        assert_eq!(data.test.labels(), [4, 2]);
        assert_eq!(data.test.image(1), [90, 105, 120, 135, 150, 165]);
    }
}

#[test]
fn an_error_names_the_array_and_what_is_wrong() {
    let cases: &[(&'static str, Vec<u8>, &str)] = &[
        (
            "x_train",
            npy("|u1", "(3, 6)", &[0; 18]),
            "x_train has shape [3, 6]",
        ),
        (
            "y_train",
            npy("|u1", "(4,)", &[0; 4]),
            "one label for each of 3 images",
        ),
        (
            "y_test",
            npy("<i2", "(2,)", &[1, 0, 0, 1]),
            "y_test: the label at index 1 is 256: expected 0 to 255",
        ),
        (
            "y_test",
            npy("|i1", "(2,)", &[255, 0]),
            "y_test: the label at index 0 is -1: expected",
        ),
        (
            "x_test",
            npy("|u1", "(2, 2, 3)", &[0; 11]),
            "found 11 bytes",
        ),
        (
            "x_test",
            npy("|u1", "(18446744073709551615, 9, 9)", &[]),
            "found 0 bytes",
        ),
        (
            "x_test",
            npy("|u1", "(((((((((1,)))))))))", &[]),
            "truncated or too long",
        ),
        (
            "x_test",
            b"no array".to_vec(),
            "not an array in NumPy's format",
        ),
    ];
    for (name, bytes, expected) in cases {
        let message = error_with(name, bytes.clone());
        assert!(message.contains(expected), "{message} lacks {expected}");
    }
    let folder = TempDir::new().unwrap();
    let path = write(&folder, CompressionMethod::Stored, &good()[..3]);
    let message = splits(&path).unwrap_err().to_string();
    assert!(
        message.contains("y_test: ") && message.contains("expected the arrays"),
        "{message}"
    );
}

#[test]
fn survives_every_truncation_and_every_changed_byte() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, CompressionMethod::Deflated, &good());
    let bytes = fs::read(&path).unwrap();
    let whole = splits(&path).unwrap();
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        assert!(splits(&path).is_err(), "{length}");
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x55;
        fs::write(&path, &changed).unwrap();
        if let Ok(read) = splits(&path) {
            assert_eq!(read.train, whole.train, "byte {at}");
        }
    }
}

/// The valid file with some arrays replaced: its sets, and how they were interpreted.
fn read_with(others: Vec<(&'static str, Vec<u8>)>) -> (Splits, String) {
    let folder = TempDir::new().unwrap();
    let mut arrays = good();
    arrays.retain(|(name, _)| others.iter().all(|(other, _)| other != name));
    arrays.extend(others);
    let path = write(&folder, CompressionMethod::Deflated, &arrays);
    let (splits, taken) = read(&path).unwrap();
    (splits, taken.unwrap_or_default())
}

/// These whole numbers as elements of a type such as `<f4`.
fn elements(descr: &str, values: &[u8]) -> Vec<u8> {
    let element = |&value: &u8| {
        let mut bytes = match &descr[1..] {
            "b1" | "i1" | "u1" => vec![value],
            "i2" | "u2" => u16::from(value).to_le_bytes().to_vec(),
            "i4" | "u4" => u32::from(value).to_le_bytes().to_vec(),
            "i8" | "u8" => u64::from(value).to_le_bytes().to_vec(),
            "f2" => half::f16::from(value).to_le_bytes().to_vec(),
            "f4" => f32::from(value).to_le_bytes().to_vec(),
            _ => f64::from(value).to_le_bytes().to_vec(),
        };
        if descr.starts_with('>') {
            bytes.reverse();
        }
        bytes
    };
    values.iter().flat_map(element).collect()
}

/// Every numeric type except `bool`, in either byte order.
fn types() -> Vec<String> {
    let kinds = [
        "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8",
    ];
    let orders = |kind: &str| [format!("<{kind}"), format!(">{kind}")];
    kinds.into_iter().flat_map(orders).collect()
}

#[test]
fn images_and_labels_of_every_type_are_read() {
    let values: Vec<u8> = (0..18).map(|i| i * 7).collect();
    for descr in types() {
        let x = npy(&descr, "(3, 2, 3)", &elements(&descr, &values));
        let y = npy(&descr, "(3, 1)", &elements(&descr, &[3, 0, 1]));
        let (splits, taken) = read_with(vec![("x_train", x), ("y_train", y)]);
        assert_eq!(splits.train.images(), values, "{descr}");
        assert_eq!(splits.train.labels(), [3, 0, 1], "{descr}");
        let float = descr.contains('f');
        assert_eq!(taken.contains("all whole"), float, "{descr}: {taken}");
        let said = taken.contains("from 0 to 119, read as 0 to 255");
        assert_eq!(said, !descr.contains("u1"), "{descr}: {taken}");
    }
}

#[test]
fn floats_up_to_one_and_bools_become_bytes() {
    let values: Vec<u8> = (0..18).map(|i| i * 15).collect();
    let bytes = values
        .iter()
        .flat_map(|&v| (f64::from(v) / 255.0).to_le_bytes());
    let x = npy("<f8", "(3, 2, 3)", &bytes.collect::<Vec<_>>());
    let (splits, taken) = read_with(vec![("x_train", x)]);
    assert_eq!(splits.train.images(), values);
    assert_eq!(
        taken,
        "x_train is float64 from 0 to 1, read as 0 to 1 and multiplied by 255"
    );
    let x = npy("|b1", "(3, 1, 2)", &[1, 0, 0, 1, 1, 0]);
    let (splits, taken) = read_with(vec![
        ("x_train", x),
        ("x_test", npy("|b1", "(2, 1, 2)", &[0; 4])),
    ]);
    assert_eq!(splits.train.images(), [255, 0, 0, 255, 255, 0]);
    assert!(
        taken.starts_with("x_train is bool, read as 0 and 255; "),
        "{taken}"
    );
    let x = npy("|u1", "(3, 1, 2)", &[1, 0, 0, 1, 1, 0]);
    let (splits, taken) = read_with(vec![
        ("x_train", x),
        ("x_test", npy("|u1", "(2, 1, 2)", &[0; 4])),
    ]);
    assert_eq!(splits.train.images(), [1, 0, 0, 1, 1, 0]);
    assert!(taken.contains("nearly black"), "{taken}");
}

#[test]
fn one_scale_holds_for_all_images_of_a_file() {
    let array = |descr: &str, values: &[f64]| {
        let element = |value: &f64| match descr {
            "<f4" => (*value as f32).to_le_bytes().to_vec(),
            "<f2" => half::f16::from_f64(*value).to_le_bytes().to_vec(),
            _ => vec![*value as u8],
        };
        let bytes: Vec<u8> = values.iter().flat_map(element).collect();
        npy(descr, &format!("({}, 1, 2)", values.len() / 2), &bytes)
    };
    let train = |descr, high| ("x_train", array(descr, &[0.0, 0.5, 0.25, 0.5, 0.0, high]));
    let test = |descr, high| ("x_test", array(descr, &[0.0, 0.0, 0.5, high]));
    let cases = [
        // Resized floats overshoot, in one array or the other.
        (
            train("<f4", 1.0),
            test("<f4", 1.02),
            "x_test: its float32 elements range from 0 to 1.02: ",
        ),
        (
            train("<f4", 1.004),
            test("<f4", 1.0),
            "np.clip(x_train, 0, 1)",
        ),
        (
            train("<f2", 1.004),
            test("<f4", 1.0),
            "float16 elements range from 0 to 1.004: ",
        ),
        (
            train("<f4", 16.0),
            test("<f4", 15.0),
            "divide all arrays by the value that means white",
        ),
        (
            train("<f4", 1.0),
            test("<f4", 255.0),
            "x_train: its float32 elements range from 0 to 1, but those of x_test (float32) from 0 to 255: \
             expected one scale",
        ),
        (
            train("<f4", 255.0),
            test("<f4", 0.9),
            "x_test: its float32 elements range from 0 to 0.9, but those",
        ),
        (train("<f4", 1.0), test("|u1", 1.0), "expected one scale"),
        (train("|b1", 1.0), test("|u1", 1.0), "expected one scale"),
    ];
    for (train, test, expected) in cases {
        let folder = TempDir::new().unwrap();
        let mut arrays = good();
        arrays.retain(|(name, _)| name.starts_with('y'));
        arrays.extend([train, test]);
        let path = write(&folder, CompressionMethod::Stored, &arrays);
        let message = splits(&path).unwrap_err().to_string();
        assert!(message.contains(expected), "{message} lacks {expected}");
    }
    // Bytes to 255 and floats to 1 have the same white, and black is black on any scale.
    for (train, test) in [
        (train("<f4", 1.0), test("|u1", 255.0)),
        (train("<f4", 255.0), test("|u1", 255.0)),
        (train("|b1", 1.0), test("<f4", 1.0)),
    ] {
        let (splits, _) = read_with(vec![train, test]);
        assert_eq!(splits.train.image(2)[1], 255);
        assert_eq!(splits.test.image(1)[1], 255);
    }
    let black = ("x_test", array("<f4", &[0.0; 4]));
    read_with(vec![train("<f4", 255.0), black]);
    // Of 16 steps, as bytes.
    let (_, taken) = read_with(vec![train("|u1", 16.0), test("|u1", 255.0)]);
    assert!(taken.contains("if 16 means white"), "{taken}");
    // Divided by 255 twice; the test images are not.
    let dark = (
        "x_train",
        array("<f4", &[0.0, 0.001, 0.002, 0.003, 0.0, 0.004]),
    );
    let (_, taken) = read_with(vec![dark, test("<f4", 1.0)]);
    assert!(taken.contains("if 0.004 means white"), "{taken}");
    assert_eq!(taken.matches("nearly black").count(), 1, "{taken}");
    // A few dark test images mean nothing.
    let dark = ("x_test", array("<f4", &[0.0, 0.001, 0.002, 0.004]));
    let (_, taken) = read_with(vec![train("<f4", 1.0), dark]);
    assert!(!taken.contains("nearly black"), "{taken}");
}

#[test]
fn images_to_validate_on_are_read_and_what_is_not_read_is_named() {
    let x = || npy("|u1", "(2, 2, 3)", &[90; 12]);
    let y = || npy("|u1", "(2,)", &[1, 7]);
    for [x_val, y_val] in VALIDATION {
        let folder = TempDir::new().unwrap();
        let mut arrays = good();
        arrays.extend([
            (x_val, x()),
            ("x_extra", x()),
            (y_val, y()),
            ("y_extra", y()),
        ]);
        let path = write(&folder, CompressionMethod::Stored, &arrays);
        assert!(has_validation(&path));
        let (splits, taken) = read(&path).unwrap();
        assert_eq!(splits.validation.unwrap().labels(), [1, 7]);
        assert_eq!((splits.train.classes, splits.test.classes), (8, 8));
        assert_eq!(taken.unwrap(), "not read: x_extra, y_extra");
        arrays.retain(|(name, _)| *name != y_val);
        let path = write(&folder, CompressionMethod::Stored, &arrays);
        let message = super::splits(&path).unwrap_err().to_string();
        assert!(message.contains(&format!("{y_val}: ")), "{message}");
    }
    let folder = TempDir::new().unwrap();
    let path = write(&folder, CompressionMethod::Stored, &good());
    assert!(!has_validation(&path) && splits(&path).unwrap().validation.is_none());
}

#[test]
fn fortran_order_is_put_into_c_order() {
    // Element [i, j, k, l] is 24i + 8j + 2k + l.
    let (mut c, mut fortran) = (Vec::new(), Vec::new());
    let at = |i: u8, j: u8, k: u8, l: u8| 24 * i + 8 * j + 2 * k + l;
    for index in 0..72 {
        c.push(at(index / 24, index / 8 % 3, index / 2 % 4, index % 2));
        fortran.push(at(index % 3, index / 3 % 3, index / 9 % 4, index / 36));
    }
    let test = npy("|u1", "(2, 3, 4, 2)", &c[..48]);
    for descr in ["|u1", ">i4", "<f4"] {
        let x = ordered(descr, "True", "(3, 3, 4, 2)", &elements(descr, &fortran));
        let (splits, _) = read_with(vec![("x_train", x), ("x_test", test.clone())]);
        assert_eq!(splits.train.images(), c, "{descr}");
    }
    // A vector has no order, but NumPy may write True.
    let y = ordered("<i8", "True", "(3,)", &elements("<i8", &[2, 0, 1]));
    assert_eq!(read_with(vec![("y_train", y)]).0.train.labels(), [2, 0, 1]);
}

#[test]
fn one_hot_labels_are_read() {
    for (fortran, hot) in [
        ("False", [0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0]),
        ("True", [0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0]),
    ] {
        for descr in ["<f8", "<f4", "|b1", "|u1", "<i4"] {
            let y = ordered(descr, fortran, "(3, 4)", &elements(descr, &hot));
            let test = npy("|u1", "(2,)", &[0, 1]);
            let (splits, taken) = read_with(vec![("y_train", y), ("y_test", test)]);
            assert_eq!(splits.train.labels(), [2, 0, 2], "{descr}");
            assert_eq!((splits.train.classes, splits.test.classes), (4, 4));
            assert_eq!(taken, "y_train is one-hot, 4 classes");
        }
    }
}

#[test]
fn numbers_that_are_not_brightness_or_labels_are_refused_with_a_remedy() {
    let floats = |values: [f32; 6]| {
        values
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<_>>()
    };
    let x = |values| npy("<f4", "(3, 1, 2)", &floats(values));
    let ints = |descr, values: [i16; 6]| {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        npy(descr, "(3, 1, 2)", &bytes)
    };
    let y = |values: [f32; 6]| npy("<f4", "(3, 2)", &floats(values));
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "x_train",
            x([0.0, -1.0, 0.5, 1.0, 0.0, 0.0]),
            "range from -1 to 1: expected brightness",
        ),
        (
            "x_train",
            x([0.0, -1.0, 0.5, 1.0, 0.0, 0.0]),
            "(x_train + 1) / 2",
        ),
        (
            "x_train",
            x([0.0, -1e-9, 0.5, 1.0, 0.0, 0.0]),
            "save np.clip(x_train, 0, 1)",
        ),
        (
            "x_train",
            x([-5.0, 262.0, 0.5, 1.0, 0.0, 0.0]),
            "save np.clip(x_train, 0, 255)",
        ),
        (
            "x_train",
            // In Fortran order, the first index is the fastest.
            ordered(
                "<f4",
                "True",
                "(3, 1, 2)",
                &floats([0.0, f32::NAN, 0.0, 0.0, 0.0, 0.0]),
            ),
            "the element [1, 0, 0] is NaN",
        ),
        (
            "x_train",
            x([0.0, -2.5, 0.5, 3.0, 0.0, 0.0]),
            "before standardization",
        ),
        (
            "x_train",
            x([0.0, 1.0, 0.5, 300.0, 0.0, 0.0]),
            "x_train / high",
        ),
        (
            "x_train",
            x([0.0, 1.0, f32::NAN, 3.0, 0.0, 0.0]),
            "the element [1, 0, 0] is NaN",
        ),
        (
            "x_train",
            x([0.0, f32::INFINITY, 0.0, 3.0, 0.0, 0.0]),
            "element [0, 0, 1] is inf",
        ),
        (
            "x_train",
            ints("<u2", [0, 256, 0, 0, 0, 0]),
            "if the pixels have 10 bits, convert all arrays with x_train / 1023",
        ),
        (
            "x_train",
            ints("<u2", [0, 4080, 0, 0, 0, 0]),
            "x_train / 4095",
        ),
        (
            "x_train",
            ints("<i2", [0, -5, 200, 0, 0, 0]),
            "range from -5 to 200",
        ),
        (
            "x_train",
            npy("<c8", "(3, 1, 2)", &[0; 48]),
            "its elements are of type <c8",
        ),
        (
            "x_train",
            npy("<f16", "(3, 1, 2)", &[0; 96]),
            "longdouble, which differs from machine to machine",
        ),
        (
            "x_train",
            npy(">f12", "(3, 1, 2)", &[0; 72]),
            "x_train.astype('float64')",
        ),
        (
            "x_train",
            npy("|O", "(3, 1, 2)", b"a pickle"),
            "Python objects; expected an array of plain numbers",
        ),
        (
            "y_train",
            npy("<f4", "(3,)", &floats([0.0, 1.0, 0.5, 0.0, 0.0, 0.0])[..12]),
            "y_train: the label at index 2 is 0.5: expected the class numbers",
        ),
        (
            "y_train",
            y([0.0, 1.0, 0.7, 0.3, 1.0, 0.0]),
            "expected one-hot rows",
        ),
        (
            "y_train",
            y([0.0, 1.0, 0.0, 0.0, 1.0, 0.0]),
            "row 1 names no class",
        ),
        (
            "y_train",
            y([0.0, 1.0, 1.0, 1.0, 1.0, 0.0]),
            "row 1 names several classes",
        ),
    ];
    for (name, bytes, expected) in cases {
        let message = error_with(
            if name == "x_train" {
                "x_train"
            } else {
                "y_train"
            },
            bytes,
        );
        assert!(message.contains(expected), "{message} lacks {expected}");
    }
}
