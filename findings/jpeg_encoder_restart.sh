#!/usr/bin/env bash
# jpeg-encoder 0.7.1 corrupts pictures with both optimised Huffman tables and a restart interval.
#
# When it counts the symbols for the tables, it ignores that a restart resets the DC prediction. A symbol
# that occurs only after a restart then has no code, and nothing is written for it: the encoder returns
# Ok, libjpeg (in Pillow) shows garbage without an error, and jpeg-decoder refuses the file. Tests of a
# decoder that create their inputs with this encoder must not combine the two options.
#
# Expected: tables and restarts are independent, as in libjpeg. Needs cargo and python3.
# Exits non-zero if the behaviour changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"
[dependencies]
jpeg-encoder = "=0.7.1"
TOML
cat > src/main.rs <<'RUST'
use jpeg_encoder::{ColorType, Encoder};

fn main() {
    let side = 48;
    let wave = |at: usize, length: f32| (128.0 + 80.0 * (at as f32 / length).sin()) as u8;
    let pixels: Vec<u8> = (0..side * side)
        .flat_map(|i| [wave(i % side, 19.0), wave(i / side, 17.0), 128])
        .collect();
    std::fs::write("pixels.rgb", &pixels).unwrap();
    for (optimised, restarts) in [(false, 0), (false, 1), (true, 0), (true, 1)] {
        let mut encoder = Encoder::new_file(format!("{optimised}-{restarts}.jpg"), 97).unwrap();
        encoder.set_optimized_huffman_tables(optimised);
        encoder.set_restart_interval(restarts);
        encoder.encode(&pixels, side as u16, side as u16, ColorType::Rgb).unwrap();
    }
}
RUST
cargo run --quiet --release
python3 -m venv venv
venv/bin/pip install --quiet pillow==13.0.0 numpy==2.4.6
venv/bin/python - <<'PY'
import numpy as np
from PIL import Image
pixels = np.fromfile("pixels.rgb", "u1").reshape(48, 48, 3).astype(int)
off = {}
for optimised in "false", "true":
    for restarts in 0, 1:
        found = np.asarray(Image.open(f"{optimised}-{restarts}.jpg")).astype(int)
        off[optimised, restarts] = int(np.abs(found - pixels).max())
        print(f"jpeg-encoder 0.7.1, optimised tables {optimised}, restart interval {restarts}:",
              f"at most {off[optimised, restarts]} levels off")
good = [off["false", 0], off["false", 1], off["true", 0]]
assert max(good) < 16 and off["true", 1] > 50, "the behaviour has changed"
PY
