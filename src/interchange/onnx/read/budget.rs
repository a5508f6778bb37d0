//! How much may be computed from the constants of a file.

use super::node::NodeRef;
use crate::error::FormatError;

/// How often each element of the file may be copied.
const COPIES: usize = 8;
/// Elements that may be computed in addition.
const ALLOWANCE: usize = 1 << 20;

/// How many more elements may be computed from constants, or copied into layers: a small file must not take much memory.
pub(super) struct ElementBudget {
    left: usize,
}

impl ElementBudget {
    pub fn new() -> Self {
        Self { left: ALLOWANCE }
    }

    /// Adds what may be done with so many elements of the file.
    pub fn earn(&mut self, elements: usize) {
        self.left = self.left.saturating_add(elements.saturating_mul(COPIES));
    }

    /// Takes elements from the budget, for this node.
    ///
    /// # Errors
    /// It is used up.
    pub fn spend(&mut self, node: &NodeRef<'_>, elements: usize) -> Result<(), FormatError> {
        let left = self.left.checked_sub(elements);
        self.left = left.ok_or_else(|| {
            node.error("computes much more from constants than the file holds; simplify the graph")
        })?;
        Ok(())
    }
}
