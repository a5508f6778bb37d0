//! Files of weights.

use std::collections::HashMap;

use hdf5_pure::{AttrValue, Dataset, Datatype, File, FormatError as Fault, Layout, Source};

use super::super::section::Section;
use super::fault::{fault, present};
use super::tensor::{Budget, StoredTensor, is_float, shape};
use crate::error::FormatError;

/// An open file.
pub(in super::super) struct WeightsFile {
    file: File,
    section: Section,
    budget: Budget,
    /// The group that was searched last, and its tensors: finding each by its path would list the
    /// group each time.
    listed: (String, HashMap<String, Dataset>),
}

impl Source for Section {
    fn len(&self) -> u64 {
        Self::len(self)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        let read = self.read_exact_at(offset, buffer);
        read.map_err(|e| Fault::Source(e.to_string()))
    }
}

impl WeightsFile {
    /// Opens a file.
    ///
    /// # Errors
    /// Not an HDF5 file, or a damaged one.
    pub(in super::super) fn open(section: Section) -> Result<Self, FormatError> {
        let file = File::from_source(section.clone()).map_err(|e| {
            FormatError::from(format!(
                "not a complete HDF5 file: {e}; copy or save it again"
            ))
            .caused_by(e)
        })?;
        Ok(Self {
            file,
            budget: Budget::new(section.len()),
            section,
            listed: Default::default(),
        })
    }

    /// Whether there is a group at this path.
    pub(in super::super) fn has_group(&self, path: &str) -> bool {
        self.file.group(path).is_ok()
    }

    /// The names of the groups in a group; none if there is no such group.
    pub(in super::super) fn groups(&self, path: &str) -> Result<Vec<String>, FormatError> {
        let listed = self.file.group(path).and_then(|group| group.groups());
        present(path, listed).map(Option::unwrap_or_default)
    }

    /// More groups than a file of this size has: each takes more than 32 bytes.
    pub(in super::super) fn most_groups(&self) -> usize {
        usize::try_from(self.section.len() / 32).unwrap_or(usize::MAX)
    }

    /// The names of the tensors in a group; none if there is no such group.
    pub(in super::super) fn tensors(&self, path: &str) -> Result<Vec<String>, FormatError> {
        let listed = self.file.group(path).and_then(|group| group.datasets());
        present(path, listed).map(Option::unwrap_or_default)
    }

    /// The texts of an attribute of a group, one text or a list; `None` if the group or the
    /// attribute is missing.
    pub(in super::super) fn texts(
        &self,
        group: &str,
        name: &str,
    ) -> Result<Option<Vec<String>>, FormatError> {
        let attributes = self.file.group(group).and_then(|group| group.attrs());
        let attributes = present(group, attributes)?;
        let value = attributes.and_then(|mut attributes| attributes.remove(name));
        Ok(match value {
            // A list without elements has the type of a number.
            Some(AttrValue::F64Array(list)) if list.is_empty() => Some(Vec::new()),
            value => value.and_then(|value| value.as_strings().map(<[String]>::to_vec)),
        })
    }

    /// The tensor at this path; `None` if there is none.
    ///
    /// # Errors
    /// It is not of float32, or its values are not in this file, or the file is too small for its
    /// size.
    pub(in super::super) fn tensor(
        &mut self,
        path: &str,
    ) -> Result<Option<StoredTensor>, FormatError> {
        let Some(dataset) = self.dataset(path)? else {
            return Ok(None);
        };
        let tensor = StoredTensor::new(path, dataset, (&self.section, &mut self.budget))?;
        Ok(Some(tensor))
    }

    fn dataset(&mut self, path: &str) -> Result<Option<Dataset>, FormatError> {
        let (group, name) = path.rsplit_once('/').unwrap_or(("/", path));
        if self.listed.0 != group {
            let found = self
                .file
                .group(group)
                .and_then(|group| group.iter_datasets());
            let found = present(group, found)?;
            self.listed = (group.into(), found.into_iter().flatten().collect());
        }
        Ok(self.listed.1.get(name).cloned())
    }

    /// The integer at this path; `None` if there is none.
    pub(in super::super) fn integer(&self, path: &str) -> Result<Option<i64>, FormatError> {
        let Some(dataset) = self.scalar(path)? else {
            return Ok(None);
        };
        match dataset.datatype().map_err(|e| fault(path, e))? {
            Datatype::FixedPoint { size: 1..=8, .. } => {}
            _ => return Ok(None),
        }
        let values = dataset.read_i64().map_err(|e| fault(path, e))?;
        Ok(values.first().copied())
    }

    /// The float32 at this path; `None` if there is none.
    pub(in super::super) fn float(&self, path: &str) -> Result<Option<f32>, FormatError> {
        let Some(dataset) = self.scalar(path)? else {
            return Ok(None);
        };
        if !is_float(path, &dataset) {
            return Ok(None);
        }
        let values = dataset.read_f32().map_err(|e| fault(path, e))?;
        Ok(values.first().copied())
    }

    /// The dataset of one element at this path.
    fn scalar(&self, path: &str) -> Result<Option<Dataset>, FormatError> {
        let Some(dataset) = present(path, self.file.dataset(path))? else {
            return Ok(None);
        };
        let layout = dataset.layout().map_err(|e| fault(path, e))?;
        let is_plain = match layout {
            Layout::Contiguous { size, .. } | Layout::Compact { size } => size <= 8,
            _ => false,
        };
        let is_one = shape(path, &dataset)?.iter().all(|&n| n == 1);
        Ok((is_plain && is_one).then_some(dataset))
    }

    /// Reads a tensor's values into `values`, which has as many elements.
    ///
    /// # Errors
    /// The file is damaged, or its filters are not supported.
    pub(in super::super) fn read(
        &self,
        tensor: &StoredTensor,
        values: &mut [f32],
    ) -> Result<(), FormatError> {
        tensor.read(&self.section, values)
    }
}
