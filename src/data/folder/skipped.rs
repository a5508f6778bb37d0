//! What is skipped in a folder, counted by reason.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer};

use crate::data::picture::is_picture;

/// Why something in a folder is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// A picture in an unsupported format, judged by its name.
    Format,
    /// A picture outside all class folders.
    #[serde(rename = "beside")]
    NoClass,
    /// A second folder for the same part, such as `valid` next to `val`.
    SecondPart,
    /// A link that leads back to a folder above it.
    Loop,
    /// An empty folder in place of a class.
    Empty,
    /// A folder of training runs or of their logs.
    Runs,
    /// A file that is not a picture, judged by its name.
    NoPicture,
    /// A hidden file or folder: its name starts with a dot, or it belongs to the operating system.
    Hidden,
}

/// What is skipped for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedGroup {
    /// The number of files or folders.
    pub count: usize,
    /// The number of files by extension, in lower case with its dot.
    pub extensions: BTreeMap<String, usize>,
    /// The first few of them.
    pub first: Vec<PathBuf>,
}

/// What is skipped in a folder, counted by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped(BTreeMap<Reason, SkippedGroup>);

/// The most names in a line.
const MAX_NAMED: usize = 3;
/// The most extensions in a line.
const MAX_EXTENSIONS: usize = 6;
/// The extensions of picture formats that are not supported.
const OTHER_PICTURES: &[&str] = &[
    "apng", "arw", "avif", "bmp", "cr2", "cr3", "dcm", "dds", "dib", "dng", "eps", "exr", "ff",
    "gif", "hdr", "heic", "heif", "ico", "j2k", "jfif", "jp2", "jpe", "jxl", "nef", "orf", "pbm",
    "pcx", "pgm", "pnm", "ppm", "psd", "qoi", "raw", "rw2", "svg", "tga", "tif", "tiff", "webp",
];

impl Reason {
    /// Whether the user probably meant to include the pictures.
    pub fn is_worth_a_warning(self) -> bool {
        match self {
            Self::Format | Self::NoClass | Self::SecondPart | Self::Loop | Self::Empty => true,
            Self::Runs | Self::NoPicture | Self::Hidden => false,
        }
    }
}

impl Skipped {
    /// What is skipped, by reason.
    pub fn groups(&self) -> impl Iterator<Item = (Reason, &SkippedGroup)> {
        self.0.iter().map(|(reason, group)| (*reason, group))
    }

    /// The number of files and folders skipped for a reason.
    pub fn count(&self, reason: Reason) -> usize {
        self.0.get(&reason).map_or(0, |group| group.count)
    }

    /// Whether nothing is skipped.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One line per reason: the count, the kind and the first names.
    pub fn lines(&self) -> impl Iterator<Item = (Reason, String)> {
        (self.0.iter()).map(|(reason, group)| (*reason, group.line(*reason)))
    }

    pub(super) fn add(&mut self, reason: Reason, path: &Path) {
        let group = self.0.entry(reason).or_default();
        group.count += 1;
        if group.first.len() < MAX_NAMED {
            group.first.push(path.into());
        }
        if matches!(reason, Reason::Format | Reason::NoPicture) {
            let extension = extension(path).map_or("no extension".into(), |e| format!(".{e}"));
            *group.extensions.entry(extension).or_default() += 1;
        }
    }

    /// Counts a file that is not read, whatever its kind.
    pub(super) fn add_file(&mut self, path: &Path) {
        let extension = extension(path).unwrap_or_default();
        let is_other = OTHER_PICTURES.contains(&extension.as_str());
        self.add(
            if is_other {
                Reason::Format
            } else {
                Reason::NoPicture
            },
            path,
        );
    }

    /// Counts a file in a folder that should only contain folders.
    pub(super) fn add_file_outside(&mut self, path: &Path) {
        if is_picture(path) {
            self.add(Reason::NoClass, path);
        } else {
            self.add_file(path);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (reason, theirs) in &other.0 {
            let ours = self.0.entry(*reason).or_default();
            ours.count += theirs.count;
            let room = MAX_NAMED.saturating_sub(ours.first.len());
            ours.first.extend(theirs.first.iter().take(room).cloned());
            for (extension, count) in &theirs.extensions {
                *ours.extensions.entry(extension.clone()).or_default() += count;
            }
        }
    }
}

impl SkippedGroup {
    fn line(&self, reason: Reason) -> String {
        let count = self.count;
        let plural = |one: &str, many: &str| match count {
            1 => format!("1 {one}"),
            _ => format!("{count} {many}"),
        };
        let what = match reason {
            Reason::Format => plural(
                "picture in an unsupported format",
                "pictures in unsupported formats",
            ),
            Reason::NoClass => plural(
                "picture outside all class folders",
                "pictures outside all class folders",
            ),
            Reason::SecondPart => plural(
                "second folder for the same part",
                "second folders for the same part",
            ),
            Reason::Loop => plural(
                "link that leads back to a folder above it",
                "links that lead back to a folder above them",
            ),
            Reason::Empty => plural("empty folder", "empty folders"),
            Reason::Runs => plural(
                "folder of training runs or their logs",
                "folders of training runs or their logs",
            ),
            Reason::NoPicture => {
                plural("file that is not a picture", "files that are not pictures")
            }
            Reason::Hidden => plural("hidden file or folder", "hidden files and folders"),
        };
        format!("{what} ({})", self.details())
    }

    /// The extensions, or the first names if there are none.
    fn details(&self) -> String {
        let (shown, all) = if self.extensions.is_empty() {
            let names = self.first.iter().map(|path| path.display().to_string());
            (names.collect::<Vec<_>>(), self.count)
        } else {
            let mut kinds: Vec<_> = self.extensions.iter().collect();
            kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let shown = kinds.iter().take(MAX_EXTENSIONS);
            let shown = shown.map(|(kind, count)| format!("{count} {kind}"));
            (shown.collect(), kinds.len())
        };
        let more = if all > shown.len() { ", ..." } else { "" };
        shown.join(", ") + more
    }
}

/// A file name's extension in lower case.
fn extension(path: &Path) -> Option<String> {
    let extension = path.extension()?.to_string_lossy().to_lowercase();
    Some(extension.replace(char::is_control, "\u{fffd}"))
}

/// The last part of a path.
pub(super) fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Whether an entry of a folder is hidden or belongs to the operating system.
pub(super) fn is_hidden(path: &Path) -> bool {
    const SYSTEMS: [&str; 4] = ["__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir"];
    let name = name(path);
    name.starts_with('.') || SYSTEMS.contains(&name.as_str())
}

impl Serialize for Skipped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Line<'a> {
            reason: Reason,
            count: usize,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            extensions: &'a BTreeMap<String, usize>,
            first: Vec<String>,
        }
        let mut sequence = serializer.serialize_seq(Some(self.0.len()))?;
        for (reason, group) in self.groups() {
            sequence.serialize_element(&Line {
                reason,
                count: group.count,
                extensions: &group.extensions,
                first: (group.first.iter())
                    .map(|path| path.display().to_string())
                    .collect(),
            })?;
        }
        sequence.end()
    }
}

impl fmt::Display for Skipped {
    /// The lines, each with a line break.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().try_for_each(|(_, line)| writeln!(f, "{line}"))
    }
}
