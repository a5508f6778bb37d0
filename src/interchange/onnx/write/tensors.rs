//! The graph's constants, little-endian.

use super::super::messages::TensorProto;

/// `TensorProto.DataType`.
const FLOAT: i32 = 1;
const INT64: i32 = 7;

/// A tensor of floats with these bytes.
pub(super) fn floats(name: String, dims: &[usize], bytes: Vec<u8>) -> TensorProto {
    tensor(name, dims, FLOAT, bytes)
}

/// A vector of integers.
pub(super) fn integers(name: String, values: &[usize]) -> TensorProto {
    let bytes = values.iter().flat_map(|&n| (n as i64).to_le_bytes());
    tensor(name, &[values.len()], INT64, bytes.collect())
}

fn tensor(name: String, dims: &[usize], data_type: i32, bytes: Vec<u8>) -> TensorProto {
    TensorProto {
        name: Some(name),
        dims: dims.iter().map(|&n| n as i64).collect(),
        data_type: Some(data_type),
        raw_data: Some(bytes.into()),
        ..TensorProto::default()
    }
}

/// The bytes of a row-major tensor of this shape whose axes are put in another order: axis `i` of
/// the result is axis `axes[i]`.
pub(super) fn transposed(values: &[f32], shape: &[usize], axes: &[usize]) -> Vec<u8> {
    debug_assert_eq!(values.len(), shape.iter().product::<usize>());
    let stride = |axis: usize| shape[axis + 1..].iter().product::<usize>();
    let walk: Vec<[usize; 2]> = axes.iter().map(|&a| [shape[a], stride(a)]).collect();
    let mut bytes = Vec::with_capacity(4 * values.len());
    append(values, &walk, &mut bytes);
    bytes
}

/// Appends the elements that a walk over axes of these lengths and strides meets.
fn append(values: &[f32], walk: &[[usize; 2]], bytes: &mut Vec<u8>) {
    match *walk {
        [] => {}
        [[length, stride]] => {
            let along = values.iter().step_by(stride).take(length);
            along.for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
        }
        [[length, stride], ref rest @ ..] => {
            for i in 0..length {
                append(&values[i * stride..], rest, bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_transposed(shape: &[usize], axes: &[usize], expected: &[f32]) {
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|i| i as f32).collect();
        let bytes = transposed(&values, shape, axes);
        let (words, _) = bytes.as_chunks();
        let found: Vec<f32> = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_rows_of_a_flattened_image_follow_its_channels() {
        // Pixels 01, 23, 45, 67 become channels 0246, 1357.
        assert_transposed(&[2, 2, 2], &[2, 0, 1], &[0., 2., 4., 6., 1., 3., 5., 7.]);
        // Two units each.
        let rows = [0., 1., 4., 5., 2., 3., 6., 7.];
        assert_transposed(&[1, 2, 2, 2], &[2, 0, 1, 3], &rows);
    }

    #[test]
    fn tensors_in_the_same_order_keep_their_bytes() {
        assert_transposed(&[3], &[0], &[0., 1., 2.]);
        assert_transposed(&[1, 2, 1, 2], &[0, 1, 2, 3], &[0., 1., 2., 3.]);
    }
}
