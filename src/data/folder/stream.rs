//! Reads a folder batch by batch.

use std::sync::{Arc, Mutex, PoisonError};

use super::images::ImageFolder;
use crate::data::error::DataError;
use crate::data::generator::{Batch, Generator};
use crate::rng::{Key, Stream};

/// An [`ImageFolder`] read batch by batch; see [`ImageFolder::stream`].
pub struct FolderStream {
    folder: ImageFolder,
    batch_size: usize,
    seed: u64,
    /// The last pass that was requested, and its order.
    order: Mutex<Option<(u64, Arc<Vec<u32>>)>>,
}

impl ImageFolder {
    /// Reads the pictures batch by batch while the device works, for folders larger than memory.
    /// Each pass reads every picture once, in an order that depends on `seed` and the pass.
    ///
    /// # Errors
    /// [`DataError::Contents`] if `batch_size` is 0.
    pub fn stream(self, batch_size: usize, seed: u64) -> Result<FolderStream, DataError> {
        if batch_size == 0 {
            let problem = "received batch size 0, expected at least 1";
            return Err(DataError::contents(self.path(), problem));
        }
        Ok(FolderStream {
            folder: self,
            batch_size,
            seed,
            order: Mutex::new(None),
        })
    }
}

impl FolderStream {
    fn order(&self, pass: u64) -> Arc<Vec<u32>> {
        let mut last = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((of, order)) if *of == pass => Arc::clone(order),
            _ => {
                // As in `fit`, which counts epochs from 1.
                let key = Key::new(self.seed).stream(Stream::Shuffle, (pass + 1) as u32);
                let order = Arc::new(key.permutation(self.folder.len()));
                *last = Some((pass, Arc::clone(&order)));
                order
            }
        }
    }
}

impl Generator for FolderStream {
    fn name(&self) -> String {
        "folder".into()
    }

    fn shape(&self) -> [usize; 3] {
        self.folder.shape()
    }

    fn class_names(&self) -> Vec<String> {
        self.folder.classes().to_vec()
    }

    fn steps(&self) -> Option<usize> {
        Some(self.folder.len().div_ceil(self.batch_size))
    }

    fn batch(&self, number: u64) -> crate::Result<Option<Batch>> {
        let steps = self.folder.len().div_ceil(self.batch_size) as u64;
        let order = self.order(number / steps);
        let first = (number % steps) as usize * self.batch_size;
        let last = (first + self.batch_size).min(order.len());
        Ok(Some(self.folder.read(&order[first..last])?))
    }
}
