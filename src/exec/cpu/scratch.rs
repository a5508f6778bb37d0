//! Scratch memory of tasks: one arena per thread, reused from step to step.

use std::cell::RefCell;

thread_local! {
    static ARENA: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Floats in a cache line, and in the longest vector.
const LINE: usize = 16;

/// Calls `f` with `len` floats of this thread's arena, which hold arbitrary old values.
pub(super) fn with<T>(len: usize, f: impl FnOnce(&mut [f32]) -> T) -> T {
    ARENA.with_borrow_mut(|arena| {
        if arena.len() < len + LINE {
            arena.resize(len + LINE, 0.0);
        }
        let start = arena.as_ptr().align_offset(64).min(LINE);
        f(&mut arena[start..start + len])
    })
}

/// Resizes `buffer` to exactly `len` floats; allocates only to grow.
pub(super) fn resize(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    buffer.resize(len, 0.0);
    buffer
}
