//! Small pictures of equal size in rows.

use super::Pixels;

/// Pixels between tiles.
const GAP: usize = 1;

/// Pictures of equal size in rows of `columns`, with a transparent gap between them.
pub(in crate::report) fn tiles(pictures: &[Pixels], columns: usize) -> Pixels {
    let columns = columns.clamp(1, pictures.len().max(1));
    let [width, height] = pictures
        .first()
        .map_or([0; 2], |first| [first.width, first.height]);
    let size = |count: usize, side: usize| (count * (side + GAP)).saturating_sub(GAP);
    let rows = pictures.len().div_ceil(columns);
    let mut all = Pixels::new(size(columns, width), size(rows, height));
    for (i, picture) in pictures.iter().enumerate() {
        let place = [i % columns * (width + GAP), i / columns * (height + GAP)];
        all.paste(picture, place);
    }
    all
}

/// How many of `count` tiles to put into a row: so many that the rows are `shape` times as long as
/// they are high together, and all of equal length if that is possible.
pub(in crate::report) fn columns_for(count: usize, shape: f64) -> usize {
    let ideal = (count as f64 * shape).sqrt().ceil() as usize;
    let ideal = ideal.clamp(1, count.max(1));
    let most = (2 * ideal).min(count.max(1));
    (ideal..=most)
        .find(|columns| count.is_multiple_of(*columns))
        .unwrap_or(ideal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_lie_in_rows() {
        let tile = |value: u8| Pixels::of(2, &[[value; 3]; 2]);
        let all = tiles(&[tile(1), tile(2), tile(3)], 2);
        assert_eq!((all.width, all.height), (5, 3));
        let row: Vec<u8> = all.pixels[..5].iter().map(|p| p[0]).collect();
        assert_eq!(row, [1, 1, 0, 2, 2]);
        assert_eq!(all.pixels[5][3], 0, "the gap is transparent");
        assert_eq!(all.pixels[10], [3, 3, 3, 255]);
        assert!(tiles(&[], 3).pixels.is_empty());
    }

    #[test]
    fn rows_are_of_equal_length_if_possible() {
        assert_eq!(
            [32, 64, 10, 7, 1, 0].map(|n| columns_for(n, 2.0)),
            [8, 16, 5, 7, 1, 1]
        );
    }
}
