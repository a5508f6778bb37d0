//! Constant numbers per channel.

use std::rc::Rc;

use super::nd_array::NdArray;
use super::value::{Floats, TensorOrigin, merged};

/// One number for all channels, or one for each, in this crate's order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Factors {
    pub values: Rc<[f64]>,
    pub origins: Vec<Rc<TensorOrigin>>,
}

impl Factors {
    /// One number for all channels.
    pub fn one(value: f64) -> Self {
        Self {
            values: Rc::new([value]),
            origins: Vec::new(),
        }
    }

    /// The number, if it is the same for all channels.
    pub fn single(&self) -> Option<f64> {
        match &*self.values {
            [value] => Some(*value),
            _ => None,
        }
    }

    /// One number for all channels, if those of the channels are equal.
    pub fn uniform(&self) -> Option<Self> {
        let (&first, rest) = self.values.split_first()?;
        rest.iter().all(|&v| v == first).then(|| Self {
            values: Rc::new([first]),
            origins: self.origins.clone(),
        })
    }

    /// Each number, changed.
    pub fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        Self {
            values: self.values.iter().map(|&v| change(v)).collect(),
            origins: self.origins.clone(),
        }
    }

    /// Both numbers of each channel, combined.
    pub fn zip(&self, other: &Self, combine: impl Fn(f64, f64) -> f64) -> Self {
        let n = self.values.len().max(other.values.len());
        Self {
            values: (0..n).map(|i| combine(self.of(i), other.of(i))).collect(),
            origins: merged(&[&self.origins, &other.origins]),
        }
    }

    /// The number of channel `i`.
    pub fn of(&self, i: usize) -> f64 {
        let same = self.single();
        same.or_else(|| self.values.get(i).copied()).unwrap_or(0.0)
    }

    /// The numbers of this many channels.
    pub fn numbers(&self, channels: usize) -> Floats {
        Floats {
            array: NdArray::vector((0..channels).map(|i| self.of(i) as f32).collect()),
            origins: self.origins.clone(),
        }
    }
}

impl From<&Floats> for Factors {
    fn from(numbers: &Floats) -> Self {
        Self {
            values: (numbers.array.elements().iter())
                .map(|&v| f64::from(v))
                .collect(),
            origins: numbers.origins.clone(),
        }
    }
}
