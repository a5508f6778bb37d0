//! Constants in another shape or order.

use super::super::super::inputs::Inputs;
use super::super::super::nd_array::{NdArray, common_dims, count};
use super::super::super::reading::GraphReading;
use super::super::super::value::{Floats, GraphValue, merged};
use super::super::unsupported::unsupported;
use crate::error::FormatError;

/// What happens to an array.
enum Move {
    Reshape(Vec<usize>),
    Transpose(Vec<usize>),
    Expand(Vec<usize>),
    /// The axis, the first index, the step, and the number of indices.
    Slice(Vec<(usize, usize, isize, usize)>),
    /// The axis, the indices, and their shape.
    Gather(usize, Vec<usize>, Vec<usize>),
}

impl Move {
    fn apply<T: Clone>(&self, array: &NdArray<T>) -> Option<NdArray<T>> {
        match self {
            Self::Reshape(dims) => array.reshaped(dims.clone()),
            Self::Transpose(order) => array.transposed(order),
            Self::Expand(dims) => array.broadcast(dims),
            Self::Slice(axes) => axes.iter().try_fold(array.clone(), |array, slice| {
                let &(axis, start, step, count) = slice;
                array.sliced(axis, start, step, count)
            }),
            Self::Gather(axis, indices, shape) => gather(array, *axis, indices, shape),
        }
    }

    /// The number of elements that are copied.
    fn cost(&self, array: &[usize]) -> usize {
        let n = count(array).unwrap_or(usize::MAX);
        match self {
            Self::Reshape(_) => 0,
            Self::Expand(dims) => count(dims).unwrap_or(usize::MAX),
            Self::Transpose(_) => n,
            Self::Slice(axes) => n.saturating_mul(axes.len()),
            Self::Gather(_, indices, _) => n.saturating_mul(indices.len()),
        }
    }
}

pub(super) fn evaluate(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<GraphValue, FormatError> {
    if inputs.node.operator() == "Concat" {
        return concat(reading, inputs);
    }
    let value = inputs.first()?;
    let dims = match value {
        GraphValue::Floats(numbers) => numbers.array.dims(),
        GraphValue::Integers(integers) => integers.dims(),
        GraphValue::Flow(_) => return Err(inputs.unexpected(0, "constants")),
    };
    let change = change(inputs, dims)?;
    reading.spend(&inputs.node, change.cost(dims))?;
    let wrong = || inputs.node.error("the shapes of its constants do not fit");
    match value {
        GraphValue::Floats(numbers) => {
            let array = change.apply(&numbers.array).ok_or_else(wrong)?;
            Ok(GraphValue::Floats(numbers.derived(array)))
        }
        GraphValue::Integers(integers) => {
            let array = change.apply(integers).ok_or_else(wrong)?;
            Ok(GraphValue::Integers(array))
        }
        GraphValue::Flow(_) => Err(wrong()),
    }
}

/// What the node does to an array of this shape.
fn change(inputs: &Inputs<'_>, dims: &[usize]) -> Result<Move, FormatError> {
    let node = &inputs.node;
    Ok(match node.operator() {
        "Reshape" => Move::Reshape(reshape(inputs, dims)?),
        "Transpose" => Move::Transpose(match node.sizes("perm", dims.len())? {
            Some(order) => order,
            None => (0..dims.len()).rev().collect(),
        }),
        "Flatten" => {
            let axis = node.axis(node.int("axis").unwrap_or(1), dims.len() + 1)?;
            let (before, behind) = dims.split_at_checked(axis).unwrap_or_default();
            Move::Reshape([before, behind].map(|d| d.iter().product()).to_vec())
        }
        "Squeeze" => {
            let axes = match inputs.axes(1, dims.len())? {
                Some(axes) => axes,
                None => (0..dims.len())
                    .filter(|&i| dims.get(i) == Some(&1))
                    .collect(),
            };
            let kept = dims.iter().enumerate().filter(|(i, _)| !axes.contains(i));
            Move::Reshape(kept.map(|(_, &size)| size).collect())
        }
        "Unsqueeze" => {
            let rank = dims.len() + inputs.setting("axes", 1)?.unwrap_or_default().len();
            let axes = inputs.axes(1, rank)?.unwrap_or_default();
            let mut old = dims.iter().copied();
            let size = |i| {
                if axes.contains(&i) {
                    1
                } else {
                    old.next().unwrap_or(1)
                }
            };
            Move::Reshape((0..rank).map(size).collect())
        }
        "Expand" => {
            let wanted = common_dims(dims, &inputs.sizes(1)?);
            Move::Expand(wanted.ok_or_else(|| inputs.unexpected(1, "sizes that fit"))?)
        }
        "Slice" => Move::Slice(slices(inputs, dims)?),
        "Gather" => indices(inputs, dims)?,
        _ => return Err(unsupported(inputs)),
    })
}

fn reshape(inputs: &Inputs<'_>, dims: &[usize]) -> Result<Vec<usize>, FormatError> {
    let wrong = || inputs.unexpected(1, "sizes that fit");
    let zero_copies = !inputs.node.flag("allowzero");
    let wanted = inputs.integers(1)?.elements();
    let known: Option<Vec<Option<usize>>> = (wanted.iter().enumerate())
        .map(|(i, &size)| match size? {
            -1 => Some(None),
            0 if zero_copies => dims.get(i).map(|&size| Some(size)),
            size => usize::try_from(size).ok().map(Some),
        })
        .collect();
    let known = known.ok_or_else(wrong)?;
    let others: Vec<usize> = known.iter().flatten().copied().collect();
    let all = count(dims).ok_or_else(wrong)?;
    let rest = all
        .checked_div(count(&others).ok_or_else(wrong)?)
        .unwrap_or(0);
    Ok(known.into_iter().map(|size| size.unwrap_or(rest)).collect())
}

/// Each axis that is cut, with its first index, step and number of indices.
fn slices(
    inputs: &Inputs<'_>,
    dims: &[usize],
) -> Result<Vec<(usize, usize, isize, usize)>, FormatError> {
    let wrong = || {
        inputs
            .node
            .error("expected the start and the end of each slice")
    };
    let starts = inputs.setting("starts", 1)?.ok_or_else(wrong)?;
    let ends = inputs.setting("ends", 2)?.ok_or_else(wrong)?;
    let axes = match inputs.axes(3, dims.len())? {
        Some(axes) => axes,
        None => (0..starts.len()).collect(),
    };
    let steps = inputs
        .setting("steps", 4)?
        .unwrap_or_else(|| vec![1; axes.len()]);
    if [starts.len(), ends.len(), steps.len()] != [axes.len(); 3] {
        return Err(wrong());
    }
    let cuts = axes
        .into_iter()
        .zip(starts)
        .zip(ends.into_iter().zip(steps));
    cuts.map(|((axis, start), (end, step))| {
        let size = dims.get(axis).copied().ok_or_else(wrong)?;
        let (start, count) = range(size, start, end, step).ok_or_else(wrong)?;
        let step = isize::try_from(step).map_err(|_| wrong())?;
        Ok((axis, start, step, count))
    })
    .collect()
}

/// The first index from `start` to `end`, which count from the end if they are negative, and the
/// number of indices.
fn range(size: usize, start: i64, end: i64, step: i64) -> Option<(usize, usize)> {
    let n = i64::try_from(size).ok()?;
    let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let place = |at: i64| {
        let at = if at < 0 { at.saturating_add(n) } else { at };
        at.clamp(low, high)
    };
    let (start, end) = (place(start), place(end));
    let length = if step > 0 { end - start } else { start - end };
    let step = step.unsigned_abs();
    let count = u64::try_from(length).unwrap_or(0).div_ceil(step.max(1));
    let start = if count == 0 {
        0
    } else {
        usize::try_from(start).ok()?
    };
    (step > 0).then_some((start, usize::try_from(count).ok()?))
}

fn indices(inputs: &Inputs<'_>, dims: &[usize]) -> Result<Move, FormatError> {
    let axis = inputs.node.int("axis").unwrap_or(0);
    let axis = inputs.node.axis(axis, dims.len())?;
    let size = dims.get(axis).copied().unwrap_or(0);
    let indices = inputs.integers(1)?;
    let places = indices.elements().iter().map(|&index| {
        let index = index.ok_or_else(|| inputs.unexpected(1, "known indices"))?;
        inputs.node.axis(index, size)
    });
    let places = places.collect::<Result<_, _>>()?;
    Ok(Move::Gather(axis, places, indices.dims().to_vec()))
}

/// The elements at these indices of an axis, which is replaced by those of `shape`.
fn gather<T: Clone>(
    array: &NdArray<T>,
    axis: usize,
    indices: &[usize],
    shape: &[usize],
) -> Option<NdArray<T>> {
    let (before, behind) = array.dims().split_at_checked(axis)?;
    let dims = [before, shape, behind.get(1..)?].concat();
    let parts: Option<Vec<NdArray<T>>> = (indices.iter())
        .map(|&index| array.sliced(axis, index, 1, 1))
        .collect();
    match parts?.as_slice() {
        [] => NdArray::new(dims, Vec::new()),
        parts => NdArray::joined(parts, axis)?.reshaped(dims),
    }
}

fn concat(reading: &mut GraphReading, inputs: &Inputs<'_>) -> Result<GraphValue, FormatError> {
    let wrong = || inputs.node.error("the shapes of its constants do not fit");
    let axis = |rank| inputs.node.axis(inputs.node.int("axis").unwrap_or(0), rank);
    if let Some(GraphValue::Floats(head)) = inputs.get(0) {
        let parts = (0..inputs.values.len()).map(|i| inputs.numbers(i));
        let parts: Vec<&Floats> = parts.collect::<Result<_, _>>()?;
        let arrays: Vec<NdArray<f32>> = parts.iter().map(|n| n.array.clone()).collect();
        reading.spend(&inputs.node, arrays.iter().map(NdArray::len).sum())?;
        let origins: Vec<_> = parts.iter().map(|n| n.origins.as_slice()).collect();
        let array = NdArray::joined(&arrays, axis(head.array.dims().len())?).ok_or_else(wrong)?;
        return Ok(GraphValue::Floats(Floats {
            array,
            origins: merged(&origins),
        }));
    }
    let parts = (0..inputs.values.len()).map(|i| inputs.integers(i).cloned());
    let parts: Vec<NdArray<Option<i64>>> = parts.collect::<Result<_, _>>()?;
    reading.spend(&inputs.node, parts.iter().map(NdArray::len).sum())?;
    let rank = parts.first().map_or(0, |part| part.dims().len());
    let joined = NdArray::joined(&parts, axis(rank)?).ok_or_else(wrong)?;
    Ok(GraphValue::Integers(joined))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_count_from_both_ends() {
        assert_eq!(range(4, 0, 1, 1), Some((0, 1)));
        assert_eq!(range(4, -1, i64::MIN + 1, -1), Some((3, 4)));
        assert_eq!(range(4, 1, i64::MAX, 2), Some((1, 2)));
        assert_eq!(range(4, 3, 1, 1), Some((0, 0)));
        assert_eq!(range(4, 0, 4, 0), None);
        assert_eq!(range(0, 0, 1, 1), Some((0, 0)));
        assert_eq!(range(0, -1, -9, -1), Some((0, 0)));
    }

    #[test]
    fn indices_pick_elements() {
        let array = NdArray::vector(vec![5, 6, 7]);
        let one = gather(&array, 0, &[2], &[]).unwrap();
        assert_eq!((one.dims(), one.elements()), (&[][..], &[7][..]));
        let two = gather(&array, 0, &[2, 0], &[2, 1]).unwrap();
        assert_eq!((two.dims(), two.elements()), (&[2, 1][..], &[7, 5][..]));
        assert!(gather(&array, 0, &[], &[0]).unwrap().elements().is_empty());
    }
}
