//! The parts of a report.

use super::Drawing;
use super::html::escaped;

/// The length of cells that stay in one line.
const LONG: usize = 28;

/// A section of a report.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ReportSection {
    /// The anchor, unique in the report.
    pub id: String,
    /// The heading.
    pub title: String,
    /// The contents, in order.
    pub blocks: Vec<ReportBlock>,
}

/// A part of a section. Texts are plain: markup in them is escaped.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ReportBlock {
    /// A paragraph.
    Text(String),
    /// Why something is missing.
    Missing(String),
    /// Pictures side by side, as many as fit.
    Figures(Vec<Figure>),
    /// Small pictures side by side.
    Gallery(Vec<Figure>),
    /// A table.
    Table(Table),
    /// Names and values.
    Facts(Vec<(String, String)>),
    /// A command or another text to copy, folded away under a title if it has one.
    Code {
        /// The title.
        folded: Option<String>,
        /// The text.
        text: String,
    },
}

/// A picture with its caption.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figure {
    /// The anchor and the name of its file, unique in the report.
    pub id: String,
    /// The picture.
    pub drawing: Drawing,
    /// What it shows, for readers.
    pub caption: String,
    /// What it shows, for those who cannot see it.
    pub alt: String,
}

/// A table, folded away under its title if it has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Table {
    /// The title under which it is folded away.
    pub folded: Option<String>,
    /// The headings.
    pub head: Vec<String>,
    /// The rows. The first cell of each is a heading too.
    pub rows: Vec<Vec<String>>,
}

impl ReportSection {
    /// An empty section.
    pub fn new(id: impl Into<String>, title: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            blocks: Vec::new(),
        }
    }

    /// A section that only says why it has no contents.
    pub fn missing(id: &str, title: &str, why: impl Into<String>) -> Self {
        Self::new(id, title).with(ReportBlock::Missing(why.into()))
    }

    /// Appends a block.
    #[must_use]
    pub fn with(mut self, block: ReportBlock) -> Self {
        self.blocks.push(block);
        self
    }

    /// The pictures.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.blocks.iter().flat_map(|block| match block {
            ReportBlock::Figures(figures) | ReportBlock::Gallery(figures) => figures.as_slice(),
            _ => &[],
        })
    }

    pub(super) fn to_html(&self) -> String {
        let blocks: String = self.blocks.iter().map(ReportBlock::to_html).collect();
        let (id, title) = (escaped(&self.id), escaped(&self.title));
        format!("<section id=\"{id}\">\n<h2>{title}</h2>\n{blocks}</section>\n")
    }
}

impl Figure {
    /// A picture with its caption, which also describes it for those who cannot see it.
    pub fn new(id: impl Into<String>, drawing: Drawing, caption: impl Into<String>) -> Self {
        let caption = caption.into();
        Self {
            id: id.into(),
            drawing,
            alt: caption.clone(),
            caption,
        }
    }

    /// Sets the description for those who cannot see the picture.
    #[must_use]
    pub fn alt(self, alt: impl Into<String>) -> Self {
        let alt = alt.into();
        Self { alt, ..self }
    }

    /// The name of the picture's file.
    pub fn file_name(&self) -> String {
        format!("{}.{}", self.id, self.drawing.extension())
    }

    fn to_html(&self) -> String {
        let (id, caption) = (escaped(&self.id), escaped(&self.caption));
        let drawing = self.drawing.to_html(&self.alt);
        format!("<figure id=\"{id}\">{drawing}<figcaption>{caption}</figcaption></figure>\n")
    }
}

impl Table {
    /// A table with these headings.
    pub fn new<T: Into<String>>(head: impl IntoIterator<Item = T>) -> Self {
        Self {
            head: head.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Appends a row.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Folds the table away under a title.
    #[must_use]
    pub fn folded(mut self, title: impl Into<String>) -> Self {
        self.folded = Some(title.into());
        self
    }

    fn to_html(&self) -> String {
        let head = self
            .head
            .iter()
            .map(|cell| format!("<th scope=\"col\">{}</th>", escaped(cell)));
        let rows = self.rows.iter().map(|row| {
            let cells = row.iter().enumerate().map(|(i, cell)| match i {
                0 => format!("<th scope=\"row\">{}</th>", escaped(cell)),
                // Long texts break, so that they do not push other columns out of the page.
                _ if cell.len() > LONG => format!("<td class=\"long\">{}</td>", escaped(cell)),
                _ => format!("<td>{}</td>", escaped(cell)),
            });
            format!("<tr>{}</tr>\n", cells.collect::<String>())
        });
        let (head, rows) = (head.collect::<String>(), rows.collect::<String>());
        let table = format!(
            "<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
        );
        unfolding(self.folded.as_deref(), table)
    }
}

/// An element, folded away under its title if it has one.
fn unfolding(title: Option<&str>, element: String) -> String {
    match title {
        Some(title) => {
            let title = escaped(title);
            format!("<details><summary>{title}</summary>\n{element}</details>\n")
        }
        None => element,
    }
}

impl ReportBlock {
    fn to_html(&self) -> String {
        let figures = |figures: &[Figure], class: &str| {
            let figures: String = figures.iter().map(Figure::to_html).collect();
            format!("<div class=\"{class}\">\n{figures}</div>\n")
        };
        match self {
            Self::Text(text) => format!("<p>{}</p>\n", escaped(text)),
            Self::Missing(why) => format!("<p class=\"missing\">{}</p>\n", escaped(why)),
            Self::Figures(all) => figures(all, "figures"),
            Self::Gallery(all) => figures(all, "gallery"),
            Self::Table(table) => table.to_html(),
            Self::Facts(facts) => facts_html(facts, "facts"),
            Self::Code { folded, text } => {
                let code = format!("<pre tabindex=\"0\"><code>{}</code></pre>\n", escaped(text));
                unfolding(folded.as_deref(), code)
            }
        }
    }
}

/// Names and values.
pub(super) fn facts_html(facts: &[(String, String)], class: &str) -> String {
    let pairs = facts.iter().map(|(name, value)| {
        let (name, value) = (escaped(name), escaped(value));
        format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n")
    });
    format!(
        "<dl class=\"{class}\">\n{}</dl>\n",
        pairs.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_markup_and_its_texts_are_not() {
        let mut table = Table::new(["class", "F1"]);
        table.row(["<b>", "1"]);
        let figure = Figure::new("a", Drawing::Png(vec![1]), "A & B");
        let section = ReportSection::new("scores", "Scores")
            .with(ReportBlock::Text("a < b".into()))
            .with(ReportBlock::Table(table.folded("All")))
            .with(ReportBlock::Figures(vec![figure]));
        let html = section.to_html();
        for part in [
            "<section id=\"scores\">",
            "<p>a &lt; b</p>",
            "<summary>All</summary>",
            "<th scope=\"row\">&lt;b&gt;</th><td>1</td>",
            "<figure id=\"a\"><img src=\"data:image/png;base64,AQ==\" alt=\"A &amp; B\">",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        let names: Vec<String> = section.figures().map(Figure::file_name).collect();
        assert_eq!(names, ["a.png"]);
    }
}
