//! The inputs of a node.

use super::nd_array::NdArray;
use super::node::NodeRef;
use super::value::{Floats, Flow, GraphValue};
use super::view::MOST_AXES;
use crate::error::FormatError;

/// A node with the values of its inputs; optional ones may be absent.
pub(super) struct Inputs<'a> {
    pub node: NodeRef<'a>,
    pub values: Vec<Option<GraphValue>>,
}

impl Inputs<'_> {
    pub fn get(&self, i: usize) -> Option<&GraphValue> {
        self.values.get(i)?.as_ref()
    }

    /// Whether any of them depends on the images.
    pub fn flows(&self) -> bool {
        self.all_flows().next().is_some()
    }

    /// The values that depend on the images.
    pub fn all_flows(&self) -> impl Iterator<Item = &Flow> {
        let given = self.values.iter().flatten();
        given.filter_map(|value| match value {
            GraphValue::Flow(flow) => Some(flow),
            _ => None,
        })
    }

    /// The value that depends on the images.
    ///
    /// # Errors
    /// Input `i` is not one.
    pub fn flow(&self, i: usize) -> Result<&Flow, FormatError> {
        match self.get(i) {
            Some(GraphValue::Flow(flow)) => Ok(flow),
            _ => Err(self.unexpected(i, "a value that depends on the images")),
        }
    }

    /// The first value that depends on the images.
    ///
    /// # Errors
    /// There is none.
    pub fn first_flow(&self) -> Result<&Flow, FormatError> {
        let flow = self.all_flows().next();
        flow.ok_or_else(|| self.unexpected(0, "a value that depends on the images"))
    }

    /// Constant numbers.
    ///
    /// # Errors
    /// Input `i` is something else.
    pub fn numbers(&self, i: usize) -> Result<&Floats, FormatError> {
        match self.get(i) {
            Some(GraphValue::Floats(numbers)) => Ok(numbers),
            _ => Err(self.unexpected(i, "constant numbers")),
        }
    }

    /// As [`Self::numbers`], if there is such an input.
    ///
    /// # Errors
    /// It is something else.
    pub fn optional_numbers(&self, i: usize) -> Result<Option<&Floats>, FormatError> {
        self.get(i).map(|_| self.numbers(i)).transpose()
    }

    /// Constant integers.
    ///
    /// # Errors
    /// Input `i` is something else.
    pub fn integers(&self, i: usize) -> Result<&NdArray<Option<i64>>, FormatError> {
        match self.get(i) {
            Some(GraphValue::Integers(integers)) => Ok(integers),
            _ => Err(self.unexpected(i, "constant integers")),
        }
    }

    /// The first input.
    ///
    /// # Errors
    /// There is none.
    pub fn first(&self) -> Result<&GraphValue, FormatError> {
        self.get(0).ok_or_else(|| self.unexpected(0, "a value"))
    }

    /// Input `i` as sizes of axes.
    ///
    /// # Errors
    /// It is something else, or depends on the number of images.
    pub fn sizes(&self, i: usize) -> Result<Vec<usize>, FormatError> {
        let sizes = self.integers(i)?.elements().iter();
        let sizes = sizes.map(|size| size.and_then(|size| usize::try_from(size).ok()));
        sizes.collect::<Option<_>>().ok_or_else(|| {
            self.unexpected(
                i,
                "sizes of at least 0 that do not depend on the number of images",
            )
        })
    }

    /// Integers that do not depend on the number of images, from the attribute `name` or from input
    /// `i`, whichever there is: newer versions of operators have inputs for what were attributes.
    ///
    /// # Errors
    /// The input is something else.
    pub fn setting(&self, name: &str, i: usize) -> Result<Option<Vec<i64>>, FormatError> {
        if let Some(ints) = self.node.ints(name) {
            return Ok(Some(ints.to_vec()));
        }
        if self.get(i).is_none() {
            return Ok(None);
        }
        let known = self.integers(i)?.elements().iter().copied();
        known.collect::<Option<_>>().map(Some).ok_or_else(|| {
            (self.node).error(format!("its `{name}` depend on the number of images"))
        })
    }

    /// As [`Self::setting`], for axes of a value with this rank.
    ///
    /// # Errors
    /// As there; or there is no such axis.
    pub fn axes(&self, i: usize, rank: usize) -> Result<Option<Vec<usize>>, FormatError> {
        let Some(axes) = self.setting("axes", i)? else {
            return Ok(None);
        };
        if axes.len() > MOST_AXES {
            return Err(self.node.error(format!("more than {MOST_AXES} axes")));
        }
        let axes = axes.iter().map(|&axis| self.node.axis(axis, rank));
        axes.collect::<Result<_, _>>().map(Some)
    }

    /// One number, from the attribute `name` or from input `i`.
    ///
    /// # Errors
    /// The input is something else.
    pub fn number(&self, name: &str, i: usize) -> Result<Option<f32>, FormatError> {
        if let Some(number) = self.node.float(name) {
            return Ok(Some(number));
        }
        let Some(numbers) = self.optional_numbers(i)? else {
            return Ok(None);
        };
        let one = numbers.array.single().copied();
        one.map(Some)
            .ok_or_else(|| self.unexpected(i, "one number"))
    }

    /// The error that input `i` is not what was expected.
    pub fn unexpected(&self, i: usize, wanted: &str) -> FormatError {
        let name = self.node.proto.input.get(i).map_or("", String::as_str);
        let found = match self.get(i) {
            None => "nothing".into(),
            Some(GraphValue::Flow(_)) => format!("`{name}`, which depends on the images"),
            Some(GraphValue::Integers(_)) => format!("the integers `{name}`"),
            Some(GraphValue::Floats(_)) => format!("the numbers `{name}`"),
        };
        (self.node).error(format!(
            "expected {wanted} as input {}, found {found}",
            i + 1
        ))
    }
}
