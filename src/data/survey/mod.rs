//! Inspects a data set before training: classes, sizes, formats, skipped files and likely problems.

mod inspect;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::Serialize;

use super::dataset_spec::DatasetSpec;
use super::error::DataError;
use super::event::Event;
use super::folder::{self, ImageFolder, Part, Reason, Skipped, Tested};
use super::load::load_from;
use super::read_options::ReadOptions;
use super::sources::Sources;
use super::split::kept;
use inspect::SurveyedImage;

/// The most names in a list.
const MAX_NAMED: usize = 10;
/// Classes are imbalanced if the largest has at least this many times the images of the smallest.
const BALANCED: usize = 2;

/// The contents of a data set, from [`Survey::of`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Survey {
    /// The data set's specification, such as `mnist` or `folder:pets`.
    pub dataset: String,
    /// The class names, or the class numbers if there are no names.
    pub classes: Vec<String>,
    /// The number of images of each part and class, without those that cannot be read.
    pub parts: Vec<Counts>,
    /// Widths and heights.
    pub sizes: Sizes,
    /// The number of pictures of each format, detected from their contents; empty for arrays.
    pub formats: BTreeMap<String, usize>,
    /// The skipped files and folders, by reason.
    pub passed_over: Skipped,
    /// The pictures that cannot be read. Training fails on them unless they are skipped.
    pub unreadable: Unreadable,
    /// Set if one class has at least twice the training images of another.
    pub imbalance: Option<Imbalance>,
    /// Images that occur more than once.
    pub duplicates: Vec<Duplicates>,
    /// The number of transparent pictures that show a single colour.
    pub blank: usize,
    /// The names of classes with validation or test images but no training images.
    pub unseen: Vec<String>,
    /// The names of classes without training images, validation images and test images.
    pub absent: Vec<String>,
    /// The names of classes with training images but no test images.
    pub untested: Vec<String>,
    /// Other remarks.
    pub notes: Vec<String>,
}

/// The number of images in a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// The part.
    pub part: Part,
    /// The number of images.
    pub images: usize,
    /// The number of images of each class, in the order of [`Survey::classes`].
    pub by_class: Vec<usize>,
}

/// Widths and heights of images in pixels; `[0, 0]` if there are no images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Sizes {
    /// The size with the fewest pixels.
    pub smallest: [usize; 2],
    /// The median size, by the number of pixels.
    pub median: [usize; 2],
    /// The size with the most pixels.
    pub largest: [usize; 2],
}

/// Pictures that cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Unreadable {
    /// The number.
    pub count: usize,
    /// The errors of the first ten.
    pub first: Vec<String>,
    /// Whether training skips them; otherwise it fails.
    pub skipped: bool,
}

/// Imbalanced classes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Imbalance {
    /// The class with the most training images.
    pub largest: String,
    /// The class with the fewest training images.
    pub smallest: String,
    /// The class weights that balance them, `images / (classes * images of the class)`; `None` for
    /// a class without images.
    pub class_weights: Vec<Option<f64>>,
}

/// Images with the same pixels, whatever their file names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Duplicates {
    /// The part of the duplicates.
    pub part: Part,
    /// The part of the originals. If it is the same part, these come earlier in it.
    pub also_in: Part,
    /// The number.
    pub count: usize,
    /// The number of duplicates whose class differs from the original's.
    pub with_other_class: usize,
    /// The first ten duplicates, each with its first original.
    pub first: Vec<[String; 2]>,
}

impl Survey {
    /// Puts the classes in the order of `names`, which hold all of them: that of a model that is
    /// trained further.
    pub fn arrange_classes(&mut self, names: &[String]) {
        let from: Vec<Option<usize>> = (names.iter())
            .map(|name| self.classes.iter().position(|class| class == name))
            .collect();
        for part in &mut self.parts {
            let counts = from.iter().map(|i| i.and_then(|i| part.by_class.get(i)));
            part.by_class = counts.map(|count| count.copied().unwrap_or(0)).collect();
        }
        if let Some(imbalance) = &mut self.imbalance {
            let weights = from
                .iter()
                .map(|i| i.and_then(|i| imbalance.class_weights.get(i)));
            imbalance.class_weights = weights.map(|weight| weight.copied().flatten()).collect();
        }
        self.classes = names.to_vec();
        self.name_missing();
    }

    /// Inspects every image of a data set. Reads the same images as [`load_from`], but keeps no
    /// pixels of pictures. If `validation_split` is not 0, that share of the training images, the
    /// last ones, counts as validation.
    ///
    /// # Errors
    /// Those of [`load_from`], except for pictures that cannot be read.
    pub fn of(
        spec: &DatasetSpec,
        sources: &Sources,
        validation_split: f64,
        on_event: &mut dyn FnMut(&Event),
    ) -> Result<Self, DataError> {
        let mut survey = Self {
            dataset: spec.to_string(),
            classes: Vec::new(),
            parts: Vec::new(),
            sizes: Sizes::default(),
            formats: BTreeMap::new(),
            passed_over: Skipped::default(),
            unreadable: Unreadable::default(),
            imbalance: None,
            duplicates: Vec::new(),
            blank: 0,
            unseen: Vec::new(),
            absent: Vec::new(),
            untested: Vec::new(),
            notes: Vec::new(),
        };
        let surveyed = match spec {
            DatasetSpec::Folder(path) => survey.folder(path, &sources.read, validation_split)?,
            _ => {
                let splits = load_from(spec.clone(), sources, on_event)?;
                let train = &splits.train;
                survey.classes = (0..train.classes)
                    .map(|class| train.class_name(class))
                    .collect();
                let lowest = train.labels().iter().chain(splits.test.labels()).min();
                if let Some(lowest @ 1..) = lowest {
                    survey.notes.push(format!(
                        "the lowest label is {lowest}: if the classes are numbered from there, subtract it \
                         from all labels"
                    ));
                }
                let kept = kept(train.len(), validation_split);
                let mut surveyed = inspect::array(train, Part::Train, kept);
                if let Some(validation) = splits.validation.filter(|_| validation_split == 0.0) {
                    surveyed.extend(inspect::array(&validation, Part::Validation, 0));
                }
                surveyed.extend(inspect::array(&splits.test, Part::Test, splits.test.len()));
                surveyed
            }
        };
        survey.count(&surveyed);
        survey.measure_sizes(&surveyed);
        survey.find_imbalance();
        survey.find_duplicates(&surveyed);
        Ok(survey)
    }

    /// The pictures of a folder.
    fn folder(
        &mut self,
        path: &Path,
        options: &ReadOptions,
        validation_split: f64,
    ) -> Result<Vec<SurveyedImage>, DataError> {
        let options = ReadOptions {
            // Sizes are read below, where an unreadable picture is not an error.
            shape: Some([1, 1, 3]),
            ..options.clone()
        };
        self.unreadable.skipped = options.skip_unreadable;
        let parts = folder::find(path, &options)?;
        self.classes = parts.train.classes().to_vec();
        self.passed_over = parts.skipped;
        let kept = kept(parts.train.len(), validation_split);
        let mut surveyed = self.pictures(path, &parts.train, Part::Train, kept);
        match &parts.validation {
            Some(validation) if validation_split == 0.0 => {
                surveyed.extend(self.pictures(path, validation, Part::Validation, 0));
            }
            Some(validation) => self.notes.push(format!(
                "a share of the training pictures is used for validation in place of {}",
                validation.path().display()
            )),
            None => {}
        }
        let test = parts.test.len();
        match parts.tested {
            Tested::OnValidation => self.notes.push(format!(
                "there is no folder of test pictures, so {} is used for testing, too",
                parts.test.path().display()
            )),
            _ => surveyed.extend(self.pictures(path, &parts.test, Part::Test, test)),
        }
        if parts.tested == Tested::Fifth {
            self.notes.push(match test {
                0 => "there are no test pictures: training needs at least 5 pictures in a class, or a \
                      folder test"
                    .into(),
                _ => "there is no folder of test pictures, so every fifth picture of each class that has \
                      five is held out"
                    .into(),
            });
        }
        let clipped = surveyed.iter().filter(|picture| picture.is_clipped).count();
        if clipped > 0 {
            self.notes.push(folder::clipped_pictures(clipped));
        }
        if self.classes.len() < 2 {
            let hint = folder::hint_at_inner(path, &self.classes).unwrap_or_default();
            self.notes
                .push(format!("training needs at least two classes{hint}"));
        }
        // The names given must not depend on the seed.
        self.unreadable.first.sort();
        self.unreadable.first.truncate(MAX_NAMED);
        surveyed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(surveyed)
    }

    /// The pictures of a part; those from index `kept` on are for validation.
    fn pictures(
        &mut self,
        root: &Path,
        folder: &ImageFolder,
        part: Part,
        kept: usize,
    ) -> Vec<SurveyedImage> {
        let mut surveyed = Vec::new();
        for outcome in inspect::pictures(root, folder, part, kept) {
            match outcome {
                Ok(picture) => {
                    self.blank += usize::from(picture.is_blank);
                    surveyed.push(picture);
                }
                Err(error) => {
                    self.unreadable.count += 1;
                    self.unreadable.first.push(error.to_string());
                }
            }
        }
        surveyed
    }

    fn count(&mut self, surveyed: &[SurveyedImage]) {
        for part in [Part::Train, Part::Validation, Part::Test] {
            let mut by_class = vec![0; self.classes.len()];
            for image in surveyed.iter().filter(|image| image.part == part) {
                by_class[image.class] += 1;
            }
            let images = by_class.iter().sum();
            if images > 0 || part == Part::Train {
                self.parts.push(Counts {
                    part,
                    images,
                    by_class,
                });
            }
        }
        self.name_missing();
    }

    /// Finds the classes that lack images in some part.
    fn name_missing(&mut self) {
        let trained = |class: usize| self.parts[0].by_class[class] > 0;
        let seen = |class: usize| self.parts[1..].iter().any(|part| part.by_class[class] > 0);
        let named = |is_it: &dyn Fn(usize) -> bool| -> Vec<String> {
            let classes = (0..self.classes.len()).filter(|&class| is_it(class));
            classes.map(|class| self.classes[class].clone()).collect()
        };
        self.unseen = named(&|class| !trained(class) && seen(class));
        self.absent = named(&|class| !trained(class) && !seen(class));
        // Without a test part, the validation images are used for testing, too.
        let parts = [Part::Test, Part::Validation].into_iter();
        let mut tested = parts.filter_map(|kind| self.parts.iter().find(|part| part.part == kind));
        if let Some(test) = tested.next() {
            self.untested = named(&|class| trained(class) && test.by_class[class] == 0);
        }
    }

    fn measure_sizes(&mut self, surveyed: &[SurveyedImage]) {
        let mut sizes: Vec<[usize; 2]> = surveyed.iter().map(|image| image.size).collect();
        sizes.sort_by_key(|&[width, height]| (width * height, width));
        if let (Some(&smallest), Some(&largest)) = (sizes.first(), sizes.last()) {
            self.sizes = Sizes {
                smallest,
                median: sizes[sizes.len() / 2],
                largest,
            };
        }
        for format in surveyed.iter().filter_map(|image| image.format) {
            let name = format.extensions_str().first().copied().unwrap_or("other");
            *self.formats.entry(name.into()).or_default() += 1;
        }
    }

    fn find_imbalance(&mut self) {
        let counts = &self.parts[0].by_class;
        // Weights cannot balance classes without images.
        let extreme = |(class, count): (usize, &usize)| (*count > 0).then_some((*count, class));
        let all = || counts.iter().enumerate().filter_map(extreme);
        let (Some(smallest), Some(largest)) = (all().min(), all().max_by_key(|(n, _)| *n)) else {
            return;
        };
        if largest.0 == 0 || largest.0 < BALANCED * smallest.0 {
            return;
        }
        let images: usize = counts.iter().sum();
        let classes = counts.iter().filter(|count| **count > 0).count();
        let weight = |&count: &usize| (count > 0).then(|| images as f64 / (classes * count) as f64);
        self.imbalance = Some(Imbalance {
            largest: self.classes[largest.1].clone(),
            smallest: self.classes[smallest.1].clone(),
            class_weights: counts.iter().map(weight).collect(),
        });
    }

    /// Looks for images with the same pixels.
    fn find_duplicates(&mut self, surveyed: &[SurveyedImage]) {
        // The first image with each content in each part.
        let mut firsts: HashMap<(Part, [u8; 32]), usize> = HashMap::new();
        let mut again = Vec::new();
        for (i, image) in surveyed.iter().enumerate() {
            let first = *firsts.entry((image.part, image.digest)).or_insert(i);
            if first != i {
                again.push((image.part, i, first));
            }
        }
        let pairs = [
            (Part::Test, Part::Train),
            (Part::Test, Part::Validation),
            (Part::Validation, Part::Train),
        ];
        for (part, also_in) in pairs {
            let images = surveyed
                .iter()
                .enumerate()
                .filter(|(_, image)| image.part == part);
            let found = images.filter_map(|(i, image)| {
                let other = firsts.get(&(also_in, image.digest))?;
                Some((i, *other))
            });
            self.add_duplicates(surveyed, part, also_in, found.collect());
        }
        for part in [Part::Train, Part::Validation, Part::Test] {
            let own = again.iter().filter(|(of, _, _)| *of == part);
            self.add_duplicates(
                surveyed,
                part,
                part,
                own.map(|(_, i, first)| (*i, *first)).collect(),
            );
        }
    }

    fn add_duplicates(
        &mut self,
        surveyed: &[SurveyedImage],
        part: Part,
        also_in: Part,
        found: Vec<(usize, usize)>,
    ) {
        if found.is_empty() {
            return;
        }
        let differs = |(a, b): &&(usize, usize)| surveyed[*a].class != surveyed[*b].class;
        let name = |i: usize| surveyed[i].name.clone();
        self.duplicates.push(Duplicates {
            part,
            also_in,
            count: found.len(),
            with_other_class: found.iter().filter(differs).count(),
            first: (found.iter().take(MAX_NAMED))
                .map(|(a, b)| [name(*a), name(*b)])
                .collect(),
        });
    }

    /// Whether the survey found a likely problem.
    pub fn is_worth_a_warning(&self) -> bool {
        let passed_over = |(reason, _): (Reason, _)| reason.is_worth_a_warning();
        self.passed_over.groups().any(passed_over)
            || self.unreadable.count > 0
            || self.imbalance.is_some()
            || self.duplicates.iter().any(|d| d.part != d.also_in)
            || self.blank > 0
            || [&self.unseen, &self.absent, &self.untested]
                .iter()
                .any(|classes| !classes.is_empty())
    }
}
