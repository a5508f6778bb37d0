//! Memory that a task needs for a moment: one arena per thread, kept from step to step.

use std::cell::RefCell;

thread_local! {
    static ARENA: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with `len` floats of this thread's arena. What they hold is what was left in them.
pub(super) fn with<T>(len: usize, f: impl FnOnce(&mut [f32]) -> T) -> T {
    ARENA.with_borrow_mut(|arena| {
        if arena.len() < len {
            arena.resize(len, 0.0);
        }
        f(&mut arena[..len])
    })
}

/// Makes `buffer` hold exactly `len` floats; it allocates only when it grows.
pub(super) fn resize(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    buffer.resize(len, 0.0);
    buffer
}
