//! Changes to a kernel's text, for tests of the checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use naga::valid::{Capabilities, ValidationFlags, Validator};

/// A change to a kernel's text.
#[derive(Clone)]
pub struct Mutation {
    /// The kernel.
    pub entry: &'static str,
    /// The text to replace.
    pub from: &'static str,
    /// The replacement.
    pub to: &'static str,
    /// Number of texts changed so far.
    pub applied: Arc<AtomicUsize>,
}

impl Mutation {
    /// The text, changed if it belongs to the kernel.
    pub fn apply(&self, entry: &str, source: String) -> String {
        if entry != self.entry || !source.contains(self.from) {
            return source;
        }
        self.applied.fetch_add(1, Ordering::Relaxed);
        let source = source.replace(self.from, self.to);
        // A text that is not WGSL would fail whatever the cases look at.
        let module = naga::front::wgsl::parse_str(&source)
            .unwrap_or_else(|e| panic!("`{}`: {}", self.to, e.emit_to_string(&source)));
        Validator::new(ValidationFlags::all(), Capabilities::all())
            .validate(&module)
            .unwrap_or_else(|e| panic!("`{}`: {e:?}", self.to));
        source
    }
}
