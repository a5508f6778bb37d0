//! The bar on the screen, so that others can write to the terminal while it moves.

use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, WeakProgressBar};

/// There is one terminal, and at most one run in it that shows a bar.
static SHOWN: Mutex<Option<WeakProgressBar>> = Mutex::new(None);

/// Announces the bar that is on the screen from now on.
pub(super) fn announce(bar: &ProgressBar) {
    *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.downgrade());
}

/// Calls `print`, which writes to the terminal, while the bar of a training is out of its way, and
/// tells it whether there is one. Otherwise the bar would overwrite the text.
pub fn beside_bar<T>(print: impl FnOnce(bool) -> T) -> T {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let bar = shown.as_ref().and_then(WeakProgressBar::upgrade);
    drop(shown);
    match bar.filter(|bar| !bar.is_finished() && !bar.is_hidden()) {
        Some(bar) => bar.suspend(|| print(true)),
        None => print(false),
    }
}
