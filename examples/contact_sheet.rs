//! Writes a sheet of built-in digits to standard output, as a PGM picture: ten rows, one per class.
//!
//! `cargo run --release --example contact_sheet > digits.pgm`

use std::io::Write;

use cnn_gpu::data::digits;

const COLUMNS: usize = 24;
const SIDE: usize = 28;

fn main() -> std::io::Result<()> {
    let data = digits::generate(4000, 0, 0);
    let mut sheet = vec![0u8; 10 * SIDE * COLUMNS * SIDE];
    for class in 0..10 {
        let of_class = (0..data.len()).filter(|&i| usize::from(data.labels[i]) == class);
        for (column, i) in of_class.take(COLUMNS).enumerate() {
            for (y, row) in data.image(i).chunks_exact(SIDE).enumerate() {
                let at = ((class * SIDE + y) * COLUMNS + column) * SIDE;
                sheet[at..at + SIDE].copy_from_slice(row);
            }
        }
    }
    let mut out = std::io::stdout().lock();
    write!(out, "P5\n{} {}\n255\n", COLUMNS * SIDE, 10 * SIDE)?;
    out.write_all(&sheet)
}
