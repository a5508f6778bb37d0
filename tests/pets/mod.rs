//! Folders of small pictures.

use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};

/// Pictures of 8x8 pixels, each different, with a colour for each class.
pub fn pictures(folder: &Path, classes: &[(&str, [u8; 3])], count: u8) {
    for (class, colour) in classes {
        let folder = folder.join(class);
        fs::create_dir_all(&folder).unwrap();
        for i in 0..count {
            let [r, g, b] = colour.map(|c| c.saturating_add(i));
            RgbImage::from_fn(8, 8, |x, y| Rgb([r, g, b.saturating_add((x * y) as u8)]))
                .save(folder.join(format!("{i:03}.png")))
                .unwrap();
        }
    }
}

pub const CAT: (&str, [u8; 3]) = ("cat", [200, 20, 20]);
pub const DOG: (&str, [u8; 3]) = ("dog", [20, 200, 20]);
