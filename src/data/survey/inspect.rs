//! Inspects each image once.

use std::fs;
use std::path::Path;

use image::ImageFormat;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::data::dataset::Dataset;
use crate::data::error::DataError;
use crate::data::folder::{ImageFolder, Part};
use crate::data::picture::Picture;
use crate::data::picture::format;

/// The properties of an inspected image.
pub(super) struct SurveyedImage {
    pub(super) part: Part,
    pub(super) class: usize,
    /// The path relative to the data set's folder, or an index such as `train[5]`.
    pub(super) name: String,
    /// Width and height.
    pub(super) size: [usize; 2],
    /// SHA-256 of the size and the pixels.
    pub(super) digest: [u8; 32],
    pub(super) format: Option<ImageFormat>,
    /// Whether it is transparent and shows a single colour.
    pub(super) is_blank: bool,
    /// Whether its light above 1 was clipped.
    pub(super) is_clipped: bool,
}

/// The images of an array; those from index `kept` on are for validation.
pub(super) fn array(data: &Dataset, part: Part, kept: usize) -> Vec<SurveyedImage> {
    let [height, width, _] = data.shape();
    let inspect = |i: usize| SurveyedImage {
        part: if i < kept { part } else { Part::Validation },
        class: usize::from(data.labels()[i]),
        name: format!("{part}[{i}]"),
        size: [width, height],
        digest: Sha256::digest(data.image(i)).into(),
        format: None,
        is_blank: false,
        is_clipped: false,
    };
    (0..data.len()).into_par_iter().map(inspect).collect()
}

/// The pictures of a part in the folder `root`; those from index `kept` on are for validation.
pub(super) fn pictures(
    root: &Path,
    folder: &ImageFolder,
    part: Part,
    kept: usize,
) -> Vec<Result<SurveyedImage, DataError>> {
    let files: Vec<_> = folder.files().enumerate().collect();
    let inspect = |(i, (path, class)): (usize, (&Path, usize))| {
        let part = if i < kept { part } else { Part::Validation };
        let name = path.strip_prefix(root).unwrap_or(path);
        picture(path, name.display().to_string(), part, class)
    };
    files.into_par_iter().map(inspect).collect()
}

fn picture(
    path: &Path,
    name: String,
    part: Part,
    class: usize,
) -> Result<SurveyedImage, DataError> {
    let bytes = fs::read(path).map_err(|source| DataError::Read {
        path: path.into(),
        source,
    })?;
    let picture = Picture::from_bytes(path, &bytes)?;
    let [width, height] = picture.size();
    let mut hash = Sha256::new();
    for side in [width, height] {
        hash.update((side as u64).to_le_bytes());
    }
    hash.update(picture.image.as_raw());
    Ok(SurveyedImage {
        part,
        class,
        name,
        size: [width, height],
        digest: hash.finalize().into(),
        format: format(path, &bytes),
        is_blank: picture.is_blank(),
        is_clipped: picture.is_clipped(),
    })
}
