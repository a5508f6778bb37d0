//! Writes a contact sheet of the built-in digits as a PNG file: ten rows, one per class.
//!
//! `cargo run --release --example contact_sheet digits.png`

use std::path::PathBuf;

use cnn_gpu::data::{digits, sheet};

const COLUMNS: usize = 24;

fn main() -> cnn_gpu::Result<()> {
    let data = digits::generate(4000, 0, 0);
    let mut indices = Vec::new();
    for class in 0..10 {
        let of_class = (0..data.len()).filter(|&i| data.labels()[i] == class);
        indices.extend(of_class.take(COLUMNS));
    }
    let path = std::env::args_os().nth(1).unwrap_or("digits.png".into());
    sheet::sheet(&data, &indices, COLUMNS, 1).save(&PathBuf::from(path))?;
    Ok(())
}
