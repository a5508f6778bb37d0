//! Names: of Keras's groups of weights, and of layers that are added.

use std::collections::HashMap;

/// Names the groups of weights as Keras does: a layer's class in snake case, numbered per class.
#[derive(Default)]
pub(super) struct GroupNames {
    counts: HashMap<String, usize>,
}

impl GroupNames {
    /// The name of the next layer's group.
    pub(super) fn next(&mut self, class: &str) -> String {
        let name = snake_case(class);
        let count = self.counts.entry(name.clone()).or_insert(0);
        *count += 1;
        match *count - 1 {
            0 => name,
            n => format!("{name}_{n}"),
        }
    }
}

/// `MaxPooling2D` -> `max_pooling2d`, `LeakyReLU` -> `leaky_re_lu`.
fn snake_case(class: &str) -> String {
    let characters: Vec<char> = class.chars().collect();
    let is_lower = |i: usize| characters.get(i).is_some_and(char::is_ascii_lowercase);
    let mut name = String::new();
    for (i, c) in characters.iter().enumerate() {
        if i > 0 && c.is_ascii_uppercase() && (is_lower(i - 1) || is_lower(i + 1)) {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// Names as every backend of Keras accepts them, where these differ from ours: of letters without
/// accents, digits, `_` and `-`, and still different from each other.
pub(super) fn allowed_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut given: Vec<String> = Vec::new();
    for name in names {
        let base = allowed_name(name);
        let free = free_name(&base, |name| given.iter().any(|other| other == name));
        given.push(free);
    }
    given
}

/// A name as every backend of Keras accepts it.
pub(super) fn allowed_name(name: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let replaced = name.chars().map(|c| if is_allowed(c) { c } else { '_' });
    replaced.collect()
}

/// `base`, or `base` with a number if that is taken.
pub(super) fn free_name(base: &str, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(base) {
        return base.into();
    }
    let mut numbered = (1_usize..).map(|n| format!("{base}_{n}"));
    let free = numbered.find(|name| !is_taken(name));
    free.unwrap_or_else(|| base.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_the_names_that_keras_gives() {
        let mut names = GroupNames::default();
        for (class, name) in [
            ("Conv2D", "conv2d"),
            ("Conv2D", "conv2d_1"),
            ("MaxPooling2D", "max_pooling2d"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("Conv2D", "conv2d_2"),
            ("DepthwiseConv2D", "depthwise_conv2d"),
            ("BatchNormalization", "batch_normalization"),
            ("ReLU", "re_lu"),
            ("LeakyReLU", "leaky_re_lu"),
            ("ELU", "elu"),
            ("PReLU", "p_re_lu"),
            ("Conv2DTranspose", "conv2d_transpose"),
        ] {
            assert_eq!(names.next(class), name);
        }
    }

    #[test]
    fn names_that_keras_refuses_are_replaced() {
        let names = ["a b", "a_b", "größe", "conv-1.x", "a/b"];
        let allowed = ["a_b", "a_b_1", "gr__e", "conv-1_x", "a_b_2"];
        assert_eq!(allowed_names(names.into_iter()), allowed);
    }

    #[test]
    fn a_taken_name_gets_a_number() {
        let taken = ["a", "a_1"];
        assert_eq!(free_name("a", |name| taken.contains(&name)), "a_2");
        assert_eq!(free_name("b", |name| taken.contains(&name)), "b");
    }
}
