//! Charts in SVG, as text.
//!
//! A chart names its colours by classes of `chart.css`, so that it follows the reader's choice of
//! light or dark wherever it is shown. Coordinates have at most two decimals, so that the same values
//! give the same bytes.

mod axis;
mod bar_chart;
mod canvas;
mod heat_map;
mod line_chart;
mod network_diagram;
mod reliability;
mod scatter;

pub(super) use bar_chart::{BarChart, ChartBar};
pub(super) use heat_map::HeatMap;
pub(super) use line_chart::{LineChart, LineSeries, Marker};
pub(super) use network_diagram::{DiagramLayer, network_diagram};
pub(super) use reliability::reliability;
pub(super) use scatter::{Scatter, ScatterPoint};
