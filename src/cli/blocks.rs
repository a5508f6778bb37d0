//! Draws images in a terminal: the half block `▀` shows two pixels, one above the other.

use cnn_gpu::data::Dataset;
use cnn_gpu::data::sheet::rgb;

use super::columns::pad;
use super::panel::Panel;

/// Assumed width of a terminal that does not report one.
const COLUMNS: usize = 80;
/// Columns between two images.
const GAP: usize = 2;

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// Text only: pixels are dark or light.
    None,
    /// The 256 colours of xterm.
    Indexed,
    /// Any colour.
    True,
}

impl Colours {
    /// Reads the environment variables `NO_COLOR`, `COLORTERM` and `TERM`.
    pub fn from_env() -> Self {
        let variable = |name| std::env::var(name).unwrap_or_default();
        if !variable("NO_COLOR").is_empty() || variable("TERM") == "dumb" {
            Self::None
        } else if ["truecolor", "24bit"].contains(&variable("COLORTERM").as_str()) {
            Self::True
        } else {
            Self::Indexed
        }
    }

    /// A colour's part of an escape sequence.
    fn code(self, [r, g, b]: [u8; 3]) -> String {
        match self {
            Self::True => format!("2;{r};{g};{b}"),
            _ => format!("5;{}", indexed([r, g, b])),
        }
    }
}

/// The nearest of xterm's 256 colours: the ramp of greys, or the cube of 6x6x6.
fn indexed([r, g, b]: [u8; 3]) -> u8 {
    if r == g && g == b {
        return match r {
            0..4 => 16,
            247.. => 231,
            grey => 232 + ((u16::from(grey) - 3) / 10).min(23) as u8,
        };
    }
    // The cube's steps are 0, 95, 135, 175, 215 and 255.
    let step = |value: u8| match value {
        0..48 => 0,
        48..115 => 1,
        value => (value - 35) / 40,
    };
    16 + 36 * step(r) + 6 * step(g) + step(b)
}

/// How many images of this width fit side by side in the terminal, at least one.
pub fn columns_that_fit(width: usize) -> usize {
    ((terminal_columns() + GAP) / (width + GAP)).max(1)
}

/// The width of the terminal in characters.
pub fn terminal_columns() -> usize {
    console_width().unwrap_or(COLUMNS)
}

/// The width that the terminal reports, or else `COLUMNS`.
fn console_width() -> Option<usize> {
    let from_env = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse().ok());
    let reported = || {
        let (_, columns) = console::Term::stdout().size_checked()?;
        Some(columns.into())
    };
    reported()
        .or(from_env)
        .filter(|&columns: &usize| columns > 0)
}

/// Draws images side by side under their titles.
pub fn draw(data: &Dataset, indices: &[usize], titles: &[String], colours: Colours) -> String {
    let images = indices.iter().zip(titles);
    let panels: Vec<Panel> = images
        .map(|(&index, title)| Panel::new(title, data.shape()[1], rgb(data, index)))
        .collect();
    draw_panels(&panels, colours)
}

/// Draws pictures side by side under their titles, aligned at the top.
pub fn draw_panels(panels: &[Panel], colours: Colours) -> String {
    let gap = " ".repeat(GAP);
    let titles: Vec<String> = panels.iter().map(title).collect();
    let mut out = format!("{}\n", titles.join(&gap).trim_end());
    let height = panels.iter().map(Panel::height).max().unwrap_or(0);
    for y in (0..height).step_by(2) {
        let lines: Vec<String> = panels
            .iter()
            .map(|panel| match panel.row(y) {
                Some(upper) => line(upper, panel.row(y + 1), colours),
                None => " ".repeat(panel.width),
            })
            .collect();
        out += &format!("{}\n", lines.join(&gap));
    }
    out
}

/// The columns that pictures of these widths take side by side.
pub fn total_width(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// A title as wide as its picture, cut off if it has more than 8 characters.
fn title(panel: &Panel) -> String {
    let most = panel.width.max(panel.title.len().min(8));
    let title: String = panel.title.chars().take(most).collect();
    pad(&title, panel.width, false)
}

/// Two rows of pixels as one line of text; the last of an odd number of rows stands alone.
fn line(upper: &[[u8; 3]], lower: Option<&[[u8; 3]]>, colours: Colours) -> String {
    let mut out = String::new();
    for (x, &above) in upper.iter().enumerate() {
        let below = lower.map(|row| row[x]);
        if colours == Colours::None {
            out.push(match (is_dark(above), below.is_some_and(is_dark)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
            continue;
        }
        let ground = match below {
            Some(below) => format!(";48;{}", colours.code(below)),
            None => String::new(),
        };
        out += &format!("\x1b[0;38;{}{ground}m▀", colours.code(above));
    }
    if colours != Colours::None {
        out += "\x1b[0m";
    }
    out
}

fn is_dark([r, g, b]: [u8; 3]) -> bool {
    u32::from(r) + u32::from(g) + u32::from(b) < 3 * 128
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> Dataset {
        // Ink above, below, both, none; then a single last row.
        let images = vec![255, 0, 255, 0, 0, 255, 255, 0, 255, 0, 0, 0];
        Dataset::new("d", "here", [3, 4, 1], 10, images, vec![7]).unwrap()
    }

    #[test]
    fn half_blocks_show_two_rows() {
        let text = draw(
            &data(),
            &[0, 0],
            &["[0] 7".into(), "[0] 7".into()],
            Colours::None,
        );
        assert_eq!(text, "[0] 7  [0] 7\n▀▄█   ▀▄█ \n▀     ▀   \n");
    }

    #[test]
    fn colours_are_those_of_the_pixels() {
        let text = draw(&data(), &[0], &["t".into()], Colours::True);
        let ink_above = "\x1b[0;38;2;0;0;0;48;2;255;255;255m▀";
        assert!(text.lines().nth(1).unwrap().starts_with(ink_above));
        assert!(
            text.lines()
                .nth(2)
                .unwrap()
                .starts_with("\x1b[0;38;2;0;0;0m▀")
        );
        let greys = [0, 3, 8, 128, 238, 247, 255].map(|grey| indexed([grey; 3]));
        assert_eq!(greys, [16, 16, 232, 244, 255, 231, 231]);
        assert_eq!(indexed([255, 0, 95]), 16 + 36 * 5 + 1);
    }
}
