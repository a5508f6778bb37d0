//! Which image of a run's report to look at closely.

/// The image of a report to look at closely.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Chosen {
    /// The worst mistake: of the misclassified test images, the one that the network was most sure
    /// of. Without mistakes, the image whose label is least probable.
    #[default]
    Worst,
    /// A test image, by its index.
    Test(usize),
    /// Another image.
    Other {
        /// Its name.
        name: String,
        /// Its pixels, `[h, w, c]`.
        pixels: Vec<u8>,
    },
}
