//! The kernel variants, all of which must agree: one for each class of adapters, and one for each algorithm
//! that is not the first choice.

use super::lower::algorithms;
use super::tuning::Tuning;

/// Every variant, by name.
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

/// The name of the variant that a tuning is, with or without copies in images.
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
