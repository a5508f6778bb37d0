//! A report as a file.

use std::path::{Path, PathBuf};

use super::drawing::CHART_STYLE;
use super::html::escaped;
use super::picture_folder;
use super::section::{Figure, ReportSection, facts_html};
use crate::disk;
use crate::error::{Error, Result};

/// The style sheet of pages.
const PAGE_STYLE: &str = include_str!("page.css");
/// What a file written by this crate starts with, by which it is known again.
const START: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"generator\" content=\"cnn-gpu";

/// A report: a title, some facts and sections, written as one HTML file.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The title.
    pub title: String,
    /// A sentence below the title.
    pub summary: String,
    /// What to see first: names and values.
    pub facts: Vec<(String, String)>,
    /// The sections.
    pub sections: Vec<ReportSection>,
}

impl Report {
    /// A report without contents.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// Sets the sentence below the title.
    #[must_use]
    pub fn summary(self, summary: impl Into<String>) -> Self {
        let summary = summary.into();
        Self { summary, ..self }
    }

    /// Adds a fact to be seen first.
    #[must_use]
    pub fn fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.facts.push((name.into(), value.into()));
        self
    }

    /// Appends a section.
    #[expect(
        clippy::should_implement_trait,
        reason = "as for a model; not an addition"
    )]
    #[must_use]
    pub fn add(mut self, section: ReportSection) -> Self {
        self.sections.push(section);
        self
    }

    /// The report as an HTML page without links to other files.
    pub fn to_html(&self) -> String {
        let (title, summary) = (escaped(&self.title), escaped(&self.summary));
        let version = env!("CARGO_PKG_VERSION");
        let contents: String = self.sections.iter().map(link).collect();
        let sections: String = self.sections.iter().map(ReportSection::to_html).collect();
        let facts = facts_html(&self.facts, "first");
        format!(
            "{START} {version}\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
             <style>\n{PAGE_STYLE}{CHART_STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n\
             <p>{summary}</p>\n{facts}</header>\n<nav aria-label=\"Sections\"><ul>\n{contents}</ul></nav>\n\
             <main>\n{sections}</main>\n<footer>Written by cnn-gpu {version}.</footer>\n</body>\n</html>\n"
        )
    }

    /// The pictures of all sections.
    pub fn pictures(&self) -> impl Iterator<Item = &Figure> {
        self.sections.iter().flat_map(ReportSection::figures)
    }

    /// Writes the page to a file, which may be an earlier report.
    ///
    /// # Errors
    /// Another file is there, or the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        if path.is_dir() || is_other(path) {
            return Err(Error::file(
                path,
                "is not a report, so it is not overwritten; choose another file",
            ));
        }
        disk::replace(path, self.to_html().as_bytes())
            .map_err(|e| Error::file(path, format!("cannot write the report: {e}")).caused_by(e))
    }

    /// Writes each picture into a folder, which is made if it does not exist, and returns the files.
    /// Those of an earlier report are replaced.
    ///
    /// # Errors
    /// The folder holds another file of the same name, two pictures have the same name, or a file
    /// cannot be written.
    pub fn save_pictures(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        picture_folder::save(folder, self.pictures())
    }
}

fn link(section: &ReportSection) -> String {
    let (id, title) = (escaped(&section.id), escaped(&section.title));
    format!("<li><a href=\"#{id}\">{title}</a></li>\n")
}

/// Whether there is a file that is not a report.
fn is_other(path: &Path) -> bool {
    use std::io::Read as _;
    let Ok(file) = std::fs::File::open(path) else {
        return path.exists();
    };
    let mut start = Vec::new();
    let read = file.take(START.len() as u64).read_to_end(&mut start);
    read.is_err() || start != START.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Drawing, ReportBlock};

    fn report() -> Report {
        let svg = Drawing::Svg("<svg viewBox=\"0 0 1 1\"></svg>".into());
        let figures = ["a", "b"].map(|id| Figure::new(id, svg.clone(), "A chart."));
        let section =
            ReportSection::new("charts", "Charts").with(ReportBlock::Figures(figures.into()));
        Report::new("<first>").fact("accuracy", "0.99").add(section)
    }

    #[test]
    fn a_page_is_complete_and_links_to_its_own_sections_only() {
        let html = report().to_html();
        assert!(html.starts_with(START) && html.ends_with("</html>\n"));
        assert!(html.contains("<title>&lt;first&gt;</title>"));
        assert!(html.contains("<a href=\"#charts\">Charts</a>"));
        assert!(!html.contains("http"));
    }

    #[test]
    fn a_report_replaces_a_report_and_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        report().save(&path).unwrap();
        report().save(&path).unwrap();
        std::fs::write(&path, "<!doctype html>mine").unwrap();
        let message = report().save(&path).unwrap_err().to_string();
        assert!(message.ends_with("choose another file"), "{message}");
        assert!(report().save(folder.path()).is_err());
    }

    #[test]
    fn pictures_are_files_with_their_style() {
        let folder = tempfile::tempdir().unwrap();
        let files = report()
            .save_pictures(&folder.path().join("pictures"))
            .unwrap();
        let names: Vec<_> = files.iter().map(|f| f.file_name().unwrap()).collect();
        assert_eq!(names, ["a.svg", "b.svg"]);
        let svg = std::fs::read_to_string(&files[0]).unwrap();
        assert!(svg.starts_with("<svg viewBox=\"0 0 1 1\"><style>") && svg.ends_with("</svg>"));
        let twice = report().add(report().sections[0].clone());
        assert!(twice.save_pictures(folder.path()).is_err());
    }
}
