//! The kernel variants, all of which must agree: one per class of adapters, and one per algorithm
//! other than the first choice.

use super::lower::algorithms;
use super::tuning::Tuning;

/// All variants, by name.
pub fn variants() -> Vec<(&'static str, Tuning)> {
    let others = algorithms().into_iter().skip(1).map(|name| {
        let tuning = Tuning {
            algorithm: Some(name),
            ..Tuning::PLAIN
        };
        (name, tuning)
    });
    Tuning::CLASSES.into_iter().chain(others).collect()
}

/// The name of a tuning's variant, with or without image copies.
pub fn name_of(tuning: &Tuning) -> &'static str {
    let image_copies = tuning.image_copies;
    let is_this = |variant: &Tuning| {
        Tuning {
            image_copies,
            ..*variant
        } == *tuning
    };
    let named = variants().into_iter().find(|(_, variant)| is_this(variant));
    named.map_or("custom", |(name, _)| name)
}
