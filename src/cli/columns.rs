//! Text in columns, aligned as a terminal shows it: a Chinese character takes two cells, for example.

use unicode_width::UnicodeWidthStr as _;

/// Rows as lines, with columns two spaces apart and as wide as their widest cell. Columns for which
/// `is_right` holds are aligned to the right.
pub fn columns(rows: &[impl AsRef<[String]>], is_right: impl Fn(usize) -> bool) -> String {
    let number = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
    let width_of = |column| {
        let cells = rows.iter().filter_map(|row| row.as_ref().get(column));
        cells.map(|cell: &String| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..number).map(width_of).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row.as_ref().iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, &width))| pad(cell, width, is_right(column)));
        let line = cells.collect::<Vec<_>>().join("  ");
        out += line.trim_end();
        out.push('\n');
    }
    out
}

/// A text filled up with spaces, on its left if `is_right`.
pub fn pad(text: &str, width: usize, is_right: bool) -> String {
    let spaces = " ".repeat(width.saturating_sub(text.width()));
    if is_right {
        spaces + text
    } else {
        text.to_owned() + &spaces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_the_cells_of_a_terminal() {
        let rows = [["猫", "7"], ["dog", "12"], ["e\u{301}", ""]];
        let rows = rows.map(|row| row.map(String::from));
        let lines = "猫    7\ndog  12\ne\u{301}\n";
        assert_eq!(columns(&rows, |column| column == 1), lines);
    }
}
