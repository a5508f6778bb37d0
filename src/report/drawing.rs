//! A picture of a report, vector or raster.

use super::html::{data_uri, escaped};

/// A picture: a chart in SVG, or a PNG.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drawing {
    /// An `<svg>` element whose colours are those of the page's style sheet.
    Svg(String),
    /// The bytes of a PNG file.
    Png(Vec<u8>),
}

/// The style sheet of charts.
pub(super) const CHART_STYLE: &str = include_str!("chart.css");

impl Drawing {
    /// `svg` or `png`.
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Svg(_) => "svg",
            Self::Png(_) => "png",
        }
    }

    /// The picture as a file of its own.
    pub fn to_file(&self) -> Vec<u8> {
        match self {
            Self::Svg(svg) => {
                // A page has a ground of its own; without one, pale text would stand on white.
                let ground = "svg.chart { background: var(--paper); }";
                let style = format!("><style>{CHART_STYLE}{ground}</style>");
                svg.replacen('>', &style, 1).into_bytes()
            }
            Self::Png(bytes) => bytes.clone(),
        }
    }

    /// The picture as an element of a page; `alt` describes it for those who cannot see it.
    pub(super) fn to_html(&self, alt: &str) -> String {
        match self {
            // The chart has its label.
            Self::Svg(svg) => svg.clone(),
            Self::Png(bytes) => {
                format!("<img src=\"{}\" alt=\"{}\">", data_uri(bytes), escaped(alt))
            }
        }
    }
}
