//! Tables of numbers, as text.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::words::counted;

/// A table of numbers. As text, numbers are separated by commas and rows by semicolons, and printed
/// in columns.
///
/// ```
/// use cnn_gpu::inspect::Matrix;
/// let matrix: Matrix = "1,0,-1; 0.5,10,0".parse()?;
/// assert_eq!((matrix.rows(), matrix.columns(), matrix.at(1, 1)), (2, 3, 10.0));
/// assert_eq!(matrix.to_string(), "  1   0  -1\n0.5  10   0\n");
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    columns: usize,
    /// Row by row, at least one.
    values: Vec<f32>,
}

impl Matrix {
    /// A matrix with rows of this length, from its numbers row by row.
    ///
    /// # Errors
    /// No numbers, or not a whole number of rows.
    pub fn new(columns: usize, values: Vec<f32>) -> Result<Self> {
        if columns == 0 || values.is_empty() || !values.len().is_multiple_of(columns) {
            return Err(Error::Argument(format!(
                "expected a matrix with rows of {}, received {}",
                counted(columns, "number"),
                values.len()
            )));
        }
        Ok(Self { columns, values })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The numbers, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The number at this place, counted from 0; 0 outside, as in a padding of zeros.
    pub fn at(&self, row: usize, column: usize) -> f32 {
        let row = self.values.chunks(self.columns).nth(row);
        row.and_then(|row| row.get(column))
            .copied()
            .unwrap_or_default()
    }

    /// The smallest and the largest number; NaN is neither.
    pub fn range(&self) -> [f32; 2] {
        let [low, high] = [f32::INFINITY, f32::NEG_INFINITY];
        let fold = |start, of: fn(f32, f32) -> f32| self.values.iter().copied().fold(start, of);
        [fold(low, f32::min), fold(high, f32::max)]
    }

    /// The sum of all numbers.
    pub fn sum(&self) -> f64 {
        self.values.iter().map(|&value| f64::from(value)).sum()
    }
}

impl FromStr for Matrix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let rows: Vec<&str> = text.split(';').map(str::trim).collect();
        // A semicolon may also end the last row.
        let rows = match rows.split_last() {
            Some((&"", before)) if !before.is_empty() => before,
            _ => &rows[..],
        };
        let mut values = Vec::new();
        let mut columns = 0;
        for (i, row) in rows.iter().enumerate() {
            let found = parse_row(row).map_err(|problem| at_row(i, &problem))?;
            if i > 0 && found.len() != columns {
                let problem = format!(
                    "expected {} as in row 1, received {}",
                    counted(columns, "number"),
                    found.len()
                );
                return Err(at_row(i, &problem));
            }
            columns = found.len();
            values.extend(found);
        }
        Self::new(columns, values)
    }
}

fn at_row(index: usize, problem: &str) -> Error {
    Error::Argument(format!("row {}: {problem}", index + 1))
}

fn parse_row(row: &str) -> Result<Vec<f32>, String> {
    let number = |word: &str| match word.trim().parse() {
        Ok(number) if f32::is_finite(number) => Ok(number),
        _ => Err(format!(
            "expected numbers separated by commas, received `{}`",
            word.trim()
        )),
    };
    row.split(',').map(number).collect()
}

/// A number with at most four decimals, or with four digits if it is smaller than 0.1, without trailing
/// zeros: `30`, `-0.1111`, `0.001235`.
///
/// ```
/// use cnn_gpu::inspect::number;
/// assert_eq!([30.0, -1.0 / 9.0, 2.5, 0.0].map(number), ["30", "-0.1111", "2.5", "0"]);
/// assert_eq!([0.001_234_56, -0.00001, 1.5e-7].map(number), ["0.001235", "-0.00001", "1.5e-7"]);
/// ```
pub fn number(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        0.0 | 0.1.. => 4,
        // Four digits after the zeros.
        1e-5.. => (3.0 - size.log10().floor()) as usize,
        _ => {
            let text = format!("{value:.3e}");
            return match text.split_once('e') {
                Some((digits, power)) if digits.contains('.') => {
                    let digits = digits.trim_end_matches('0').trim_end_matches('.');
                    format!("{digits}e{power}")
                }
                _ => text,
            };
        }
    };
    let text = format!("{value:.decimals$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    if text == "-0" { "0" } else { text }.to_owned()
}

impl Display for Matrix {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = (self.values.iter())
            .map(|&value| number(f64::from(value)))
            .collect();
        let width = |column: usize| {
            let cells = words.iter().skip(column).step_by(self.columns);
            cells.map(String::len).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns).map(width).collect();
        for row in words.chunks(self.columns) {
            let cells = row.iter().zip(&widths);
            let cells: Vec<String> = cells.map(|(cell, &w)| format!("{cell:>w$}")).collect();
            writeln!(f, "{}", cells.join("  "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_no_matrix_is_refused_with_its_row() {
        let refused = |text: &str| match text.parse::<Matrix>() {
            Ok(matrix) => panic!("{text} is {matrix}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(
            refused("1,2;3"),
            "row 2: expected 2 numbers as in row 1, received 1"
        );
        for (text, row, word) in [
            ("1,x", 1, "`x`"),
            ("1;2,", 2, "``"),
            ("", 1, "``"),
            (";", 1, "``"),
            ("1;;2", 2, "``"),
            ("1;inf", 2, "`inf`"),
            ("NaN", 1, "`NaN`"),
        ] {
            let message = refused(text);
            assert!(message.starts_with(&format!("row {row}: ")), "{message}");
            assert!(message.ends_with(word), "{message}");
        }
    }

    #[test]
    fn a_matrix_ends_with_or_without_a_semicolon() {
        let expected = Matrix::new(2, vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        for text in ["1,2;3,4", "1, 2; 3, 4;", " 1 ,2;\n3,4 "] {
            assert_eq!(text.parse::<Matrix>().unwrap(), expected);
        }
        assert_eq!(expected.range(), [1.0, 4.0]);
        assert_eq!(
            (expected.at(1, 0), expected.at(2, 0), expected.at(0, 2)),
            (3.0, 0.0, 0.0)
        );
        assert!(Matrix::new(2, vec![1.0; 3]).is_err());
        assert!(Matrix::new(0, vec![]).is_err());
    }
}
