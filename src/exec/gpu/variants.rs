//! The kernel variants, all of which must agree: one per class of adapters, and one per algorithm
//! that is not the first choice of every pass.

use super::lower::algorithms;
use super::tuning::Tuning;

/// All variants, by name.
pub fn variants() -> Vec<(&'static str, Tuning)> {
    let others = alternatives(&algorithms()).into_iter().map(|name| {
        let tuning = Tuning {
            algorithm: Some(name),
            ..Tuning::PLAIN
        };
        (name, tuning)
    });
    Tuning::CLASSES.into_iter().chain(others).collect()
}

/// The distinct names in these tables, in order, without those that come first in every table that
/// has them: the classes of adapters run these already. A name that is first in one table and not
/// in another is needed for the other.
fn alternatives<'a>(tables: &[Vec<&'a str>]) -> Vec<&'a str> {
    let mut names = Vec::new();
    for name in tables.iter().flat_map(|table| table.iter().skip(1)) {
        if !names.contains(name) {
            names.push(*name);
        }
    }
    names
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_is_a_variant_unless_it_is_every_passs_first_choice() {
        let tables = |tables: [&[&'static str]; 3]| alternatives(&tables.map(<[_]>::to_vec));
        let both: &[_] = &["tiled", "plain"];
        assert_eq!(tables([both; 3]), ["plain"]);
        // Behind a new first choice of one pass, its former first choice still has to be checked.
        let more: &[_] = &["winograd", "tiled", "plain"];
        assert_eq!(tables([both, more, both]), ["plain", "tiled"]);
        assert_eq!(tables([&["tiled"], both, both]), ["plain"]);
    }

    #[test]
    fn no_two_variants_have_the_same_name() {
        let mut names: Vec<_> = variants().into_iter().map(|(name, _)| name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
