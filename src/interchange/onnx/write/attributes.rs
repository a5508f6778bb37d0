//! The constants of a node.

use super::super::messages::AttributeProto;
use crate::shape::Window;

/// `AttributeProto.AttributeType`.
const FLOAT: i32 = 1;
const INT: i32 = 2;
const INTS: i32 = 7;

pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        f: Some(value),
        ..attribute(name, FLOAT)
    }
}

pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        i: Some(value),
        ..attribute(name, INT)
    }
}

pub(super) fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        ints: values.iter().map(|&n| n as i64).collect(),
        ..attribute(name, INTS)
    }
}

fn attribute(name: &str, kind: i32) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(kind),
        ..AttributeProto::default()
    }
}

/// The attributes of a window, except for its dilations: pools cannot have any.
pub(super) fn window(w: &Window) -> Vec<AttributeProto> {
    let end = |outputs: usize, stride: usize, reach: usize, start: usize, inputs: usize| {
        ((outputs - 1) * stride + reach).saturating_sub(start + inputs)
    };
    let (reach_h, reach_w) = ((w.kh - 1) * w.dh + 1, (w.kw - 1) * w.dw + 1);
    let bottom = end(w.oh, w.sh, reach_h, w.pad_top, w.ih);
    let right = end(w.ow, w.sw, reach_w, w.pad_left, w.iw);
    vec![
        ints("kernel_shape", &[w.kh, w.kw]),
        ints("strides", &[w.sh, w.sw]),
        ints("pads", &[w.pad_top, w.pad_left, bottom, right]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Padding;

    #[track_caller]
    fn assert_pads(size: [usize; 2], kernel: [usize; 2], stride: usize, pads: [i64; 4]) {
        let same = Window::new(size, kernel.into(), stride.into(), Padding::Same).unwrap();
        assert_eq!(window(&same)[2].ints, pads);
    }

    #[test]
    fn the_odd_row_of_same_padding_is_at_the_end() {
        assert_pads([5, 5], [3, 3], 1, [1, 1, 1, 1]);
        assert_pads([5, 5], [2, 4], 1, [0, 1, 1, 2]);
        assert_pads([28, 28], [3, 3], 2, [0, 0, 1, 1]);
        assert_pads([1, 1], [4, 1], 1, [1, 0, 2, 0]);
    }

    #[test]
    fn same_padding_that_needs_no_cells_has_none() {
        assert_pads([7, 4], [1, 1], 3, [0, 0, 0, 0]);
        assert_pads([6, 8], [2, 2], 2, [0, 0, 0, 0]);
    }

    #[test]
    fn gaps_between_cells_count() {
        let kernel = (3.into(), [2, 3].into());
        let same = Window::dilated([7, 9], kernel, 1.into(), Padding::Same).unwrap();
        assert_eq!(window(&same)[2].ints, [2, 3, 2, 3]);
        let valid = Window::dilated([7, 9], kernel, 1.into(), Padding::Valid).unwrap();
        assert_eq!(window(&valid)[2].ints, [0; 4]);
    }
}
