//! The lab's experiments: filters over pictures, shapes of arrays, a search for a learning rate.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::program::{fails, json_lines, only_says, run, test_backend, text};
use super::tiny::{self, idx};

/// The lab's picture: bright on the left, dark on the right.
const HALVES: &str = "10,10,10,0,0,0;10,10,10,0,0,0;10,10,10,0,0,0;\
                      10,10,10,0,0,0;10,10,10,0,0,0;10,10,10,0,0,0";

fn convolve(folder: &Path, more: &[&str]) -> String {
    let output = run(folder, &[&["convolve", "--backend", "cpu"], more].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn the_lab_s_example_gives_the_lab_s_matrix_on_every_device() {
    let folder = TempDir::new().unwrap();
    let expected = "
output (4, 4, 1)
size = (h - fh + 2p)/s + 1
height = (6 - 3 + 2*0)/1 + 1 = 4
width = (6 - 3 + 2*0)/1 + 1 = 4

0  30  30  0
0  30  30  0
0  30  30  0
0  30  30  0
";
    for backend in ["cpu", test_backend().name()] {
        let args = ["convolve", "--matrix", HALVES, "--backend", backend];
        let output = run(folder.path(), &args);
        let shown = text(&output.stdout);
        assert!(shown.ends_with(expected), "{backend}: {shown}");
        let own = ["--filter", "1,0,-1;1,0,-1;1,0,-1"];
        let again = text(&run(folder.path(), &[&args[..], &own].concat()).stdout);
        assert!(again.ends_with(expected), "{backend}: {again}");
    }
}

#[test]
fn the_sum_of_one_window_is_worked_element_by_element() {
    let folder = TempDir::new().unwrap();
    let shown = convolve(folder.path(), &["--matrix", HALVES, "--steps", "0,1"]);
    let expected = "
output[0, 1]: the filter lies on rows 0 to 2 and columns 1 to 3 of the image, counted from 0
  10*1 + 10*0 + 0*(-1) = 10
  10*1 + 10*0 + 0*(-1) = 10
  10*1 + 10*0 + 0*(-1) = 10
10 + 10 + 10 = 30
computed by the device: 30
";
    assert!(shown.ends_with(expected), "{shown}");
}

#[test]
fn padding_strides_dilation_and_pools_do_what_the_formula_says() {
    let folder = TempDir::new().unwrap();
    let shown = |more: &[&str]| {
        let numbers = "1,2,3,4;5,6,7,8;9,10,11,12;13,14,15,16";
        convolve(
            folder.path(),
            &[&["--matrix", numbers, "--filter", "identity"], more].concat(),
        )
    };
    let same = shown(&["--padding", "same"]);
    assert!(
        same.contains("height = (4 - 3 + 2*1)/1 + 1 = 4\n"),
        "{same}"
    );
    assert!(same.ends_with("13  14  15  16\n"), "{same}");
    let strides = shown(&["--padding", "same", "--strides", "2,1"]);
    assert!(
        strides.contains("height = (4 - 3 + 0 + 1)/2 + 1 = 2\n"),
        "{strides}"
    );
    assert!(
        strides.ends_with("5   6   7   8\n13  14  15  16\n"),
        "{strides}"
    );
    let dilation = shown(&["--padding", "same", "--dilation", "2"]);
    assert!(dilation.contains("(3 - 1)*2 + 1 = 5"), "{dilation}");
    for (pool, last) in [
        ("max:2", "6   8\n14  16\n"),
        ("average:2", "3.5   5.5\n11.5  13.5\n"),
        ("sum:2", "14  22\n46  54\n"),
    ] {
        let pooled = shown(&["--padding", "same", "--pool", pool]);
        assert!(pooled.contains("height = (4 - 2)/2 + 1 = 2\n"), "{pooled}");
        assert!(pooled.ends_with(last), "{pool}: {pooled}");
    }
}

/// A picture of 8x6 with a colour for each half.
fn picture(folder: &Path) -> String {
    let path = folder.join("halves.png");
    let picture = image::RgbImage::from_fn(8, 6, |x, _| {
        image::Rgb(if x < 4 { [255, 0, 60] } else { [0, 0, 60] })
    });
    picture.save(&path).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_picture_is_shown_before_and_after_and_written_as_png() {
    let folder = TempDir::new().unwrap();
    let picture = picture(folder.path());
    let args = [
        &*picture, "--pool", "max:2", "--out", "out.png", "--scale", "2",
    ];
    let shown = convolve(folder.path(), &args);
    // The grey level of pure red with 60 of blue is 83, that of 60 of blue 7.
    let words = "numbers from 0 to 228; shown in grey: 0 is mid-grey, -228 black and 228 white";
    assert!(shown.contains(words), "{shown}");
    assert!(shown.contains("before    filter"), "{shown}");
    assert!(
        shown.contains("without colours, █ is dark\n\nbefore"),
        "{shown}"
    );
    let sheet = image::open(folder.path().join("out.png"))
        .unwrap()
        .to_rgb8();
    assert_eq!(
        sheet.dimensions(),
        (2 * (2 + 8 + 2 + 3 + 2 + 6 + 2 + 3 + 2), 2 * 10)
    );
    let pixel = |x: u32, y: u32| sheet.get_pixel(2 * x, 2 * y).0;
    // Before, filter, after: flat regions are mid-grey and the edge is white.
    assert_eq!([pixel(2, 2), pixel(9, 2)], [[83; 3], [7; 3]]);
    assert_eq!(
        [pixel(12, 2), pixel(13, 2), pixel(14, 2)],
        [[255; 3], [128; 3], [1; 3]]
    );
    assert_eq!(
        [pixel(17, 2), pixel(19, 2), pixel(22, 2)],
        [[128; 3], [255; 3], [128; 3]]
    );
}

#[test]
fn colours_are_convolved_plane_by_plane_and_added_up() {
    let folder = TempDir::new().unwrap();
    let picture = picture(folder.path());
    let args = [
        &*picture, "--colour", "--filter", "1", "--format", "json", "--out", "c.png",
    ];
    let json = convolve(folder.path(), &args);
    let record: Value = serde_json::from_str(&json).unwrap();
    let passes = record["passes"].as_array().unwrap();
    let first = |i: usize| passes[i]["output"][0][0].as_f64().unwrap();
    assert_eq!(
        [first(0), first(1), first(2), first(3)],
        [255.0, 0.0, 60.0, 315.0]
    );
    let shape = |i: usize, what: &str| passes[i][what].to_string();
    assert_eq!(
        [shape(0, "input_shape"), shape(3, "input_shape")],
        ["[6,8,1]", "[6,8,3]"]
    );
    assert_eq!(
        [shape(3, "filter_shape"), shape(3, "output_shape")],
        ["[1,1,3]", "[6,8,1]"]
    );
    // Red, green, blue, together, sum.
    let sheet = image::open(folder.path().join("c.png")).unwrap();
    let scale = sheet.height() / (2 + 5 * 8);
    let pixel = |y: u32| sheet.to_rgb8().get_pixel(15 * scale, y * scale).0;
    assert_eq!(pixel(2 + 3 * 8), [255, 0, 60]);
}

/// Images of 4x4 whose brightness is their class, and a network of two convolutions.
fn prepare(folder: &Path) {
    fs::create_dir(folder.join("data")).unwrap();
    for (part, n) in [("train", 96), ("t10k", 9)] {
        let labels: Vec<u8> = (0..n).map(|i| (i % 3) as u8).collect();
        let pixels = |label: &u8| (0..16).map(|i| 100 * label + i).collect::<Vec<u8>>();
        let images: Vec<u8> = labels.iter().flat_map(pixels).collect();
        let file = |kind: &str| folder.join(format!("data/{part}-{kind}-ubyte"));
        fs::write(file("images-idx3"), idx(&[n, 4, 4], &images)).unwrap();
        fs::write(file("labels-idx1"), idx(&[n], &labels)).unwrap();
    }
    let model = "input_shape = [4, 4, 1]\n\
                 [[layers]]\ntype = \"Conv2D\"\nfilters = 4\nkernel_size = 2\nactivation = \"relu\"\n\
                 [[layers]]\ntype = \"Conv2D\"\nfilters = 2\nkernel_size = 2\nname = \"second\"\n\
                 [[layers]]\ntype = \"Flatten\"\n\
                 [[layers]]\ntype = \"Dense\"\nunits = 3\nactivation = \"softmax\"\n";
    fs::write(folder.join("net.toml"), model).unwrap();
}

#[test]
fn a_learned_filter_computes_what_the_network_computes() {
    let folder = TempDir::new().unwrap();
    prepare(folder.path());
    tiny::trained_as(folder.path(), "net.toml", "run");
    let learned = ["--dataset", "idx:data", "--run", "run", "--layer"];
    let shown = |more: &[&str]| convolve(folder.path(), &[&learned[..], more].concat());
    let first = shown(&[
        "conv2d",
        "--channel",
        "3",
        "--strides",
        "3",
        "--steps",
        "0,0",
    ]);
    for words in [
        "image (4, 4, 1): image 5 of idx:",
        "filter (2, 2, 1): conv2d, channel 3\n",
        "height = (4 - 2 + 2*0)/3 + 1 = 0.6667 + 1, rounded down = 1",
        "activation relu\n",
    ] {
        assert!(first.contains(words), "no `{words}`: {first}");
    }
    // The sum and, in the next line, what the device computed.
    let worked = shown(&["second", "--steps", "1,1"]);
    let lines: Vec<&str> = worked.lines().collect();
    let at = lines
        .iter()
        .position(|l| l.starts_with("computed"))
        .unwrap();
    let number = |line: &str| -> f64 { line.rsplit(' ').next().unwrap().parse().unwrap() };
    let [sum, computed] = [at - 1, at].map(|i| number(lines[i]));
    assert!(sum != 0.0 && (sum - computed).abs() < 2e-4, "{worked}");
    let second = shown(&["second", "--channel", "1", "--format", "json"]);
    let record: Value = serde_json::from_str(&second).unwrap();
    assert_eq!(record["passes"][0]["input_shape"].to_string(), "[3,3,4]");
    assert_eq!(record["passes"][0]["output_shape"].to_string(), "[2,2,1]");
    // Pictures of any size can be used.
    let picture = picture(folder.path());
    let args = [&*picture, "--run", "run", "--layer", "conv2d"];
    assert!(convolve(folder.path(), &args).contains("(6 - 2 + 2*0)/1 + 1 = 5\n"));

    let refused = |more: &[&str], code: i32, words: &[&str]| {
        let output = run(
            folder.path(),
            &[&["convolve", "--dataset", "idx:data"], more].concat(),
        );
        fails(&output, code, words);
    };
    refused(&["--run", "run"], 2, &["--layer", "conv2d, second"]);
    refused(
        &["--run", "run", "--layer", "dense"],
        2,
        &["--layer dense", "conv2d, second"],
    );
    let channel = ["--run", "run", "--layer", "second", "--channel", "2"];
    refused(&channel, 2, &["--channel 2", "0 to 1"]);
    refused(&["--run", "nothing", "--layer", "conv2d"], 1, &["nothing"]);
    let small = [
        "convolve", "--matrix", "1,2;3,4", "--run", "run", "--layer", "second",
    ];
    let output = run(folder.path(), &small);
    fails(
        &output,
        2,
        &["image of 2x2 does not fit the layers up to second"],
    );
    let steps = ["--run", "run", "--layer", "second", "--steps", "2,0"];
    refused(&steps, 2, &["--steps 2,0", "rows 0 to 1"]);
    refused(&["--index", "96"], 2, &["--index must be below 96"]);
}

/// A network with groups, and with several kernels for each channel, all without a bias.
const GROUPS: &str = "\
input_shape = [4, 4, 1]
[[layers]]
type = \"Conv2D\"
filters = 4
kernel_size = 1
use_bias = false
[[layers]]
type = \"Conv2D\"
filters = 6
kernel_size = 2
groups = 2
padding = \"same\"
name = \"groups\"
[[layers]]
type = \"DepthwiseConv2D\"
kernel_size = 2
depth_multiplier = 2
activation = \"tanh\"
name = \"depthwise\"
[[layers]]
type = \"Flatten\"
[[layers]]
type = \"Dense\"
units = 3
activation = \"softmax\"
";

#[test]
fn a_filter_of_a_group_reads_the_channels_of_its_group() {
    let folder = TempDir::new().unwrap();
    prepare(folder.path());
    fs::write(folder.path().join("groups.toml"), GROUPS).unwrap();
    tiny::trained_as(folder.path(), "groups.toml", "run");
    for (layer, channels, group) in [
        ("groups", 6, [2, 4]),
        // Each of six channels has two kernels.
        ("depthwise", 12, [1, 6]),
    ] {
        for channel in 0..channels {
            let number = channel.to_string();
            // Without a picture, it is one that the run trained on.
            let args = ["--run", "run", "--layer", layer, "--channel", &number];
            let shown = convolve(folder.path(), &[&args[..], &["--steps", "1,1"]].concat());
            let [count, all] = group;
            let first = channel * all / channels / count * count;
            let read = match count {
                1 => format!("data, channel {first} of {all}\n"),
                _ => format!("data, channels {first} to {} of {all}\n", first + 1),
            };
            assert!(shown.contains("image 5 of idx:"), "{shown}");
            assert!(shown.contains(&read), "no `{read}`: {shown}");
            let lines: Vec<&str> = shown.lines().collect();
            let at = lines.iter().position(|l| l.starts_with("computed"));
            let number = |line: &str| -> f64 { line.rsplit(' ').next().unwrap().parse().unwrap() };
            let [worked, computed] = [at.unwrap() - 1, at.unwrap()].map(|i| number(lines[i]));
            assert!(worked != 0.0, "{layer}, {channel}: {shown}");
            assert!(
                (worked - computed).abs() < 2e-4,
                "{layer}, {channel}: {shown}"
            );
        }
    }
    let beyond = [
        "convolve",
        "--run",
        "run",
        "--layer",
        "depthwise",
        "--channel",
        "12",
    ];
    fails(
        &run(folder.path(), &beyond),
        2,
        &["--channel 12", "0 to 11"],
    );
    // Pixels of a filter without a bias are as bright as of one with a bias.
    let args = [
        "--run", "run", "--layer", "conv2d", "--out", "out.png", "--scale", "1",
    ];
    convolve(folder.path(), &args);
    let sheet = image::open(folder.path().join("out.png"))
        .unwrap()
        .to_rgb8();
    assert_eq!(sheet.get_pixel(2, 2).0, [200; 3]);
}

#[test]
fn bad_input_is_answered_with_one_line() {
    let folder = TempDir::new().unwrap();
    let refused = |more: &[&str], words: &str| {
        let output = run(folder.path(), &[&["convolve"], more].concat());
        only_says(&output, 2, words);
    };
    refused(
        &["--matrix", "1,2;3,4"],
        "the matrix of 2x2 is smaller than the filter of 3x3",
    );
    refused(
        &["--matrix", "1,2;3"],
        "row 2: expected 2 numbers as in row 1, received 1",
    );
    refused(&["--matrix", "1,x"], "received `x`");
    refused(&["--matrix", "1", "--filter", "edges"], "no filter `edges`");
    refused(&["--matrix", "1", "--filter", "1,2;3"], "row 2");
    refused(&["--matrix", "1", "--colour"], "one channel");
    refused(&["--matrix", "1", "--layer", "conv2d"], "--run");
    for flag in ["--layer", "--channel"] {
        refused(&["--matrix", "1", "--filter", "1", flag, "3"], "--filter");
    }
    refused(&["--matrix", "1", "--padding", "full"], "valid or same");
    refused(&["--matrix", "1", "--strides", "0"], "at least 1");
    refused(&["--matrix", "1", "--pool", "min:2"], "max, average or sum");
    refused(&["--matrix", "1", "--out", "a.jpg"], ".png");
    refused(&["--matrix", "1", "--steps", "1"], "a row and a column");
    refused(
        &["--matrix", "1", "--filter", "1", "--steps", "0,1"],
        "columns 0 to 0",
    );
    let both = ["--matrix", HALVES, "--strides", "2", "--dilation", "2"];
    refused(
        &both,
        "--strides 2x2 cannot be combined with --dilation 2x2",
    );
    refused(&[], "IMAGE");
    fs::write(folder.path().join("no.png"), "no picture").unwrap();
    let output = run(folder.path(), &["convolve", "no.png"]);
    fails(&output, 1, &["no.png"]);
    let pool = [
        "convolve",
        "--matrix",
        HALVES,
        "--pool",
        "max:9",
        "--backend",
        "cpu",
    ];
    let output = run(folder.path(), &pool);
    fails(&output, 2, &["--pool max:9,9", "9x9", "4x4"]);
}

#[test]
fn show_prints_the_shapes_of_the_lab_s_arrays() {
    let folder = TempDir::new().unwrap();
    let output = run(folder.path(), &["show", "--dataset", "digits", "--shapes"]);
    let expected = "\
train_images.shape  (60000, 28, 28, 1)
train_labels.shape  (60000, 10)
test_images.shape   (10000, 28, 28, 1)
test_labels.shape   (10000, 10)
";
    assert_eq!(text(&output.stdout), expected);
    let both = run(folder.path(), &["show", "--shapes", "--index", "1"]);
    only_says(&both, 2, "--index");
}

#[test]
fn show_keeps_large_pictures_within_bounds() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    for part in ["train", "t10k"] {
        let file = |kind: &str| folder.path().join(format!("data/{part}-{kind}-ubyte"));
        let images = idx(&[20, 100, 100], &[99; 20 * 100 * 100]);
        fs::write(file("images-idx3"), images).unwrap();
        let labels: Vec<u8> = (0..20).map(|i| i % 2).collect();
        fs::write(file("labels-idx1"), idx(&[20], &labels)).unwrap();
    }
    let show = |more: &[&str]| {
        let args = "show --dataset idx:data --out large.png --index 0 --count";
        let args: Vec<&str> = args.split(' ').collect();
        run(folder.path(), &[&args[..], more].concat())
    };
    let width = |count: &str| {
        let shown = show(&[count]);
        assert!(shown.status.success(), "{}", text(&shown.stderr));
        image::image_dimensions(folder.path().join("large.png"))
            .unwrap()
            .0
    };
    assert_eq!(width("2"), 8 * (2 * 102 + 2));
    // By default, what would be larger than 4,096 pixels is enlarged less.
    assert_eq!(width("20"), 4 * (10 * 102 + 2));
    let asked = show(&["20", "--scale", "64"]);
    fails(&asked, 2, &["65408x13184 pixels", "--count", "--scale"]);
}

fn find_rate(folder: &Path, more: &[&str]) -> std::process::Output {
    let args = "find-rate --backend cpu --dataset idx:data --batch-size 8 --model net.toml";
    let args: Vec<&str> = args.split(' ').collect();
    run(folder, &[&args, more].concat())
}

fn files(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn find_rate_suggests_a_rate_and_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    prepare(folder.path());
    let before = files(folder.path());
    let output = find_rate(folder.path(), &["--format", "json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let record = &json_lines(&output.stdout)[0];
    let number = |key: &str| record[key].as_f64().unwrap();
    assert!((1e-4..1.0).contains(&number("suggested")), "{record}");
    let smaller = number("steepest").min(number("lowest_over_ten"));
    assert!(
        (number("suggested") / smaller - 1.0).abs() < 1e-5,
        "{record}"
    );
    let points = record["points"].as_array().unwrap();
    assert!((50..=100).contains(&points.len()), "{}", points.len());
    assert_eq!(files(folder.path()), before, "something was written");

    let shown = find_rate(folder.path(), &["--steps", "30", "--out", "rates.svg"]);
    let shown = text(&shown.stdout);
    for words in [
        "step  learning rate",
        "smoothed loss by learning rate",
        "suggested rate",
    ] {
        assert!(shown.contains(words), "{shown}");
    }
    let svg = fs::read_to_string(folder.path().join("rates.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"));
    assert_eq!(files(folder.path()), before + 1);
    let same = |seed| find_rate(folder.path(), &["--steps", "20", "--seed", seed]).stdout;
    assert_eq!(same("1"), same("1"));
    assert_ne!(same("1"), same("2"));
}

#[test]
fn find_rate_refuses_what_gives_no_curve() {
    let folder = TempDir::new().unwrap();
    prepare(folder.path());
    let refused = |more: &[&str], words: &str| only_says(&find_rate(folder.path(), more), 2, words);
    refused(&["--steps", "5"], "at least 20 steps");
    refused(&["--from", "1", "--to", "0.1"], "grow");
    refused(&["--out", "rates.png"], ".svg");
    let note = find_rate(folder.path(), &["--steps", "20", "--learning-rate", "0.1"]);
    assert!(text(&note.stderr).contains("--learning-rate has no effect"));
}
