//! The parts of a data set, and the names that people give their folders.

use std::fmt;

use serde::Serialize;

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Part {
    /// The training samples.
    Train,
    /// The samples evaluated after each epoch.
    Validation,
    /// The samples evaluated after training.
    Test,
}

/// The names of each part's folder in lower case. If several exist, the first in the list is used.
const NAMES: [(Part, &[&str]); 3] = [
    (Part::Train, &["train", "training", "trn", "trainval"]),
    (
        Part::Validation,
        &[
            "val",
            "valid",
            "validation",
            "validate",
            "dev",
            "eval",
            "evaluation",
        ],
    ),
    (Part::Test, &["test", "testing", "tests", "tst", "holdout"]),
];
/// Words that may accompany a part's name, as in `training_set` and `test-images`.
const BESIDE: [&str; 17] = [
    "set", "data", "dataset", "images", "image", "imgs", "img", "pictures", "pics", "photos",
    "samples", "split", "folder", "dir", "jpg", "jpeg", "png",
];
/// Names of folders next to the parts whose pictures have no class.
const WITHOUT_CLASSES: [&str; 7] = [
    "unlabeled",
    "unlabelled",
    "unsup",
    "unsupervised",
    "pred",
    "predict",
    "prediction",
];

/// A folder's name that contains a part's name. Preferred names come first in the order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PartName {
    pub(super) part: Part,
    /// The rest of the name, such as `seg` in `seg_train`.
    pub(super) rest: String,
    /// The index in the part's names.
    rank: usize,
    length: usize,
}

/// The words of a name in lower case, without numbers.
fn words(name: &str) -> Vec<String> {
    let name = name.to_lowercase();
    let words = name.split(|c: char| !c.is_alphabetic());
    words
        .filter(|word| !word.is_empty())
        .map(String::from)
        .collect()
}

/// Whether the pictures of a folder have no class, judged by its name.
pub(super) fn is_without_classes(name: &str) -> bool {
    words(name)
        .iter()
        .any(|word| WITHOUT_CLASSES.contains(&word.as_str()))
}

impl PartName {
    pub(super) fn of(name: &str) -> Option<Self> {
        let mut words = words(name);
        words.retain(|word| !BESIDE.contains(&word.as_str()));
        let known = |word: &str| {
            NAMES.iter().find_map(|(part, names)| {
                let is_it = |known: &&str| {
                    let behind = word.strip_prefix(known);
                    behind.is_some_and(|behind| behind.is_empty() || BESIDE.contains(&behind))
                };
                names.iter().position(is_it).map(|rank| (*part, rank))
            })
        };
        let named = |(part, rank), rest| Self {
            part,
            rest,
            rank,
            length: name.len(),
        };
        // `train_val` and `hold-out` as one word.
        if let Some(found) = known(&words.concat()) {
            return Some(named(found, String::new()));
        }
        let place = words.iter().rposition(|word| known(word).is_some())?;
        let found = known(&words.remove(place))?;
        Some(named(found, words.join(" ")))
    }
}

impl Part {
    /// The part of a folder with this name, if it is one of the usual names, in any case, also with
    /// numbers or with words such as `set` and `images`.
    ///
    /// ```
    /// use cnn_gpu::data::folder::Part;
    /// assert_eq!(Part::of("Training"), Some(Part::Train));
    /// assert_eq!(Part::of("valid"), Some(Part::Validation));
    /// assert_eq!(Part::of("test_set"), Some(Part::Test));
    /// assert_eq!(Part::of("02_val2017"), Some(Part::Validation));
    /// assert_eq!(Part::of("cat"), None);
    /// ```
    pub fn of(name: &str) -> Option<Self> {
        let named = PartName::of(name).filter(|named| named.rest.is_empty());
        named.map(|named| named.part)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_names_of_parts_are_recognised_in_any_case() {
        let cases = [
            (
                Part::Train,
                "train Train TRAIN training Training_Set trainset train-images train2017 01_train \
                 train_imgs trainval train_val train1 train.jpg",
            ),
            (
                Part::Validation,
                "val valid validation Validation VAL_images dev eval 02-val val2017 evaluation",
            ),
            (
                Part::Test,
                "test Test testing Testing test_set test-data TestSplit tests test1 holdout Hold-Out \
                 03_test",
            ),
        ];
        for (part, names) in cases {
            for name in names.split(' ') {
                assert_eq!(Part::of(name), Some(part), "{name}");
            }
        }
        for name in [
            "cat",
            "trains",
            "valley",
            "tester",
            "contest",
            "value",
            "freight_train",
            "seg_test",
            "2017",
        ] {
            assert_eq!(Part::of(name), None, "{name}");
        }
    }
}
