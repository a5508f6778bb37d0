//! Scratch memory of tasks: arenas of each thread, reused from step to step.

use std::cell::RefCell;

thread_local! {
    /// Those that no call of [`with`] holds.
    static ARENAS: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Floats in a cache line, and in the longest vector.
const LINE: usize = 16;

/// Calls `f` with `len` floats of one of this thread's arenas, which hold arbitrary old values.
/// Within `f`, a further call has another arena.
pub(super) fn with<T>(len: usize, f: impl FnOnce(&mut [f32]) -> T) -> T {
    let mut arena = ARENAS.with_borrow_mut(Vec::pop).unwrap_or_default();
    if arena.len() < len + LINE {
        arena.resize(len + LINE, 0.0);
    }
    let start = arena.as_ptr().align_offset(64).min(LINE);
    let result = f(&mut arena[start..start + len]);
    ARENAS.with_borrow_mut(|arenas| arenas.push(arena));
    result
}

/// Resizes `buffer` to exactly `len` floats; allocates only to grow.
pub(super) fn resize(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    buffer.resize(len, 0.0);
    buffer
}
