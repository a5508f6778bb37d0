//! Batches from a data set: images whose bytes do not fill whole words, short batches, any order.

use super::super::case::{Case, CaseBuilder, GatherSource};
use crate::data::Dataset;
use crate::plan::{Element, Gather, Op};
use crate::rng::{Key, Stream};
use crate::shape::dims;

/// Samples in each data set.
const SAMPLES: usize = 70;

pub(super) fn cases() -> Vec<Case> {
    [
        // batch, rows, offset, image, classes
        (3, 3, 0, [28, 28, 1], 10),
        (3, 2, 5, [28, 28, 1], 10),
        (64, 64, 6, [3, 3, 1], 10),
        (64, 1, 69, [3, 3, 1], 10),
        (65, 63, 7, [5, 7, 1], 257),
        (1, 1, 0, [1, 1, 1], 2),
        (1, 1, 69, [5, 7, 3], 10),
        (5, 4, 13, [3, 3, 3], 2),
        (7, 7, 1, [1, 1, 1], 256),
        (7, 6, 2, [2, 1, 1], 10),
        (7, 5, 3, [1, 3, 1], 10),
        (2, 2, 11, [32, 32, 3], 100),
        (4, 4, 3, [8, 8, 1], 10),
        (1, 1, 3, [257, 1, 1], 10),
        (1, 1, 3, [15, 17, 1], 10),
    ]
    .into_iter()
    .flat_map(|sizes| [(sizes, false), (sizes, true)])
    .map(|((batch, rows, offset, shape, classes), of_floats)| {
        let source = GatherSource {
            data: data(shape, classes, of_floats),
            order: key(2).permutation(SAMPLES),
            offset,
        };
        let mut b = CaseBuilder::new(batch)
            .rows(rows)
            .classes(classes)
            .source(source);
        let [h, w, c] = shape;
        let x = b.batch_input("input", &[batch, h, w, c], Element::F32);
        let labels = b.batch_input("labels", &[batch], Element::U32);
        let image = dims(&shape);
        b.finish(
            Op::Gather(Gather { x, labels }),
            &format!(
                "n={batch} rows={rows} offset={offset} image={image} classes={classes}{}",
                if of_floats { " pixels=floats" } else { "" }
            ),
        )
    })
    .collect()
}

fn key(coordinate: u32) -> Key {
    Key::new(2).stream(Stream::Check, coordinate)
}

/// Random bytes, including black and white, or floats.
fn data(shape: [usize; 3], classes: usize, of_floats: bool) -> Dataset {
    let bytes = SAMPLES * shape.iter().product::<usize>();
    let byte = |i: u32| match i % 5 {
        0 => 255,
        1 => 0,
        _ => key(0).bits(i) as u8,
    };
    let images = (0..bytes as u32).map(byte).collect();
    let labels = (0..SAMPLES as u32)
        .map(|i| (key(1).bits(i) as usize % classes.min(256)) as u8)
        .collect();
    let data = Dataset::of_parts("check", "built in", shape, classes, images, labels);
    match of_floats {
        true => data.with_pixels_as(|byte| f32::from(byte) / 10.0 - 7.0),
        false => data,
    }
}
