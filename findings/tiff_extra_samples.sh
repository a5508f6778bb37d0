#!/usr/bin/env bash
# tiff 0.11.3, the decoder of the image crate, silently gives wrong colours for RGB pictures that have a
# fourth sample of unspecified meaning and store differences (Predictor 2), as LZW and Deflate files do.
#
# The decoder first drops the fourth sample, and then adds up differences at a distance of four samples
# in rows of three: red is added to green, and so on. It returns Ok. Pillow (libtiff) and tifffile read
# the right pixels, as does tiff itself without the predictor. A reader that wants these files must undo
# the differences itself, or refuse them.
#
# Expected: the pixels, or an error. Needs cargo and python3. Exits non-zero if the behaviour changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet tifffile==2026.3.3 imagecodecs==2026.3.6 numpy==2.4.6
venv/bin/python - <<'PY'
import numpy as np
import tifffile

ramp = np.arange(8)[None, :, None] * np.array([1, 2, 3, 0]) + np.array([0, 50, 100, 7])
pixels = ramp.astype("u1")
pixels[..., :3].tofile("pixels.rgb")
for name, predictor in ("plain", None), ("differences", 2):
    tifffile.imwrite(f"{name}.tif", pixels, photometric="rgb", compression="zlib",
                     predictor=predictor, extrasamples=["unspecified"])
    assert (tifffile.imread(f"{name}.tif") == pixels).all()
PY
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"
[dependencies]
tiff = "=0.11.3"
TOML
cat > src/main.rs <<'RUST'
use tiff::decoder::{Decoder, DecodingResult};

fn main() {
    let pixels = std::fs::read("pixels.rgb").unwrap();
    let mut right = Vec::new();
    for name in ["plain", "differences"] {
        let file = std::io::BufReader::new(std::fs::File::open(format!("{name}.tif")).unwrap());
        let mut decoder = Decoder::new(file).unwrap();
        let DecodingResult::U8(found) = decoder.read_image().unwrap() else {
            panic!("other samples");
        };
        println!("tiff 0.11.3, {name}: {:?}, {:?} ...", decoder.colortype().unwrap(), &found[..9]);
        right.push(found == pixels);
    }
    println!("expected: {:?} ...", &pixels[..9]);
    assert_eq!(right, [true, false], "the behaviour has changed");
}
RUST
cargo run --quiet --release
