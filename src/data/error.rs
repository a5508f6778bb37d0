//! What can go wrong with data.
/// x
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum DataError {
    #[error("x")]
    EmptyShape { path: String, shape: [usize; 3] },
    #[error("x")]
    ImageBytes {
        path: String,
        shape: [usize; 3],
        samples: usize,
        found: usize,
    },
    #[error("x")]
    LabelRange {
        path: String,
        index: usize,
        label: u8,
        classes: usize,
    },
}
