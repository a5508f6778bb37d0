//! Access to a node's attributes, and errors that name it.

use std::borrow::Cow;

use super::super::messages::{AttributeProto, NodeProto, TensorProto};
use crate::error::FormatError;
use crate::model::Sequential;

/// Names in messages have no more characters than this: each layer has its node's.
const LONGEST: usize = 255;

/// A node and the version of the operators that it follows.
#[derive(Clone, Copy)]
pub(super) struct NodeRef<'a> {
    pub proto: &'a NodeProto,
    pub opset: i64,
}

impl<'a> NodeRef<'a> {
    pub fn operator(&self) -> &'a str {
        self.proto.op_type()
    }

    /// The node's own name, or that of its first output.
    pub fn name(&self) -> &'a str {
        match self.proto.name() {
            "" => self.proto.output.first().map_or("", String::as_str),
            name => name,
        }
    }

    /// The name that a layer of this node gets: names that the exporter made up are told by their
    /// output's, which is another one.
    pub fn layer_name(&self) -> Option<&'a str> {
        let name = self.proto.name();
        self.proto.output.first().filter(|&output| output == name)?;
        Some(name).filter(|name| name.len() <= Sequential::MAX_LAYER_NAME)
    }

    /// The node in messages.
    pub fn label(&self) -> String {
        let [name, operator] = [self.name(), self.operator()].map(shortened);
        format!("node `{name}` ({operator})")
    }

    /// An error about this node.
    pub fn error(&self, message: impl AsRef<str>) -> FormatError {
        format!("{}: {}", self.label(), message.as_ref()).into()
    }

    fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.proto.attribute.iter().find(|a| a.name() == name)
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name).map(AttributeProto::i)
    }

    /// Whether the attribute is a number other than 0.
    pub fn flag(&self, name: &str) -> bool {
        self.int(name).is_some_and(|i| i != 0)
    }

    pub fn float(&self, name: &str) -> Option<f32> {
        self.attribute(name).map(AttributeProto::f)
    }

    pub fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|a| a.ints.as_slice())
    }

    pub fn floats(&self, name: &str) -> Option<&'a [f32]> {
        self.attribute(name).map(|a| a.floats.as_slice())
    }

    pub fn tensor(&self, name: &str) -> Option<&'a TensorProto> {
        self.attribute(name)?.t.as_ref()
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        let bytes = self.attribute(name)?.s.as_deref()?;
        std::str::from_utf8(bytes).ok()
    }

    /// Sizes: integers that are not negative.
    ///
    /// # Errors
    /// There are more or fewer, or one is negative.
    pub fn sizes(&self, name: &str, n: usize) -> Result<Option<Vec<usize>>, FormatError> {
        let Some(ints) = self.ints(name).filter(|ints| !ints.is_empty()) else {
            return Ok(None);
        };
        let sizes = ints.iter().map(|&i| usize::try_from(i).ok());
        let sizes = sizes.collect::<Option<Vec<_>>>().filter(|s| s.len() == n);
        match sizes {
            Some(sizes) => Ok(Some(sizes)),
            None => Err(self.error(format!(
                "expected {n} sizes of at least 0 as `{name}`, found {ints:?}"
            ))),
        }
    }

    /// `index`, counted from the end if it is negative, as one of `n`.
    ///
    /// # Errors
    /// There is no such axis.
    pub fn axis(&self, index: i64, n: usize) -> Result<usize, FormatError> {
        let from_start = match usize::try_from(index) {
            Ok(index) => Some(index),
            Err(_) => usize::try_from(index.unsigned_abs())
                .ok()
                .and_then(|back| n.checked_sub(back)),
        };
        from_start
            .filter(|&index| index < n)
            .ok_or_else(|| self.error(format!("axis {index} is not one of its {n} axes")))
    }
}

/// The start of a name, if it is very long.
fn shortened(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()).into(),
        None => name.into(),
    }
}
